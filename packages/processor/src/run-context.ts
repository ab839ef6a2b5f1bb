import type { Settings } from '@scanmq/config';
import {
  type Checkpoint,
  type ErrorCode,
  type InstanceKey,
  ScannerError,
  type TaskRecord,
} from '@scanmq/contract';
import type { Logger, Meter, SpanFacts, Tracing } from '@scanmq/observability';
import type { QueueSystem, TaskChange } from '@scanmq/queue';
import type { HostState, Scanner, ScannerRegistry, WriteOptions } from '@scanmq/scanners';
import type { ResultStore } from '@scanmq/store';
import { sleep } from './interruption.js';
import type { TargetPolicy } from './target-policy.js';

export type ProcessorSettings = Pick<
  Settings,
  | 'resultsMemoryMb'
  | 'pollIntervalMs'
  | 'maxAttempts'
  | 'workerLockMs'
  | 'retryBackoffMs'
  | 'scannerOutageMs'
  | 'maxCrashes'
  | 'scannerCleanup'
>;

export interface ProcessorDeps {
  readonly queue: QueueSystem;
  /** Where the files of tasks are. */
  readonly files: ResultStore;
  readonly registry: ScannerRegistry;
  readonly settings: ProcessorSettings;
  readonly policy: TargetPolicy;
  readonly meter: Meter;
  readonly tracing: Tracing;
  /** Told whenever somebody who waits may be served. */
  readonly admission: { request(): void };
  /** Brings the limits of the queues in line with what runs; called when a task of an instance's own queue begins or ends. */
  readonly applyLimits: () => Promise<void>;
  /** Told of an instance that a run finds away, or back. */
  readonly suspect: (instanceKey: InstanceKey) => void;
  readonly log: Logger;
  readonly now: () => Date;
}

/** What each step of a run gets. One run is one worker's go at a task; a task may need several. */
export interface RunContext {
  readonly deps: ProcessorDeps;
  /** As it was when the run began; what changes since is in `checkpoint`. */
  readonly task: TaskRecord;
  readonly scanner: Scanner;
  /** Aborted by any interruption. */
  readonly signal: AbortSignal;
  readonly log: Logger;
  /** What has been done so far. */
  checkpoint(): Checkpoint;
  /**
   * Writes what was done, or is about to be done. Refused when another run owns the task: therefore called before
   * every step that must not happen twice.
   * @throws NotOwnerError
   */
  save(change: Partial<Checkpoint>): Promise<void>;
  /** Changes other fields of the record; refused like `save`. */
  update(change: TaskChange): Promise<void>;
  /** Publishes progress (0–100, never falling), the scanner's own word and how far each host is, on change only. */
  report(progressPercent: number, scannerStatus: string, hosts?: readonly HostState[]): Promise<void>;
  /** A span of the task around some work that does not last as long as a scan. */
  phase<T>(name: string, work: () => Promise<T>): Promise<T>;
  /** A span of the task that tells of one moment. @param code of an error. */
  mark(name: string, facts?: SpanFacts, code?: string): void;
  /** Waits until the next look is due, or somebody wants something else of the task. */
  nap(ms: number): Promise<void>;
  /**
   * A line in the job's log on the dashboard, and for those who follow the task. Our own words only.
   * @param code of the error that it tells of.
   */
  note(line: string, code?: ErrorCode): Promise<void>;
}

/** A scan that was launched is waited for longer than one that was not: giving it up wastes up to a day. */
export const LAUNCHED_PATIENCE = 6;
const FIRST_PAUSE_MS = 1_000;
const LONGEST_PAUSE_MS = 30_000;

/** Calls of a scanner, as logs and traces name them. */
export type ScannerCall =
  | 'readiness'
  | 'find'
  | 'create'
  | 'launch'
  | 'status'
  | 'pause'
  | 'resume'
  | 'stop'
  | 'export'
  | 'export status'
  | 'download';
/** Repeated as long as something lasts: as spans they would be thousands. */
const LOOKS: ReadonlySet<ScannerCall> = new Set(['readiness', 'status', 'export status']);

/**
 * True for a scanner that is away for now. A name that does not exist is a mistake, not an outage. A login that is
 * refused while a scan of ours runs is one: giving up would leave the scan unwatched, and somebody may be changing it.
 */
function isOutage(error: unknown, launched: boolean): error is ScannerError {
  if (launched && error instanceof ScannerError && error.code === 'scanner_auth_failed') return true;
  if (!(error instanceof ScannerError) || error.code !== 'scanner_unreachable' || error.retryable !== 'yes')
    return false;
  return !(error.cause instanceof Error && 'code' in error.cause && error.cause.code === 'ENOTFOUND');
}

/**
 * Does something that is safe to repeat (a read, or a write that surely did not happen), waiting out an outage of
 * the scanner for as long as the settings allow.
 * @throws whatever ends it: another kind of error, the same after the patience is over, an interruption.
 */
export async function patiently<T>(
  ctx: RunContext,
  what: ScannerCall,
  operation: () => Promise<T>,
): Promise<T> {
  const work = async () => await persistently(ctx, what, operation);
  return LOOKS.has(what)
    ? await work()
    : await ctx.deps.tracing.childSpan(
        `scanner ${what}`,
        { 'scanmq.scanner': ctx.scanner.instanceKey },
        work,
      );
}

async function persistently<T>(ctx: RunContext, what: ScannerCall, operation: () => Promise<T>): Promise<T> {
  const { scannerOutageMs, pollIntervalMs } = ctx.deps.settings;
  const launched = ctx.checkpoint().launch_intent !== undefined;
  let wasAway = false;
  const answer = await waitOut(ctx, operation, {
    patienceMs: launched ? scannerOutageMs * LAUNCHED_PATIENCE : scannerOutageMs,
    firstPauseMs: Math.min(FIRST_PAUSE_MS, pollIntervalMs),
    longestPauseMs: Math.min(LONGEST_PAUSE_MS, Math.max(FIRST_PAUSE_MS, pollIntervalMs)),
    isOutage: (error): error is ScannerError => isOutage(error, launched),
    async onOutage(error, tries) {
      if (tries > 1) return;
      wasAway = true;
      ctx.deps.suspect(ctx.scanner.instanceKey);
      ctx.log.warn(
        { event: 'scanner.away', operation: what, reason: error.message },
        'waiting for the scanner',
      );
      await ctx.note(`Waiting for the scanner (${what}): ${error.message}`);
    },
  });
  if (wasAway) ctx.deps.suspect(ctx.scanner.instanceKey);
  return answer;
}

/** How somebody that may be away is waited for. */
export interface Patience<E extends Error> {
  readonly patienceMs: number;
  /** Doubled after each try, up to the longest. */
  readonly firstPauseMs?: number;
  readonly longestPauseMs?: number;
  readonly isOutage: (error: unknown) => error is E;
  /** Told before each pause. @param tries so far. */
  readonly onOutage: (error: E, tries: number) => Promise<void>;
}

/** Tries again until it works, or the patience is over. @throws the last error; an interruption of the run. */
export async function waitOut<T, E extends Error>(
  ctx: Pick<RunContext, 'signal'>,
  operation: () => Promise<T>,
  patience: Patience<E>,
): Promise<T> {
  const { patienceMs, firstPauseMs = FIRST_PAUSE_MS, longestPauseMs = LONGEST_PAUSE_MS } = patience;
  const giveUpAt = Date.now() + patienceMs;
  let pauseMs = firstPauseMs;
  for (let tries = 1; ; tries += 1) {
    try {
      return await operation();
    } catch (error) {
      ctx.signal.throwIfAborted();
      if (!patience.isOutage(error) || Date.now() + pauseMs > giveUpAt) throw error;
      await patience.onOutage(error, tries);
    }
    await sleep(pauseMs, ctx.signal);
    pauseMs = Math.min(pauseMs * 2, longestPauseMs);
  }
}

/**
 * Does a write that must not happen twice, right after making sure that the task is still ours. Should the process stand
 * still in between, for so long that another may own the task, the write is not sent any more.
 */
export async function asOwner<T>(ctx: RunContext, write: (options: WriteOptions) => Promise<T>): Promise<T> {
  // BullMQ renews a lock after half its time, so that much is left at any moment
  const sendBeforeMs = Date.now() + ctx.deps.settings.workerLockMs / 2;
  await ctx.save({});
  return await write({ sendBeforeMs });
}

/** Text that marks a scan on a scanner as ours, of this task and of no earlier try of it. */
export function scanMarker(task: Pick<TaskRecord, 'task_id'>, generation: number): string {
  return generation === 1 ? `[scanmq ${task.task_id}]` : `[scanmq ${task.task_id} #${generation}]`;
}

const MARKER = /\[scanmq (ne_[a-z0-9_-]+)(?: #(\d+))?\]/;

/** The marker in the name of a scan; undefined when there is none. */
export function readMarker(
  name: string,
): { readonly text: string; readonly taskId: string; readonly generation: number } | undefined {
  const match = MARKER.exec(name);
  return match
    ? { text: match[0], taskId: match[1] ?? '', generation: match[2] === undefined ? 1 : Number(match[2]) }
    : undefined;
}
