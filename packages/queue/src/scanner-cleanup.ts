/** Tasks whose scans are to be deleted on their scanner: noted before they end, so that no crash forgets one. */

import type { Keys } from './keys.js';
import type { RedisClient } from './redis-client.js';

export interface ScannerCleanup {
  note(taskId: string): Promise<void>;
  pending(): Promise<readonly string[]>;
  done(taskId: string): Promise<void>;
}

export function createScannerCleanup(redis: RedisClient, keys: Keys): ScannerCleanup {
  return {
    async note(taskId) {
      await redis.sadd(keys.scannerCleanup, taskId);
    },
    pending: () => redis.smembers(keys.scannerCleanup),
    async done(taskId) {
      await redis.srem(keys.scannerCleanup, taskId);
    },
  };
}
