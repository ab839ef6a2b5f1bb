import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { gunzipSync } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { type LocalCluster, startLocalCluster } from '@scanmq/local-redis';
import { createService, restClient, type TestService, until } from '@scanmq/testkit';
import { Redis } from 'ioredis';

const SAMPLE = gunzipSync(
  readFileSync(fileURLToPath(new URL('samples/cloud-repeated-host.nessus.gz', import.meta.url))),
);

let cluster: LocalCluster;
let service: TestService;
let api: ReturnType<typeof restClient>;

beforeAll(async () => {
  cluster = await startLocalCluster();
  service = await createService({
    redisUrl: 'redis://127.0.0.1:1',
    // the scans of the other pool end when the test says so
    scanners: [
      { limit: 2, scanDurationMs: 300 },
      { pool: 'slow', scanDurationMs: 600_000 },
    ],
    env: { ...cluster.env, QUEUE_PREFIX: '{scans}', WEBHOOK_ALLOW_NETWORKS: '127.0.0.0/8' },
  });
  const [gateway] = await Promise.all([service.startGateway(), service.startWorker(), service.startWorker()]);
  api = restClient(gateway.url);
});
afterAll(async () => {
  await service.close();
  await cluster.stop();
});

describe('on a Redis Cluster', () => {
  it('scans are submitted once, queued, run within the limit, and answered', async () => {
    const submit = (n: number) =>
      api.submit({ targets: `192.0.2.${n}`, name: `task ${n}` }, { 'idempotency-key': `key-${n}` });
    const tasks = await Promise.all([1, 2, 3, 4, 5].map(submit));
    expect((await submit(1)).task_id).toBe(tasks[0]?.task_id);
    const pinned = await api.submit({
      targets: '192.0.2.6',
      name: 'pinned',
      scanner_instance: 'scanner1',
      idempotency_key: 'pinned',
    });
    const ended = await Promise.all([...tasks, pinned].map((task) => api.ended(task.task_id)));
    expect(ended.map((task) => task.status)).toEqual(Array(6).fill('completed'));
    expect(service.simulators[0]?.stats()).toMatchObject({ created: 6, launched: 6 });
    expect(service.simulators[0]?.stats().max_active_ever).toBeLessThanOrEqual(2);
    const list = (await api.call('GET', '/api/v1/scans?target_filter=192.0.2.0/29&limit=2')).json();
    expect(list).toMatchObject({ total: 6, tasks: [{ name: 'pinned' }, {}] });
    const answer = await api.call('GET', `/api/v1/scans/${pinned.task_id}/findings?page_size=10`);
    expect(answer.status).toBe(200);
  });

  it('a failed scan is tried again until it is a dead letter, and from there; others are held, resumed and cancelled', async () => {
    const [scanner] = service.simulators;
    scanner?.setFault({ name: 'abort_scan' });
    const failing = await api.submit({ targets: '192.0.2.9', name: 'failing' });
    expect((await api.ended(failing.task_id)).status).toBe('failed');
    scanner?.clearFaults();
    const dead = (await api.call('GET', '/api/v1/dead-letters')).json();
    expect(JSON.stringify(dead)).toContain(failing.task_id);
    await api.call('POST', `/api/v1/dead-letters/${failing.task_id}/retry`);
    expect((await api.ended(failing.task_id)).status).toBe('completed');

    const act = (id: string, action: string) => api.call('POST', `/api/v1/scans/${id}/${action}`);
    const shows = (id: string, word: string) =>
      until(`it is ${word}`, async () => (await api.status(id)).scanner_status === word);
    const slow = { scanner_pool: 'slow' };
    const held = await api.submit({ targets: '192.0.2.10', name: 'held', ...slow });
    await shows(held.task_id, 'running');
    await act(held.task_id, 'pause');
    await shows(held.task_id, 'paused');
    await act(held.task_id, 'resume');
    await shows(held.task_id, 'running');
    service.simulators[1]?.endScans('all', 'completed');
    expect((await api.ended(held.task_id)).status).toBe('completed');
    const stopped = await api.submit({ targets: '192.0.2.11', name: 'stopped', ...slow });
    await act(stopped.task_id, 'cancel');
    expect((await api.ended(stopped.task_id)).status).toBe('cancelled');
  });

  it('results are brought in, schedules fire, and webhooks are told', async () => {
    const upload = await fetch(`${api.url}/api/v1/imports?name=brought`, {
      method: 'POST',
      body: SAMPLE,
      headers: { 'content-type': 'application/octet-stream' },
    });
    expect(upload.status).toBe(202);
    const { task_id: imported } = (await upload.json()) as { task_id: string };
    expect((await api.ended(imported, 60_000)).status).toBe('completed');

    const webhook = await api.call('POST', '/api/v1/webhooks', {
      url: 'http://127.0.0.1:1/nobody',
      events: ['scan.completed'],
    });
    expect(webhook.status).toBe(201);
    const schedule = await api.call('POST', '/api/v1/schedules', {
      request: { targets: '192.0.2.20', name: 'recurring' },
      every_minutes: 0.02,
    });
    expect(schedule.status).toBe(201);
    await until('a run', async () => {
      const { schedule_id: id } = schedule.json();
      return (await api.call('GET', `/api/v1/schedules/${id}`)).json().runs >= 1;
    });
    await until('an attempt', async () => {
      const { webhook_id: id } = webhook.json();
      return (await api.call('GET', `/api/v1/webhooks/${id}/deliveries`)).json().deliveries.length > 0;
    });
  });

  it('every key is in one slot, on one of the nodes', async () => {
    const counts = await Promise.all(
      cluster.servers.map(async ({ url }) => {
        const redis = new Redis(url);
        try {
          return await redis.dbsize();
        } finally {
          redis.disconnect();
        }
      }),
    );
    expect(counts.filter((count) => count > 0)).toHaveLength(1);
  });
});

describe('the settings of a Cluster', () => {
  it('need a QUEUE_PREFIX with braces, and say so', async () => {
    const program = service.start(['worker'], { QUEUE_PREFIX: 'scanmq' });
    expect((await program.ended).code).toBe(2);
    expect(program.output()).toContain('expected a QUEUE_PREFIX with braces, for example {scanmq}');
  });
});
