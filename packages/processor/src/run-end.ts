/** How a run ends when it does not complete: handed over, stopped, tried again, or given up. */
import { type Failure, ScanmqError, type TaskRecord, type TaskState, toScanmqError } from '@scanmq/contract';
import {
  type AbandonedScan,
  cancelMessage,
  NotOwnerError,
  nextGeneration,
  type ScanJobOutcome,
  type TaskChange,
} from '@scanmq/queue';
import { UnrecoverableError, WaitingError } from 'bullmq';
import { collectResults } from './collect-results.js';
import { countEnd } from './count-end.js';
import { failureOf, withFailure } from './failure.js';
import { availability, lookAtFleet } from './fleet.js';
import { Interruption, interruptionOf } from './interruption.js';
import { cleanUp, noteCleanup, releaseAll } from './release.js';
import { type Run, resultsOf } from './run.js';
import { scanMarker } from './run-context.js';
import { type StopOutcome, stopScan } from './stop-scan.js';

/** A task that was given up leaves no scan running; a scanner that is away cannot be told, and is not waited for. */
const STOP_AFTER_FAILURE_MS = 30_000;
/** What a stopped scan has found is given up when the scanner does not export it within this time. */
const PARTIAL_RESULTS_MS = 30 * 60_000;
/** After these the scan has ended by itself. */
const NOTHING_TO_STOP = new Set(['scan_aborted', 'export_failed', 'invalid_export']);

/** What a task says that ran out of time. */
export function timeoutMessage(task: TaskRecord, how: string): string {
  return `The time limit of ${Number((task.timeout_ms / 3_600_000).toFixed(4))} h passed; ${how}.`;
}

/**
 * Ends a run. What BullMQ does with the job follows from what this returns or throws: returned outcomes are completed,
 * UnrecoverableError is a dead letter, WaitingError was handed over, any other error is tried again later.
 */
export async function endRun(run: Run, thrown: unknown): Promise<ScanJobOutcome> {
  const kind =
    thrown instanceof NotOwnerError
      ? 'lock_lost'
      : thrown instanceof Interruption
        ? thrown.kind
        : interruptionOf(run.ctx.signal);
  switch (kind) {
    case 'lock_lost':
    case 'superseded':
      run.ctx.log.warn(
        { event: 'run.lost', kind },
        'another run owns the task; this one ends without touching anything',
      );
      throw new Error(`run ended: ${kind}`);
    case 'shutdown':
      return await handOver(run);
    case 'cancel':
    case 'deadline':
      return await stopAndEnd(run, kind);
    case undefined:
      return await endWithError(run, toScanmqError(thrown));
  }
}

/** Gives the job to another worker, first in the queue; the scan goes on, no attempt is used up. */
async function handOver({ deps, job, lock, task, runToken, ctx }: Run): Promise<never> {
  await deps.queue.tasks.update(
    task.task_id,
    { run_token: null },
    { runToken, news: [{ type: 'log', message: 'The worker is being stopped; it hands the task over.' }] },
  );
  if (job.opts.priority) await job.changePriority({ priority: 0 });
  await job.moveToWait(lock.token);
  ctx.mark('task.handed_over');
  deps.meter.count('scanmq_handoffs_total', { reason: 'shutdown' });
  ctx.log.info({ event: 'run.handed_over' }, 'job handed over');
  throw new WaitingError();
}

/** Stops the scan, keeps what it found where that is wanted, and ends the task. */
async function stopAndEnd(run: Run, kind: 'cancel' | 'deadline'): Promise<ScanJobOutcome> {
  const { deps, task, ctx, interrupts } = run;
  const requested = (await deps.queue.tasks.get(task.task_id)).cancel_requested;
  let stop: StopOutcome = 'unconfirmed';
  let how = 'the scan could not be stopped on the scanner';
  let results: TaskChange = {};
  try {
    // beyond the end of the run, but not beyond our lock
    stop = await ctx.phase('scan.stop', () => stopScan(run.contextWith(interrupts.final)));
    how = HOW_IT_STOPPED[stop];
    if (stop === 'stopped' && (kind === 'deadline' || requested?.keep_results))
      results = await keepPartialResults(run);
  } catch (error) {
    const ended = error instanceof NotOwnerError ? 'lock_lost' : interruptionOf(interrupts.final);
    if (ended === 'shutdown') return await handOver(run);
    if (ended !== undefined) throw new Error(`run ended: ${ended}`);
    ctx.log.warn({ event: 'scan.stop_failed', err: error }, 'the scan could not be stopped on the scanner');
  }
  if (kind === 'cancel') {
    ctx.mark('task.cancelled');
    await ctx.note(`Asked to cancel; ${how}.`);
    await end(run, 'cancelled', stop, {
      ...results,
      error: { code: 'cancelled', message: cancelMessage(requested?.reason ?? ''), retryable: false },
    });
    ctx.log.info({ event: 'task.cancelled', how }, 'task cancelled');
    return { outcome: 'cancelled' };
  }
  const message = timeoutMessage(task, how);
  const error = new ScanmqError('timeout', message);
  ctx.mark('task.timeout', {}, 'timeout');
  await ctx.note(message, 'timeout');
  await end(run, 'timeout', stop, {
    ...results,
    error: { code: 'timeout', message, retryable: false },
    failures: await failuresWith(run, error),
  });
  ctx.log.error({ event: 'task.timeout', how }, 'task timed out');
  throw new UnrecoverableError(`timeout: ${message}`);
}

const HOW_IT_STOPPED: Readonly<Record<StopOutcome, string>> = {
  nothing: 'no scan was running',
  stopped: 'the scan was stopped on the scanner',
  unconfirmed: 'the scanner did not confirm that it stopped the scan',
};

/**
 * Exports what a stopped scan has found. Failing here changes nothing about how the task ends.
 * @throws what ends a run: another owns the task, the worker ends.
 */
async function keepPartialResults(run: Run): Promise<TaskChange> {
  const { ctx, interrupts } = run;
  const scanId = ctx.checkpoint().nessus_scan_id;
  if (scanId === undefined || ctx.task.imported) return {};
  const signal = AbortSignal.any([interrupts.final, AbortSignal.timeout(PARTIAL_RESULTS_MS)]);
  try {
    const { summary, ...verdict } = await collectResults(run.contextWith(signal), scanId);
    await ctx.note(
      `Kept what the scan had found: ${summary.total_findings} findings on ${summary.hosts_scanned} hosts.`,
    );
    return { ...resultsOf(summary, verdict), partial_results: true };
  } catch (error) {
    interrupts.final.throwIfAborted();
    if (error instanceof NotOwnerError) throw error;
    ctx.log.warn({ event: 'results.partial_failed', err: error }, 'partial results could not be kept');
    const { message } = toScanmqError(error);
    await ctx.note(`Partial results could not be kept: ${message}`);
    return {
      validation_warnings: [`What the scan had found until it was stopped could not be kept: ${message}`],
    };
  }
}

async function endWithError(run: Run, error: ScanmqError): Promise<never> {
  const { deps, job, task, ctx, runToken } = run;
  const attempt = job.attemptsMade + 1;
  // a scanner that has lost its licence since it was chosen is no reason to give up where another has one
  const moves = error.code === 'scanner_export_only' && (await anotherCanTake(run));
  if (error.code === 'scanner_export_only') deps.suspect(run.instanceKey);
  const again = (error.retryable !== 'no' || moves) && attempt < (job.opts.attempts ?? 1);
  const facts = { code: error.code, message: error.message, retryable: error.retryable !== 'no' };
  const failures = await failuresWith(run, error);
  ctx.log[again ? 'warn' : 'error'](
    { event: again ? 'attempt.failed' : 'task.failed', code: error.code, attempt, err: error },
    again ? 'attempt failed, another follows' : 'task failed',
  );
  ctx.mark(again ? 'attempt.failed' : 'task.failed', {}, error.code);
  await ctx.note(`${again ? 'Attempt failed' : 'Failed'}: ${error.code}: ${error.message}`, error.code);
  if (again) {
    const next = await planNextAttempt(run, error);
    await deps.queue.tasks.transition(
      task.task_id,
      'queued',
      { error: facts, failures, run_token: null, ...next.change },
      { runToken },
    );
    deps.meter.count('scanmq_retries_total', { code: error.code });
    if (next.movesOn) deps.meter.count('scanmq_handoffs_total', { reason: 'scanner_away' });
    if (next.abandoned) await deps.queue.bindings.abandon(next.abandoned);
    if (next.freesSlot) {
      await deps.queue.bindings.giveBack(task.task_id, run.lock);
      deps.admission.request();
    }
    throw error;
  }
  const stop = NOTHING_TO_STOP.has(error.code) ? 'stopped' : await stopQuietly(run);
  await end(run, 'failed', stop, { error: facts, failures });
  throw new UnrecoverableError(`${error.code}: ${error.message}`);
}

interface NextAttempt {
  readonly change: TaskChange;
  readonly freesSlot: boolean;
  /** Another scanner makes the scan anew. */
  readonly movesOn?: boolean;
  readonly abandoned?: AbandonedScan;
}

/**
 * What the next attempt begins with. An aborted scan is over: a new one is made. A scan whose scanner stayed away for too
 * long is given up if another scanner can take the task: it is made anew there, and stopped here when the scanner is back
 * (`settle-abandoned.ts`). Any other is kept, and followed or exported again.
 */
async function planNextAttempt(run: Run, error: ScanmqError): Promise<NextAttempt> {
  const { task, ctx, deps, instanceKey } = run;
  const checkpoint = ctx.checkpoint();
  const given = { ...task, checkpoint };
  if (error.code === 'scan_aborted')
    return { change: { checkpoint: nextGeneration(given) }, freesSlot: true };
  if (checkpoint.create_intent_at === undefined) return { change: { checkpoint }, freesSlot: true };
  if (!isAway(error) || !(await anotherCanTake(run))) return { change: { checkpoint }, freesSlot: false };
  const at = deps.now().toISOString();
  await ctx.note(
    `${instanceKey} cannot go on with its scan (${error.code}): it is given up, another scanner makes a new one.`,
  );
  ctx.log.warn(
    { event: 'scan.abandoned', nessus_scan_id: checkpoint.nessus_scan_id },
    'the scan is given up and made anew elsewhere',
  );
  return {
    change: {
      checkpoint: nextGeneration(given),
      abandoned_scans: [
        ...task.abandoned_scans,
        {
          scanner_instance: instanceKey,
          nessus_scan_id: checkpoint.nessus_scan_id ?? null,
          at,
          reason: error.message,
        },
      ],
    },
    freesSlot: true,
    movesOn: true,
    // one that was never launched runs nowhere
    ...(checkpoint.launch_intent === undefined ? {} : { abandoned: abandonedScan(run, at) }),
  };
}

/** True when the scanner cannot go on with its scan, though another could. */
function isAway(error: ScanmqError): boolean {
  return (
    error.code === 'scanner_unreachable' ||
    error.code === 'scanner_auth_failed' ||
    error.code === 'scanner_export_only'
  );
}

async function anotherCanTake({ task, deps, instanceKey }: Run): Promise<boolean> {
  if (task.pinned_instance !== null || task.imported) return false;
  const view = await lookAtFleet(deps.registry, deps.queue);
  return deps.registry
    .instances(task.scanner_pool)
    .some((instance) => instance.instanceKey !== instanceKey && availability(view, instance).usable);
}

function abandonedScan({ task, ctx, instanceKey }: Run, at: string): AbandonedScan {
  const { generation, nessus_scan_id } = ctx.checkpoint();
  return {
    task_id: task.task_id,
    instance_key: instanceKey,
    marker: scanMarker(task, generation),
    scan_id: nessus_scan_id ?? null,
    at,
  };
}

async function failuresWith({ deps, job, task, ctx }: Run, error: ScanmqError): Promise<Failure[]> {
  const latest = await deps.queue.tasks.get(task.task_id);
  return withFailure(
    latest,
    failureOf(error, { attempt: job.attemptsMade + 1, at: deps.now(), checkpoint: ctx.checkpoint() }),
  );
}

async function stopQuietly(run: Run): Promise<StopOutcome> {
  const signal = AbortSignal.any([run.interrupts.final, AbortSignal.timeout(STOP_AFTER_FAILURE_MS)]);
  try {
    return await stopScan(run.contextWith(signal));
  } catch (error) {
    if (error instanceof NotOwnerError) throw error;
    run.ctx.log.warn(
      { event: 'scan.stop_failed', err: error },
      'the scan could not be stopped on the scanner',
    );
    return 'unconfirmed';
  }
}

/** Ends the task. A scan that may still run keeps its slot until the scanner says that it has ended. */
async function end(run: Run, state: TaskState, stop: StopOutcome, change: TaskChange): Promise<void> {
  const { deps, task, runToken, ctx } = run;
  const at = deps.now().toISOString();
  if (stop === 'unconfirmed' && ctx.checkpoint().launch_intent !== undefined && !task.imported)
    await deps.queue.bindings.abandon(abandonedScan(run, at));
  await noteCleanup(deps, task, state);
  const ended = await deps.queue.tasks.transition(
    task.task_id,
    state,
    { completed_at: at, run_token: null, waiting_for: null, pause_requested: null, ...change },
    { runToken },
  );
  countEnd(deps, ended);
  await releaseAll(deps, ended);
  await cleanUp(deps, ended);
}
