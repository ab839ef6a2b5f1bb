import type { RedisSettings } from '@scanmq/config';
import { ScanmqError } from '@scanmq/contract';
import { Redis, type RedisOptions } from 'ioredis';
import { quietErrors } from './quiet-errors.js';

/**
 * - `worker`: waits for Redis as long as it takes; a scan goes on meanwhile.
 * - `gateway`: fails fast, so that a client gets a clear error and repeats with the same idempotency key.
 */
export type ConnectionRole = 'worker' | 'gateway';

// The constructor of ioredis takes the mapping of replies apart from the other options.
type ConnectionOptions = Omit<RedisOptions, 'replyMapping'>;

/** How long a gateway command may take before it is answered with `unavailable`. */
const GATEWAY_COMMAND_TIMEOUT_MS = 5_000;

/** Options of ioredis for a role; they survived a Sentinel failover under load (ARCHITECTURE.md, "More than one machine"). */
export function connectionOptions(settings: RedisSettings, role: ConnectionRole): ConnectionOptions {
  const url = new URL(settings.url);
  const tls = url.protocol === 'rediss:';
  const common: ConnectionOptions = {
    ...(url.username === '' ? {} : { username: decodeURIComponent(url.username) }),
    ...(url.password === '' ? {} : { password: decodeURIComponent(url.password) }),
    db: Number(url.pathname.slice(1) || '0'),
    ...(tls ? { tls: {} } : {}),
    connectTimeout: 10_000,
    retryStrategy: (times) => Math.min(50 * 2 ** Math.min(times, 5), 1_000),
    reconnectOnError: (error) => (error.message.startsWith('READONLY') ? 2 : false),
    ...(role === 'worker'
      ? { maxRetriesPerRequest: null }
      : { maxRetriesPerRequest: 1, enableOfflineQueue: false, commandTimeout: GATEWAY_COMMAND_TIMEOUT_MS }),
  };
  if (settings.sentinels.length > 0) {
    return {
      ...common,
      sentinels: [...settings.sentinels],
      name: settings.sentinelName ?? 'mymaster',
      sentinelRetryStrategy: () => 250,
    };
  }
  return { ...common, host: url.hostname, port: Number(url.port || '6379') };
}

/**
 * Opens a connection and waits until it is ready.
 * @param onError told of each connection error; without a listener Node ends the process.
 * @param waitMs how long to wait for Redis before giving up.
 * @throws ScanmqError `unavailable` when Redis does not answer in time, names address and reason.
 */
export async function connectRedis(
  settings: RedisSettings,
  role: ConnectionRole,
  onError: (error: Error) => void,
  waitMs: number,
): Promise<Redis> {
  const redis = new Redis(connectionOptions(settings, role));
  let lastError: Error | undefined;
  const report = quietErrors(onError);
  redis.on('ready', () => report.recovered());
  redis.on('error', (error: Error) => {
    lastError = error;
    report(error);
  });
  const ready = await new Promise<boolean>((resolve) => {
    const timer = setTimeout(() => resolve(false), waitMs);
    redis.once('ready', () => {
      clearTimeout(timer);
      resolve(true);
    });
  });
  if (ready) return redis;
  redis.disconnect();
  const { host } = new URL(settings.url);
  throw new ScanmqError(
    'unavailable',
    `Redis at ${host} did not answer within ${Math.round(waitMs / 1000)} s (${lastError?.message || 'no answer'}). Start it, or set REDIS_URL.`,
    { cause: lastError },
  );
}

/**
 * Refuses a Redis that may drop jobs.
 * @throws ScanmqError `unavailable` when its eviction policy is not `noeviction`.
 * @returns warnings: settings that can lose the last moments before a crash.
 */
export async function checkRedisSettings(redis: Redis): Promise<readonly string[]> {
  const info = `${await redis.info('memory')}\n${await redis.info('persistence')}`;
  const value = (name: string): string | undefined =>
    new RegExp(`^${name}:(.*)$`, 'm').exec(info)?.[1]?.trim();
  const policy = value('maxmemory_policy');
  if (policy !== undefined && policy !== 'noeviction') {
    throw new ScanmqError(
      'unavailable',
      `Redis is set to maxmemory-policy ${policy}: when its memory is full it would silently delete queued scans. Set it to noeviction (redis.conf: maxmemory-policy noeviction) and start again.`,
      { retryable: 'no' },
    );
  }
  return value('aof_enabled') === '0'
    ? [
        'Redis has no append-only file (appendonly no): a crash of Redis loses what was submitted since its last snapshot.',
      ]
    : [];
}
