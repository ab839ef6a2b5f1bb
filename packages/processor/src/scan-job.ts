/**
 * What one scan job does: assign → find or create → launch → watch → export → ingest → finish. Each step reads the
 * checkpoint, does nothing if its work is done, and records before the effect that must not happen twice. After a
 * crash, a restart or a lost lock the next run goes on with the same scan on the scanner.
 */
import { randomUUID } from 'node:crypto';
import { isTerminal, type ScanmqError, type TaskRecord } from '@scanmq/contract';
import { parentOfTask } from '@scanmq/observability';
import {
  cancelMessage,
  type JobLock,
  mayHaveScan,
  reopenTask,
  type ScanJobOutcome,
  type TaskChange,
  type TaskNews,
} from '@scanmq/queue';
import { DelayedError, UnrecoverableError } from 'bullmq';
import { type Assignment, assign } from './assign.js';
import { countEnd } from './count-end.js';
import { failureOf, withFailure } from './failure.js';
import { lookAtFleet } from './fleet.js';
import { createInterrupts, type InterruptionKind, type Interrupts } from './interruption.js';
import { releaseAll } from './release.js';
import { openRun, performRun, type ScanJob } from './run.js';
import type { ProcessorDeps } from './run-context.js';
import { endRun, timeoutMessage } from './run-end.js';

/** The runs that this process has in its hands. */
export interface ActiveRuns {
  /** Ends the run of a task for this reason, if this process has one. */
  interrupt(taskId: string, kind: InterruptionKind): void;
  /** What is wanted of the task has changed: its run looks at once. */
  wake(taskId: string): void;
  wakeAll(): void;
  /** Ends all of them: the process is about to end. */
  shutdown(): void;
  readonly size: number;
}

export interface ScanProcessor extends ActiveRuns {
  /** The function for BullMQ's Worker; with three plain parameters, or BullMQ passes no signal. */
  process(job: ScanJob, token: string | undefined, signal: AbortSignal | undefined): Promise<ScanJobOutcome>;
}

interface ActiveRun {
  readonly interrupts: Interrupts;
  readonly ended: Promise<void>;
}

export function createScanProcessor(deps: ProcessorDeps): ScanProcessor {
  const runs = new Map<string, ActiveRun>();
  let closing = false;

  return {
    interrupt: (taskId, kind) => runs.get(taskId)?.interrupts.interrupt(kind),
    wake: (taskId) => runs.get(taskId)?.interrupts.wake(),
    wakeAll() {
      for (const run of runs.values()) run.interrupts.wake();
    },
    get size() {
      return runs.size;
    },
    shutdown() {
      closing = true;
      for (const run of runs.values()) run.interrupts.interrupt('shutdown');
    },
    async process(job, token, signal) {
      const taskId = job.data.task_id;
      const older = runs.get(taskId);
      if (older) {
        older.interrupts.interrupt('superseded');
        await older.ended;
      }
      const interrupts = createInterrupts();
      signal?.addEventListener('abort', () => interrupts.interrupt('lock_lost'), { once: true });
      // a job that was fetched in the moment of closing goes back at once
      if (closing) interrupts.interrupt('shutdown');
      const outcome = runTask(deps, job, token ?? '', interrupts);
      const run = { interrupts, ended: outcome.then(ignore, ignore) };
      runs.set(taskId, run);
      try {
        return await outcome;
      } finally {
        if (runs.get(taskId) === run) runs.delete(taskId);
      }
    },
  };
}

function ignore(): void {}

async function runTask(
  deps: ProcessorDeps,
  job: ScanJob,
  token: string,
  interrupts: Interrupts,
): Promise<ScanJobOutcome> {
  const { tasks } = deps.queue;
  const takenMs = Date.now();
  let task = await tasks.find(job.data.task_id);
  if (!task) throw new UnrecoverableError('internal: the record of this task is gone');
  if (isTerminal(task.state)) {
    // BullMQ counts an attempt only when the job has failed there too: then somebody asked for a retry
    const retried =
      (task.state === 'failed' || task.state === 'timeout') && job.attemptsMade >= task.attempts;
    if (!retried) return await repeatOutcome(deps, task);
    task = await reopenTask(tasks, task);
  }

  const lock = lockOf(deps, job, token);
  const stopped = await endIfStopped(deps, task);
  if (stopped) {
    countEnd(deps, stopped);
    return await repeatOutcome(deps, stopped);
  }
  const assignment = await assign(deps, task, await lookAtFleet(deps.registry, deps.queue), lock);
  // one that was called has its slot already
  if (assignment.kind !== 'assigned') await deps.queue.bindings.giveBack(task.task_id, lock);
  if (assignment.kind === 'wait') return await waitForTurn(deps, job, lock, task, assignment);
  if (assignment.kind !== 'assigned')
    return await endUnassigned(deps, job, lock, task, assignment.error, assignment.kind === 'failed');
  const { instanceKey } = assignment;
  await deps.queue.waitingRoom.leave(task);
  if (task.pinned_instance !== null) await deps.applyLimits();
  const runToken = randomUUID();
  const begun = await tasks.beginRun(task.task_id, runToken, job.attemptsMade + 1, lock);
  if (!begun.begun) return await repeatOutcome(deps, await tasks.get(task.task_id));
  const run = await openRun({
    deps,
    job,
    lock,
    interrupts,
    task,
    runToken,
    instanceKey,
    crashes: begun.crashes,
  });
  // told when it is known: a task that only looks whether it is its turn, perhaps every minute of a day, is no span
  deps.tracing
    .begin(
      'task.begin',
      {
        'scanmq.task_id': task.task_id,
        'scanmq.attempt': job.attemptsMade + 1,
        'scanmq.scanner': instanceKey,
        'scanmq.crashes': begun.crashes,
        'scanmq.waited_ms': Math.max(0, takenMs - Date.parse(task.created_at)),
      },
      { under: parentOfTask(task), kind: 'consumer', startMs: takenMs },
    )
    .end();
  try {
    return await performRun(run);
  } catch (thrown) {
    return await endRun(run, thrown);
  } finally {
    run.close();
  }
}

/** A task that has ended before its job did: its worker crashed in between. The job gets the same end. */
async function repeatOutcome(deps: ProcessorDeps, task: TaskRecord): Promise<ScanJobOutcome> {
  await releaseAll(deps, task);
  switch (task.state) {
    case 'completed':
      return { outcome: 'completed', total_findings: task.results_summary?.total_findings ?? 0 };
    case 'cancelled':
      return { outcome: 'cancelled' };
    case 'failed':
    case 'timeout':
      throw new UnrecoverableError(`${task.error?.code ?? task.state}: ${task.error?.message ?? ''}`);
    default:
      return { outcome: 'ended_before', state: task.state };
  }
}

/** The lock of a job, as this worker holds it. */
function lockOf({ queue }: ProcessorDeps, job: ScanJob, token: string): JobLock {
  return { key: queue.queues.byName(job.queueName).toKey(`${job.id}:lock`), token };
}

/** Gives the job back until it is called (`admit.ts`), or looks again by itself. No attempt is used up. */
async function waitForTurn(
  deps: ProcessorDeps,
  job: ScanJob,
  lock: JobLock,
  task: TaskRecord,
  { waitingFor, delayMs }: Extract<Assignment, { kind: 'wait' }>,
): Promise<never> {
  if (task.waiting_for?.reason !== waitingFor.reason) {
    await job.log(`${deps.now().toISOString()} Waits: ${waitingFor.reason}.`);
    await job.updateProgress({ percent: 0, waiting_for: waitingFor.reason });
  }
  await job.moveToDelayed(Date.now() + delayMs, lock.token);
  // delayed first: whoever calls it must find it so
  await deps.queue.waitingRoom.enter(task, waitingFor);
  // and what it waits for may have come in between
  deps.admission.request();
  throw new DelayedError();
}

/** Ends a task that was cancelled or ran out of time while it waited; nothing is on any scanner then. */
async function endIfStopped(deps: ProcessorDeps, task: TaskRecord): Promise<TaskRecord | undefined> {
  if (mayHaveScan(task) || task.imported) return undefined;
  // one whose worker crashed before it did anything has a run to take over, which ends it
  if (task.state !== 'queued') return undefined;
  const { tasks } = deps.queue;
  const completed_at = deps.now().toISOString();
  if (task.cancel_requested) {
    return await tasks.transition(
      task.task_id,
      'cancelled',
      {
        completed_at,
        waiting_for: null,
        error: { code: 'cancelled', message: cancelMessage(task.cancel_requested.reason), retryable: false },
      },
      { from: ['queued'] },
    );
  }
  if (task.deadline_at !== null && Date.parse(task.deadline_at) <= deps.now().getTime()) {
    return await tasks.transition(
      task.task_id,
      'timeout',
      {
        completed_at,
        waiting_for: null,
        error: { code: 'timeout', message: timeoutMessage(task, 'no scanner was free'), retryable: false },
      },
      { from: ['queued'] },
    );
  }
  return undefined;
}

/** No scanner took the task: an attempt that failed, or the end of it. */
async function endUnassigned(
  deps: ProcessorDeps,
  job: ScanJob,
  lock: JobLock,
  task: TaskRecord,
  error: ScanmqError,
  mayRetry: boolean,
): Promise<ScanJobOutcome> {
  const attempt = job.attemptsMade + 1;
  const runToken = randomUUID();
  const begun = await deps.queue.tasks.beginRun(task.task_id, runToken, attempt, lock);
  if (!begun.begun) return await repeatOutcome(deps, await deps.queue.tasks.get(task.task_id));
  const again = mayRetry && attempt < (job.opts.attempts ?? 1);
  const facts: TaskChange = {
    attempts: attempt,
    waiting_for: null,
    error: { code: error.code, message: error.message, retryable: error.retryable !== 'no' },
    failures: withFailure(task, failureOf(error, { attempt, at: deps.now(), checkpoint: task.checkpoint })),
  };
  deps.log[again ? 'warn' : 'error'](
    {
      event: again ? 'attempt.failed' : 'task.failed',
      task_id: task.task_id,
      trace_id: task.trace_id,
      code: error.code,
      attempt,
      err: error,
    },
    again ? 'no scanner took the task, another attempt follows' : 'no scanner can take the task',
  );
  deps.tracing
    .begin(
      again ? 'attempt.failed' : 'task.failed',
      { 'scanmq.task_id': task.task_id, 'scanmq.attempt': attempt },
      { under: parentOfTask(task) },
    )
    .end(error.code);
  const line = `${again ? 'Attempt failed' : 'Failed'}: ${error.code}: ${error.message}`;
  await job.log(`${deps.now().toISOString()} ${line}`);
  const news: readonly TaskNews[] = [{ type: 'log', message: line, code: error.code }];
  if (again) {
    await deps.queue.tasks.update(task.task_id, { ...facts, run_token: null }, { runToken, news });
    deps.meter.count('scanmq_retries_total', { code: error.code });
    throw error;
  }
  const ended = await deps.queue.tasks.transition(
    task.task_id,
    'failed',
    { ...facts, run_token: null, completed_at: deps.now().toISOString() },
    { runToken, news },
  );
  countEnd(deps, ended);
  return await repeatOutcome(deps, ended);
}
