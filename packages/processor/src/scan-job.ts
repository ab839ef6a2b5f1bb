/**
 * What one scan job does: assign → find or create → launch → watch → export → ingest → finish. Each step reads the
 * checkpoint, does nothing if its work is done, and records before the effect that must not happen twice. After a
 * crash, a restart or a lost lock the next run goes on with the same scan on the scanner.
 */
import { randomUUID } from 'node:crypto';
import { type Checkpoint, isTerminal, ScanmqError, type TaskRecord, toScanmqError } from '@scanmq/contract';
import {
  cancelMessage,
  NotOwnerError,
  nextGeneration,
  reopenTask,
  type ScanJobData,
  type ScanJobOutcome,
  type TaskChange,
} from '@scanmq/queue';
import { DelayedError, type Job, UnrecoverableError, WaitingError } from 'bullmq';
import { collectResults } from './collect-results.js';
import { findOrCreateScan } from './create-scan.js';
import { assignableInstances } from './fleet.js';
import {
  createInterrupts,
  Interruption,
  type InterruptionKind,
  type Interrupts,
  interruptionOf,
} from './interruption.js';
import { launchScan } from './launch-scan.js';
import type { ProcessorDeps, RunContext } from './run-context.js';
import { stopScan } from './stop-scan.js';
import { watchScan } from './watch-scan.js';

export type ScanJob = Job<ScanJobData, ScanJobOutcome, 'scan'>;

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

  const instanceKey = await bind(deps, task);
  if (instanceKey === undefined) {
    await job.moveToDelayed(Date.now() + Math.min(FULL_RETRY_MS, deps.settings.pollIntervalMs), token);
    throw new DelayedError();
  }
  const runToken = randomUUID();
  const begun = await tasks.beginRun(task.task_id, runToken, job.attemptsMade + 1);
  if (!begun.begun) return await repeatOutcome(deps, await tasks.get(task.task_id));
  return await ownTask(deps, job, token, interrupts, { task, runToken, instanceKey, crashes: begun.crashes });
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

/** Binds the task to a scanner: to the one that has its scan, if there is one. @returns undefined when all are full. */
async function bind(deps: ProcessorDeps, task: TaskRecord): Promise<`${string}:${string}` | undefined> {
  const { registry, queue } = deps;
  const all = registry.instances(task.scanner_pool);
  const holder =
    task.checkpoint?.create_intent_at === undefined
      ? undefined
      : all.find((instance) => instance.instanceKey === task.checkpoint?.instance_key);
  const allowed = all.filter(
    (instance) => task.pinned_instance === null || instance.instanceId === task.pinned_instance,
  );
  const candidates = holder ? [holder] : assignableInstances(allowed, await queue.health.all());
  return await queue.bindings.bind(
    task.task_id,
    candidates.map((instance) => ({ instanceKey: instance.instanceKey, limit: instance.maxConcurrentScans })),
  );
}

async function releaseAll(deps: ProcessorDeps, task: TaskRecord): Promise<void> {
  await deps.queue.bindings.release(task.task_id);
  await deps.queue.credentials.delete(task.task_id);
}

interface OwnedTask {
  readonly task: TaskRecord;
  readonly runToken: string;
  readonly instanceKey: `${string}:${string}`;
  readonly crashes: number;
}

/** The body of a run, and its end in whichever way. */
async function ownTask(
  deps: ProcessorDeps,
  job: ScanJob,
  token: string,
  interrupts: Interrupts,
  owned: OwnedTask,
): Promise<ScanJobOutcome> {
  const { tasks, health } = deps.queue;
  const { runToken, instanceKey } = owned;
  const before = owned.task;
  // a scan on an instance that is no longer configured cannot be followed: a new one is made elsewhere
  const moved = before.checkpoint !== null && before.checkpoint.instance_key !== instanceKey;
  let checkpoint: Checkpoint = {
    ...(moved ? nextGeneration(before) : before.checkpoint),
    generation: (moved ? nextGeneration(before) : before.checkpoint)?.generation ?? 1,
    instance_key: instanceKey,
  };
  const startedAt = before.started_at ?? deps.now().toISOString();
  const deadlineAt = before.deadline_at ?? new Date(Date.parse(startedAt) + before.timeout_ms).toISOString();
  const begin: TaskChange = {
    started_at: startedAt,
    deadline_at: deadlineAt,
    scanner_instance: instanceKey.slice(before.scanner_pool.length + 1),
    checkpoint,
    simulator: before.simulator || ((await health.get(instanceKey))?.simulator ?? false),
  };
  if (before.state === 'queued')
    await tasks.transition(before.task_id, 'running', { ...begin, error: null }, { runToken });
  else await tasks.update(before.task_id, begin, { runToken });

  const log = deps.log.child({ task_id: before.task_id, trace_id: before.trace_id, instance: instanceKey });
  let shown = { progress: before.progress, status: before.scanner_status };
  const deadline = new AbortController();
  // setTimeout holds 24.8 days at most, the limit of a scan is below
  const timer = setTimeout(
    () => deadline.abort(new Interruption('deadline')),
    Math.max(0, Date.parse(deadlineAt) - Date.now()),
  );
  const contextWith = (signal: AbortSignal): RunContext => ({
    deps,
    task: before,
    scanner: deps.registry.scanner(instanceKey),
    signal,
    log,
    checkpoint: () => checkpoint,
    async save(change) {
      const next = { ...checkpoint, ...change };
      // whatever was achieved shows that the task does not crash its worker
      await tasks.update(before.task_id, { checkpoint: next, crashes: 0 }, { runToken });
      checkpoint = next;
    },
    async report(progressPercent, status) {
      const progress = Math.max(shown.progress, Math.floor(progressPercent));
      if (progress === shown.progress && status === shown.status) return;
      shown = { progress, status };
      await tasks.update(before.task_id, { progress, scanner_status: status }, { runToken });
      await job.updateProgress({ percent: progress, scanner_status: status, instance: instanceKey });
    },
    note: async (line) => {
      await job.log(`${deps.now().toISOString()} ${line}`);
    },
  });
  const ctx = contextWith(AbortSignal.any([interrupts.any, deadline.signal]));
  // what has to be stopped on the scanner is stopped even though the run itself is over, but not beyond our lock
  const windDown = contextWith(interrupts.final);

  try {
    log.info({ event: 'run.begun', attempt: job.attemptsMade + 1, crashes: owned.crashes }, 'run begun');
    if (owned.crashes >= deps.settings.maxCrashes) {
      throw new ScanmqError(
        'crashed_repeatedly',
        `The task was given up after ${owned.crashes} runs in a row that ended without a word: it crashes its worker.`,
      );
    }
    if ((await tasks.get(before.task_id)).cancel_requested) throw new Interruption('cancel');
    const scanId = await findOrCreateScan(ctx);
    await launchScan(ctx, scanId);
    await watchScan(ctx, scanId);
    const result = await collectResults(ctx, scanId);
    const finished = await tasks.transition(
      before.task_id,
      'completed',
      {
        completed_at: deps.now().toISOString(),
        progress: 100,
        error: null,
        run_token: null,
        authentication_status: result.authenticationStatus,
        validation_warnings: [...result.warnings],
        results_summary: result.summary,
        troubleshooting: result.troubleshooting,
      },
      { runToken },
    );
    await releaseAll(deps, finished);
    await deps.queue.rememberDuration(
      before.scanner_pool,
      Date.parse(finished.completed_at ?? startedAt) - Date.parse(startedAt),
    );
    log.info({ event: 'task.completed', findings: result.summary.total_findings }, 'task completed');
    await ctx.note(
      `Completed: ${result.summary.total_findings} findings on ${result.summary.hosts_scanned} hosts.`,
    );
    return { outcome: 'completed', total_findings: result.summary.total_findings };
  } catch (thrown) {
    return await endRun(thrown);
  } finally {
    clearTimeout(timer);
  }

  async function endRun(thrown: unknown): Promise<ScanJobOutcome> {
    const kind =
      thrown instanceof NotOwnerError
        ? 'lock_lost'
        : thrown instanceof Interruption
          ? thrown.kind
          : (interruptionOf(ctx.signal) ?? undefined);
    switch (kind) {
      case 'lock_lost':
      case 'superseded':
        log.warn(
          { event: 'run.lost', kind },
          'another run owns the task; this one ends without touching anything',
        );
        throw new Error(`run ended: ${kind}`);
      case 'shutdown':
        return await handOver();
      case 'cancel':
      case 'deadline':
        return await stopAndEnd(kind);
      default:
        return await endWithError(toScanmqError(thrown), thrown);
    }
  }

  /** Gives the job to another worker; the scan goes on, no attempt is used up. */
  async function handOver(): Promise<never> {
    await tasks.update(before.task_id, { run_token: null }, { runToken });
    if (job.opts.priority) await job.changePriority({ priority: 0 });
    await job.moveToWait(token);
    log.info({ event: 'run.handed_over' }, 'job handed over');
    throw new WaitingError();
  }

  async function stopAndEnd(kind: 'cancel' | 'deadline'): Promise<ScanJobOutcome> {
    let stopped = 'and stopped on the scanner';
    try {
      if (!(await stopScan(windDown)) && checkpoint.run_uuid !== undefined)
        stopped = 'but the scanner did not confirm that it stopped';
    } catch (error) {
      const ended = error instanceof NotOwnerError ? 'lock_lost' : interruptionOf(windDown.signal);
      if (ended === 'shutdown') return await handOver();
      if (ended !== undefined) throw new Error(`run ended: ${ended}`);
      log.warn({ event: 'scan.stop_failed', err: error }, 'the scan could not be stopped on the scanner');
      stopped = 'but the scan could not be stopped on the scanner';
    }
    const completedAt = deps.now().toISOString();
    if (kind === 'cancel') {
      const reason = (await tasks.get(before.task_id)).cancel_requested?.reason ?? '';
      const ended = await tasks.transition(
        before.task_id,
        'cancelled',
        {
          completed_at: completedAt,
          run_token: null,
          error: { code: 'cancelled', message: cancelMessage(reason), retryable: false },
        },
        { runToken },
      );
      await releaseAll(deps, ended);
      log.info({ event: 'task.cancelled' }, 'task cancelled');
      return { outcome: 'cancelled' };
    }
    const hours = before.timeout_ms / 3_600_000;
    const message = `The time limit of ${Number(hours.toFixed(4))} h passed; the scan was given up ${stopped}.`;
    const ended = await tasks.transition(
      before.task_id,
      'timeout',
      { completed_at: completedAt, run_token: null, error: { code: 'timeout', message, retryable: false } },
      { runToken },
    );
    await releaseAll(deps, ended);
    log.warn({ event: 'task.timeout' }, 'task timed out');
    throw new UnrecoverableError(`timeout: ${message}`);
  }

  async function endWithError(error: ScanmqError, thrown: unknown): Promise<never> {
    const attempt = job.attemptsMade + 1;
    const again = error.retryable !== 'no' && attempt < (job.opts.attempts ?? 1);
    const facts = { code: error.code, message: error.message, retryable: error.retryable !== 'no' };
    log[again ? 'warn' : 'error'](
      {
        event: again ? 'attempt.failed' : 'task.failed',
        code: error.code,
        attempt,
        err: error.code === 'internal' ? thrown : error,
      },
      again ? 'attempt failed, another follows' : 'task failed',
    );
    await ctx.note(`${again ? 'Attempt failed' : 'Failed'}: ${error.code}: ${error.message}`);
    // an aborted scan is over: the next attempt makes a new one. Any other is kept, and followed or exported again
    const next = error.code === 'scan_aborted' ? nextGeneration({ ...before, checkpoint }) : checkpoint;
    if (again) {
      await tasks.transition(
        before.task_id,
        'queued',
        { error: facts, run_token: null, checkpoint: next },
        { runToken },
      );
      if (next?.create_intent_at === undefined) await deps.queue.bindings.release(before.task_id);
      throw error;
    }
    if (error.code !== 'scan_aborted' && error.code !== 'export_failed' && error.code !== 'invalid_export')
      await stopQuietly();
    const ended = await tasks.transition(
      before.task_id,
      'failed',
      { completed_at: deps.now().toISOString(), error: facts, run_token: null },
      { runToken },
    );
    await releaseAll(deps, ended);
    throw new UnrecoverableError(`${error.code}: ${error.message}`);
  }

  /** Leaves no scan running for a task that nobody follows any more; a scanner that is away cannot be told. */
  async function stopQuietly(): Promise<void> {
    const bounded = contextWith(
      AbortSignal.any([windDown.signal, AbortSignal.timeout(STOP_AFTER_FAILURE_MS)]),
    );
    try {
      await stopScan(bounded);
    } catch (error) {
      if (error instanceof NotOwnerError) throw error;
      log.warn({ event: 'scan.stop_failed', err: error }, 'the scan could not be stopped on the scanner');
    }
  }
}

const STOP_AFTER_FAILURE_MS = 30_000;
