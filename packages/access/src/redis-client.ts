import { Cluster, type Redis } from 'ioredis';

/** A connection to Redis, whatever stands behind it: one server, the master that Sentinels name, or a Cluster. */
export type RedisClient = Redis | Cluster;

/** A connection of its own to the same place, that waits for Redis as long as it takes: for what only listens. */
export function listenerOf(redis: RedisClient): RedisClient {
  return redis instanceof Cluster
    ? redis.duplicate([], { enableOfflineQueue: true, redisOptions: { maxRetriesPerRequest: null } })
    : redis.duplicate({ enableOfflineQueue: true, maxRetriesPerRequest: null });
}
