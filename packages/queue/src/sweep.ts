/**
 * The backstop, run every minute by one worker at a time: whatever a crash left between two steps is put right.
 */
import type { TaskRecord } from '@scanmq/contract';
import type { Queues } from './queues.js';
import type { TaskStore } from './task-store.js';

export interface SweepDeps {
  readonly tasks: TaskStore;
  readonly queues: Queues;
  /** Asks whichever process runs the task to look at its deadline. */
  readonly publishLook: (taskId: string) => Promise<void>;
  readonly now: () => Date;
}

export interface SweepReport {
  /** Tasks that had no job, or one that had ended without them; they have one again. */
  readonly requeued: readonly string[];
  /** Tasks past their deadline; they were woken. */
  readonly overdue: readonly string[];
}

/** A submission in progress has its record for a moment before it has its job. */
const SETTLE_MS = 5_000;
const BATCH = 200;

export async function sweep(deps: SweepDeps): Promise<SweepReport> {
  const requeued: string[] = [];
  const overdue: string[] = [];
  for (const state of ['queued', 'running'] as const) {
    let cursor: string | undefined;
    for (;;) {
      const ids = await deps.tasks.idsByCreation(cursor, BATCH, state);
      for (const task of await deps.tasks.getMany(ids)) {
        if (!task) continue;
        if (await repairJob(deps, task)) requeued.push(task.task_id);
        if (await wakeOverdue(deps, task)) overdue.push(task.task_id);
      }
      cursor = ids.at(-1);
      if (ids.length < BATCH) break;
    }
  }
  return { requeued, overdue };
}

async function repairJob(deps: SweepDeps, task: TaskRecord): Promise<boolean> {
  if (deps.now().getTime() - Date.parse(task.created_at) < SETTLE_MS) return false;
  const queue = deps.queues.forTask(task);
  const job = await queue.getJob(task.task_id);
  if (!job) {
    await deps.queues.add(task);
    return true;
  }
  const state = await job.getState();
  if (state !== 'failed' && state !== 'completed') return false;
  // read again: the task may have ended between the two looks
  const latest = await deps.tasks.find(task.task_id);
  if (!latest || (latest.state !== 'queued' && latest.state !== 'running')) return false;
  await job.retry(state, { resetAttemptsMade: true });
  return true;
}

async function wakeOverdue(deps: SweepDeps, task: TaskRecord): Promise<boolean> {
  if (task.deadline_at === null || Date.parse(task.deadline_at) > deps.now().getTime()) return false;
  const job = await deps.queues.forTask(task).getJob(task.task_id);
  if ((await job?.getState()) === 'delayed') await job?.promote().catch(() => undefined);
  await deps.publishLook(task.task_id);
  return true;
}
