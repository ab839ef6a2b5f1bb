/**
 * The backstop, run every minute by one worker at a time: whatever a crash left between two steps is put right.
 */
import { isTerminal, type TaskRecord } from '@scanmq/contract';
import { agedPriority, effectivePriority, jobPriority } from './priority.js';
import type { Queues } from './queues.js';
import { rerunJob } from './retry.js';
import type { TaskStore } from './task-store.js';

export interface SweepDeps {
  readonly tasks: TaskStore;
  readonly queues: Queues;
  /** Asks whichever process runs the task to look at its deadline. */
  readonly publishLook: (taskId: string) => Promise<void>;
  /** A waiting task counts as the next higher priority after so long. */
  readonly ageingMs: number;
  /** Begins the rounds of fairness of a queue anew; called for queues in which nothing waits. */
  readonly resetRounds: (queue: string) => Promise<void>;
  readonly now: () => Date;
}

export interface SweepReport {
  /** Tasks that had no job, or one that had ended without them; they have one again. */
  readonly requeued: readonly string[];
  /** Tasks past their deadline; they were woken. */
  readonly overdue: readonly string[];
  /** Tasks that have waited so long that they count as a higher priority now. */
  readonly aged: readonly string[];
}

/** A submission in progress has its record for a moment before it has its job. */
const SETTLE_MS = 5_000;
const BATCH = 200;

export async function sweep(deps: SweepDeps): Promise<SweepReport> {
  const requeued: string[] = [];
  const overdue: string[] = [];
  const aged: string[] = [];
  for (const state of ['queued', 'running'] as const) {
    let cursor: string | undefined;
    for (;;) {
      const ids = await deps.tasks.idsByCreation(cursor, BATCH, state);
      // at once: their commands travel together
      await Promise.all(
        (await deps.tasks.getMany(ids)).map(async (task) => {
          if (!task) return;
          if (await repairJob(deps, task)) requeued.push(task.task_id);
          if (await wakeOverdue(deps, task)) overdue.push(task.task_id);
          if (await age(deps, task)) aged.push(task.task_id);
        }),
      );
      cursor = ids.at(-1);
      if (ids.length < BATCH) break;
    }
  }
  for (const queue of deps.queues.all()) {
    const counts = await queue.getJobCounts('wait', 'prioritized', 'delayed', 'active');
    if (Object.values(counts).every((count) => count === 0)) await deps.resetRounds(queue.name);
  }
  return { requeued, overdue, aged };
}

async function age(deps: SweepDeps, task: TaskRecord): Promise<boolean> {
  if (task.state !== 'queued' || task.imported) return false;
  const priority = agedPriority(task, deps.ageingMs, deps.now());
  if (priority === effectivePriority(task)) return false;
  await deps.tasks.update(task.task_id, { effective_priority: priority });
  const job = await deps.queues.forTask(task).getJob(task.task_id);
  await job?.changePriority({ priority: jobPriority({ ...task, effective_priority: priority }) });
  return true;
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
  if (!latest || isTerminal(latest.state)) return false;
  return await rerunJob(job);
}

async function wakeOverdue(deps: SweepDeps, task: TaskRecord): Promise<boolean> {
  if (task.deadline_at === null || Date.parse(task.deadline_at) > deps.now().getTime()) return false;
  const job = await deps.queues.forTask(task).getJob(task.task_id);
  if ((await job?.getState()) === 'delayed') await job?.promote().catch(() => undefined);
  await deps.publishLook(task.task_id);
  return true;
}
