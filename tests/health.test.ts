/** What a gateway and a worker say of their health, to whom, and with Redis away. */
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { type LocalRedis, startLocalRedis } from '@scanmq/local-redis';
import { createService, restClient, runCommand, type TestService, until } from '@scanmq/testkit';

let redis: LocalRedis;
let service: TestService;
let gateway: ReturnType<typeof restClient>;
let worker: ReturnType<typeof restClient>;

beforeAll(async () => {
  redis = await startLocalRedis({});
  service = await createService({ redisUrl: redis.url, scanners: [{}, { yaml: { password: 'wrong' } }] });
  const [{ url }, started] = await Promise.all([service.startGateway(), service.startWorker()]);
  gateway = restClient(url);
  worker = restClient(String((await started.event('worker.started')).url));
});
afterAll(async () => {
  await service.close();
  await redis.stop();
});

const SECONDS = expect.any(Number);
const scanners = {
  status: 'degraded',
  detail: '1 of 2 cannot be used',
  scanners: [
    { scanner: 'nessus:scanner1', status: 'healthy', circuit: 'closed', checked_seconds_ago: SECONDS },
    {
      scanner: 'nessus:scanner2',
      status: 'unhealthy',
      circuit: expect.any(String),
      checked_seconds_ago: SECONDS,
    },
  ],
};
const shared = {
  redis: { status: 'healthy', round_trip_ms: expect.any(Number) },
  filesystem: { status: 'healthy', free_mb: expect.any(Number) },
  scanners,
  sweeper: { status: 'healthy', swept_seconds_ago: SECONDS },
};

async function allKnown(program: typeof gateway) {
  return await until('the sweeper and each scanner are known', async () => {
    const answer = await program.call('GET', '/health');
    const { sweeper, scanners } = answer.json().dependencies;
    // all of them are degraded already when the first that cannot be used is known
    const parts: { status: string }[] = [sweeper, scanners, ...(scanners.scanners ?? [])];
    return parts.every(({ status }) => status !== 'unknown') && answer;
  });
}

describe('without keys, for whoever is on this machine', () => {
  it('a gateway tells each dependency with its age', async () => {
    expect((await allKnown(gateway)).json()).toEqual({
      status: 'healthy',
      version: expect.any(String),
      redis_healthy: true,
      filesystem_healthy: true,
      dependencies: shared,
    });
  });

  it('a worker tells the same, and when it last asked for jobs', async () => {
    expect((await allKnown(worker)).json()).toEqual({
      status: 'healthy',
      version: expect.any(String),
      redis_healthy: true,
      filesystem_healthy: true,
      dependencies: {
        ...shared,
        jobs: { status: 'healthy', asked_seconds_ago: SECONDS, running_scans: 0 },
      },
    });
  });

  it('a worker that has nothing to do still asks', async () => {
    const figure = async () =>
      Number(
        /^scanmq_last_job_fetch_timestamp_seconds (\d\S*)$/m.exec(
          (await worker.call('GET', '/metrics')).text,
        )?.[1],
      );
    const before = await figure();
    await until('it has asked again', async () => (await figure()) > before);
  });

  it('nobody is told an address', async () => {
    for (const program of [gateway, worker])
      expect((await program.call('GET', '/health')).text).not.toMatch(
        /127\.0\.0\.1|localhost|https?:|redis:|scanmq-test/,
      );
  });
});

describe('as soon as there is a key', () => {
  let key: string;
  beforeAll(async () => {
    const made = await runCommand(
      ['keys', 'create', '--name', 'watcher', '--role', 'viewer', '--json'],
      service.env,
    );
    ({ key } = JSON.parse(made.stdout));
    await until(
      'the gateway knows of it',
      async () => (await gateway.call('GET', '/api/v1/pools')).status === 401,
    );
  });
  const words = {
    redis: { status: 'healthy' },
    filesystem: { status: 'healthy' },
    scanners: { status: 'degraded' },
    sweeper: { status: 'healthy' },
  };

  it('those without one are told words only', async () => {
    const answer = { status: 'healthy', redis_healthy: true, filesystem_healthy: true };
    expect((await gateway.call('GET', '/health')).json()).toEqual({ ...answer, dependencies: words });
    expect((await worker.call('GET', '/health')).json()).toEqual({
      ...answer,
      dependencies: { ...words, jobs: { status: 'healthy' } },
    });
  });

  it('whoever has one is told all, whoever has a wrong one the words', async () => {
    const withKey = (text: string) =>
      gateway.call('GET', '/health', undefined, { authorization: `Bearer ${text}` });
    expect((await withKey(key)).json()).toMatchObject({ version: expect.any(String), dependencies: shared });
    expect((await withKey(`${key.slice(0, -4)}0000`)).json().dependencies).toEqual(words);
  });
});

describe('with Redis away', () => {
  it('both say so at once, and are not ready', async () => {
    await redis.crash();
    await until(
      'the gateway notices',
      async () => (await gateway.call('GET', '/health/ready')).status === 503,
    );
    for (const program of [gateway, worker]) {
      const begunMs = Date.now();
      const answer = await program.call('GET', '/health');
      expect([answer.status, answer.json()]).toMatchObject([
        503,
        { status: 'unhealthy', redis_healthy: false, dependencies: { redis: { status: 'unhealthy' } } },
      ]);
      expect((await program.call('GET', '/health/ready')).status).toBe(503);
      expect((await program.call('GET', '/health/live')).status).toBe(200);
      // each of the questions is given up after two seconds; a worker would wait for Redis for ever
      expect(Date.now() - begunMs).toBeLessThan(30_000);
    }
    expect((await worker.call('GET', '/metrics')).status).toBe(200);
  });
});
