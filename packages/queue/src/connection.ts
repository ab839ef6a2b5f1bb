import type { RedisSettings } from '@scanmq/config';
import { ScanmqError } from '@scanmq/contract';
import { Cluster, Redis, type RedisOptions } from 'ioredis';
import { quietErrors } from './quiet-errors.js';
import { type RedisClient, serversOf } from './redis-client.js';

/**
 * - `worker`: waits for Redis as long as it takes; a scan goes on meanwhile.
 * - `gateway`: fails fast, so that a client gets a clear error and repeats with the same idempotency key.
 */
export type ConnectionRole = 'worker' | 'gateway';

// The constructor of ioredis takes the mapping of replies apart from the other options.
type ConnectionOptions = Omit<RedisOptions, 'replyMapping'>;

/** How long a gateway command may take before it is answered with `unavailable`. */
const GATEWAY_COMMAND_TIMEOUT_MS = 5_000;
const LONGEST_RETRY_MS = 1_000;
const SENTINEL_RETRY_MS = 250;
/** A Sentinel that hangs is passed over after this long. */
const SENTINEL_ANSWER_MS = 2_000;
/** A master behind Sentinels that answers nothing for so long may have been replaced; longer than any command that waits (10 s). */
const SILENT_MS = 15_000;
/** Each look at the map of a Cluster; it is retried with the next node. */
const SLOTS_ANSWER_MS = 2_000;
/** How soon a write is tried again that was refused for want of replicas (`min-replicas-to-write`). */
const WITHOUT_REPLICAS_MS = 500;
const TOO_FEW_REPLICAS = 'Redis takes no writes: too few replicas follow its master (min-replicas-to-write)';
/** A start that takes longer says what it waits for, and again each time this passes. */
const FIRST_TOLD_MS = 1_000;
const TOLD_MS = 10_000;

const retryMs = (times: number): number => Math.min(50 * 2 ** Math.min(times, 5), LONGEST_RETRY_MS);

/** The server that we talk to is a replica now: look for the master, and send it there. */
const afterFailover = (error: Error): 2 | false => (error.message.startsWith('READONLY') ? 2 : false);

/** Options of every connection to one server, whoever names it. */
function serverOptions(settings: RedisSettings, role: ConnectionRole): ConnectionOptions {
  const url = new URL(settings.url);
  return {
    ...(url.username === '' ? {} : { username: decodeURIComponent(url.username) }),
    ...(url.password === '' ? {} : { password: decodeURIComponent(url.password) }),
    ...(url.protocol === 'rediss:' ? { tls: {} } : {}),
    connectTimeout: 10_000,
    reconnectOnError: afterFailover,
    ...(role === 'worker'
      ? { maxRetriesPerRequest: null }
      : { maxRetriesPerRequest: 1, commandTimeout: GATEWAY_COMMAND_TIMEOUT_MS }),
  };
}

/**
 * Options of ioredis for one server, or the master that Sentinels name (ARCHITECTURE.md, "More than one machine").
 *
 * After a failover it takes a while until a replica follows the new master, which refuses writes until then. A refused
 * write has done nothing, so a worker sends it again, as it does while Redis is away: a job whose end was refused would
 * otherwise hold its slot until its lock is over. A gateway tells its client to come again.
 * @param onRefused told of each refusal for want of replicas.
 */
function connectionOptions(
  settings: RedisSettings,
  role: ConnectionRole,
  onRefused: () => void,
): ConnectionOptions {
  const url = new URL(settings.url);
  let refusedAtMs = Number.NEGATIVE_INFINITY;
  const common: ConnectionOptions = {
    ...serverOptions(settings, role),
    db: Number(url.pathname.slice(1) || '0'),
    reconnectOnError: (error) => {
      if (role === 'worker' && error.message.startsWith('NOREPLICAS')) {
        refusedAtMs = Date.now();
        onRefused();
        return 2;
      }
      return afterFailover(error);
    },
    // every refusal opens the connection anew: not at once
    retryStrategy: (times) =>
      Date.now() - refusedAtMs < WITHOUT_REPLICAS_MS ? WITHOUT_REPLICAS_MS : retryMs(times),
    ...(role === 'gateway' ? { enableOfflineQueue: false } : {}),
  };
  if (settings.sentinels.length === 0)
    return { ...common, host: url.hostname, port: Number(url.port || '6379') };
  return {
    ...common,
    sentinels: [...settings.sentinels],
    name: settings.sentinelName ?? 'mymaster',
    sentinelRetryStrategy: () => SENTINEL_RETRY_MS,
    sentinelCommandTimeout: SENTINEL_ANSWER_MS,
    // A master that hangs, or is cut off, closes no connection. The `failoverDetector` of ioredis would tell sooner, but
    // what it hears while the connection is being opened anew ends that connection for good.
    socketTimeout: SILENT_MS,
    ...(settings.sentinelPassword === undefined ? {} : { sentinelPassword: settings.sentinelPassword }),
    ...(url.protocol === 'rediss:' ? { enableTLSForSentinelMode: true, sentinelTLS: {} } : {}),
  };
}

function open(settings: RedisSettings, role: ConnectionRole, onRefused: () => void): RedisClient {
  if (settings.clusterNodes.length === 0) return new Redis(connectionOptions(settings, role, onRefused));
  return new Cluster([...settings.clusterNodes], {
    redisOptions: serverOptions(settings, role),
    clusterRetryStrategy: retryMs,
    slotsRefreshTimeout: SLOTS_ANSWER_MS,
    ...(role === 'gateway' ? { enableOfflineQueue: false } : {}),
  });
}

/** Where Redis is looked for, without its password. */
export function describeRedis(settings: RedisSettings): string {
  const list = (nodes: RedisSettings['sentinels']): string =>
    nodes.map(({ host, port }) => `${host}:${port}`).join(', ');
  if (settings.clusterNodes.length > 0) return `the Redis Cluster at ${list(settings.clusterNodes)}`;
  if (settings.sentinels.length > 0)
    return `the master '${settings.sentinelName}' of the Sentinels at ${list(settings.sentinels)}`;
  return `Redis at ${new URL(settings.url).host}`;
}

export interface ConnectOptions {
  readonly settings: RedisSettings;
  readonly role: ConnectionRole;
  /** Told of each connection error; by default nobody is. */
  readonly onError?: (error: Error) => void;
  /** How long to wait for Redis before giving up. */
  readonly waitMs: number;
  /** Told now and then what is waited for. */
  readonly onWaiting?: (message: string) => void;
}

/**
 * Opens a connection and waits until it is ready.
 * @throws ScanmqError `unavailable` when Redis does not answer in time, names address and reason.
 */
export async function connectRedis(options: ConnectOptions): Promise<RedisClient> {
  const { settings, waitMs, onError = () => undefined, onWaiting = () => undefined } = options;
  const where = describeRedis(settings);
  // told apart from other errors: the connection is ready again after each refusal
  const refused = quietErrors(onError);
  const redis = open(settings, options.role, () => refused(new Error(TOO_FEW_REPLICAS)));
  let lastError: Error | undefined;
  const report = quietErrors(onError);
  redis.on('ready', () => report.recovered());
  redis.on('error', (error: Error) => {
    lastError = error;
    report(error);
  });
  const tell = (): void => onWaiting(`waiting for ${where} (${reasonOf(lastError)})`);
  const first = setTimeout(tell, FIRST_TOLD_MS);
  const again = setInterval(tell, TOLD_MS);
  let giveUp: NodeJS.Timeout | undefined;
  const ready = await new Promise<boolean>((resolve) => {
    giveUp = setTimeout(() => resolve(false), waitMs);
    redis.once('ready', () => resolve(true));
  });
  clearTimeout(first);
  clearInterval(again);
  clearTimeout(giveUp);
  if (ready) return redis;
  redis.disconnect();
  throw new ScanmqError(
    'unavailable',
    `Gave up after ${Math.round(waitMs / 1000)} s of waiting for ${where} (${reasonOf(lastError)}). Start it, or set ${variableOf(settings)}.`,
    { cause: lastError },
  );
}

function reasonOf(error: Error | undefined): string {
  // of a Cluster, the reason of the last node that was asked
  const { lastNodeError } = (error ?? {}) as { readonly lastNodeError?: Error };
  return lastNodeError?.message || error?.message || 'no answer';
}

function variableOf(settings: RedisSettings): string {
  if (settings.clusterNodes.length > 0) return 'REDIS_CLUSTER_NODES';
  return settings.sentinels.length > 0 ? 'REDIS_SENTINELS' : 'REDIS_URL';
}

/**
 * Refuses a Redis that may drop jobs.
 * @throws ScanmqError `unavailable` when its eviction policy is not `noeviction`.
 * @returns warnings: settings that can lose the last moments before a crash.
 */
export async function checkRedisSettings(redis: RedisClient): Promise<readonly string[]> {
  const warnings = new Set<string>();
  for (const server of serversOf(redis)) {
    const info = `${await server.info('memory')}\n${await server.info('persistence')}`;
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
    if (value('aof_enabled') === '0')
      warnings.add(
        'Redis has no append-only file (appendonly no): a crash of Redis loses what was submitted since its last snapshot.',
      );
  }
  return [...warnings];
}

/** Words of Redis and of its driver for "not now": away, starting, failing over, or without enough replicas. */
const AWAY =
  /Connection is closed|enableOfflineQueue|Command timed out|ECONNREFUSED|Command aborted due to connection close|sentinels are unreachable|Failed to refresh slots cache|Cluster isn't ready|None of startup nodes|Too many Cluster redirections|\b(?:READONLY|LOADING|MASTERDOWN|NOREPLICAS|CLUSTERDOWN|MOVED|ASK|TRYAGAIN|UNBLOCKED|EXECABORT)\b/;

/** True for an error that says that Redis cannot be used now, though it may soon. */
export function isRedisAway(thrown: unknown): thrown is Error {
  if (!(thrown instanceof Error)) return false;
  return (
    thrown.name === 'MaxRetriesPerRequestError' ||
    thrown.name === 'ClusterAllFailedError' ||
    AWAY.test(thrown.message)
  );
}
