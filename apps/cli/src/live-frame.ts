/** What the live view shows at one moment: lines of text, and nothing about how they reach the terminal. */
import type { HostProgress, ProgressEvent, ScanStatus } from '@scanmq/contract';
import { SEVERITY_NAMES } from '@scanmq/contract';
import { createColors } from 'picocolors';

export interface FrameInput {
  readonly status: ScanStatus;
  /** The newest event of progress; undefined before the first. */
  readonly progress: ProgressEvent | undefined;
  /** What stands between us and the service now; undefined when nothing does. */
  readonly trouble: string | undefined;
  readonly columns: number;
  readonly rows: number;
  readonly now: Date;
  readonly colored: boolean;
}

/** Hosts that are shown at most, on however high a terminal. */
const HOSTS = 15;
/** Of the terminal, left for what was there before. */
const ROWS_LEFT = 6;
const WIDEST_BAR = 40;

/** One word for where a task is, with its scanner and its place in the queue. */
export function wordsOf(status: ScanStatus): string {
  const scanner =
    status.scanner_instance === null ? '' : ` on ${status.scanner_pool}:${status.scanner_instance}`;
  const waiting = status.queue_position === null ? '' : ` (number ${status.queue_position})`;
  const word =
    status.status === 'running' && status.scanner_status !== null
      ? `running (${status.scanner_status})`
      : status.status;
  return `${word}${waiting}${scanner}`;
}

/** The lines of a frame, none longer than the terminal is wide. */
export function frameOf(input: FrameInput): readonly string[] {
  const { status, progress, trouble, columns, rows, now } = input;
  const colors = createColors(input.colored);
  const barWidth = Math.max(10, Math.min(WIDEST_BAR, columns - 40));
  const lines = [
    `${colors.cyan(bar(status.progress, barWidth))} ${String(status.progress).padStart(3)} %  ${wordsOf(status)}`,
    colors.dim(
      [elapsed(status, now), left(status, now), hostCounts(progress)]
        .filter((part) => part !== '')
        .join(' · '),
    ),
  ];
  if (status.waiting_reason !== null) lines.push(status.waiting_reason);
  if (trouble !== undefined) lines.push(colors.yellow(trouble));
  const room = Math.max(0, Math.min(HOSTS, rows - ROWS_LEFT - lines.length));
  const running = status.status === 'running' ? (progress?.hosts ?? []) : [];
  const shown = running.slice(0, room);
  const names = Math.min(40, Math.max(0, ...shown.map(({ host }) => host.length)));
  for (const host of shown)
    lines.push(
      `  ${cut(host.host, names).padEnd(names)} ${bar(host.progress, 15)} ${String(host.progress).padStart(3)} %${found(host)}`,
    );
  const others = running.length - shown.length + (progress?.hosts_omitted ?? 0);
  if (shown.length > 0 && others > 0) lines.push(colors.dim(`  and ${others} more`));
  // colours take no room, and stand only around whole lines and the bar, which is never the part that is cut
  return lines.map((line) => (input.colored ? line : cut(line, columns)));
}

function bar(percent: number, width: number): string {
  const filled = Math.round((Math.min(100, Math.max(0, percent)) / 100) * width);
  return '█'.repeat(filled) + '░'.repeat(width - filled);
}

function elapsed(status: ScanStatus, now: Date): string {
  if (status.completed_at !== null && status.started_at !== null)
    return `took ${duration(Date.parse(status.completed_at) - Date.parse(status.started_at))}`;
  return status.started_at === null
    ? `waiting for ${duration(now.getTime() - Date.parse(status.created_at))}`
    : `running for ${duration(now.getTime() - Date.parse(status.started_at))}`;
}

function left({ eta, completed_at }: ScanStatus, now: Date): string {
  if (completed_at !== null || eta === null) return '';
  const leftMs = Date.parse(eta) - now.getTime();
  return leftMs <= 1_000 ? 'longer than usual' : `about ${duration(leftMs)} left`;
}

function hostCounts(progress: ProgressEvent | undefined): string {
  return progress === undefined || progress.hosts_seen === 0
    ? ''
    : `${progress.hosts_done} of ${progress.hosts_seen} hosts done`;
}

function found({ severity_breakdown: counts }: HostProgress): string {
  if (counts === null) return '';
  const parts = [...SEVERITY_NAMES]
    .reverse()
    .filter((name) => name !== 'info' && counts[name] > 0)
    .map((name) => `${counts[name]} ${name}`);
  return parts.length === 0 ? '' : `  ${parts.join(', ')}`;
}

/** For people: `4 s`, `2 min 5 s`, `3 h 20 min`. */
export function duration(ms: number): string {
  const seconds = Math.max(0, Math.round(ms / 1_000));
  if (seconds < 60) return `${seconds} s`;
  const minutes = Math.floor(seconds / 60);
  return minutes < 60
    ? `${minutes} min ${seconds % 60} s`
    : `${Math.floor(minutes / 60)} h ${minutes % 60} min`;
}

function cut(text: string, width: number): string {
  return text.length > width ? `${text.slice(0, Math.max(0, width - 1))}…` : text;
}
