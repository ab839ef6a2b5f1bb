import { Cluster, type ClusterOptions, type Redis, type RedisOptions } from 'ioredis';

/** A connection to Redis, whatever stands behind it: one server, the master that Sentinels name, or a Cluster. */
export type RedisClient = Redis | Cluster;

/** Options of one server's connection that another connection like this one has instead. */
type Overrides = Pick<RedisOptions, 'maxRetriesPerRequest'> & Pick<ClusterOptions, 'enableOfflineQueue'>;

export function isCluster(redis: RedisClient): redis is Cluster {
  return redis instanceof Cluster;
}

/** All servers that hold keys; in a Cluster, those that are masters now. */
export function serversOf(redis: RedisClient): readonly Redis[] {
  return isCluster(redis) ? redis.nodes('master') : [redis];
}

/** The server that holds a key. In a Cluster, the only one that can be asked how the service fares there. */
export async function serverOf(redis: RedisClient, key: string): Promise<Redis> {
  if (!isCluster(redis)) return redis;
  const slot = Number(await redis.cluster('KEYSLOT', key));
  const [name] = redis.slots[slot] ?? [];
  const server = redis.nodes('master').find(({ options }) => `${options.host}:${options.port}` === name);
  if (!server) throw new Error(`CLUSTERDOWN no master holds the slot of ${key}`);
  return server;
}

/** A further connection to the same place: for what blocks, or only listens. */
export function duplicateOf(redis: RedisClient, overrides: Overrides): RedisClient {
  if (!isCluster(redis)) return redis.duplicate(overrides);
  const { enableOfflineQueue, ...ofNodes } = overrides;
  return redis.duplicate([], {
    ...(enableOfflineQueue === undefined ? {} : { enableOfflineQueue }),
    redisOptions: ofNodes,
  });
}
