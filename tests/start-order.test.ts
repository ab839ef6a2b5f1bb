/** Programs that are started before what they need. */
import { afterEach, describe, expect, it } from '@jest/globals';
import { freePort, type LocalRedis, startLocalRedis } from '@scanmq/local-redis';
import {
  createService,
  type LocalS3,
  restClient,
  startLocalS3,
  type TestService,
  until,
} from '@scanmq/testkit';

let service: TestService;
let redis: LocalRedis | undefined;
let s3: LocalS3 | undefined;

afterEach(async () => {
  await service.close();
  await redis?.stop();
  await s3?.stop();
  redis = undefined;
  s3 = undefined;
});

describe('a gateway and a worker that are started first', () => {
  it('wait for Redis, for the bucket and for the scanner, say what for, and then do their work', async () => {
    const [redisPort, s3Port, port, workerPort] = [
      await freePort(),
      await freePort(),
      await freePort(),
      await freePort(),
    ];
    service = await createService({
      redisUrl: `redis://127.0.0.1:${redisPort}`,
      scanners: [{ scanDurationMs: 200 }],
      env: {
        RESULT_STORE: 's3',
        S3_BUCKET: 'results',
        S3_ENDPOINT: `http://127.0.0.1:${s3Port}`,
        S3_ACCESS_KEY_ID: 'S3RVER',
        S3_SECRET_ACCESS_KEY: 'S3RVER',
        PORT: String(port),
        WORKER_PORT: String(workerPort),
        START_WAIT_SECONDS: '120',
      },
    });
    const [scanner] = service.simulators;
    const restarted = scanner?.restart({ downMs: 8_000, loadingMs: 100 });
    const gateway = service.start(['gateway']);
    const worker = service.start(['worker']);
    for (const program of [gateway, worker]) {
      await program.event('start.waiting');
      expect(program.output()).toContain('waiting for the store of the results');
    }
    // whoever would restart them learns that they live, whoever would send requests that they cannot be served
    for (const number of [port, workerPort]) {
      const live = await until('it answers', () => fetch(`http://127.0.0.1:${number}/health/live`));
      expect(live.status).toBe(200);
      expect((await fetch(`http://127.0.0.1:${number}/health/ready`)).status).toBe(503);
    }
    const refused = await fetch(`http://127.0.0.1:${port}/api/v1/scans`);
    expect(refused.status).toBe(503);
    expect(await refused.json()).toMatchObject({ code: 'unavailable', status: 503 });
    // a browser that was following a scan comes back, which it would not after an error
    const following = await fetch(`http://127.0.0.1:${port}/api/v1/scans/ne_ness_1/events`, {
      headers: { 'last-event-id': '3' },
    });
    expect([following.status, following.headers.get('content-type')]).toEqual([
      200,
      'text/event-stream; charset=utf-8',
    ]);
    expect(await following.text()).toMatch(/^retry: \d+\n\n$/);

    s3 = await startLocalS3(s3Port);
    for (const program of [gateway, worker])
      await until('it waits for Redis', () =>
        program.output().includes(`waiting for Redis at 127.0.0.1:${redisPort}`),
      );
    redis = await startLocalRedis({ port: redisPort });
    await gateway.event('gateway.listening');
    await worker.event('worker.started');
    await restarted;
    const api = restClient(`http://127.0.0.1:${port}`);
    await until('the scanner is known to be there', async () => {
      const { scanners } = (await api.call('GET', '/api/v1/scanners')).json();
      return scanners[0]?.healthy === true;
    });
    const task = await api.submit({ targets: '192.0.2.1', name: 'first' });
    expect((await api.ended(task.task_id)).status).toBe('completed');
    expect((await fetch(`http://127.0.0.1:${port}/health/ready`)).status).toBe(200);
  }, 240_000);

  it('give up after the time that was set, with exit code 4 and the reason', async () => {
    service = await createService({
      redisUrl: 'redis://someone:hidden-password@127.0.0.1:1',
      env: { START_WAIT_SECONDS: '2' },
    });
    const programs = [service.start(['gateway']), service.start(['worker'])];
    for (const program of programs) {
      expect((await program.ended).code).toBe(4);
      expect(program.output()).toContain('Gave up after 2 s of waiting for Redis at 127.0.0.1:1');
      expect(program.output()).not.toContain('hidden-password');
    }
  });

  it('are ended by SIGTERM while they wait, and not by SIGHUP', async () => {
    service = await createService({
      redisUrl: 'redis://127.0.0.1:1',
      env: { START_WAIT_SECONDS: '120' },
    });
    const programs = [service.start(['gateway']), service.start(['worker'])];
    for (const program of programs) {
      await program.event('start.waiting');
      program.kill('SIGHUP');
      program.kill('SIGTERM');
      expect(await program.ended).toEqual({ code: 0, signal: null });
    }
  });
});
