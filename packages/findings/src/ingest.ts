/**
 * The end of a task: the raw export is read once, checked, and kept in a form made for asking. What is derived can be
 * rebuilt from the raw export at any time.
 */
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
import { COMMON_FIELDS, createFindingMaker, type Finding, severityOf } from './finding.js';
import { readPreferences } from './preferences.js';
import { readExport } from './read-export.js';
import { collectHost, type HostCollector, type HostVerdict, judge, type ScanVerdict } from './verdict.js';

/** Files of a task's directory (contract section 7). */
export const FILES = {
  raw: 'scan_native.nessus',
  findings: 'findings.ndjson',
  facts: 'results.json',
} as const;

/** Changes whenever derived files have another form or content; older ones are rebuilt. */
export const FORMAT_VERSION = 1;

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
}

/** What `results.json` holds. */
export interface ResultFacts {
  readonly format_version: number;
  readonly report_name: string;
  readonly total_findings: number;
  /** Fields that occur in the findings. */
  readonly fields: readonly string[];
  readonly hosts: readonly HostVerdict[];
  readonly scanner_facts: Readonly<Record<string, string>>;
}

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
 * @throws InvalidExportError when the export is not usable; nothing derived is left then.
 */
export async function ingestExport(input: IngestInput): Promise<IngestResult> {
  const severities: SeverityBreakdown = { critical: 0, high: 0, medium: 0, low: 0, info: 0 };
  let credentialFindings = 0;
  const stored = await storeFindings(input.taskDir, (finding) => {
    severities[LEVELS[severityOf(finding)]] += 1;
  });
  credentialFindings = stored.credentialFindings;
  const verdict = judge({
    ...input,
    hosts: stored.facts.hosts,
    severities,
    removedCharacters: stored.removedCharacters,
  });
  const { size } = await stat(join(input.taskDir, FILES.raw));
  const low = severities.low + severities.medium + severities.high + severities.critical;
  return {
    summary: {
      hosts_scanned: stored.facts.hosts.length,
      total_vulnerabilities: low,
      total_findings: stored.facts.total_findings,
      severity_breakdown: severities,
      file_size_kb: Math.round((size / 1024) * 10) / 10,
      auth_plugins_found: credentialFindings,
    },
    authenticationStatus: verdict.authenticationStatus,
    warnings: verdict.warnings,
    troubleshooting: verdict.troubleshooting,
  };
}

const LEVELS = ['info', 'low', 'medium', 'high', 'critical'] as const;

/** Derives the files of a task from its raw export. */
export async function storeFindings(
  taskDir: string,
  onFinding: (finding: Finding) => void = () => undefined,
): Promise<{ facts: ResultFacts; credentialFindings: number; removedCharacters: number }> {
  const raw = join(taskDir, FILES.raw);
  const staged = join(taskDir, `.${FILES.findings}.${process.pid}.part`);
  const out = createWriteStream(staged, { mode: 0o640 });
  const written = finished(out);
  // a failing disk is reported by the awaits below
  written.catch(() => undefined);
  const hosts: HostVerdict[] = [];
  const fields = new Set<string>();
  let total = 0;
  let credentialFindings = 0;
  let hostName = '';
  let hostUuid: string | undefined;
  let make: ReturnType<typeof createFindingMaker> | undefined;
  let host: HostCollector = collectHost('');
  let lines: string[] = [];
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
          make ??= createFindingMaker({ name: hostName, uuid: hostUuid });
          const finding = make(item);
          for (const field of Object.keys(finding)) fields.add(field);
          host.finding(finding);
          onFinding(finding);
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
      report_name: facts.reportName,
      total_findings: total,
      fields: [...fields].filter((field) => field !== 'type').sort(),
      hosts,
      scanner_facts: await scannerFacts(raw),
    };
    // findings first: the facts say that they are there
    await rename(staged, join(taskDir, FILES.findings));
    const stagedFacts = join(taskDir, `.${FILES.facts}.${process.pid}.part`);
    await writeFile(stagedFacts, `${JSON.stringify(results)}\n`, { mode: 0o640 });
    await rename(stagedFacts, join(taskDir, FILES.facts));
    return { facts: results, credentialFindings, removedCharacters: facts.removedCharacters };
  } catch (error) {
    out.destroy();
    await rm(staged, { force: true });
    throw error;
  }
}

async function scannerFacts(raw: string): Promise<Record<string, string>> {
  const file = await open(raw);
  try {
    const { buffer, bytesRead } = await file.read(Buffer.alloc(BEGINNING_BYTES), 0, BEGINNING_BYTES, 0);
    const preferences = await readPreferences(buffer.toString('utf8', 0, bytesRead));
    if (!preferences) return {};
    const told = TOLD_PREFERENCES.flatMap((name): [string, string][] => {
      const value = preferences.server.get(name);
      return value === undefined || value === '' ? [] : [[name, value]];
    });
    return Object.fromEntries([
      ...(preferences.policyName === undefined
        ? []
        : ([['policy', preferences.policyName]] as [string, string][])),
      ...told,
    ]);
  } finally {
    await file.close();
  }
}

/** Fields that filters and custom fields may name for an export with these. */
export function knownFields(facts: ResultFacts): ReadonlySet<string> {
  return new Set([...COMMON_FIELDS, ...facts.fields]);
}
