/** Gateways and workers on machines that share nothing but Redis and a bucket. */
import { readFileSync } from 'node:fs';
import { readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { gunzipSync } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import {
  createService,
  type LocalS3,
  type RunningProgram,
  restClient,
  startLocalS3,
  type TestService,
  until,
} from '@scanmq/testkit';

const SAMPLE = gunzipSync(
  readFileSync(fileURLToPath(new URL('samples/cloud-repeated-host.nessus.gz', import.meta.url))),
);

/** Past its retention is what ended this long ago; housekeeping comes when a test asks for it. */
const RETENTION_DAYS = 0.00003;

let s3: LocalS3;
let service: TestService;
let one: ReturnType<typeof restClient>;
let two: ReturnType<typeof restClient>;
let worker: RunningProgram;

const machine = (name: string): Record<string, string> => ({ DATA_DIR: join(service.directory, name) });

beforeAll(async () => {
  s3 = await startLocalS3();
  service = await createService({
    redisUrl: process.env.SCANMQ_TEST_REDIS_URL ?? '',
    scanners: [{ scanDurationMs: 200 }],
    env: {
      ...s3.env,
      S3_PREFIX: 'scanmq/tasks',
      WORKER_LOCK_SECONDS: '2',
      WORKER_STALLED_CHECK_SECONDS: '0.5',
      HOUSEKEEPING_INTERVAL_MINUTES: '1440',
    },
  });
  const [first, second, started] = await Promise.all([
    service.startGateway({ ...machine('gateway1'), RETENTION_COMPLETED_DAYS: String(RETENTION_DAYS) }),
    service.startGateway(machine('gateway2')),
    service.startWorker(machine('worker1')),
  ]);
  one = restClient(first.url);
  two = restClient(second.url);
  worker = started;
});
afterAll(async () => {
  await service.close();
  await s3.stop();
});

const objectsOf = async (taskId: string): Promise<string[]> =>
  (await s3.objects()).filter((name) => name.startsWith(`scanmq/tasks/${taskId}/`));

/** Stores results that nobody looks at before the test does. */
async function scanned(name: string): Promise<string> {
  const { task_id: taskId } = await one.submit({ targets: '192.0.2.1', name });
  expect(await two.ended(taskId)).toMatchObject({ status: 'completed' });
  return taskId;
}

describe('with a bucket for the results', () => {
  it('what one worker has stored, every gateway answers, and nothing is left on the disk of the worker', async () => {
    const [first, second] = [await scanned('first'), await scanned('second')];
    expect((await objectsOf(first)).map((name) => name.split('/').at(-1)).sort()).toEqual([
      'files.json',
      'findings.parquet',
      'hosts.parquet',
      'plugins.parquet',
      'results.json',
      'scan_native.nessus',
      'task.json',
    ]);
    expect(await readdir(join(service.directory, 'worker1', '.work'))).toEqual([]);

    const paths = [
      `/api/v1/scans/${first}/findings?page_size=10&sort=-cvss_score`,
      `/api/v1/scans/${first}/findings?format=ndjson`,
      `/api/v1/scans/${first}/findings?format=csv`,
      `/api/v1/scans/${first}/hosts`,
      `/api/v1/scans/${first}/export`,
      `/api/v1/scans/${second}/compare/${first}`,
      '/api/v1/findings?severity=high&limit=3',
    ];
    for (const path of paths) {
      const answers = [await one.call('GET', path), await two.call('GET', path)];
      expect(answers.map(({ status }) => status)).toEqual([200, 200]);
      expect(answers[1]?.text).toBe(answers[0]?.text);
      expect(answers[0]?.text.length).toBeGreaterThan(50);
    }
    expect((await two.call('GET', `/api/v1/scans/${first}/report`)).status).toBe(200);
    // with the earlier scan as baseline nothing is new
    const gate = { new_only: true, baseline: first, fail_on: 'low' };
    const judged = await two.call('POST', `/api/v1/scans/${second}/gate`, gate);
    expect(judged.json()).toMatchObject({ outcome: 'passed', baseline: { task_id: first } });
    const known = await one.call('POST', `/api/v1/scans/${second}/gate?format=baseline`, gate);
    expect(known.status).toBe(200);
  });

  it('results of an older version are derived anew from the raw export, once for all gateways', async () => {
    const taskId = await scanned('old');
    const path = `/api/v1/scans/${taskId}/findings?page_size=10`;
    const before = await one.call('GET', path);
    const list = async () => (await objectsOf(taskId)).filter((name) => name.endsWith('results.json'));
    const [old] = await list();
    await s3.rewrite(`scanmq/tasks/${taskId}/files.json`, (text) => {
      const { files, ...rest } = JSON.parse(text);
      const { 'scan_native.nessus': raw } = files;
      return JSON.stringify({ ...rest, id: 'older', files: { 'scan_native.nessus': raw } });
    });
    const after = await two.call('GET', path);
    expect([before.status, after.status]).toEqual([200, 200]);
    expect(after.json().vulnerabilities).toHaveLength(10);
    expect(after.json().vulnerabilities).toEqual(before.json().vulnerabilities);
    expect((await list()).filter((name) => name !== old)).toHaveLength(1);
  });
});

describe('a bucket that is away', () => {
  it('is waited for by the worker, which does not scan again; answers meanwhile say that it is away', async () => {
    const early = await scanned('early');
    const { created } = service.simulators[0]?.stats() ?? { created: 0 };
    await s3.crash();
    const findings = `/api/v1/scans/${early}/findings`;
    expect((await one.call('GET', findings)).json()).toMatchObject({ status: 503, code: 'unavailable' });
    expect((await one.call('GET', '/api/v1/findings?severity=low')).status).toBe(503);
    expect((await one.call('GET', `/api/v1/scans/${early}/export`)).status).toBe(503);
    expect((await one.call('GET', '/health')).json()).toMatchObject({
      status: 'unhealthy',
      redis_healthy: true,
      filesystem_healthy: false,
    });
    const late = await one.submit({ targets: '192.0.2.2', name: 'late' });
    await worker.event('store.away');
    expect((await one.status(late.task_id)).status).toBe('running');
    await s3.start();
    expect((await one.ended(late.task_id, 90_000)).status).toBe('completed');
    expect(service.simulators[0]?.stats()).toMatchObject({ created: created + 1, launched: created + 1 });
    expect((await one.call('GET', findings)).status).toBe(200);
    // the copy of the record that could not be written then
    await until('the record is there', async () => {
      const name = (await objectsOf(late.task_id)).find((object) => object.endsWith('/task.json'));
      return name !== undefined && JSON.parse(await s3.read(name)).state === 'completed';
    });
  }, 240_000);

  it('does not lose a scan whose worker was killed before its results were stored', async () => {
    const { created } = service.simulators[0]?.stats() ?? { created: 0 };
    const waits = (): number => worker.output().split('"store.away"').length;
    const before = waits();
    await s3.crash();
    const task = await one.submit({ targets: '192.0.2.1', name: 'killed' });
    await until('the worker waits for the bucket', () => waits() > before);
    worker.kill('SIGKILL');
    await worker.ended;
    await rm(join(service.directory, 'worker1'), { recursive: true, force: true });
    await s3.start();
    worker = await service.startWorker(machine('worker2'));
    expect((await one.ended(task.task_id, 90_000)).status).toBe('completed');
    expect(service.simulators[0]?.stats()).toMatchObject({ created: created + 1, launched: created + 1 });
  }, 240_000);
});

describe('an upload', () => {
  it('goes from the gateway through the bucket to the worker, and housekeeping takes it out again', async () => {
    const upload = await fetch(`${one.url}/api/v1/imports?name=brought`, {
      method: 'POST',
      body: SAMPLE,
      headers: { 'content-type': 'application/octet-stream' },
    });
    const { task_id: taskId } = (await upload.json()) as { task_id: string };
    expect((await two.ended(taskId)).status).toBe('completed');
    expect(await readdir(join(service.directory, 'gateway1', '.work'))).toEqual([]);
    const raw = await fetch(`${two.url}/api/v1/scans/${taskId}/export`);
    expect(Buffer.compare(Buffer.from(await raw.arrayBuffer()), SAMPLE)).toBe(0);
    const removed = await until('its retention is over', async () => {
      const { tasks } = (await one.call('POST', '/api/v1/housekeeping', { dry_run: false })).json();
      return tasks.some((task: { task_id: string }) => task.task_id === taskId);
    });
    expect(removed).toBe(true);
    expect(await objectsOf(taskId)).toEqual([]);
    expect((await two.call('GET', `/api/v1/scans/${taskId}`)).status).toBe(404);
  });
});
