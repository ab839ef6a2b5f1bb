/**
 * The end of a task: the raw export is read once, checked, and kept in a form made for asking. What is derived can be
 * rebuilt from the raw export at any time.
 */
import { randomUUID } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { open, readdir, rename, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import {
  type AuthenticationStatus,
  type ComplianceCounts,
  type HostQuality,
  parseTarget,
  type Quality,
  type ResultsSummary,
  type ScanType,
  type Target,
} from '@scanmq/contract';
import { detached } from './detached.js';
import { openFindingsEngine } from './engine.js';
import { FILES, FORMAT_VERSION, type ResultFacts, removeFacts, writeFacts } from './facts.js';
import {
  createSplitter,
  type Fields,
  type FindingSplitter,
  hasSeverity,
  identityOf,
  severityOf,
} from './finding.js';
import { hostKey } from './host-key.js';
import { collectHost, SEVERITY_LEVELS, type SeverityCounts } from './host-quality.js';
import { countPlugins } from './plugin-counts.js';
import { readPreferences } from './preferences.js';
import { readExport } from './read-export.js';
import type { PluginCount } from './render-input.js';
import { createStage, type Stage } from './stage.js';
import { addFields, publishTables, TABLES, type TableName, tableFile, writeTable } from './tables.js';
import { judge, type ScanVerdict } from './verdict.js';

/** What was asked of the scan whose export this is: the verdict measures the results by it. */
export interface ScanFacts {
  /** Undefined where nobody knows, for an export from elsewhere. */
  readonly scanType: ScanType | undefined;
  /** Undefined as well: then it is what the export says. */
  readonly targets: readonly Target[] | undefined;
  /** The scanner's own word for the end of the run. */
  readonly endedAs: string;
}

export interface IngestInput extends ScanFacts {
  /** Memory for writing the tables, megabytes. */
  readonly memoryMb: number;
  /** Directory of the task; holds the raw export. */
  readonly taskDir: string;
}

export interface IngestResult {
  readonly summary: ResultsSummary;
  readonly scanType: ScanType;
  readonly authenticationStatus: AuthenticationStatus;
  readonly quality: Quality;
  readonly warnings: readonly string[];
  readonly troubleshooting: ScanVerdict['troubleshooting'];
  /** `report_task_id` of the export, the uuid of the run that it belongs to; null where the export does not say. */
  readonly runUuid: string | null;
  /** What the scan was asked to look at, and its name, in the words of the export. */
  readonly targets: string | null;
  readonly reportName: string;
}

/** The policy block comes first; its list of all plugins makes it up to 2 MB long. */
const BEGINNING_BYTES = 8 * 1024 * 1024;
/** Ten million findings take about a minute. */
const WRITE_TIMEOUT_MS = 30 * 60_000;
/** Plugins that a policy names one by one; beyond these it is not known which of a mixed family ran. */
const ENABLED_PLUGINS = 20_000;
/** Hosts that stand for the targets of an export that names none. */
const NAMED_HOSTS = 1_000;
/** Plugins counted once and kept: what summaries and reports show. */
const TOP_PLUGINS = 100;
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
  await removeFacts(input.taskDir);
  await removeStaged(input.taskDir);
  return toResult(await storeFindings(input));
}

/** What a run that crashed has left half-made; it can be as large as the export. */
async function removeStaged(taskDir: string): Promise<void> {
  for (const name of await readdir(taskDir))
    if (name.startsWith('.') && name.endsWith('.part')) await rm(join(taskDir, name), { force: true });
}

/** What a task's record says of its results. */
export function toResult(facts: ResultFacts): IngestResult {
  const { critical, high, medium, low } = facts.severities;
  return {
    summary: {
      hosts_scanned: facts.quality.hosts.listed,
      total_vulnerabilities: critical + high + medium + low,
      total_findings: facts.total_findings,
      severity_breakdown: facts.severities,
      file_size_kb: Math.round((facts.export_bytes / 1024) * 10) / 10,
      auth_plugins_found: facts.credential_findings,
      compliance: facts.compliance,
    },
    scanType: facts.scan_type,
    authenticationStatus: facts.authentication_status,
    quality: facts.quality,
    warnings: facts.warnings,
    troubleshooting: facts.troubleshooting,
    runUuid: facts.scanner_facts.report_task_id ?? null,
    targets: facts.targets,
    reportName: facts.report_name,
  };
}

/** What is counted while an export is read. */
interface Counted {
  readonly reportName: string;
  readonly removedCharacters: number;
  readonly total: number;
  readonly severities: SeverityCounts;
  readonly withoutSeverity: number;
  readonly credentialFindings: number;
  readonly compliance: ComplianceCounts | null;
  readonly fields: ReadonlySet<string>;
  readonly extraFields: ReadonlySet<string>;
  readonly hosts: readonly HostQuality[];
}

/**
 * Derives the files of a task from its raw export.
 * @throws InvalidExportError; errors of the file system.
 */
export async function storeFindings(input: IngestInput): Promise<ResultFacts> {
  const { taskDir } = input;
  const raw = join(taskDir, FILES.raw);
  // two processes may rebuild at once: each writes files of its own, and both write the same
  const part = (name: string): string => join(taskDir, `.${name}.${randomUUID()}.part`);
  const stages = Object.fromEntries(
    TABLES.map((table) => [table, createStage(part(`${table}.ndjson`))]),
  ) as Record<TableName, Stage>;
  const tables = new Map(TABLES.map((table) => [table, part(tableFile(table))]));
  const stagedFacts = part(FILES.facts);
  try {
    const counted = await stageFindings(raw, input.scanType, stages);
    // DuckDB has threads of its own, and ours is free meanwhile
    const [preferences, topPlugins] = await Promise.all([
      readBeginning(raw),
      writeTables(input.memoryMb, stages, tables),
    ]);
    const facts = await gatherFacts(input, counted, preferences, topPlugins, tables);
    await writeFacts(stagedFacts, facts);
    // tables first: the facts say that they are there
    await publishTables(taskDir, tables);
    await rename(stagedFacts, join(taskDir, FILES.facts));
    return facts;
  } finally {
    await Promise.all([
      ...Object.values(stages).map((stage) => stage.discard()),
      ...[...tables.values(), stagedFacts].map((path) => rm(path, { force: true })),
    ]);
  }
}

async function writeTables(
  memoryMb: number,
  stages: Readonly<Record<TableName, Stage>>,
  tables: ReadonlyMap<TableName, string>,
): Promise<PluginCount[]> {
  // an engine of its own, which gives its memory back; with one thread, because more only queue up rows to keep order
  const engine = await openFindingsEngine({ memoryMb, threads: 1, queryTimeoutMs: WRITE_TIMEOUT_MS });
  try {
    for (const [table, path] of tables) {
      await stages[table].end();
      await writeTable(engine, table, stages[table].path, stages[table].longestRow, path);
      await stages[table].discard();
    }
    const files = { findings: tables.get('findings') ?? '', plugins: tables.get('plugins') ?? '' };
    return await countPlugins(engine, files, TOP_PLUGINS);
  } finally {
    await engine.close();
  }
}

async function stageFindings(
  raw: string,
  scanType: ScanType | undefined,
  stages: Readonly<Record<TableName, Stage>>,
): Promise<Counted> {
  const asked = scanType !== undefined && scanType !== 'untrusted';
  const splitterFor = createSplitter();
  const fields = new Set<string>();
  const extraFields = new Set<string>();
  const onExtra = (field: string): void => void extraFields.add(field);
  const noteFields = (row: object): void => {
    for (const field in row) fields.add(field);
  };
  const severities: SeverityCounts = { critical: 0, high: 0, medium: 0, low: 0, info: 0 };
  const hosts: HostQuality[] = [];
  const hostNumbers = new Map<string, { readonly no: number; blocks: number }>();
  let withoutSeverity = 0;
  let total = 0;
  let credentialFindings = 0;
  let compliance: ComplianceCounts | null = null;

  let name = '';
  let uuid: string | undefined;
  let ip: string | undefined;
  let properties: [string, string][] = [];
  let host = collectHost('', asked);
  let current: { split: FindingSplitter; no: number; key: string; ipKey: string | undefined } | undefined;

  /** Its properties come before its items: from here on it is known which host it is. */
  const identify = (): NonNullable<typeof current> => {
    const identity = detached(identityOf({ name, uuid }));
    const known = hostNumbers.get(identity) ?? { no: hostNumbers.size, blocks: 0 };
    hostNumbers.set(identity, known);
    known.blocks += 1;
    return {
      split: splitterFor({ name, uuid, ip }, known.blocks - 1),
      no: known.no,
      key: hostKey(name),
      ipKey: ip === undefined ? undefined : ip === name ? hostKey(name) : hostKey(ip),
    };
  };

  const { reportName, removedCharacters } = await readExport(
    createReadStream(raw, { highWaterMark: 256 * 1024 }),
    {
      onHost(given) {
        name = given;
        uuid = undefined;
        ip = undefined;
        properties = [];
        current = undefined;
        host = collectHost(name, asked);
      },
      onHostTag(tag, text) {
        if (tag === 'host-uuid') uuid = text.trim() || undefined;
        if (tag === 'host-ip') ip = text.trim() || undefined;
        properties.push([tag, text]);
        host.tag(tag, text);
      },
      onItem(item) {
        current ??= identify();
        const { plugin, pluginFields, fields: own, checkKey } = current.split(item);
        if (pluginFields) {
          noteFields(pluginFields);
          stages.plugins.add(addFields({ plugin_ref: plugin.ref }, pluginFields, onExtra));
        }
        noteFields(own);
        host.finding(own);
        if (!hasSeverity(own)) withoutSeverity += 1;
        if (typeof own.compliance_check === 'string') {
          compliance ??= { passed: 0, failed: 0, warning: 0, other: 0 };
          compliance[complianceOutcome(own.compliance_result)] += 1;
        }
        const row: Fields = {
          ord: total,
          plugin_ref: plugin.ref,
          host_no: current.no,
          host_key: current.key,
          ip_key: current.ipKey,
          level: hasSeverity(own) ? severityOf(own) : null,
          port_no: wholeNumber(own.port, 65_535),
          plugin_no: wholeNumber(own.plugin_id, Number.MAX_SAFE_INTEGER),
          check_key: checkKey,
        };
        stages.findings.add(addFields(row, own, onExtra));
        total += 1;
      },
      onHostEnd() {
        current ??= identify();
        const quality = detached(host.finish());
        for (const level of SEVERITY_LEVELS) severities[level] += host.severities[level];
        credentialFindings += host.credentialFindings;
        stages.hosts.add({
          block_no: hosts.length,
          host_no: current.no,
          host: name,
          host_key: current.key,
          uuid,
          alive: quality.alive,
          incomplete: quality.incomplete,
          finished: quality.ended !== null,
          credentials: quality.credentials,
          port_range: quality.port_range,
          ...host.severities,
          quality,
          properties,
        });
        hosts.push(quality);
      },
    },
    async () => {
      for (const stage of Object.values(stages)) await stage.flush();
    },
  );
  return {
    reportName,
    removedCharacters,
    total,
    severities,
    withoutSeverity,
    credentialFindings,
    compliance,
    fields,
    extraFields,
    hosts,
  };
}

function complianceOutcome(result: unknown): keyof ComplianceCounts {
  switch (result) {
    case 'PASSED':
      return 'passed';
    case 'FAILED':
      return 'failed';
    case 'WARNING':
      return 'warning';
    default:
      return 'other';
  }
}

function wholeNumber(value: unknown, max: number): number | null {
  return typeof value === 'string' && /^\d{1,16}$/.test(value) && Number(value) <= max ? Number(value) : null;
}

async function gatherFacts(
  input: IngestInput,
  counted: Counted,
  preferences: Awaited<ReturnType<typeof readBeginning>>,
  topPlugins: readonly PluginCount[],
  tables: ReadonlyMap<TableName, string>,
): Promise<ResultFacts> {
  const { told, families, enabledPlugins, targets } = preferences;
  const verdict = judge({
    scanType: input.scanType,
    targets: input.targets ?? lenientTargets(targets),
    endedAs: input.endedAs,
    hosts: counted.hosts,
    removedCharacters: counted.removedCharacters,
    withoutSeverity: counted.withoutSeverity,
    failedLogins: Number(told.hostCredsFailedCount ?? 0),
    pluginSet: told.loaded_plugin_set,
    endedAtSeconds: told.scan_end_timestamp === undefined ? undefined : Number(told.scan_end_timestamp),
  });
  const size = async (table: TableName): Promise<number> => (await stat(tables.get(table) ?? '')).size;
  return {
    format_version: FORMAT_VERSION,
    export_bytes: (await stat(join(input.taskDir, FILES.raw))).size,
    table_bytes: {
      findings: await size('findings'),
      plugins: await size('plugins'),
      hosts: await size('hosts'),
    },
    report_name: counted.reportName,
    total_findings: counted.total,
    severities: counted.severities,
    compliance: counted.compliance,
    top_plugins: [...topPlugins],
    credential_findings: counted.credentialFindings,
    fields: [...counted.fields].sort(),
    extra_fields: [...counted.extraFields].sort(),
    scan_type: verdict.scanType,
    authentication_status: verdict.authenticationStatus,
    quality: verdict.quality,
    warnings: [...verdict.warnings],
    troubleshooting: verdict.troubleshooting,
    targets: targets ?? hostNames(counted.hosts),
    families,
    enabled_plugins: enabledPlugins,
    scanner_facts: told,
  };
}

/** The targets of a policy, as far as they are targets: nobody checked them for us. */
function lenientTargets(text: string | null): readonly Target[] {
  return (text ?? '').split(/[\s,]+/).flatMap((part) => parseTarget(part) ?? []);
}

/** Names of hosts where the export does not tell what it was asked to look at; enough to find it by. */
function hostNames(hosts: readonly HostQuality[]): string {
  return (
    hosts
      .map(({ host }) => host)
      // a name that no target can have was written by the host: its words are not those of a request
      .filter((host) => parseTarget(host) !== undefined)
      .slice(0, NAMED_HOSTS)
      .join(',')
  );
}

/** What the policy block tells, as far as it is there and understood. */
async function readBeginning(raw: string): Promise<{
  readonly told: Record<string, string>;
  readonly families: Record<string, string>;
  readonly enabledPlugins: string[];
  readonly targets: string | null;
}> {
  const file = await open(raw);
  try {
    const { size } = await file.stat();
    const beginning = Buffer.alloc(Math.min(size, BEGINNING_BYTES));
    const { bytesRead } = await file.read(beginning, 0, beginning.length, 0);
    const preferences = await readPreferences(beginning.toString('utf8', 0, bytesRead));
    if (!preferences) return { told: {}, families: {}, enabledPlugins: [], targets: null };
    const told = new Map([['policy', preferences.policyName ?? '']]);
    for (const name of TOLD_PREFERENCES) told.set(name, preferences.server.get(name) ?? '');
    return {
      told: Object.fromEntries([...told].filter(([, value]) => value !== '')),
      families: Object.fromEntries(preferences.families),
      enabledPlugins: [...preferences.enabledPlugins].slice(0, ENABLED_PLUGINS),
      targets: preferences.server.get('TARGET') || null,
    };
  } finally {
    await file.close();
  }
}
