import { ScanmqError } from '@scanmq/contract';
import type { Keys } from './keys.js';
import type { RedisClient } from './redis-client.js';

/** A replica that needs longer is as good as away; the submission is answered meanwhile. */
const WAIT_MS = 300;

export interface Replication {
  /**
   * Waits until what was written before, by whomever, is on enough replicas: a master that dies then takes nothing of
   * it along. Does nothing where none are asked for.
   * @throws ScanmqError `unavailable` when it is not: what was written may survive, or not. Repeating the request with the
   *   same idempotency key finds it, or makes it anew.
   */
  confirm(what: string): Promise<void>;
}

/** @param replicas `REDIS_WAIT_REPLICAS`. */
export function createReplication(redis: RedisClient, keys: Keys, replicas: number): Replication {
  return {
    async confirm(what) {
      if (replicas === 0) return;
      // WAIT tells of the last write of its own connection: this one comes after all others, also those of a replay. In a
      // Cluster a pipeline goes to the one node that has its keys, and WAIT with it.
      const answers = await redis.pipeline().set(keys.replicated, Date.now()).wait(replicas, WAIT_MS).exec();
      const [error, reached] = answers?.[1] ?? [];
      if (error) throw error;
      if (Number(reached) >= replicas) return;
      throw new ScanmqError(
        'unavailable',
        `${what} was accepted, but is on ${Number(reached)} of ${replicas} replicas of Redis only, and could be lost with its master. Repeat the request with the same idempotency key until it is answered without an error.`,
        { retryAfterSeconds: 1 },
      );
    },
  };
}
