/** Gateways and workers on machines that share nothing but Redis and a bucket. */
import { readFileSync } from 'node:fs';
import { readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { gunzipSync } from 'node:zlib';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import {
  createService,
  type LocalS3,
  restClient,
  startLocalS3,
  type TestService,
  until,
} from '@scanmq/testkit';

const SAMPLE = gunzipSync(
  readFileSync(fileURLToPath(new URL('samples/cloud-repeated-host.nessus.gz', import.meta.url))),
);

let s3: LocalS3;
let service: TestService;

async function start(env: Record<string, string> = {}) {
  service = await createService({
    redisUrl: process.env.SCANMQ_TEST_REDIS_URL ?? '',
    scanners: [{ scanDurationMs: 200 }],
    env: { ...s3.env, S3_PREFIX: 'scanmq/tasks', ...env },
  });
}
const machine = (name: string): Record<string, string> => ({ DATA_DIR: join(service.directory, name) });
const gateway = async (name = 'gateway') => restClient((await service.startGateway(machine(name))).url);

beforeEach(async () => {
  s3 = await startLocalS3();
}, 30_000);
afterEach(async () => {
  await service.close();
  await s3.stop();
});

describe('with a bucket for the results', () => {
  it('what one worker has stored, every gateway answers, and nothing is left on the disk of the worker', async () => {
    await start();
    const [one, two] = [await gateway('gateway1'), await gateway('gateway2')];
    await service.startWorker(machine('worker'));
    const first = await one.submit({ targets: '192.0.2.1', name: 'first' });
    const second = await one.submit({ targets: '192.0.2.1', name: 'second' });
    const done = await two.ended(first.task_id, 60_000);
    await two.ended(second.task_id, 60_000);
    expect(done).toMatchObject({ status: 'completed' });

    const objects = await s3.objects();
    const ofFirst = objects.filter((name) => name.startsWith(`scanmq/tasks/${first.task_id}/`));
    expect(ofFirst.map((name) => name.split('/').at(-1)).sort()).toEqual([
      'files.json',
      'findings.parquet',
      'hosts.parquet',
      'plugins.parquet',
      'results.json',
      'scan_native.nessus',
      'task.json',
    ]);
    expect(await readdir(join(service.directory, 'worker', '.work'))).toEqual([]);

    const paths = [
      `/api/v1/scans/${first.task_id}/findings?page_size=10&sort=-cvss_score`,
      `/api/v1/scans/${first.task_id}/findings?format=ndjson`,
      `/api/v1/scans/${first.task_id}/findings?format=csv`,
      `/api/v1/scans/${first.task_id}/hosts`,
      `/api/v1/scans/${first.task_id}/export`,
      `/api/v1/scans/${second.task_id}/compare/${first.task_id}`,
      '/api/v1/findings?severity=high&limit=3',
    ];
    for (const path of paths) {
      const answers = [await one.call('GET', path), await two.call('GET', path)];
      expect(answers.map(({ status }) => status)).toEqual([200, 200]);
      expect(answers[1]?.text).toBe(answers[0]?.text);
      expect(answers[0]?.text.length).toBeGreaterThan(50);
    }
    const report = await two.call('GET', `/api/v1/scans/${first.task_id}/report`);
    expect(report.status).toBe(200);
  }, 120_000);

  it('an upload goes from the gateway through the bucket to the worker, and housekeeping takes it out again', async () => {
    await start({ RETENTION_COMPLETED_DAYS: '0.00003', HOUSEKEEPING_INTERVAL_MINUTES: '60' });
    const api = await gateway();
    const upload = await fetch(`${api.url}/api/v1/imports?name=brought`, {
      method: 'POST',
      body: SAMPLE,
      headers: { 'content-type': 'application/octet-stream' },
    });
    const { task_id: taskId } = (await upload.json()) as { task_id: string };
    expect(await readdir(join(service.directory, 'gateway', '.work'))).toEqual([]);
    await service.startWorker(machine('worker'));
    expect((await api.ended(taskId, 60_000)).status).toBe('completed');
    const raw = await fetch(`${api.url}/api/v1/scans/${taskId}/export`);
    expect(Buffer.compare(Buffer.from(await raw.arrayBuffer()), SAMPLE)).toBe(0);
    await until('its retention is over', async () => {
      const report = await api.call('POST', '/api/v1/housekeeping', { dry_run: false });
      return report.json().tasks.length === 1;
    });
    expect((await s3.objects()).filter((name) => name.includes(taskId))).toEqual([]);
    expect((await api.call('GET', `/api/v1/scans/${taskId}`)).status).toBe(404);
  }, 120_000);

  it('results of an older version are derived anew from the raw export, once for all gateways', async () => {
    await start();
    const one = await gateway('gateway1');
    await service.startWorker(machine('worker'));
    const { task_id: taskId } = await one.submit({ targets: '192.0.2.1', name: 'old' });
    await one.ended(taskId, 60_000);
    const path = `/api/v1/scans/${taskId}/findings?page_size=10`;
    const before = await one.call('GET', path);
    const list = async () =>
      (await s3.objects()).filter((name) => name.includes(taskId) && name.endsWith('results.json'));
    const [old] = await list();
    await s3.rewrite(`scanmq/tasks/${taskId}/files.json`, (text) => {
      const { files, ...rest } = JSON.parse(text);
      const { 'scan_native.nessus': raw } = files;
      return JSON.stringify({ ...rest, id: 'older', files: { 'scan_native.nessus': raw } });
    });
    const two = await gateway('gateway2');
    const after = await two.call('GET', path);
    expect([before.status, after.status]).toEqual([200, 200]);
    expect(after.json().vulnerabilities).toHaveLength(10);
    expect(after.json().vulnerabilities).toEqual(before.json().vulnerabilities);
    expect((await list()).filter((name) => name !== old)).toHaveLength(1);
  }, 120_000);
});

describe('a bucket that is away', () => {
  it('is waited for by the worker, which does not scan again; answers meanwhile say that it is away', async () => {
    await start();
    const api = await gateway();
    const worker = await service.startWorker(machine('worker'));
    const early = await api.submit({ targets: '192.0.2.1', name: 'early' });
    await api.ended(early.task_id, 60_000);
    await s3.crash();
    const findings = `/api/v1/scans/${early.task_id}/findings`;
    expect((await api.call('GET', findings)).json()).toMatchObject({ status: 503, code: 'unavailable' });
    expect((await api.call('GET', '/api/v1/findings?severity=low')).status).toBe(503);
    expect((await api.call('GET', `/api/v1/scans/${early.task_id}/export`)).status).toBe(503);
    expect((await api.call('GET', '/health')).json()).toMatchObject({
      status: 'unhealthy',
      redis_healthy: true,
      filesystem_healthy: false,
    });
    const late = await api.submit({ targets: '192.0.2.2', name: 'late' });
    await worker.event('store.away', 60_000);
    expect((await api.status(late.task_id)).status).toBe('running');
    await s3.start();
    expect((await api.ended(late.task_id, 90_000)).status).toBe('completed');
    expect(service.simulators[0]?.stats()).toMatchObject({ created: 2, launched: 2 });
    expect((await api.call('GET', findings)).status).toBe(200);
    // the copy of the record that could not be written then
    await until('the record is there', async () => {
      const name = (await s3.objects()).find((one) => one.endsWith(`${late.task_id}/task.json`));
      return name !== undefined && JSON.parse(await s3.read(name)).state === 'completed';
    });
  }, 180_000);

  it('does not lose a scan whose worker was killed before its results were stored', async () => {
    await start({ WORKER_LOCK_SECONDS: '2', WORKER_STALLED_CHECK_SECONDS: '0.5' });
    const api = await gateway();
    const worker = await service.startWorker(machine('worker1'));
    await s3.crash();
    const task = await api.submit({ targets: '192.0.2.1', name: 'killed' });
    await worker.event('store.away', 60_000);
    worker.kill('SIGKILL');
    await worker.ended;
    await rm(join(service.directory, 'worker1'), { recursive: true, force: true });
    await s3.start();
    await service.startWorker(machine('worker2'));
    expect((await api.ended(task.task_id, 90_000)).status).toBe('completed');
    expect(service.simulators[0]?.stats()).toMatchObject({ created: 1, launched: 1 });
  }, 180_000);
});
