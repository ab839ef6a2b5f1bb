import type { Redis } from 'ioredis';
import type { Keys } from './keys.js';

/** Which scans of followed folders were looked at, so that only changed ones are asked about again. */
export interface FollowedScans {
  /** Last change that was looked at, epoch seconds of the scanner, by scan id. */
  seen(instanceKey: string): Promise<ReadonlyMap<number, number>>;
  mark(instanceKey: string, scanId: number, changedAt: number): Promise<void>;
}

export function createFollowedScans(redis: Redis, keys: Keys): FollowedScans {
  return {
    async seen(instanceKey) {
      const fields = await redis.hgetall(keys.followed(instanceKey));
      return new Map(
        Object.entries(fields).map(([scanId, changedAt]) => [Number(scanId), Number(changedAt)]),
      );
    },
    async mark(instanceKey, scanId, changedAt) {
      await redis.hset(keys.followed(instanceKey), String(scanId), String(changedAt));
    },
  };
}
