import { createInterface } from 'node:readline';
import { type ControlAction, isTerminal, type ScanStatus, SEVERITY_NAMES } from '@scanmq/contract';
import { asScanmqError, type Client } from '../client.js';
import { EXIT } from '../exit-codes.js';
import { type FollowTaskOptions, followTask } from '../follow-task.js';
import { cancelOnCtrlC, farewell, leaveOnCtrlC } from '../interrupt.js';
import type { ProgramIo } from '../program-io.js';
import { createProgressLine, isLive, NO_PROGRESS } from '../progress-line.js';
import { saveDownload } from '../save-download.js';
import { findingsTable, severityTable } from '../tables.js';

/** How often place in the queue and estimate are looked up, milliseconds. */
const REFRESH_MS = { terminal: 5_000, log: 15_000 };
/** How long a service that is away is waited for, seconds. */
export const PATIENCE_SECONDS = 120;

export interface ScanOptions {
  readonly targets?: string;
  /** What it scans, when left out. */
  readonly name?: string;
  readonly description?: string;
  readonly pool?: string;
  readonly instance?: string;
  readonly template?: string;
  readonly priority?: string;
  readonly timeoutHours?: number;
  readonly scanType?: string;
  readonly credential?: string;
  readonly coalesce?: boolean;
  readonly idempotencyKey?: string;
  readonly wait?: boolean;
  readonly patience?: number;
  readonly json?: boolean;
}

/** `scanmq scan`. */
export async function runScan(
  io: ProgramIo,
  client: Client,
  targets: readonly string[],
  options: ScanOptions,
): Promise<number> {
  const task = await client.submit({
    ...scanBody(targets, options),
    idempotency_key: options.idempotencyKey,
  });
  if (!options.wait) {
    io.stdout.write(
      options.json
        ? `${JSON.stringify(task)}\n`
        : `${task.task_id} ${task.status}\nFollow it: scanmq status ${task.task_id} --wait\n`,
    );
    return EXIT.passed;
  }
  if (!options.json) io.stdout.write(`${task.task_id}\n`);
  return await follow(io, client, task.task_id, { ...options, submitted: task });
}

/** What a scan is asked for with; fields that are undefined are left out on the way. */
export function scanBody(
  targets: readonly string[],
  options: Omit<ScanOptions, 'idempotencyKey' | 'wait' | 'patience' | 'json'>,
): Record<string, unknown> {
  const all = [options.targets, ...targets].filter((part) => part !== undefined).join(',');
  return {
    targets: all,
    name: options.name ?? `Scan of ${all}`.slice(0, DEFAULT_NAME_CHARS),
    description: options.description,
    scanner_pool: options.pool,
    scanner_instance: options.instance,
    template: options.template,
    priority: options.priority,
    timeout_hours: options.timeoutHours,
    // a stored credential is there to be used
    scan_type: options.scanType ?? (options.credential === undefined ? undefined : 'authenticated'),
    credential_ref: options.credential,
    coalesce: options.coalesce,
  };
}

const DEFAULT_NAME_CHARS = 80;

/** `scanmq status`. */
export async function showStatus(
  io: ProgramIo,
  client: Client,
  taskId: string,
  options: { wait?: boolean; patience?: number; json?: boolean },
): Promise<number> {
  if (options.wait) return await follow(io, client, taskId, options);
  const status = await client.status(taskId);
  io.stdout.write(options.json ? `${JSON.stringify(status)}\n` : describe(status));
  return exitCodeOf(status);
}

/** `scanmq cancel`. */
export async function cancelScan(
  io: ProgramIo,
  client: Client,
  taskId: string,
  options: { reason?: string; keepResults?: boolean; json?: boolean },
): Promise<number> {
  const answer = await client.cancel(taskId, {
    reason: options.reason ?? '',
    keep_results: options.keepResults ?? false,
  });
  io.stdout.write(
    options.json ? `${JSON.stringify(answer)}\n` : `${answer.task_id} ${answer.status}. ${answer.message}\n`,
  );
  return EXIT.passed;
}

/** `scanmq pause`, `resume` and `retry`. */
export async function controlScan(
  io: ProgramIo,
  client: Client,
  taskId: string,
  action: ControlAction,
  options: { json?: boolean },
): Promise<number> {
  const answer = await client.control(taskId, action);
  io.stdout.write(
    options.json ? `${JSON.stringify(answer)}\n` : `${answer.task_id} ${answer.status}. ${answer.message}\n`,
  );
  return EXIT.passed;
}

export interface FollowOptions {
  readonly json?: boolean;
  /** How long a service that is away is waited for, seconds. */
  readonly patience?: number;
  /** The task as this command has just submitted it: then Ctrl-C cancels it. */
  readonly submitted?: ScanStatus;
}

/**
 * Follows a task to its end: a live view on a terminal, a line per change elsewhere.
 * @returns the task; as it was known last when the signal was aborted.
 */
export async function followToEnd(
  io: ProgramIo,
  client: Client,
  taskId: string,
  quiet: boolean,
  signal?: AbortSignal,
): Promise<ScanStatus> {
  const line = quiet ? NO_PROGRESS : createProgressLine(io);
  try {
    return await followTask(client, taskId, line, taskOptions(io, {}, signal));
  } finally {
    line.end();
  }
}

function taskOptions(
  { stderr, env }: ProgramIo,
  { patience = PATIENCE_SECONDS, submitted }: FollowOptions,
  signal: AbortSignal | undefined,
): FollowTaskOptions {
  return {
    signal,
    patienceMs: patience * 1_000,
    refreshMs: isLive(stderr, env) ? REFRESH_MS.terminal : REFRESH_MS.log,
    ...(submitted === undefined ? {} : { known: submitted }),
  };
}

/** Follows a task to its end and prints what came of it. */
export async function follow(
  io: ProgramIo,
  client: Client,
  taskId: string,
  options: FollowOptions,
): Promise<number> {
  const status = await followUnlessLeft(io, client, taskId, options);
  if (status === undefined) return EXIT.interrupted;
  io.stdout.write(options.json ? `${JSON.stringify(status)}\n` : describe(status));
  return exitCodeOf(status);
}

/**
 * Follows a task to its end, or until Ctrl-C says otherwise.
 * @returns undefined when somebody stopped following it, and was told how to go on.
 */
export async function followUnlessLeft(
  io: ProgramIo,
  client: Client,
  taskId: string,
  options: FollowOptions,
): Promise<ScanStatus | undefined> {
  const line = options.json ? NO_PROGRESS : createProgressLine(io);
  // also where nothing else is shown, somebody presses it at a terminal
  const say = options.json ? (text: string) => void io.stderr.write(`${text}\n`) : line.note;
  const ctrlC = options.submitted ? cancelOnCtrlC(client, taskId, say) : leaveOnCtrlC();
  let status: ScanStatus;
  try {
    status = await followTask(client, taskId, line, taskOptions(io, options, ctrlC.left));
  } finally {
    ctrlC.close();
    line.end();
  }
  if (isTerminal(status.status) || !ctrlC.left.aborted) return status;
  io.stderr.write(`${farewell(taskId)}\n`);
  return undefined;
}

export function exitCodeOf(status: ScanStatus): number {
  return status.status === 'failed' || status.status === 'timeout' || status.status === 'cancelled'
    ? EXIT.scanFailed
    : EXIT.passed;
}

/** A task for people. */
export function describe(status: ScanStatus): string {
  const lines = [
    `${status.name} (${status.task_id})`,
    `  status     ${status.status}${status.status === 'running' ? `, ${status.progress} % (${status.scanner_status ?? 'starting'})` : ''}${status.queue_position === null ? '' : `, number ${status.queue_position} in the queue`}`,
    ...(status.targets === '' ? [] : [`  targets    ${status.targets}`]),
    `  scanner    ${status.scanner_pool}${status.scanner_instance === null ? '' : `:${status.scanner_instance}`}${status.simulator ? '  (SIMULATOR: not a real scan)' : ''}`,
  ];
  if (status.waiting_reason !== null) lines.push(`  waits      ${status.waiting_reason}`);
  if (status.partial_results)
    lines.push('  results    of what was found until the scan was stopped: not the whole');
  for (const given of status.abandoned_scans)
    lines.push(
      `  given up   scan ${given.nessus_scan_id ?? ''} on ${given.scanner_instance}: ${given.reason}`,
    );
  if (status.error) lines.push(`  error      ${status.error.code}: ${status.error.message}`);
  if (status.imported)
    lines.push(`  imported   from ${status.imported.scanner ?? status.imported.file_name ?? 'a file'}`);
  for (const warning of status.validation_warnings) lines.push(`  warning    ${warning}`);
  if (status.authentication_status !== null && status.authentication_status !== 'not_applicable') {
    lines.push(`  login      ${status.authentication_status}`);
  }
  if (status.quality && status.quality.verdict !== 'complete')
    lines.push(`  quality    ${status.quality.verdict} (${status.quality.reasons.join(', ')})`);
  const summary = status.results_summary;
  if (summary)
    lines.push(
      '',
      severityTable(summary),
      `${summary.hosts_scanned} hosts, ${summary.total_findings} findings`,
      ...(summary.compliance
        ? [
            `compliance checks: ${summary.compliance.passed} passed, ${summary.compliance.failed} failed, ${summary.compliance.warning} with warnings, ${summary.compliance.other} others`,
          ]
        : []),
    );
  return `${lines.join('\n')}\n`;
}

/** Files that the service makes of results, with where it makes them. */
const FILES: Readonly<Record<string, string>> = {
  csv: 'findings',
  sarif: 'findings',
  junit: 'findings',
  'code-quality': 'findings',
  defectdojo: 'findings',
  html: 'report',
  nessus: 'export',
};
export const FILE_FORMATS: readonly string[] = Object.keys(FILES);

async function saveFile(
  io: ProgramIo,
  client: Client,
  taskId: string,
  format: string,
  query: Record<string, string>,
  output: string | undefined,
): Promise<number> {
  const place = FILES[format] ?? 'findings';
  const download = client.download(
    `${encodeURIComponent(taskId)}/${place}`,
    place === 'findings' ? { ...query, format } : {},
  );
  if (output !== undefined) {
    await saveDownload(client, download, output);
    return EXIT.passed;
  }
  try {
    for await (const chunk of download) io.stdout.write(chunk);
    return EXIT.passed;
  } catch (error) {
    throw asScanmqError(error, client.url);
  }
}

export interface ResultsOptions {
  readonly profile?: string;
  readonly fields?: string;
  readonly filter?: string;
  readonly sort?: string;
  readonly json?: boolean;
  readonly format?: string;
  readonly output?: string;
}

/** `scanmq results`. */
export async function printResults(
  io: ProgramIo,
  client: Client,
  taskId: string,
  options: ResultsOptions,
): Promise<number> {
  const query = {
    ...(options.profile === undefined ? {} : { profile: options.profile }),
    ...(options.fields === undefined ? {} : { fields: options.fields }),
    ...(options.filter === undefined ? {} : { filters: options.filter }),
    ...(options.sort === undefined ? {} : { sort: options.sort }),
  };
  if (options.format !== undefined)
    return await saveFile(io, client, taskId, options.format, query, options.output);
  if (options.json) {
    try {
      const lines = createInterface({
        input: client.findingLines(taskId, query),
        crlfDelay: Number.POSITIVE_INFINITY,
      });
      for await (const line of lines) if (line !== '') io.stdout.write(`${line}\n`);
      return EXIT.passed;
    } catch (error) {
      throw asScanmqError(error, client.url);
    }
  }
  const answer = await client.findings(taskId, {
    sort: '-severity,host',
    profile: 'summary',
    ...query,
    page_size: '100',
  });
  const total = answer.schema.total_vulnerabilities;
  io.stdout.write(`${findingsTable(answer.vulnerabilities)}\n`);
  io.stdout.write(
    total > answer.vulnerabilities.length
      ? `${answer.vulnerabilities.length} of ${total} findings; --json prints all, --filter narrows down (for example '{"severity":">=${SEVERITY_NAMES[3]}"}').\n`
      : `${total} findings.\n`,
  );
  return EXIT.passed;
}
