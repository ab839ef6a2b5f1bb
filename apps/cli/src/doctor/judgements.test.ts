import { describe, expect, it } from '@jest/globals';
import type { RedisSettings, ScannerInstanceConfig } from '@scanmq/config';
import { instanceKey, type ScannerProbe } from '@scanmq/contract';
import type { RedisFacts } from '@scanmq/queue';
import { examine, ok, type Verdict } from './check.js';
import { judgeClock, judgeQueues, judgeRedis, redisAddress } from './redis-checks.js';
import { judgeScanner } from './scanner-checks.js';
import { checkNode, checkSettings, judgeRoom } from './settings-checks.js';

const LOCAL: RedisSettings = {
  url: 'redis://127.0.0.1:6379',
  sentinels: [],
  sentinelName: undefined,
  sentinelPassword: undefined,
  clusterNodes: [],
};
const GOOD: RedisFacts = {
  info: {
    redis_version: '7.0.15',
    role: 'master',
    connected_slaves: '0',
    used_memory: '1000000',
    maxmemory: '100000000',
    maxmemory_policy: 'noeviction',
    rdb_last_bgsave_status: 'ok',
    aof_enabled: '1',
    aof_last_write_status: 'ok',
    aof_last_bgrewrite_status: 'ok',
  },
  minReplicasToWrite: 0,
  roundTripMs: 0.3,
  clockAheadMs: 0,
  writeRefused: undefined,
};
const statusOf = (verdicts: readonly Verdict[], name: string): string | undefined =>
  verdicts.find((verdict) => verdict.name === name)?.status;
const redis = (
  change: Partial<RedisFacts>,
  info: Record<string, string> = {},
  settings = LOCAL,
  waitReplicas = 0,
) => judgeRedis({ ...GOOD, ...change, info: { ...GOOD.info, ...info } }, settings, waitReplicas);

describe('a Redis', () => {
  it('that is as it should be has nothing wrong', () => {
    expect(redis({}).filter(({ status }) => status !== 'ok')).toEqual([]);
  });

  it.each<[string, string, string, Partial<RedisFacts>, Record<string, string>]>([
    ['that is too old', 'version', 'problem', {}, { redis_version: '6.0.16' }],
    ['of the last major', 'version', 'warning', {}, { redis_version: '6.2.0' }],
    ['that evicts', 'eviction', 'problem', {}, { maxmemory_policy: 'allkeys-lru' }],
    ['without an append-only file', 'persistence', 'warning', {}, { aof_enabled: '0' }],
    ['that cannot write its file', 'persistence', 'problem', {}, { aof_last_write_status: 'err' }],
    ['whose snapshot failed', 'snapshots', 'problem', {}, { rdb_last_bgsave_status: 'err' }],
    ['that is filling up', 'memory', 'warning', {}, { used_memory: '80000000' }],
    ['that is full', 'memory', 'problem', {}, { used_memory: '99000000' }],
    ['that is a replica', 'replicas', 'problem', {}, { role: 'slave' }],
    ['that misses replicas', 'replicas', 'problem', { minReplicasToWrite: 1 }, {}],
    ['that is slow', 'latency', 'warning', { roundTripMs: 80 }, {}],
    ['that refuses writes', 'writes', 'problem', { writeRefused: 'OOM' }, {}],
  ])('%s: %s is a %s', (_, check, status, facts, info) => {
    expect(statusOf(redis(facts, info), `redis.${check}`)).toBe(status);
  });

  it('that submissions wait for the replicas of has enough of them', () => {
    const replicas = (connected: string, settings = LOCAL): string | undefined =>
      statusOf(
        redis({ minReplicasToWrite: 1 }, { connected_slaves: connected }, settings, 2),
        'redis.replicas',
      );
    const nodes = { ...LOCAL, clusterNodes: [{ host: '192.0.2.1', port: 7000 }] };
    expect(redisAddress(nodes)).toBe('Cluster by 1 node of it');
    expect(replicas('1')).toBe('problem');
    expect(replicas('1', nodes)).toBe('problem');
    expect(replicas('2', nodes)).toBe('ok');
    expect(statusOf(redis({}, {}, nodes), 'redis.replicas')).toBe('problem');
    expect(statusOf(redis({}, {}, nodes), 'redis.access')).toBe('warning');
  });

  it('behind Sentinel wants more than one replica, and one of them for each write', () => {
    const sentinel: RedisSettings = {
      ...LOCAL,
      sentinels: [{ host: '127.0.0.1', port: 26379 }],
      sentinelName: 'main',
    };
    const replicas = (connected: string, needed: number): string | undefined =>
      statusOf(
        redis({ minReplicasToWrite: needed }, { connected_slaves: connected }, sentinel),
        'redis.replicas',
      );
    expect(replicas('0', 0)).toBe('problem');
    expect(replicas('2', 0)).toBe('warning');
    expect(replicas('1', 1)).toBe('warning');
    expect(replicas('2', 1)).toBe('ok');
  });

  it('on another machine wants a password and TLS, and is named without them', () => {
    const at = (url: string): RedisSettings => ({ ...LOCAL, url });
    expect(statusOf(redis({}, {}, at('redis://redis.example.com')), 'redis.access')).toBe('warning');
    expect(statusOf(redis({}, {}, at('redis://:hunter22@redis.example.com')), 'redis.access')).toBe(
      'warning',
    );
    expect(statusOf(redis({}, {}, at('rediss://:hunter22@redis.example.com')), 'redis.access')).toBe('ok');
    expect(redisAddress(at('rediss://user:hunter22@redis.example.com:7000/3'))).toBe(
      'redis.example.com:7000',
    );
    expect(JSON.stringify(redis({}, {}, at('redis://:hunter22@redis.example.com')))).not.toContain(
      'hunter22',
    );
  });
});

describe('a clock', () => {
  it.each([
    [0, 'ok'],
    [-1_900, 'ok'],
    [5_000, 'warning'],
    [-90_000, 'problem'],
  ])('that is %d ms ahead is %s', (aheadMs, status) => {
    expect(judgeClock('redis.clock', 'Redis', aheadMs).status).toBe(status);
  });

  it('says by how much, and in which direction', () => {
    expect(judgeClock('redis.clock', 'Redis', -90_000).found).toBe('The clock of Redis is 90 s behind ours.');
    expect(judgeClock('redis.clock', 'Redis', 5_000).found).toBe('The clock of Redis is 5 s ahead of ours.');
  });
});

describe('queues', () => {
  const queue = { queue: 'nessus', workers: 1, waiting: 0, active: 0, delayed: 0, failed: 0, paused: false };
  it.each<[string, Partial<typeof queue>, string]>([
    ['a worker', {}, 'ok'],
    ['no worker and nothing to do', { workers: 0 }, 'warning'],
    ['no worker, and tasks that wait', { workers: 0, waiting: 3 }, 'problem'],
    ['somebody who paused them', { paused: true }, 'warning'],
  ])('with %s', (_, change, status) => {
    expect(statusOf(judgeQueues([{ ...queue, ...change }], ['nessus']), 'queues.nessus')).toBe(status);
  });

  it('have dead letters that wait for a decision; those of our own housekeeping are none', () => {
    const verdicts = (name: string) => judgeQueues([{ ...queue, queue: name, failed: 2 }], []);
    expect(statusOf(verdicts('nessus'), 'queues.dead-letters')).toBe('warning');
    expect(statusOf(verdicts('scanmq.imports'), 'queues.dead-letters')).toBe('warning');
    expect(statusOf(verdicts('scanmq.maintenance'), 'queues.dead-letters')).toBe('ok');
  });
});

describe('a scanner', () => {
  const instance: ScannerInstanceConfig = {
    type: 'nessus',
    pool: 'nessus',
    instanceId: 'scanner1',
    instanceKey: instanceKey('nessus', 'scanner1'),
    name: 'scanner1',
    url: 'https://scanner.example.com:8834',
    enabled: true,
    maxConcurrentScans: 3,
    auth: { kind: 'session', username: 'u', password: 'p' },
    interface: 'api',
    caFile: undefined,
    tlsFingerprint: undefined,
    headers: {},
    folder: undefined,
    follow: undefined,
    scanner: undefined,
  };
  const probe: ScannerProbe = {
    instance_key: 'nessus:scanner1',
    checked_at: '2026-11-23T12:00:00.000Z',
    healthy: true,
    readiness: 'ready',
    mode: 'full',
    version: '10.10.1',
    licence: 'Nessus Manager',
    licence_expires_at: null,
    licence_hosts: null,
    clock_ahead_ms: 0,
    scan_api: true,
    plugin_set: '202611200000',
    simulator: false,
    reason: null,
    needs_operator: false,
  };
  const at = new Date('2026-11-23T12:00:00Z');
  it.each<[string, Partial<ScannerProbe>, string, string]>([
    [
      'with a licence that has ended',
      { licence_expires_at: '2026-11-20T00:00:00.000Z' },
      'licence',
      'problem',
    ],
    [
      'with a licence that ends soon',
      { licence_expires_at: '2026-12-01T00:00:00.000Z' },
      'licence',
      'warning',
    ],
    ['with a licence for a year', { licence_expires_at: '2027-11-01T00:00:00.000Z' }, 'licence', 'ok'],
    ['that may only export', { mode: 'export_only' }, 'licence', 'warning'],
    ['that does not say what it may', { mode: 'unknown' }, 'licence', 'warning'],
    ['with old plugins', { plugin_set: '202610010000' }, 'plugins', 'warning'],
    ['with plugins of an unknown age', { plugin_set: null }, 'plugins', 'skipped'],
    ['whose clock is an hour off', { clock_ahead_ms: 3_600_000 }, 'clock', 'problem'],
  ])('%s', (_, change, part, status) => {
    const verdicts = judgeScanner(instance, { ...probe, ...change }, at);
    expect(statusOf(verdicts, `scanners.nessus:scanner1.${part}`)).toBe(status);
  });

  it('that may only export is as it should be where its folder is followed', () => {
    const verdicts = judgeScanner({ ...instance, follow: 'Weekly' }, { ...probe, mode: 'export_only' }, at);
    expect(statusOf(verdicts, 'scanners.nessus:scanner1.licence')).toBe('ok');
  });
});

describe('this machine', () => {
  it('needs the Node that the package asks for', () => {
    expect(checkNode('v20.19.0', '>=20.19').status).toBe('ok');
    expect(checkNode('v24.1.0', '>=20.19').status).toBe('ok');
    expect(checkNode('v20.18.3', '>=20.19').status).toBe('problem');
    expect(checkNode('v18.20.0', '>=20.19').status).toBe('problem');
  });

  it('is told when its disk is nearly full, of bytes or of inodes', () => {
    const room = { freeBytes: 50e9, totalBytes: 100e9, freeFiles: 500, totalFiles: 1_000 };
    expect(judgeRoom(room).map(({ status }) => status)).toEqual(['ok']);
    expect(judgeRoom({ ...room, freeBytes: 9e9 })[0]?.status).toBe('warning');
    expect(judgeRoom({ ...room, freeBytes: 5e8, totalBytes: 1e9 })[0]?.status).toBe('warning');
    expect(statusOf(judgeRoom({ ...room, freeFiles: 20 }), 'data.inodes')).toBe('warning');
    // a file system that makes inodes as it goes
    expect(judgeRoom({ ...room, freeFiles: 0, totalFiles: 0 })).toHaveLength(1);
  });

  it('hears of every mistake in its settings at once, and the rest is judged with what is right', () => {
    const { verdicts, settings, wrong } = checkSettings({
      PORT: 'eighty',
      REDIS_SENTINEL_NAME: 'main',
      WORKER_LOCK_SECONDS: '10',
      WORKER_STALLED_CHECK_SECONDS: '10',
      DATA_DIR: '/srv/scanmq',
    });
    expect([...wrong].sort()).toEqual(['PORT', 'REDIS_SENTINEL_NAME', 'WORKER_LOCK_SECONDS']);
    expect(verdicts.filter(({ status }) => status === 'problem')).toHaveLength(3);
    expect(settings).toMatchObject({ dataDir: '/srv/scanmq', port: 8835 });
  });
});

describe('a check that hangs', () => {
  it('is given up after its time, and says so', async () => {
    const aborted: boolean[] = [];
    const [result] = await examine({
      name: 'redis.connection',
      limitMs: 50,
      advice: 'Start it.',
      look: async (signal) => {
        await new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve()));
        aborted.push(signal.aborted);
        return [ok('redis.connection', 'too late')];
      },
    });
    expect(result).toMatchObject({
      name: 'redis.connection',
      status: 'problem',
      found: 'There was no answer within 0.05 s.',
      advice: 'Start it.',
    });
    expect(aborted).toEqual([true]);
  });

  it('that fails tells the code of a foreign error, and not its words', async () => {
    const [result] = await examine({
      name: 'data.directory',
      limitMs: 1_000,
      advice: 'Look.',
      look: () => Promise.reject(Object.assign(new Error('open /secret/path'), { code: 'EIO' })),
    });
    expect(result?.found).toBe('The look at it failed (EIO).');
  });
});
