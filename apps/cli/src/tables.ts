import {
  type ApiKeyView,
  type ComparisonItem,
  type CredentialView,
  type DeadLetter,
  type Delivery,
  type GateFinding,
  type ResultsSummary,
  type ScannerView,
  type ScanStatus,
  type Schedule,
  SEVERITY_NAMES,
  type SeverityName,
  type Webhook,
} from '@scanmq/contract';
import Table from 'cli-table3';
import colors from 'picocolors';

const PAINT: Readonly<Record<SeverityName, (text: string) => string>> = {
  critical: (text) => colors.bold(colors.red(text)),
  high: colors.red,
  medium: colors.yellow,
  low: colors.cyan,
  info: colors.dim,
};

// cli-table3 colours its borders by itself; plain ones read well everywhere
const STYLE = { head: [], border: [] };

/** Findings by severity, the worst first. */
export function severityTable(summary: ResultsSummary): string {
  const table = new Table({ head: ['severity', 'findings'], colAligns: ['left', 'right'], style: STYLE });
  for (const name of [...SEVERITY_NAMES].reverse())
    table.push([PAINT[name](name), String(summary.severity_breakdown[name])]);
  return table.toString();
}

/** Findings, one a row, cut to a terminal's width. Text of scanned hosts is stripped of control characters. */
export function findingsTable(findings: readonly Record<string, unknown>[]): string {
  const table = new Table({
    head: ['severity', 'host', 'plugin', 'name', 'cvss', 'cve'],
    colWidths: [10, 22, 9, 48, 6, 24],
    style: STYLE,
  });
  for (const finding of findings) {
    const severity = SEVERITY_NAMES[Number(finding.severity)] ?? 'info';
    const cves = Array.isArray(finding.cve) ? finding.cve : [];
    table.push([
      PAINT[severity](severity),
      safe(finding.host),
      safe(finding.plugin_id),
      safe(finding.plugin_name),
      safe(finding.cvss_score),
      safe(cves.length > 1 ? `${cves[0]} +${cves.length - 1}` : cves[0]),
    ]);
  }
  return table.toString();
}

/** What broke a gate, one finding a row; ids are never cut, because they are copied into ignore files. */
export function gateTable(findings: readonly GateFinding[]): string {
  const table = new Table({
    head: ['severity', 'host', 'port', 'plugin', 'name', 'by', 'finding_id'],
    colWidths: [10, 18, 7, 9, 40, 20, 34],
    style: STYLE,
  });
  for (const { severity, host, port, plugin_id, plugin_name, criteria, finding_id } of findings)
    table.push([
      PAINT[severity](severity),
      safe(host),
      String(port),
      safe(plugin_id),
      safe(plugin_name),
      criteria.join(', '),
      finding_id,
    ]);
  return table.toString();
}

/** Tasks, one a row; ids are never cut, because they are copied. */
export function tasksTable(tasks: readonly ScanStatus[]): string {
  const table = new Table({
    head: ['task', 'status', 'created', 'pool', 'targets', 'name'],
    colWidths: [36, 11, 18, 12, 30, 30],
    style: STYLE,
  });
  for (const task of tasks)
    table.push([
      task.task_id,
      task.status === 'running' ? `${task.progress} %` : task.status,
      task.created_at.slice(0, 16).replace('T', ' '),
      task.scanner_pool,
      safe(task.targets),
      safe(task.name),
    ]);
  return table.toString();
}

/** What changed, one finding a row. */
export function comparisonTable(items: readonly ComparisonItem[]): string {
  const table = new Table({
    head: ['change', 'severity', 'host', 'port', 'plugin', 'name'],
    colWidths: [30, 10, 22, 7, 9, 42],
    style: STYLE,
  });
  for (const item of items) {
    const severity = SEVERITY_NAMES[Number(item.severity)] ?? 'info';
    const reason = item.reason === null ? '' : ` (${item.reason})`;
    table.push([
      safe(`${item.status}${reason}`),
      PAINT[severity](severity),
      safe(item.host),
      String(item.port),
      safe(item.plugin_id),
      safe(item.plugin_name),
    ]);
  }
  return table.toString();
}

/** Recurring scans, one a row. */
export function schedulesTable(schedules: readonly Schedule[]): string {
  const table = new Table({
    head: ['schedule', 'name', 'when', 'next run', 'runs', 'skips', 'refusals', 'last'],
    style: STYLE,
  });
  for (const schedule of schedules) {
    table.push([
      schedule.schedule_id,
      safe(schedule.name).slice(0, 40),
      safe(describeRecurrence(schedule)),
      schedule.next_run_at ?? 'paused',
      String(schedule.runs),
      String(schedule.skips),
      String(schedule.refusals),
      safe(schedule.last_outcome?.outcome),
    ]);
  }
  return table.toString();
}

/** When a schedule is due, for people. */
export function describeRecurrence({
  cron,
  time_zone,
  every_minutes,
}: Pick<Schedule, 'cron' | 'time_zone' | 'every_minutes'>): string {
  return cron === null ? `every ${inUnits(every_minutes ?? 0)}` : `${cron} (${time_zone})`;
}

/** The largest unit that makes a whole number of it; milliseconds where none does. */
function inUnits(minutes: number): string {
  const ms = Math.round(minutes * 60_000);
  for (const [unit, unitMs] of [
    ['d', 86_400_000],
    ['h', 3_600_000],
    ['min', 60_000],
    ['s', 1_000],
  ] as const)
    if (ms % unitMs === 0) return `${ms / unitMs} ${unit}`;
  return `${ms} ms`;
}

function safe(value: unknown): string {
  // a terminal obeys control characters: a scanned host must not be able to send it any
  return value === undefined || value === null ? '' : String(value).replace(/\p{C}/gu, '');
}

/** Scanners, one a row. */
export function scannersTable(scanners: readonly ScannerView[]): string {
  const table = new Table({
    head: ['scanner', 'state', 'scans', 'version', 'why'],
    colWidths: [26, 12, 8, 14, 60],
    wordWrap: true,
    style: STYLE,
  });
  for (const scanner of scanners) {
    const state = !scanner.enabled
      ? colors.dim('disabled')
      : scanner.draining
        ? colors.yellow(scanner.active_scans === 0 ? 'drained' : 'draining')
        : scanner.reason === null
          ? colors.green('ready')
          : colors.red(scanner.circuit === 'closed' ? 'not ready' : scanner.circuit);
    table.push([
      safe(scanner.instance_key),
      state,
      `${scanner.active_scans}/${scanner.max_concurrent_scans}`,
      safe(scanner.version),
      safe(
        scanner.operator?.reason ? `${scanner.reason ?? ''} (${scanner.operator.reason})` : scanner.reason,
      ),
    ]);
  }
  return table.toString();
}

/** Dead letters, one a row. */
export function deadLettersTable(letters: readonly DeadLetter[]): string {
  const table = new Table({
    head: ['task', 'ended', 'attempts', 'code', 'message'],
    colWidths: [36, 22, 10, 22, 60],
    wordWrap: true,
    style: STYLE,
  });
  for (const letter of letters)
    table.push([
      letter.task_id,
      safe(letter.completed_at?.slice(0, 19)),
      String(letter.attempts),
      safe(letter.error?.code),
      safe(letter.error?.message),
    ]);
  return table.toString();
}

/** Stored credentials, one a row; never a secret. */
export function credentialsTable(credentials: readonly CredentialView[]): string {
  const table = new Table({
    head: ['name', 'source', 'ssh', 'elevates with', 'windows', 'stored', 'description'],
    style: STYLE,
  });
  for (const one of credentials)
    table.push([
      safe(one.name),
      one.source,
      safe(one.ssh_username === null ? '' : `${one.ssh_username} (${one.ssh_login})`),
      safe(one.elevate_privileges_with),
      safe(one.windows_username),
      safe(one.stored_at.slice(0, 19)),
      safe(one.description),
    ]);
  return table.toString();
}

/** Webhooks, one a row; ids are never cut, because they are copied. */
export function webhooksTable(webhooks: readonly Webhook[]): string {
  const table = new Table({ head: ['webhook', 'state', 'events', 'url'], style: STYLE });
  for (const { webhook_id, disabled, failing_since, events, url } of webhooks)
    table.push([
      webhook_id,
      disabled
        ? colors.red('disabled')
        : failing_since === null
          ? colors.green('enabled')
          : colors.yellow('failing'),
      events.join('\n'),
      safe(url).slice(0, 80),
    ]);
  return table.toString();
}

/** Deliveries, one a row. */
export function deliveriesTable(deliveries: readonly Delivery[]): string {
  const table = new Table({
    head: ['delivery', 'event', 'status', 'attempts', 'last answer', 'next attempt'],
    style: STYLE,
  });
  for (const { delivery_id, type, status, skipped_because, attempts, next_attempt_at } of deliveries) {
    const last = attempts.at(-1);
    table.push([
      delivery_id,
      type,
      status,
      String(attempts.length),
      skipped_because ?? (last ? String(last.status_code ?? last.error) : ''),
      next_attempt_at?.slice(0, 19) ?? '',
    ]);
  }
  return table.toString();
}

/** API keys, one a row; never a key. */
export function keysTable(keys: readonly ApiKeyView[]): string {
  const table = new Table({
    head: ['id', 'name', 'role', 'state', 'created', 'expires', 'last used', 'scopes'],
    style: STYLE,
  });
  for (const key of keys)
    table.push([
      key.id,
      safe(key.name),
      key.role,
      key.state === 'valid' ? colors.green(key.state) : colors.red(key.state),
      key.created_at.slice(0, 10),
      key.expires_at?.slice(0, 10) ?? '',
      key.last_used_at?.slice(0, 16).replace('T', ' ') ?? 'never',
      Object.entries(key.scopes)
        .filter(([, value]) => value !== null)
        .map(([name]) => name)
        .join(', '),
    ]);
  return table.toString();
}
