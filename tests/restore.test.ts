import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import type { RestoreReport, ScanStatus } from '@scanmq/contract';
import { type LocalRedis, startLocalRedis } from '@scanmq/local-redis';
import {
  createService,
  type LocalS3,
  restClient,
  startLocalS3,
  type TestService,
  until,
} from '@scanmq/testkit';
import { Redis } from 'ioredis';

let redis: LocalRedis;
let service: TestService;
let s3: LocalS3 | undefined;

beforeEach(async () => {
  redis = await startLocalRedis();
});
afterEach(async () => {
  await service.close();
  await redis.stop();
  await s3?.stop();
  s3 = undefined;
});

async function restore(...args: string[]): Promise<RestoreReport> {
  const program = service.start(['restore', '--json', ...args]);
  const { code } = await program.ended;
  const line = program
    .output()
    .split('\n')
    .find((text) => text.startsWith('{"dry_run"'));
  if (code !== 0 || line === undefined) throw new Error(`it ended with ${code}:\n${program.output()}`);
  return JSON.parse(line);
}

/** What is told of a task that does not depend on the moment of asking. */
function lasting({ eta: _, queue_position: __, estimated_wait_minutes: ___, ...task }: ScanStatus) {
  return task;
}

async function ask<T>(question: (client: Redis) => Promise<T>): Promise<T> {
  const client = new Redis(redis.url);
  try {
    return await question(client);
  } finally {
    client.disconnect();
  }
}
const wipe = () => ask((client) => client.flushall());

describe.each(['directory', 's3'])(
  'a Redis that has lost everything, with results in the store of the kind %s',
  (kind) => {
    it('is filled again: what had ended answers as before, what waited and ran goes on, and nothing is scanned twice', async () => {
      if (kind === 's3') s3 = await startLocalS3();
      service = await createService({
        redisUrl: redis.url,
        // a scan ends when the test says so
        scanners: [{ limit: 2, scanDurationMs: 600_000 }],
        env: { ...s3?.env },
      });
      const [scanner] = service.simulators;
      if (!scanner) throw new Error('no simulator');
      let gateway = await service.startGateway();
      let api = restClient(gateway.url);
      let worker = await service.startWorker();
      const submit = (n: number) =>
        api.submit({ targets: `192.0.2.${n}`, name: `task ${n}` }, { 'idempotency-key': `key-${n}` });
      const done = [await submit(1), await submit(2)];
      const finish = async (tasks: readonly ScanStatus[]): Promise<void> => {
        const states = async () => await Promise.all(tasks.map(({ task_id }) => api.status(task_id)));
        await until(
          'they end',
          async () => {
            scanner.endScans('all', 'completed');
            return (await states()).every(({ status }) => status === 'completed');
          },
          90_000,
        );
      };
      await finish(done);
      scanner.setFault({ name: 'abort_scan' });
      const failed = await submit(3);
      expect((await api.ended(failed.task_id, 60_000)).status).toBe('failed');
      scanner.clearFaults();
      // two run, one waits behind them, one is held
      const running = [await submit(4), await submit(5)];
      await until('both run', () => scanner.stats().active_now === 2, 60_000);
      const waiting = await submit(6);
      const held = await submit(7);
      await api.call('POST', `/api/v1/scans/${held.task_id}/pause`);
      const stats = scanner.stats();

      const list = async (): Promise<ScanStatus[]> =>
        (await api.call('GET', '/api/v1/scans?limit=50')).json().tasks;
      const before = await list();
      const results = `/api/v1/scans/${done[0]?.task_id}/findings?page_size=100&profile=full`;
      const resultsBefore = await api.call('GET', results);
      const deadBefore = (await api.call('GET', '/api/v1/dead-letters')).json();
      for (const program of [gateway.program, worker]) program.kill('SIGKILL');
      await Promise.all([gateway.program.ended, worker.ended]);
      await wipe();

      const plan = await restore();
      expect(plan).toMatchObject({ dry_run: true, known: 0, problems: [] });
      expect(plan.restored).toHaveLength(7);
      expect(await ask((client) => client.keys('*:tasks.*'))).toEqual([]);
      const report = await restore('--apply');
      expect(report.restored.map(({ task_id }) => task_id).sort()).toEqual(
        before.map(({ task_id }) => task_id).sort(),
      );
      // once more, as somebody would who is not sure
      expect(await restore('--apply')).toMatchObject({ restored: [], known: 7, problems: [] });

      gateway = await service.startGateway();
      api = restClient(gateway.url);
      const after = await list();
      expect(after.map(({ task_id }) => task_id)).toEqual(before.map(({ task_id }) => task_id));
      const ended = (tasks: readonly ScanStatus[]) =>
        tasks.filter(({ status }) => status !== 'running' && status !== 'queued').map(lasting);
      expect(ended(after)).toEqual(ended(before));
      expect(ended(after)).toHaveLength(3);
      expect((await api.call('GET', results)).text).toBe(resultsBefore.text);
      expect((await api.call('GET', '/api/v1/dead-letters')).json()).toEqual(deadBefore);
      // the same key is the same task, running or ended
      for (const task of [...done, ...running]) {
        const again = await submit(Number(task.name.split(' ')[1]));
        expect(again).toMatchObject({ task_id: task.task_id, idempotent_replay: true });
      }

      worker = await service.startWorker();
      await until(
        'they are followed again',
        async () => {
          const states = await Promise.all(running.map(({ task_id }) => api.status(task_id)));
          return states.every((task) => task.scanner_status === 'running' && task.nessus_scan_id !== null);
        },
        60_000,
      );
      expect(scanner.stats()).toMatchObject({ created: stats.created, launched: stats.launched });
      await finish([...running, waiting]);
      // the one that waited was scanned for the first time, the one that is held still is
      expect(scanner.stats()).toMatchObject({ created: stats.created + 1, launched: stats.launched + 1 });
      expect(await api.status(held.task_id)).toMatchObject({ status: 'queued', paused: true });
      expect(scanner.stats().max_active_ever).toBeLessThanOrEqual(2);
    }, 240_000);
  },
);

describe('restoring', () => {
  it('leaves what Redis knows as it is, and says what it could not read', async () => {
    service = await createService({ redisUrl: redis.url, scanners: [{ scanDurationMs: 200 }] });
    const { url } = await service.startGateway();
    const api = restClient(url);
    await service.startWorker();
    const task = await api.submit({ targets: '192.0.2.1', name: 'known' });
    const before = await api.ended(task.task_id, 60_000);
    const file = join(service.dataDir, task.task_id, 'task.json');
    // the copy comes a moment after the record
    const text = await until('the copy is written', async () => {
      const found = await readFile(file, 'utf8');
      return JSON.parse(found).state === 'completed' ? found : undefined;
    });
    await writeFile(file, text.replace('"known"', '"forged"'));
    expect(await restore('--apply')).toMatchObject({ restored: [], known: 1, problems: [] });
    expect(lasting(await api.status(task.task_id))).toEqual(lasting(before));
    await wipe();
    await writeFile(file, text.slice(0, 100));
    expect(await restore('--apply')).toMatchObject({
      restored: [],
      known: 0,
      problems: [`${task.task_id}: its task.json is not one of ours`],
    });
    await writeFile(file, text);
    expect((await restore('--apply')).restored).toEqual([
      { task_id: task.task_id, state: 'completed', name: 'known', credentials_lost: false },
    ]);
    // a gateway that has been there all the time sees it as well
    expect(lasting(await api.status(task.task_id))).toEqual(lasting(before));
    expect((await api.call('GET', '/api/v1/scans')).json()).toMatchObject({ total: 1 });
  }, 120_000);
});
