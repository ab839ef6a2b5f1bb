import type { Keys } from './keys.js';
import type { RedisClient } from './redis-client.js';

/** How far a scan of a followed folder was collected. */
export interface FollowedMark {
  /** Its last change that was looked at, epoch seconds of the scanner: only changed scans are asked about again. */
  readonly changedAt: number;
  /** The last of its runs that was collected; 0 for none. */
  readonly historyId: number;
}

export interface FollowedScans {
  /** By scan id. */
  seen(instanceKey: string): Promise<ReadonlyMap<number, FollowedMark>>;
  mark(instanceKey: string, scanId: number, mark: FollowedMark): Promise<void>;
}

export function createFollowedScans(redis: RedisClient, keys: Keys): FollowedScans {
  return {
    async seen(instanceKey) {
      const fields = await redis.hgetall(keys.followed(instanceKey));
      return new Map(
        Object.entries(fields).map(([scanId, text]) => {
          const [changedAt = 0, historyId = 0] = text.split(' ').map(Number);
          return [Number(scanId), { changedAt, historyId }];
        }),
      );
    },
    async mark(instanceKey, scanId, { changedAt, historyId }) {
      await redis.hset(keys.followed(instanceKey), String(scanId), `${changedAt} ${historyId}`);
    },
  };
}
