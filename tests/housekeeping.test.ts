import { mkdir, readdir, symlink, utimes, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from '@jest/globals';
import { createService, restClient, type TestService, until } from '@scanmq/testkit';
import { Redis } from 'ioredis';

const redisUrl = process.env.SCANMQ_TEST_REDIS_URL ?? '';
const DAY_S = 86_400;
let service: TestService | undefined;
afterEach(async () => {
  await service?.close();
  service = undefined;
});

async function start(env: Record<string, string>, { worker = true } = {}) {
  service = await createService({
    redisUrl,
    env: { HOUSEKEEPING_INTERVAL_MINUTES: '60', IDEMPOTENCY_TTL_HOURS: '0.0001', ...env },
  });
  const running = service;
  const api = restClient((await running.startGateway()).url);
  if (worker) await running.startWorker();
  const [simulator] = running.simulators;
  if (!simulator) throw new Error('no simulator');
  return {
    service: running,
    api,
    simulator,
    keep: async (body: object = {}) => (await api.call('POST', '/api/v1/housekeeping', body)).json(),
    scan: async (body: object = {}) =>
      await api.ended((await api.submit({ targets: '192.0.2.1', name: 'kept', ...body })).task_id),
  };
}

describe('what is past its retention', () => {
  it('goes with record, job, indexes and files together; a dry run only tells', async () => {
    const { service, api, simulator, keep, scan } = await start({
      RETENTION_COMPLETED_DAYS: String(1 / DAY_S),
      RETENTION_FAILED_DAYS: '30',
    });
    const done = await scan();
    simulator.setFault({ name: 'export_500' });
    const dead = await scan({ name: 'dead' });
    simulator.clearFaults();
    expect([done.status, dead.status]).toEqual(['completed', 'failed']);
    const told = await until('it is past its retention', async () => {
      const report = await keep();
      return report.tasks.length > 0 ? report : undefined;
    });
    expect(told).toMatchObject({
      dry_run: true,
      tasks: [{ task_id: done.task_id, state: 'completed' }],
      problems: [],
    });
    expect((await api.status(done.task_id)).status).toBe('completed');
    expect(await readdir(join(service.dataDir, done.task_id))).toContain('scan_native.nessus');

    expect(await keep({ dry_run: false })).toMatchObject({
      dry_run: false,
      tasks: [{ task_id: done.task_id }],
    });
    expect((await api.call('GET', `/api/v1/scans/${done.task_id}`)).json()).toMatchObject({
      code: 'not_found',
    });
    expect(await readdir(service.dataDir)).toEqual([dead.task_id]);
    const redis = new Redis(redisUrl);
    try {
      expect(await redis.keys(`${service.prefix}:*${done.task_id}*`)).toEqual([]);
      for (const index of await redis.keys(`${service.prefix}:tasks.state:*`))
        expect(await redis.zscore(index, done.task_id)).toBeNull();
    } finally {
      redis.disconnect();
    }
    expect((await api.call('GET', '/api/v1/scans')).json()).toMatchObject({
      total: 1,
      tasks: [{ task_id: dead.task_id }],
    });
    expect(await keep({ dry_run: false })).toMatchObject({ tasks: [] });
  });

  it('is removed by the workers themselves, but never while its idempotency key is remembered', async () => {
    const { api, simulator, scan, keep } = await start({
      RETENTION_COMPLETED_DAYS: String(0.5 / DAY_S),
      HOUSEKEEPING_INTERVAL_MINUTES: '0.01',
      IDEMPOTENCY_TTL_HOURS: '1',
    });
    const withKey = await scan({ idempotency_key: 'mine' });
    // its end may pass unseen: it may be gone before somebody asks
    const without = await api.submit({ targets: '192.0.2.1', name: 'without' });
    await until(
      'it is gone',
      async () => (await api.call('GET', `/api/v1/scans/${without.task_id}`)).status === 404,
    );
    expect(simulator.scans().map(({ status }) => status)).toEqual(['completed', 'completed']);
    expect((await api.status(withKey.task_id)).status).toBe('completed');
    expect((await keep()).tasks).toEqual([]);
    expect((await api.submit({ targets: '192.0.2.1', name: 'kept', idempotency_key: 'mine' })).task_id).toBe(
      withKey.task_id,
    );
  });

  it('leaves every directory alone that is not surely ours and over', async () => {
    const { service, keep } = await start(
      { RETENTION_COMPLETED_DAYS: '7' },
      // one keeps house by itself when it starts, and would be the one that reports
      { worker: false },
    );
    const old = new Date(Date.now() - 2 * DAY_S * 1_000);
    const put = async (name: string, taskJson?: object): Promise<void> => {
      await mkdir(join(service.dataDir, name), { recursive: true });
      if (taskJson) await writeFile(join(service.dataDir, name, 'task.json'), JSON.stringify(taskJson));
      await utimes(join(service.dataDir, name), old, old);
    };
    const id = (n: number): string => `ne_impo_20260101_000000_0000000${n}`;
    await put(id(1));
    await put(id(2), { task_id: id(2), state: 'completed', completed_at: '2026-01-01T00:00:00.000Z' });
    await put(id(3), { task_id: id(3), state: 'running', completed_at: null });
    await put(id(4), { task_id: id(4), state: 'completed', completed_at: new Date().toISOString() });
    await put(id(5), { task_id: id(1), state: 'completed', completed_at: '2026-01-01T00:00:00.000Z' });
    await put('notes');
    await symlink('/etc', join(service.dataDir, id(6)));
    await mkdir(join(service.dataDir, id(7)));
    const report = await keep({ dry_run: false });
    expect(report.directories.map(({ name }: { name: string }) => name).sort()).toEqual([id(1), id(2)]);
    // several at once, as workers and gateways do: none fails because another was faster
    for (let n = 8; n <= 9; n += 1) await put(id(n));
    const reports = await Promise.all(Array.from({ length: 8 }, () => keep({ dry_run: false })));
    for (const one of reports) expect(one).toMatchObject({ problems: [] });
    expect((await readdir(service.dataDir)).sort()).toEqual(
      [id(3), id(4), id(5), id(6), id(7), 'notes'].sort(),
    );
  });
});

describe('scans on the scanner', () => {
  it('are deleted once their results are stored, where that is configured; never one that is not ours alone', async () => {
    const { simulator, scan, keep } = await start({ SCANNER_CLEANUP: 'delete' });
    await scan();
    await until('it is deleted', () => simulator.scans().length === 0);
    simulator.setFault({ name: 'reset_after_delete', remaining: 3 });
    const second = await scan({ name: 'second' });
    await until('it is deleted', () => simulator.scans().length === 0);
    expect(second.status).toBe('completed');
    // what the worker could not do is done later
    await until('nothing is left to do', async () => {
      const report = await keep({ dry_run: false });
      return report.problems.length === 0 && report.scans.length === 0;
    });
    expect(simulator.stats().deleted).toBe(2);
  });

  it('are kept otherwise', async () => {
    const { simulator, scan, keep } = await start({});
    await scan();
    expect(await keep({ dry_run: false })).toMatchObject({ scans: [] });
    expect(simulator.scans()).toHaveLength(1);
  });
});
