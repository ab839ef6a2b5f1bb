import type { QueueStatus, TaskRecord } from '@scanmq/contract';
import type { Keys, QueuedTask } from './keys.js';
import { jobPriority } from './priority.js';
import type { Queues, ScanQueue } from './queues.js';
import type { RedisClient } from './redis-client.js';
import type { TaskStore } from './task-store.js';
import { estimateWaitMinutes, recentDurations, typicalDuration } from './wait-estimate.js';
import type { WaitingRoom } from './waiting-room.js';

const SHOWN_TASKS = 5;
/** BullMQ orders prioritised jobs by priority and, within one, by a counter of this size (its `getPriorityScore`). */
const PRIORITY_SCALE = 0x100000000;
/** Running tasks looked at for an estimate; no fleet has more slots. */
const MOST_RUNNING = 2_000;

export interface QueueStatusDeps {
  readonly redis: RedisClient;
  readonly keys: Keys;
  readonly queues: Queues;
  readonly tasks: TaskStore;
  readonly waitingRoom: WaitingRoom;
  readonly now: () => Date;
}

/** What runs in a pool, for estimates. */
export interface PoolPace {
  readonly runningForMs: readonly number[];
  /** Undefined when nothing is known. */
  readonly typicalMs: number | undefined;
}

/** @returns how long the scans of the pool take, and how long those that run have run. */
export async function poolPace(
  { redis, keys, tasks, now }: Pick<QueueStatusDeps, 'redis' | 'keys' | 'tasks' | 'now'>,
  pool: string,
): Promise<PoolPace> {
  const running = await tasks.getMany(await tasks.idsByCreation(undefined, MOST_RUNNING, 'running'));
  const runningForMs = running
    .filter((task) => task?.scanner_pool === pool && task.imported === null)
    .map((task) => Math.max(0, now().getTime() - Date.parse(task?.started_at ?? now().toISOString())));
  return {
    runningForMs,
    typicalMs: typicalDuration(await recentDurations(redis, keys, pool), runningForMs),
  };
}

/** Minutes until a task at this place begins; null when nothing is known yet. */
export function waitMinutes(position: number, capacity: number, pace: PoolPace): number | null {
  if (position <= capacity - pace.runningForMs.length) return 0;
  if (pace.typicalMs === undefined) return null;
  return estimateWaitMinutes(position, capacity, pace.runningForMs, pace.typicalMs) ?? null;
}

/** Ids that wait in a queue in the order in which they are served. */
async function waitingIds(redis: RedisClient, queue: ScanQueue, count: number): Promise<readonly string[]> {
  // handed-over jobs are in the plain list, served first and from its end; all others are prioritised
  const plain = await redis.lrange(queue.toKey('wait'), -count, -1);
  const prioritised = await redis.zrange(queue.toKey('prioritized'), 0, String(count - 1));
  return [...plain.reverse(), ...prioritised].slice(0, count);
}

/**
 * Place of a task among those that wait, 1 = next; null when it does not wait there. Those that are held back count
 * where they would stand, for they are served before others as soon as they can be.
 */
export async function queuePosition(
  deps: Pick<QueueStatusDeps, 'redis' | 'queues' | 'waitingRoom'>,
  task: QueuedTask & Pick<TaskRecord, 'task_id' | 'priority' | 'effective_priority' | 'fair_round'>,
): Promise<number | null> {
  const { redis, waitingRoom } = deps;
  const queue = deps.queues.forTask(task);
  const priority = jobPriority(task);
  // one round trip: every submission is answered with it
  const questions = redis
    .pipeline()
    .llen(queue.toKey('wait'))
    .lpos(queue.toKey('wait'), task.task_id)
    .zrank(queue.toKey('prioritized'), task.task_id)
    .zcount(queue.toKey('prioritized'), '-inf', `(${priority * PRIORITY_SCALE}`);
  const answers = await waitingRoom.askPlace(questions, task, priority).exec();
  const [plain, fromEnd, rank, before, parked, parkedBefore] = (answers ?? []).map(([error, answer]) => {
    if (error) throw error;
    return answer as number | null;
  });
  const ahead = plain ?? 0;
  if (fromEnd != null) return ahead - fromEnd;
  if (rank != null) return ahead + rank + (parkedBefore ?? 0) + 1;
  return parked == null ? null : ahead + (before ?? 0) + parked + 1;
}

/** The state of a pool's queues (tool `get_queue_status`). @param capacity scans that the pool runs at once. */
export async function queueStatus(
  deps: QueueStatusDeps,
  pool: string,
  capacity: number,
): Promise<QueueStatus> {
  const { redis, tasks, now } = deps;
  const sum = { waiting: 0, active: 0, delayed: 0, failed: 0 };
  const next: string[] = [];
  for (const queue of deps.queues.ofPool(pool)) {
    const counts = await queue.getJobCounts('wait', 'prioritized', 'active', 'delayed', 'failed');
    sum.waiting += (counts.wait ?? 0) + (counts.prioritized ?? 0);
    sum.active += counts.active ?? 0;
    sum.delayed += counts.delayed ?? 0;
    sum.failed += counts.failed ?? 0;
    next.push(...(await waitingIds(redis, queue, SHOWN_TASKS)));
  }
  const heldBack = await deps.waitingRoom.count(pool);
  const shown = (await tasks.getMany(next.slice(0, SHOWN_TASKS))).filter((task) => task !== undefined);
  const oldest = await oldestWaiting(deps, pool);
  const pace = await poolPace(deps, pool);
  return {
    pool,
    queue_depth: sum.waiting + heldBack,
    running: sum.active,
    delayed: Math.max(0, sum.delayed - heldBack),
    held_back: heldBack,
    dlq_size: sum.failed,
    next_tasks: shown.map((task) => ({
      task_id: task.task_id,
      name: task.name,
      targets: task.targets.slice(0, 200),
      waiting_since: task.created_at,
    })),
    oldest_waiting_seconds:
      oldest === undefined
        ? 0
        : Math.max(0, Math.round((now().getTime() - Date.parse(oldest.created_at)) / 1000)),
    estimated_wait_minutes: waitMinutes(sum.waiting + heldBack + 1, capacity, pace),
    timestamp: now().toISOString(),
  };
}

async function oldestWaiting(
  { redis, keys, tasks }: QueueStatusDeps,
  pool: string,
): Promise<TaskRecord | undefined> {
  const batch = 100;
  for (let from = 0; from < 2_000; from += batch) {
    const ids = await redis.zrange(keys.byState('queued'), from, String(from + batch - 1));
    const found = (await tasks.getMany(ids)).find((task) => task?.scanner_pool === pool);
    if (found || ids.length < batch) return found;
  }
  return undefined;
}
