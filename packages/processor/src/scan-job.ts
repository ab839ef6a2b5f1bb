/**
 * What one scan job does: assign → find or create → launch → watch → export → ingest → finish. Each step reads the
 * checkpoint, does nothing if its work is done, and records before the effect that must not happen twice. After a
 * crash, a restart or a lost lock the next run goes on with the same scan on the scanner.
 */
import { randomUUID } from 'node:crypto';
import {
  type InstanceKey,
  isTerminal,
  type ScanmqError,
  ScannerError,
  type TaskRecord,
} from '@scanmq/contract';
import { cancelMessage, mayHaveScan, reopenTask, type ScanJobOutcome } from '@scanmq/queue';
import { DelayedError, UnrecoverableError } from 'bullmq';
import { assignableInstances, refuseUnlessLaunchable } from './fleet.js';
import { UPLOAD_KEY } from './import-results.js';
import { createInterrupts, type InterruptionKind, type Interrupts } from './interruption.js';
import { releaseAll } from './release.js';
import { openRun, performRun, type ScanJob } from './run.js';
import type { ProcessorDeps } from './run-context.js';
import { endRun, timeoutMessage } from './run-end.js';

/** How long a task that found every scanner full looks again. */
const FULL_RETRY_MS = 1_000;

/** The runs that this process has in its hands. */
export interface ActiveRuns {
  /** Ends the run of a task for this reason, if this process has one. */
  interrupt(taskId: string, kind: InterruptionKind): void;
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
  let task = await tasks.find(job.data.task_id);
  if (!task) throw new UnrecoverableError('internal: the record of this task is gone');
  if (isTerminal(task.state)) {
    // BullMQ counts an attempt only when the job has failed there too: then somebody asked for a retry
    const retried =
      (task.state === 'failed' || task.state === 'timeout') && job.attemptsMade >= task.attempts;
    if (!retried) return await repeatOutcome(deps, task);
    task = await reopenTask(tasks, task);
  }

  const instanceKey = await assign(deps, task);
  if (typeof instanceKey !== 'string') {
    const unassigned = await endUnassigned(deps, task, instanceKey);
    if (unassigned) return await repeatOutcome(deps, unassigned);
    await job.moveToDelayed(Date.now() + Math.min(FULL_RETRY_MS, deps.settings.pollIntervalMs), token);
    throw new DelayedError();
  }
  const runToken = randomUUID();
  const begun = await tasks.beginRun(task.task_id, runToken, job.attemptsMade + 1);
  if (!begun.begun) return await repeatOutcome(deps, await tasks.get(task.task_id));
  const run = await openRun({
    deps,
    job,
    token,
    interrupts,
    task,
    runToken,
    instanceKey,
    crashes: begun.crashes,
  });
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

/**
 * Binds the task to a scanner: to the one that has its scan, if there is one.
 * @returns undefined when all are full, an error when none can ever take it.
 */
async function assign(
  deps: ProcessorDeps,
  task: TaskRecord,
): Promise<InstanceKey | ScannerError | undefined> {
  const { registry, queue } = deps;
  // an import takes no slot: it only reads
  if (task.imported) return (task.imported.scanner as InstanceKey | null) ?? UPLOAD_KEY;
  const health = await queue.health.all();
  const all = registry.instances(task.scanner_pool);
  const holder = mayHaveScan(task)
    ? all.find((instance) => instance.instanceKey === task.checkpoint?.instance_key)
    : undefined;
  const allowed = all.filter(
    (instance) => task.pinned_instance === null || instance.instanceId === task.pinned_instance,
  );
  if (!holder) {
    try {
      refuseUnlessLaunchable(allowed, health, task.pinned_instance ?? `pool '${task.scanner_pool}'`);
    } catch (error) {
      // disabled instances may come back; a licence does not change by itself
      if (error instanceof ScannerError) return error;
    }
  }
  const candidates = (holder ? [holder] : assignableInstances(allowed, health)).map((instance) => ({
    instanceKey: instance.instanceKey,
    limit: instance.maxConcurrentScans,
  }));
  const bound = await queue.bindings.bind(task.task_id, candidates);
  if (bound === undefined || registry.instance(bound)) return bound;
  // bound to an instance that is no longer configured: nobody can follow a scan there
  await queue.bindings.release(task.task_id);
  return await queue.bindings.bind(task.task_id, candidates);
}

/**
 * Ends a task that no scanner can take, or that was cancelled or ran out of time while it waited for one; nothing is
 * on any scanner then.
 * @returns undefined when it goes on waiting.
 */
async function endUnassigned(
  deps: ProcessorDeps,
  task: TaskRecord,
  refusal: ScanmqError | undefined,
): Promise<TaskRecord | undefined> {
  const { tasks } = deps.queue;
  const completed_at = deps.now().toISOString();
  if (refusal) {
    return await tasks.transition(task.task_id, 'failed', {
      completed_at,
      error: { code: refusal.code, message: refusal.message, retryable: false },
    });
  }
  if (mayHaveScan(task)) return undefined;
  if (task.cancel_requested) {
    return await tasks.transition(task.task_id, 'cancelled', {
      completed_at,
      error: { code: 'cancelled', message: cancelMessage(task.cancel_requested.reason), retryable: false },
    });
  }
  if (task.deadline_at !== null && Date.parse(task.deadline_at) <= deps.now().getTime()) {
    return await tasks.transition(task.task_id, 'timeout', {
      completed_at,
      error: { code: 'timeout', message: timeoutMessage(task, 'no scanner was free'), retryable: false },
    });
  }
  return undefined;
}
