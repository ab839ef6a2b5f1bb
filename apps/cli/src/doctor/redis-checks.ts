/** What the facts of Redis and its queues mean. */
import { isIP } from 'node:net';
import type { RedisSettings } from '@scanmq/config';
import type { QueueFacts, RedisFacts } from '@scanmq/queue';
import { ok, problem, type Verdict, warning } from './check.js';
import { count } from './settings-checks.js';

const NEEDED = [6, 2] as const;
const RECOMMENDED_MAJOR = 7;
/** Of `maxmemory`. */
const MUCH_MEMORY = 0.75;
const TOO_MUCH_MEMORY = 0.95;
const SLOW_MS = 20;
const CLOCK_WARNING_MS = 2_000;
const CLOCK_PROBLEM_MS = 30_000;

/** Host and port; the rest of the URL may hold a password. */
export function redisAddress(redis: RedisSettings): string {
  if (redis.clusterNodes.length > 0) return `Cluster by ${count(redis.clusterNodes.length, 'node')} of it`;
  if (redis.sentinels.length > 0)
    return `'${redis.sentinelName ?? 'mymaster'}' of ${count(redis.sentinels.length, 'Sentinel')}`;
  const { host, port } = new URL(redis.url);
  return port === '' ? `${host}:6379` : host;
}

function isLoopback(redis: RedisSettings): boolean {
  const nodes = [...redis.clusterNodes, ...redis.sentinels];
  const hosts =
    nodes.length > 0 ? nodes.map(({ host }) => host) : [new URL(redis.url).hostname.replace(/^\[|\]$/g, '')];
  return hosts.every(
    (host) => host === 'localhost' || host === '::1' || (isIP(host) === 4 && host.startsWith('127.')),
  );
}

/**
 * Everything that is to be told of a Redis that answers.
 * @param waitReplicas `REDIS_WAIT_REPLICAS`
 */
export function judgeRedis(
  facts: RedisFacts,
  redis: RedisSettings,
  waitReplicas: number,
): readonly Verdict[] {
  return [
    ok('redis.connection', `Redis ${redisAddress(redis)} answers.`),
    judgeVersion(facts),
    judgeWriting(facts),
    judgeEviction(facts),
    ...judgePersistence(facts),
    judgeMemory(facts),
    ...judgeReplicas(facts, redis, waitReplicas),
    facts.roundTripMs > SLOW_MS
      ? warning(
          'redis.latency',
          `A round trip takes ${facts.roundTripMs.toFixed(0)} ms.`,
          'Run gateways and workers near Redis; "redis-cli --latency" and SLOWLOG tell whether Redis itself is slow.',
        )
      : ok('redis.latency', `A round trip takes ${facts.roundTripMs.toFixed(1)} ms.`),
    judgeClock('redis.clock', 'Redis', facts.clockAheadMs),
    judgePassword(redis),
  ];
}

function judgeVersion({ info }: RedisFacts): Verdict {
  const version = info.redis_version ?? 'unknown';
  const [major = 0, minor = 0] = version.split('.').map(Number);
  if (major < NEEDED[0] || (major === NEEDED[0] && minor < NEEDED[1]))
    return problem(
      'redis.version',
      `Redis ${version} is too old.`,
      'Install Redis 7 or newer; 6.2 is the oldest that works.',
    );
  return major < RECOMMENDED_MAJOR
    ? warning('redis.version', `Redis ${version} works, but is old.`, 'Install Redis 7 or newer.')
    : ok('redis.version', `Redis ${version}.`);
}

const REFUSALS: Readonly<Record<string, string>> = {
  OOM: 'Its memory is full: raise maxmemory, or remove what is past its retention (scanmq housekeeping --apply).',
  MISCONF: 'It cannot save to its disk: look at its log, and make room on its disk.',
  READONLY: 'It is a replica: set REDIS_URL to the master, or use REDIS_SENTINELS.',
  NOREPLICAS: 'It misses replicas (min-replicas-to-write): bring them back.',
  NOPERM:
    'Its user may not write our keys: extend its ACL (~PREFIX:* +@all -@dangerous +info +config|get +client|list).',
};

function judgeWriting({ writeRefused }: RedisFacts): Verdict {
  return writeRefused === undefined
    ? ok('redis.writes', 'It takes writes.')
    : problem(
        'redis.writes',
        `It refuses writes (${writeRefused}).`,
        REFUSALS[writeRefused] ?? 'Look at the log of Redis.',
      );
}

function judgeEviction({ info }: RedisFacts): Verdict {
  const policy = info.maxmemory_policy;
  if (policy === undefined || policy === 'noeviction')
    return ok('redis.eviction', 'Nothing is evicted (noeviction).');
  return problem(
    'redis.eviction',
    `maxmemory-policy is ${policy}: when its memory is full, Redis would silently delete queued scans.`,
    'redis-cli CONFIG SET maxmemory-policy noeviction, and the same in redis.conf.',
  );
}

function judgePersistence({ info }: RedisFacts): readonly Verdict[] {
  const verdicts: Verdict[] = [];
  if (info.rdb_last_bgsave_status !== undefined && info.rdb_last_bgsave_status !== 'ok')
    verdicts.push(
      problem(
        'redis.snapshots',
        'Its last snapshot failed.',
        'Look at the log of Redis, and make room on its disk.',
      ),
    );
  if (info.aof_enabled === '0')
    return [
      ...verdicts,
      warning(
        'redis.persistence',
        'It has no append-only file: a crash loses what was submitted since the last snapshot.',
        'redis-cli CONFIG SET appendonly yes, and the same in redis.conf.',
      ),
    ];
  const failed = [info.aof_last_write_status, info.aof_last_bgrewrite_status].some(
    (status) => status !== undefined && status !== 'ok',
  );
  return [
    ...verdicts,
    failed
      ? problem(
          'redis.persistence',
          'It could not write its append-only file.',
          'Look at the log of Redis, and make room on its disk.',
        )
      : ok('redis.persistence', 'Its append-only file is written.'),
  ];
}

function judgeMemory({ info }: RedisFacts): Verdict {
  const used = Number(info.used_memory ?? 0);
  const limit = Number(info.maxmemory ?? 0);
  const machine = Number(info.total_system_memory ?? 0);
  const most = limit > 0 ? limit : machine;
  const words = `${megabytes(used)} of ${most === 0 ? 'unknown' : megabytes(most)} (${limit > 0 ? 'maxmemory' : 'memory of the machine; no maxmemory'}) are used.`;
  if (most === 0 || used / most < MUCH_MEMORY) return ok('redis.memory', words);
  const advice =
    'Raise maxmemory, or keep tasks for a shorter time (RETENTION_COMPLETED_DAYS): when it is full, submissions are refused.';
  return used / most < TOO_MUCH_MEMORY
    ? warning('redis.memory', words, advice)
    : problem('redis.memory', words, advice);
}

function megabytes(bytes: number): string {
  return `${(bytes / 1024 ** 2).toFixed(bytes < 10 * 1024 ** 2 ? 1 : 0)} MB`;
}

function judgeReplicas(
  { info, minReplicasToWrite }: RedisFacts,
  redis: RedisSettings,
  waitReplicas: number,
): readonly Verdict[] {
  const name = 'redis.replicas';
  const replicas = Number(info.connected_slaves ?? 0);
  const needed = minReplicasToWrite ?? 0;
  if (info.role !== undefined && info.role !== 'master')
    return [
      problem(
        name,
        'It is a replica, which takes no writes.',
        'Set REDIS_URL to the master, or use REDIS_SENTINELS.',
      ),
    ];
  if (needed > replicas)
    return [
      problem(
        name,
        `It wants ${count(needed, 'replica')} (min-replicas-to-write), and has ${replicas}: writes are refused.`,
        'Bring the replicas back, or lower min-replicas-to-write.',
      ),
    ];
  if (waitReplicas > replicas)
    return [
      problem(
        name,
        `REDIS_WAIT_REPLICAS is ${waitReplicas}, and it has ${replicas}: submissions are answered with unavailable.`,
        'Bring the replicas back, or lower REDIS_WAIT_REPLICAS.',
      ),
    ];
  if (redis.sentinels.length === 0 && redis.clusterNodes.length === 0) return [];
  if (replicas === 0)
    return [
      problem(
        name,
        'It has no replica that could become the master.',
        'Start replicas; three data nodes or more are advised.',
      ),
    ];
  if (needed === 0)
    return [
      warning(
        name,
        'min-replicas-to-write is 0: a master that is cut off takes submissions that are lost afterwards.',
        'Set min-replicas-to-write 1 on all data nodes.',
      ),
    ];
  return replicas === 1 && needed >= 1
    ? [
        warning(
          name,
          'With one replica and min-replicas-to-write, the loss of either stops all writes.',
          'Add another replica: three data nodes or more are advised.',
        ),
      ]
    : [ok(name, `${count(replicas, 'replica')}, ${needed} of them needed for writes.`)];
}

/** @param whose for the sentence. */
export function judgeClock(
  name: string,
  whose: string,
  aheadMs: number,
  limits = { warningMs: CLOCK_WARNING_MS, problemMs: CLOCK_PROBLEM_MS },
): Verdict {
  const off = Math.abs(aheadMs);
  if (off <= limits.warningMs) return ok(name, `The clock of ${whose} agrees with ours.`);
  const found = `The clock of ${whose} is ${(off / 1_000).toFixed(0)} s ${aheadMs > 0 ? 'ahead of' : 'behind'} ours.`;
  const advice =
    'Let both machines keep their time by NTP (timedatectl set-ntp true): time limits and schedules go by it.';
  return off > limits.problemMs ? problem(name, found, advice) : warning(name, found, advice);
}

function judgePassword(redis: RedisSettings): Verdict {
  const { protocol, password } = new URL(redis.url);
  if (isLoopback(redis)) return ok('redis.access', 'It is on this machine.');
  if (password === '')
    return warning(
      'redis.access',
      'It is on another machine, and REDIS_URL has no password: whoever reaches it can submit scans.',
      'Set a password (requirepass or an ACL) and put it into REDIS_URL.',
    );
  return protocol === 'rediss:'
    ? ok('redis.access', 'It is used with a password and TLS.')
    : warning(
        'redis.access',
        'It is on another machine, and used without TLS.',
        'Use rediss:// unless nobody else can listen on the network between.',
      );
}

/** Whether anybody works on what waits. @param pools names of the pools. */
export function judgeQueues(facts: readonly QueueFacts[], pools: readonly string[]): readonly Verdict[] {
  const verdicts: Verdict[] = [];
  for (const pool of pools) {
    const queues = facts.filter(({ queue }) => queue === pool || queue.startsWith(`${pool}.`));
    const name = `queues.${pool}`;
    const workers = Math.min(...queues.map((queue) => queue.workers));
    const waiting = queues.reduce((sum, queue) => sum + queue.waiting, 0);
    const active = queues.reduce((sum, queue) => sum + queue.active, 0);
    const words = `${count(workers, 'worker')}; ${count(waiting, 'task')} waiting, ${active} running.`;
    if (queues.some((queue) => queue.paused))
      verdicts.push(
        warning(name, `The queue is paused: ${words}`, 'Resume it on the dashboard (/dashboard).'),
      );
    else if (workers > 0) verdicts.push(ok(name, words));
    else if (waiting + active > 0)
      verdicts.push(problem(name, `Nobody works on what waits: ${words}`, 'Start a worker: scanmq worker'));
    else verdicts.push(warning(name, 'No worker takes tasks of this pool.', 'Start a worker: scanmq worker'));
  }
  const dead = facts
    .filter(({ queue }) => !queue.startsWith('scanmq.m') && !queue.startsWith('scanmq.s'))
    .reduce((sum, queue) => sum + queue.failed, 0);
  verdicts.push(
    dead === 0
      ? ok('queues.dead-letters', 'There are no dead letters.')
      : warning(
          'queues.dead-letters',
          `${count(dead, 'dead letter')} wait for a decision.`,
          'Look at them with "scanmq dlq"; then "scanmq dlq retry" or "scanmq dlq purge".',
        ),
  );
  return verdicts;
}
