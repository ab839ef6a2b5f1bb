/** How long a waiting task will wait, from what the last scans of its pool took. */

import type { Keys } from './keys.js';
import type { RedisClient } from './redis-client.js';

/** Scans remembered for the estimate. */
const REMEMBERED_SCANS = 50;
const MS_PER_MINUTE = 60_000;

/** Remembers how long a scan took, for the estimates of its pool. */
export async function rememberDuration(
  redis: RedisClient,
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

/**
 * What a scan of a pool takes: the median of recent ones. Before the first has ended, as long as the longest that runs
 * has run by now, which is the least it can take.
 * @param runningForMs how long each running scan of the pool has run.
 * @returns undefined when nothing is known.
 */
export function typicalDuration(
  recentMs: readonly number[],
  runningForMs: readonly number[],
): number | undefined {
  const sorted = [...recentMs].sort((a, b) => a - b);
  const median = sorted[Math.floor(sorted.length / 2)];
  return median ?? (runningForMs.length === 0 ? undefined : Math.max(...runningForMs));
}

export async function recentDurations(
  redis: RedisClient,
  keys: Keys,
  pool: string,
): Promise<readonly number[]> {
  return (await redis.lrange(keys.durations(pool), 0, -1)).map(Number);
}

/**
 * Plays the queue forward: whenever a slot gets free, the next begins and takes as long as usual.
 * @param position 1 = next.
 * @param capacity slots of the pool.
 * @param runningForMs how long each running scan has run; one that is overdue is expected to end any moment.
 * @returns minutes until the task begins, with one decimal; undefined when there is no slot at all.
 */
export function estimateWaitMinutes(
  position: number,
  capacity: number,
  runningForMs: readonly number[],
  typicalMs: number,
): number | undefined {
  if (capacity <= 0) return undefined;
  if (position <= capacity - runningForMs.length) return 0;
  // when each slot gets free next
  const free = runningForMs
    .map((ranMs) => Math.max(0, typicalMs - ranMs))
    .sort((a, b) => b - a)
    .slice(0, capacity);
  while (free.length < capacity) free.unshift(0);
  free.sort((a, b) => a - b);
  // all slots once around take `typicalMs`, whatever their order
  const rounds = Math.floor((position - 1) / capacity);
  const waitMs = (free[(position - 1) % capacity] ?? 0) + rounds * typicalMs;
  return Math.round((waitMs / MS_PER_MINUTE) * 10) / 10;
}
