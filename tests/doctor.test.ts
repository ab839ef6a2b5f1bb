/** `scanmq doctor`: the real command against what can be wrong on a machine. */
import { chmod, writeFile } from 'node:fs/promises';
import { createServer, type Server } from 'node:net';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import { type LocalRedis, startLocalRedis } from '@scanmq/local-redis';
import { createService, restClient, runCommand, type TestService, until } from '@scanmq/testkit';
import { Redis } from 'ioredis';

interface Check {
  readonly name: string;
  readonly status: string;
  readonly found: string;
  readonly advice: string | null;
  readonly ms: number;
}

const WRONG_FINGERPRINT = '0'.repeat(64);
const NOBODY = 'redis://127.0.0.1:1';
let service: TestService;
beforeAll(async () => {
  service = await createService({
    redisUrl: process.env.SCANMQ_TEST_REDIS_URL ?? '',
    scanners: [
      {},
      { yaml: { password: 'canary-wrong-password' } },
      { yaml: { tls_fingerprint: WRONG_FINGERPRINT } },
      { product: 'professional' },
      {},
      { yaml: { url: 'https://no-such-host.invalid:8834' } },
      { yaml: { enabled: false } },
      {},
    ],
  });
});
afterAll(async () => await service.close());

/** @returns the checks by name, with the exit code. */
async function doctor(args: readonly string[], env: Record<string, string> = {}) {
  const result = await runCommand(['doctor', '--json', ...args], { ...service.env, ...env });
  expect(result.stderr).toBe('');
  const { ok, checks } = JSON.parse(result.stdout) as { ok: boolean; checks: Check[] };
  const find = (name: string): Check => {
    const found = checks.find((check) => check.name === name);
    if (!found) throw new Error(`no check ${name} among ${checks.map((check) => check.name).join(', ')}`);
    return found;
  };
  return { ...result, ok, checks, find };
}

describe('doctor on a machine that is well', () => {
  it('finds nothing wrong: gateway, worker, Redis, scanner, disk', async () => {
    const well = await createService({ redisUrl: service.env.REDIS_URL ?? '' });
    try {
      await chmod(well.env.SCANNER_CONFIG ?? '', 0o640);
      const [{ url }] = await Promise.all([well.startGateway(), well.startWorker()]);
      const result = await runCommand(['doctor', '--json'], { ...well.env, SCANMQ_URL: url });
      const { ok, checks } = JSON.parse(result.stdout) as { ok: boolean; checks: Check[] };
      // disk, memory and speed of this machine, and the age of the simulator's plugins, are what they are
      const wrong = checks.filter(
        ({ name, status }) =>
          status !== 'ok' &&
          !name.startsWith('data.') &&
          !name.endsWith('.plugins') &&
          !name.endsWith('.memory') &&
          name !== 'redis.latency',
      );
      expect(wrong).toEqual([]);
      expect({ ok, code: result.code }).toEqual({ ok: true, code: 0 });
      expect(checks.map(({ name }) => name)).toEqual(
        expect.arrayContaining([
          'node.version',
          'settings.variables',
          'settings.scanners',
          'data.directory',
          'redis.connection',
          'redis.clock',
          'redis.eviction',
          'queues.nessus',
          'queues.dead-letters',
          'scanners.nessus:scanner1.licence',
          'scanners.nessus:scanner1.clock',
          'gateway.connection',
          'gateway.version',
          'gateway.access',
        ]),
      );
      const people = await runCommand(['doctor'], { ...well.env, SCANMQ_URL: url });
      expect(people.code).toBe(0);
      expect(people.stdout).toMatch(/^ok {7}redis\.connection: Redis 127\.0\.0\.1:\d+ answers\.$/m);
      // plain where nobody looks
      expect(people.stdout).not.toContain('\u001b');
    } finally {
      await well.close();
    }
  });
});

describe('doctor on scanners', () => {
  let found: Awaited<ReturnType<typeof doctor>>;
  beforeAll(async () => {
    service.simulators[4]?.load(3_600_000);
    service.simulators[7]?.setServerStatus('register');
    found = await doctor(['--only', 'scanners']);
  });
  const scanner = (number: number, part: string): Check =>
    found.find(`scanners.nessus:scanner${number}${part}`);

  it('says of a good one what it is, what it may, and how old its plugins are', () => {
    expect(scanner(1, '.login')).toMatchObject({ status: 'ok', found: expect.stringContaining('10.10.1') });
    expect(scanner(1, '.licence')).toMatchObject({ status: 'ok', found: expect.stringContaining('launch') });
    expect(scanner(1, '.plugins').found).toContain('2026-11-01');
    expect(scanner(1, '.clock').status).toBe('ok');
  });

  it('tells a wrong password from a scanner that is away, and does not repeat it', () => {
    expect(scanner(2, '.connection').status).toBe('ok');
    expect(scanner(2, '.login')).toMatchObject({
      status: 'problem',
      found: expect.stringContaining('tester'),
    });
    expect(found.stdout).not.toContain('canary-wrong-password');
    expect(service.simulators[1]?.stats().logins).toBeLessThanOrEqual(1);
  });

  it('shows the fingerprint that it has seen instead of the pinned one', () => {
    expect(scanner(3, '.connection')).toMatchObject({
      status: 'problem',
      found: expect.stringContaining(service.simulators[2]?.fingerprint256 ?? 'none'),
      advice: expect.stringContaining('tls_fingerprint'),
    });
  });

  it('warns of a licence that may only export', () => {
    expect(scanner(4, '.licence')).toMatchObject({
      status: 'warning',
      found: expect.stringContaining('Professional'),
      advice: expect.stringContaining('web_session'),
    });
  });

  it('tells one that loads from one that waits for its operator', () => {
    expect(scanner(5, '.readiness')).toMatchObject({
      status: 'warning',
      advice: expect.stringContaining('Wait'),
    });
    expect(scanner(8, '.readiness')).toMatchObject({
      status: 'problem',
      found: expect.stringContaining('register'),
    });
  });

  it('names a host that does not exist, and leaves out one that is disabled', () => {
    expect(scanner(6, '.connection')).toMatchObject({
      status: 'problem',
      found: expect.stringContaining('does not exist'),
    });
    expect(scanner(7, '').status).toBe('skipped');
  });

  it('ends with 4, and leaves no session behind', async () => {
    expect({ ok: found.ok, code: found.code }).toEqual({ ok: false, code: 4 });
    expect(found.checks.every(({ name }) => name.startsWith('scanners.'))).toBe(true);
  });
});

describe('doctor on Redis', () => {
  let redis: LocalRedis | undefined;
  afterEach(async () => {
    await redis?.stop();
    redis = undefined;
  });

  it('that is not there: says so, skips what depends on it, and ends with 4', async () => {
    const result = await doctor(['--only', 'redis,queues'], { REDIS_URL: NOBODY });
    expect(result.find('redis.connection')).toMatchObject({
      status: 'problem',
      found: expect.stringContaining('ECONNREFUSED'),
    });
    expect(result.find('queues').status).toBe('skipped');
    expect(result.code).toBe(4);
  });

  it('that takes connections and says nothing: gives up in time', async () => {
    const silent: Server = createServer((socket) => socket.resume().on('error', () => undefined));
    await new Promise<void>((resolve) => silent.listen(0, '127.0.0.1', resolve));
    const address = silent.address();
    const port = typeof address === 'object' && address !== null ? address.port : 0;
    const result = await doctor(['--only', 'redis'], { REDIS_URL: `redis://:canary-pw@127.0.0.1:${port}` });
    silent.close();
    // as it says itself, without the time that the command needs to start
    expect(result.find('redis.connection')).toMatchObject({ status: 'problem', ms: expect.any(Number) });
    expect(result.find('redis.connection').ms).toBeLessThan(30_000);
    expect(result.stdout).not.toContain('canary-pw');
  });

  it('with the wrong eviction policy, without an append-only file, and with a password of which we know none', async () => {
    redis = await startLocalRedis({ appendOnly: false });
    const client = new Redis(redis.url);
    await client.config('SET', 'maxmemory-policy', 'allkeys-lru');
    const env = { REDIS_URL: redis.url };
    const wrong = await doctor(['--only', 'redis'], env);
    expect(wrong.find('redis.eviction')).toMatchObject({
      status: 'problem',
      found: expect.stringContaining('allkeys-lru'),
      advice: expect.stringContaining('noeviction'),
    });
    expect(wrong.find('redis.persistence').status).toBe('warning');
    expect(wrong.code).toBe(4);
    expect(await client.keys('*')).toEqual([]);

    await client.config('SET', 'requirepass', 'canary-redis-pw');
    const refused = await doctor(['--only', 'redis'], env);
    expect(refused.find('redis.connection')).toMatchObject({
      status: 'problem',
      found: expect.stringContaining('NOAUTH'),
    });
    const withPassword = await doctor(['--only', 'redis'], {
      REDIS_URL: `redis://:canary-redis-pw@127.0.0.1:${redis.port}`,
    });
    expect(withPassword.find('redis.connection').status).toBe('ok');
    expect(withPassword.stdout).not.toContain('canary-redis-pw');
    client.disconnect();
  });

  it('that takes no writes: its memory is full', async () => {
    redis = await startLocalRedis();
    const client = new Redis(redis.url);
    await client.config('SET', 'maxmemory', '1');
    client.disconnect();
    const result = await doctor(['--only', 'redis'], { REDIS_URL: redis.url });
    expect(result.find('redis.writes')).toMatchObject({
      status: 'problem',
      found: expect.stringContaining('OOM'),
    });
    expect(result.find('redis.memory').status).toBe('problem');
  });
});

describe('doctor on the queues', () => {
  it('tells of tasks that wait while nobody works on them, and of dead letters', async () => {
    const busy = await createService({
      redisUrl: service.env.REDIS_URL ?? '',
      scanners: [{ yaml: { password: 'wrong' } }],
    });
    try {
      const [{ url }, worker] = await Promise.all([busy.startGateway(), busy.startWorker()]);
      const api = restClient(url);
      const { task_id } = await api.submit({ targets: '192.0.2.1', name: 'cannot log in' });
      expect(await api.ended(task_id)).toMatchObject({ status: 'failed' });
      worker.kill('SIGTERM');
      await worker.ended;
      await api.submit({ targets: '192.0.2.2', name: 'waits' });
      const look = async () => {
        const { stdout } = await runCommand(['doctor', '--json', '--only', 'queues'], busy.env);
        return (JSON.parse(stdout) as { checks: Check[] }).checks;
      };
      const checks = await until('the worker is gone from the list of Redis', async () => {
        const now = await look();
        return now.some(({ name, status }) => name === 'queues.nessus' && status === 'problem')
          ? now
          : undefined;
      });
      expect(checks).toEqual(
        expect.arrayContaining([
          expect.objectContaining({ name: 'queues.nessus', advice: 'Start a worker: scanmq worker' }),
          expect.objectContaining({ name: 'queues.dead-letters', status: 'warning' }),
        ]),
      );
    } finally {
      await busy.close();
    }
  });
});

describe('doctor on settings and disk', () => {
  it('lists every mistake at once, goes on with the rest, and ends with 2', async () => {
    const result = await doctor(['--only', 'settings,data,redis'], {
      PORT: 'eighty',
      POLL_INTERVAL_SECONDS: '-1',
      CREDENTIALS_KEY: '',
    });
    expect(result.find('settings.PORT').status).toBe('problem');
    expect(result.find('settings.POLL_INTERVAL_SECONDS').status).toBe('problem');
    expect(result.find('settings.credentials-key')).toMatchObject({
      status: 'warning',
      advice: expect.stringContaining('openssl rand -base64 32'),
    });
    expect(result.find('redis.connection').status).toBe('ok');
    expect(result.code).toBe(2);
  });

  it('tells of a broken list of scanners, and of passwords that everybody can read', async () => {
    const file = join(service.directory, 'other.yaml');
    await writeFile(file, 'nessus:\n  - instance_id: one\n    url: http://scanner.example.com\n');
    const broken = await doctor(['--only', 'settings,scanners'], { SCANNER_CONFIG: file });
    expect(broken.find('settings.scanners').status).toBe('problem');
    expect(broken.find('scanners').status).toBe('skipped');
    expect(broken.code).toBe(2);

    await writeFile(
      file,
      'nessus:\n  - { instance_id: one, url: "https://scanner.example.com", username: u, password: canary-open }\n',
    );
    await chmod(file, 0o644);
    const open = await doctor(['--only', 'settings'], { SCANNER_CONFIG: file });
    expect(open.find('settings.scanners-file')).toMatchObject({
      status: 'warning',
      advice: expect.stringContaining('chmod 640'),
    });
    expect(open.stdout).not.toContain('canary-open');
    await chmod(file, 0o640);
    const closed = await doctor(['--only', 'settings'], { SCANNER_CONFIG: file });
    expect(closed.checks.map(({ name }) => name)).not.toContain('settings.scanners-file');
  });

  it('tells of a data directory that cannot be made, because a file is in its way', async () => {
    const file = join(service.directory, 'a-file');
    await writeFile(file, '');
    const result = await doctor(['--only', 'data'], { DATA_DIR: join(file, 'tasks') });
    expect(result.find('data.directory').status).toBe('problem');
    expect(result.code).toBe(4);
  });

  it('tells of a data directory that takes no files', async () => {
    // a file system that refuses new files whoever asks, root included
    const result = await doctor(['--only', 'data'], { DATA_DIR: '/proc/self' });
    expect(result.find('data.directory')).toMatchObject({
      status: 'problem',
      found: expect.stringContaining('cannot be written'),
    });
  });
});

describe('doctor on the gateway', () => {
  it('warns where none is started yet, and calls it a problem where one was named', async () => {
    const { SCANMQ_URL: _, ...env } = service.env;
    // where surely nobody listens: at its usual port there may be a gateway of somebody else
    const unnamed = await runCommand(['doctor', '--json', '--only', 'gateway'], { ...env, PORT: '1' });
    const [first] = (JSON.parse(unnamed.stdout) as { checks: Check[] }).checks;
    expect(first).toMatchObject({ name: 'gateway.connection', status: 'warning' });
    const named = await doctor(['--only', 'gateway'], {
      SCANMQ_URL: 'http://user:canary-url-pw@127.0.0.1:1',
    });
    expect(named.find('gateway.connection')).toMatchObject({
      status: 'problem',
      found: 'No gateway answers at http://127.0.0.1:1 (ECONNREFUSED).',
    });
    expect(named.stdout).not.toContain('canary-url-pw');
    expect(named.code).toBe(4);
  });

  it('tells a stranger on that port from a gateway', async () => {
    const [simulator] = service.simulators;
    const result = await doctor(['--only', 'gateway'], { SCANMQ_URL: simulator?.controlUrl ?? '' });
    expect(result.find('gateway.connection')).toMatchObject({
      status: 'problem',
      found: expect.stringContaining('not like scanmq'),
    });
  });
});

it('doctor refuses a part that it does not know', async () => {
  const result = await runCommand(['doctor', '--only', 'redis,weather'], service.env);
  expect(result.code).toBe(2);
  expect(result.stderr).toContain('expected some of node, settings');
});
