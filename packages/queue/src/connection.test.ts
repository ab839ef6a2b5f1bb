import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { type LocalRedis, startLocalRedis } from '@scanmq/local-redis';
import { until } from '@scanmq/testkit';
import { Redis } from 'ioredis';
import { type ConnectionRole, connectRedis, isRedisAway } from './connection.js';
import type { RedisClient } from './redis-client.js';

let server: LocalRedis;
let administrator: Redis;
const told: string[] = [];

beforeAll(async () => {
  server = await startLocalRedis();
  administrator = new Redis(server.url);
});
afterAll(async () => {
  administrator.disconnect();
  await server.stop();
});

const connect = async (role: ConnectionRole): Promise<RedisClient> =>
  await connectRedis({
    settings: {
      url: server.url,
      sentinels: [],
      sentinelName: undefined,
      sentinelPassword: undefined,
      clusterNodes: [],
    },
    role,
    waitMs: 30_000,
    onError: ({ message }) => void told.push(message),
    onWaiting: () => undefined,
  });
const wantReplicas = (count: number): Promise<unknown> =>
  administrator.config('SET', 'min-replicas-to-write', count);

describe('a master without enough replicas, as it is after a failover', () => {
  it('is waited for by a worker: what it refused is done once when it takes writes again', async () => {
    const redis = await connect('worker');
    await wantReplicas(1);
    const script = "redis.call('RPUSH', KEYS[1], ARGV[1]) return redis.call('LLEN', KEYS[1])";
    const writes = Promise.all([
      redis.eval(script, 1, 'done', 'script'),
      redis.rpush('done', 'command'),
      redis.rpush('done', 'another'),
    ]);
    await until('it says so', () => told.some((message) => message.includes('too few replicas')));
    // reading goes on
    expect(await redis.llen('done')).toBe(0);
    await wantReplicas(0);
    await writes;
    expect((await administrator.lrange('done', 0, -1)).sort()).toEqual(['another', 'command', 'script']);
    // told once, however often it was tried
    expect(told).toHaveLength(1);
    redis.disconnect();
  });

  it('is told at once by a gateway, as Redis being away', async () => {
    const redis = await connect('gateway');
    await wantReplicas(1);
    const refused = await Promise.all([
      redis.set('refused', '1').catch((error: unknown) => error),
      redis
        .multi()
        .set('refused', '1')
        .exec()
        .catch((error: unknown) => error),
    ]);
    expect(refused.map(isRedisAway)).toEqual([true, true]);
    await wantReplicas(0);
    expect(await administrator.exists('refused')).toBe(0);
    redis.disconnect();
  });
});
