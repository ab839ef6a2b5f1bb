/**
 * The end of a task: the raw export is read once, checked, and kept in a form made for asking. What is derived can be
 * rebuilt from the raw export at any time.
 */
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { createReadStream, createWriteStream } from 'node:fs';
import { open, rename, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { finished } from 'node:stream/promises';
import type {
  AuthenticationStatus,
  ResultsSummary,
  ScanType,
  SeverityBreakdown,
  Target,
} from '@scanmq/contract';
import { FILES, FORMAT_VERSION, type ResultFacts } from './facts.js';
import { createFindingMaker, hasSeverity, identityOf, severityOf } from './finding.js';
import { readPreferences } from './preferences.js';
import { readExport } from './read-export.js';
import { collectHost, type HostVerdict, judge, type ScanVerdict } from './verdict.js';

export interface IngestInput {
  /** Directory of the task; holds the raw export. */
  readonly taskDir: string;
  readonly scanType: ScanType;
  readonly targets: readonly Target[];
  /** The scanner's own word for the end of the run. */
  readonly endedAs: string;
}

export interface IngestResult {
  readonly summary: ResultsSummary;
  readonly authenticationStatus: AuthenticationStatus;
  readonly warnings: readonly string[];
  readonly troubleshooting: ScanVerdict['troubleshooting'];
  /** `report_task_id` of the export, the uuid of the run that it belongs to; null where the export does not say. */
  readonly runUuid: string | null;
}

/** The policy block comes first; its list of all plugins makes it up to 2 MB long. */
const BEGINNING_BYTES = 8 * 1024 * 1024;
/** Server preferences worth telling (nessus-api.md section 9.1). */
const TOLD_PREFERENCES = [
  'loaded_plugin_set',
  'severity_basis',
  'report_task_id',
  'scan_start_timestamp',
  'scan_end_timestamp',
  'hostCredsSuccessCount',
  'hostCredsFailedCount',
  'hostCredsWithoutCount',
];

/**
 * Reads, checks and stores the results of a task.
 * @throws InvalidExportError when the export is not usable; nothing derived is left then, of an earlier export neither.
 */
export async function ingestExport(input: IngestInput): Promise<IngestResult> {
  await rm(join(input.taskDir, FILES.facts), { force: true });
  const { facts, ...counted } = await storeFindings(input.taskDir);
  const verdict = judge({
    ...input,
    hosts: facts.hosts,
    removedCharacters: counted.removedCharacters,
    withoutSeverity: counted.withoutSeverity,
    failedLogins: Number(facts.scanner_facts.hostCredsFailedCount ?? 0),
  });
  const { critical, high, medium, low } = counted.severities;
  return {
    summary: {
      hosts_scanned: facts.hosts.length,
      total_vulnerabilities: critical + high + medium + low,
      total_findings: facts.total_findings,
      severity_breakdown: counted.severities,
      file_size_kb: Math.round((facts.export_bytes / 1024) * 10) / 10,
      auth_plugins_found: counted.credentialFindings,
    },
    authenticationStatus: verdict.authenticationStatus,
    warnings: verdict.warnings,
    troubleshooting: verdict.troubleshooting,
    runUuid: facts.scanner_facts.report_task_id ?? null,
  };
}

const LEVELS = ['info', 'low', 'medium', 'high', 'critical'] as const;

/** What is counted on the way, beside what is stored. */
interface Stored {
  readonly facts: ResultFacts;
  readonly severities: SeverityBreakdown;
  readonly withoutSeverity: number;
  readonly credentialFindings: number;
  readonly removedCharacters: number;
}

/**
 * Derives the files of a task from its raw export.
 * @throws InvalidExportError; errors of the file system.
 */
export async function storeFindings(taskDir: string): Promise<Stored> {
  const raw = join(taskDir, FILES.raw);
  // two requests may rebuild at once: each writes a file of its own, and both write the same
  const staged = join(taskDir, `.${FILES.findings}.${randomUUID()}.part`);
  const stagedFacts = join(taskDir, `.${FILES.facts}.${randomUUID()}.part`);
  const out = createWriteStream(staged, { mode: 0o640, flush: true });
  const written = finished(out);
  // a failing disk is reported by the awaits below
  written.catch(() => undefined);
  const hosts: HostVerdict[] = [];
  const fields = new Set<string>();
  const blocks = new Map<string, number>();
  const severities: SeverityBreakdown = { critical: 0, high: 0, medium: 0, low: 0, info: 0 };
  let withoutSeverity = 0;
  let total = 0;
  let credentialFindings = 0;
  let hostName = '';
  let hostUuid: string | undefined;
  let make: ReturnType<typeof createFindingMaker> | undefined;
  let host = collectHost('');
  let lines: string[] = [];

  const startFindings = (): ReturnType<typeof createFindingMaker> => {
    const identity = { name: hostName, uuid: hostUuid };
    const block = blocks.get(identityOf(identity)) ?? 0;
    blocks.set(identityOf(identity), block + 1);
    return createFindingMaker(identity, block);
  };

  try {
    const facts = await readExport(
      createReadStream(raw),
      {
        onHost(name) {
          hostName = name;
          hostUuid = undefined;
          make = undefined;
          host = collectHost(name);
        },
        onHostTag(name, text) {
          if (name === 'host-uuid') hostUuid = text.trim();
          host.tag(name, text);
        },
        onItem(item) {
          make ??= startFindings();
          const finding = make(item);
          for (const field of Object.keys(finding)) fields.add(field);
          host.finding(finding);
          severities[LEVELS[severityOf(finding)]] += 1;
          if (!hasSeverity(finding)) withoutSeverity += 1;
          total += 1;
          lines.push(`${JSON.stringify(finding)}\n`);
        },
        onHostEnd() {
          hosts.push(host.finish());
          credentialFindings += host.credentialFindings;
        },
      },
      async () => {
        if (lines.length === 0) return;
        const flowing = out.write(lines.join(''));
        lines = [];
        if (!flowing) await Promise.race([once(out, 'drain'), written]);
      },
    );
    out.end(lines.join(''));
    await written;
    const results: ResultFacts = {
      format_version: FORMAT_VERSION,
      export_bytes: (await stat(raw)).size,
      findings_bytes: out.bytesWritten,
      report_name: facts.reportName,
      total_findings: total,
      fields: [...fields].filter((field) => field !== 'type').sort(),
      hosts,
      scanner_facts: await scannerFacts(raw),
    };
    await writeFile(stagedFacts, `${JSON.stringify(results)}\n`, { mode: 0o640, flush: true });
    // findings first: the facts say that they are there
    await rename(staged, join(taskDir, FILES.findings));
    await rename(stagedFacts, join(taskDir, FILES.facts));
    return {
      facts: results,
      severities,
      withoutSeverity,
      credentialFindings,
      removedCharacters: facts.removedCharacters,
    };
  } catch (error) {
    out.destroy();
    await Promise.all([rm(staged, { force: true }), rm(stagedFacts, { force: true })]);
    throw error;
  }
}

async function scannerFacts(raw: string): Promise<Record<string, string>> {
  const file = await open(raw);
  try {
    const { size } = await file.stat();
    const beginning = Buffer.alloc(Math.min(size, BEGINNING_BYTES));
    const { bytesRead } = await file.read(beginning, 0, beginning.length, 0);
    const preferences = await readPreferences(beginning.toString('utf8', 0, bytesRead));
    if (!preferences) return {};
    const told = new Map([['policy', preferences.policyName ?? '']]);
    for (const name of TOLD_PREFERENCES) told.set(name, preferences.server.get(name) ?? '');
    return Object.fromEntries([...told].filter(([, value]) => value !== ''));
  } finally {
    await file.close();
  }
}
