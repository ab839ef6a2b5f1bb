/** A look at Redis and the queues from outside, for `scanmq doctor`: tells what there is, and judges nothing. */
import { randomBytes } from 'node:crypto';
import type { RedisSettings } from '@scanmq/config';
import { Queue } from 'bullmq';
import type { Redis } from 'ioredis';
import { connectRedis } from './connection.js';
import {
  createKeys,
  IMPORT_QUEUE,
  instanceQueueName,
  MAINTENANCE_QUEUE,
  poolQueueName,
  SCHEDULE_QUEUE,
} from './keys.js';
import { serverOf } from './redis-client.js';

export interface InspectOptions {
  readonly redis: RedisSettings;
  readonly prefix: string;
  /** How long to wait for Redis. */
  readonly waitMs: number;
}

export interface RedisFacts {
  /** Sections server, memory, persistence, replication and clients of INFO, by the names that Redis gives. */
  readonly info: Readonly<Record<string, string>>;
  /** Undefined where Redis does not let us read its configuration. */
  readonly minReplicasToWrite: number | undefined;
  /** Of the fastest of a few round trips. */
  readonly roundTripMs: number;
  /** How far its clock is ahead of ours; what may be due to the way there and back counts as none. */
  readonly clockAheadMs: number;
  /** First word of the error of a write, such as OOM or READONLY; undefined when it worked. */
  readonly writeRefused: string | undefined;
}

export interface QueueFacts {
  readonly queue: string;
  /** Processes that fetch jobs of it. */
  readonly workers: number;
  /** Tasks that wait for their turn; not those that wait for something else. */
  readonly waiting: number;
  readonly active: number;
  readonly delayed: number;
  readonly failed: number;
  readonly paused: boolean;
}

/** A connection for looking only. Every method rejects when Redis goes away meanwhile. */
export interface Inspection {
  redis(): Promise<RedisFacts>;
  /** @param pools with the ids of their instances. */
  queues(pools: ReadonlyMap<string, readonly string[]>): Promise<readonly QueueFacts[]>;
  close(): Promise<void>;
}

const ROUND_TRIPS = 5;
const WRITTEN_KEY_LIFE_MS = 1_000;

/** @throws ScanmqError `unavailable` when Redis does not answer in time. */
export async function inspectRedis(options: InspectOptions): Promise<Inspection> {
  const redis = await connectRedis({
    settings: options.redis,
    role: 'gateway',
    waitMs: options.waitMs,
  });
  const queues: Queue[] = [];
  const open = (name: string): Queue => {
    const queue = new Queue(name, {
      connection: redis,
      prefix: options.prefix,
      // looking at a queue must not make it, and what is wrong with Redis is not said here
      skipMetasUpdate: true,
      skipVersionCheck: true,
    });
    queue.on('error', () => undefined);
    queues.push(queue);
    return queue;
  };
  return {
    async redis() {
      const key = createKeys(options.prefix).doctor;
      const server = await serverOf(redis, key);
      const info = parseInfo(
        (
          await Promise.all(
            ['server', 'memory', 'persistence', 'replication', 'clients'].map((part) => server.info(part)),
          )
        ).join('\n'),
      );
      return {
        info,
        minReplicasToWrite: await minReplicas(server),
        ...(await timing(server)),
        writeRefused: await tryToWrite(server, key),
      };
    },
    async queues(pools) {
      const names = [...pools].flatMap(([pool, instances]) => [
        poolQueueName(pool),
        ...instances.map((instance) => instanceQueueName(pool, instance)),
      ]);
      return await Promise.all(
        [...names, IMPORT_QUEUE, SCHEDULE_QUEUE, MAINTENANCE_QUEUE].map(async (name) => {
          const queue = open(name);
          const [workers, counts, paused] = await Promise.all([
            queue.getWorkersCount(),
            queue.getJobCounts('wait', 'prioritized', 'active', 'delayed', 'failed'),
            queue.isPaused(),
          ]);
          return {
            queue: name,
            workers,
            waiting: (counts.wait ?? 0) + (counts.prioritized ?? 0),
            active: counts.active ?? 0,
            delayed: counts.delayed ?? 0,
            failed: counts.failed ?? 0,
            paused,
          };
        }),
      );
    },
    async close() {
      // disconnected first: closing a queue would wait for a Redis that has gone
      redis.disconnect();
      await Promise.all(queues.map((queue) => queue.close().catch(() => undefined)));
    },
  };
}

function parseInfo(text: string): Record<string, string> {
  return Object.fromEntries(
    text.split(/\r?\n/).flatMap((line) => {
      const at = line.indexOf(':');
      return at <= 0 ? [] : [[line.slice(0, at), line.slice(at + 1).trim()]];
    }),
  );
}

/** Services in the cloud often forbid CONFIG. */
async function minReplicas(redis: Redis): Promise<number | undefined> {
  try {
    const [, value] = (await redis.config('GET', 'min-replicas-to-write')) as string[];
    return value === undefined ? undefined : Number(value);
  } catch {
    return undefined;
  }
}

async function timing(redis: Redis): Promise<Pick<RedisFacts, 'roundTripMs' | 'clockAheadMs'>> {
  let best = { roundTripMs: Number.POSITIVE_INFINITY, clockAheadMs: 0 };
  for (let round = 0; round < ROUND_TRIPS; round += 1) {
    const before = performance.now();
    const sentAtMs = Date.now();
    const [seconds, microseconds] = await redis.time();
    const roundTripMs = performance.now() - before;
    if (roundTripMs >= best.roundTripMs) continue;
    const clockAheadMs = aheadMs(
      Number(seconds) * 1_000 + Number(microseconds) / 1_000,
      sentAtMs,
      sentAtMs + roundTripMs,
    );
    best = { roundTripMs, clockAheadMs };
  }
  return best;
}

/**
 * How far another clock is ahead, read some time between sending and receiving.
 * @returns milliseconds, negative when it is behind; 0 for what lies between the two.
 */
export function aheadMs(readMs: number, sentAtMs: number, receivedAtMs: number): number {
  if (readMs > receivedAtMs) return Math.round(readMs - receivedAtMs);
  return readMs < sentAtMs ? Math.round(readMs - sentAtMs) : 0;
}

async function tryToWrite(redis: Redis, key: string): Promise<string | undefined> {
  try {
    await redis.set(key, randomBytes(4).toString('hex'), 'PX', WRITTEN_KEY_LIFE_MS);
    await redis.del(key);
    return undefined;
  } catch (error) {
    return error instanceof Error ? (error.message.split(' ')[0] ?? 'error') : 'error';
  }
}
