/** How a run ends when it does not complete: handed over, stopped, tried again, or given up. */
import { type ScanmqError, type TaskRecord, type TaskState, toScanmqError } from '@scanmq/contract';
import {
  cancelMessage,
  NotOwnerError,
  nextGeneration,
  type ScanJobOutcome,
  type TaskChange,
} from '@scanmq/queue';
import { UnrecoverableError, WaitingError } from 'bullmq';
import { Interruption, interruptionOf } from './interruption.js';
import { releaseAll } from './release.js';
import type { Run } from './run.js';
import { stopScan } from './stop-scan.js';

/** A task that was given up leaves no scan running; a scanner that is away cannot be told, and is not waited for. */
const STOP_AFTER_FAILURE_MS = 30_000;
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
async function handOver({ deps, job, token, task, runToken, ctx }: Run): Promise<never> {
  await deps.queue.tasks.update(task.task_id, { run_token: null }, { runToken });
  if (job.opts.priority) await job.changePriority({ priority: 0 });
  await job.moveToWait(token);
  ctx.log.info({ event: 'run.handed_over' }, 'job handed over');
  throw new WaitingError();
}

async function stopAndEnd(run: Run, kind: 'cancel' | 'deadline'): Promise<ScanJobOutcome> {
  const { deps, task, ctx, interrupts } = run;
  let how = 'the scan was stopped on the scanner';
  try {
    // beyond the end of the run, but not beyond our lock
    const stopped = await stopScan(run.contextWith(interrupts.final));
    if (!stopped)
      how =
        ctx.checkpoint().run_uuid === undefined
          ? 'no scan was running'
          : 'the scanner did not confirm that it stopped the scan';
  } catch (error) {
    const ended = error instanceof NotOwnerError ? 'lock_lost' : interruptionOf(interrupts.final);
    if (ended === 'shutdown') return await handOver(run);
    if (ended !== undefined) throw new Error(`run ended: ${ended}`);
    ctx.log.warn({ event: 'scan.stop_failed', err: error }, 'the scan could not be stopped on the scanner');
    how = 'the scan could not be stopped on the scanner';
  }
  if (kind === 'cancel') {
    const reason = (await deps.queue.tasks.get(task.task_id)).cancel_requested?.reason ?? '';
    await end(run, 'cancelled', {
      error: { code: 'cancelled', message: cancelMessage(reason), retryable: false },
    });
    ctx.log.info({ event: 'task.cancelled', how }, 'task cancelled');
    await ctx.note(`Cancelled; ${how}.`);
    return { outcome: 'cancelled' };
  }
  const message = timeoutMessage(task, how);
  await end(run, 'timeout', { error: { code: 'timeout', message, retryable: false } });
  ctx.log.warn({ event: 'task.timeout', how }, 'task timed out');
  throw new UnrecoverableError(`timeout: ${message}`);
}

async function endWithError(run: Run, error: ScanmqError): Promise<never> {
  const { deps, job, task, ctx, runToken } = run;
  const attempt = job.attemptsMade + 1;
  const again = error.retryable !== 'no' && attempt < (job.opts.attempts ?? 1);
  const facts = { code: error.code, message: error.message, retryable: error.retryable !== 'no' };
  ctx.log[again ? 'warn' : 'error'](
    { event: again ? 'attempt.failed' : 'task.failed', code: error.code, attempt, err: error },
    again ? 'attempt failed, another follows' : 'task failed',
  );
  await ctx.note(`${again ? 'Attempt failed' : 'Failed'}: ${error.code}: ${error.message}`);
  if (again) {
    // an aborted scan is over: the next attempt makes a new one. Any other is kept, and followed or exported again
    const checkpoint =
      error.code === 'scan_aborted'
        ? nextGeneration({ ...task, checkpoint: ctx.checkpoint() })
        : ctx.checkpoint();
    await deps.queue.tasks.transition(
      task.task_id,
      'queued',
      { error: facts, run_token: null, checkpoint },
      { runToken },
    );
    if (checkpoint?.create_intent_at === undefined) await deps.queue.bindings.release(task.task_id);
    throw error;
  }
  if (!NOTHING_TO_STOP.has(error.code)) await stopQuietly(run);
  await end(run, 'failed', { error: facts });
  throw new UnrecoverableError(`${error.code}: ${error.message}`);
}

async function stopQuietly(run: Run): Promise<void> {
  const signal = AbortSignal.any([run.interrupts.final, AbortSignal.timeout(STOP_AFTER_FAILURE_MS)]);
  try {
    await stopScan(run.contextWith(signal));
  } catch (error) {
    if (error instanceof NotOwnerError) throw error;
    run.ctx.log.warn(
      { event: 'scan.stop_failed', err: error },
      'the scan could not be stopped on the scanner',
    );
  }
}

async function end(run: Run, state: TaskState, change: TaskChange): Promise<void> {
  const { deps, task, runToken } = run;
  const ended = await deps.queue.tasks.transition(
    task.task_id,
    state,
    { completed_at: deps.now().toISOString(), run_token: null, ...change },
    { runToken },
  );
  await releaseAll(deps, ended);
}
