import type { QueueStatus, TaskRecord } from '@scanmq/contract';
import type { Redis } from 'ioredis';
import type { Keys } from './keys.js';
import type { QueuedTask, Queues, ScanQueue } from './queues.js';
import type { TaskStore } from './task-store.js';

/** Scans remembered for the estimate. */
const REMEMBERED_SCANS = 50;
/** Assumed for the first scans of a pool; the earlier version used it for all. */
const ASSUMED_SCAN_MS = 15 * 60_000;
const SHOWN_TASKS = 5;
const MS_PER_MINUTE = 60_000;

export interface QueueStatusDeps {
  readonly redis: Redis;
  readonly keys: Keys;
  readonly queues: Queues;
  readonly tasks: TaskStore;
  readonly now: () => Date;
}

/** Remembers how long a scan took, for the estimates of its pool. */
export async function rememberDuration(
  redis: Redis,
  keys: Keys,
  pool: string,
  durationMs: number,
): Promise<void> {
  await redis
    .pipeline()
    .lpush(keys.durations(pool), Math.round(durationMs))
    .ltrim(keys.durations(pool), 0, REMEMBERED_SCANS - 1)
    .exec();
}

/** Median duration of recent scans of the pool, milliseconds. */
export async function typicalDurationMs(redis: Redis, keys: Keys, pool: string): Promise<number> {
  const durations = (await redis.lrange(keys.durations(pool), 0, -1)).map(Number).sort((a, b) => a - b);
  return durations[Math.floor(durations.length / 2)] ?? ASSUMED_SCAN_MS;
}

/**
 * How long a task waits, in minutes: the scans before it, in rounds of as many as fit at once.
 * @param position 1 = next.
 */
export function estimateWaitMinutes(
  position: number,
  capacity: number,
  running: number,
  typicalMs: number,
): number {
  const waitsFor = position - Math.max(0, capacity - running);
  if (waitsFor <= 0) return 0;
  const minutes = (Math.ceil(waitsFor / Math.max(1, capacity)) * typicalMs) / MS_PER_MINUTE;
  return Math.round(minutes * 10) / 10;
}

/** Ids that wait in a queue in the order in which they are served. */
async function waitingIds(redis: Redis, queue: ScanQueue, count: number): Promise<readonly string[]> {
  // handed-over jobs are in the plain list, served first and from its end; all others are prioritised
  const plain = await redis.lrange(queue.toKey('wait'), -count, -1);
  const prioritised = await redis.zrange(queue.toKey('prioritized'), 0, String(count - 1));
  return [...plain.reverse(), ...prioritised].slice(0, count);
}

/** Place of a task among those that wait, 1 = next; null when it does not wait there. */
export async function queuePosition(
  deps: Pick<QueueStatusDeps, 'redis' | 'queues'>,
  task: QueuedTask & Pick<TaskRecord, 'task_id'>,
): Promise<number | null> {
  const queue = deps.queues.forTask(task);
  const [plain, fromEnd, rank] = await Promise.all([
    deps.redis.llen(queue.toKey('wait')),
    deps.redis.lpos(queue.toKey('wait'), task.task_id),
    deps.redis.zrank(queue.toKey('prioritized'), task.task_id),
  ]);
  if (fromEnd !== null) return plain - fromEnd;
  return rank === null ? null : plain + rank + 1;
}

/** The state of a pool's queues (tool `get_queue_status`). @param capacity scans that the pool runs at once. */
export async function queueStatus(
  deps: QueueStatusDeps,
  pool: string,
  capacity: number,
): Promise<QueueStatus> {
  const { redis, keys, tasks, now } = deps;
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
  const shown = (await tasks.getMany(next.slice(0, SHOWN_TASKS))).filter((task) => task !== undefined);
  const oldest = await oldestWaiting(deps, pool);
  const typicalMs = await typicalDurationMs(redis, keys, pool);
  return {
    pool,
    queue_depth: sum.waiting,
    running: sum.active,
    delayed: sum.delayed,
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
    estimated_wait_minutes: estimateWaitMinutes(sum.waiting + 1, capacity, sum.active, typicalMs),
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
