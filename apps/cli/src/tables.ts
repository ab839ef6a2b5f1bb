import {
  type ComparisonItem,
  type ResultsSummary,
  type Schedule,
  SEVERITY_NAMES,
  type SeverityName,
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
