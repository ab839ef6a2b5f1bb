import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from '@jest/globals';
import { openAccess } from '@scanmq/access';
import { readSettings } from '@scanmq/config';
import { createKeySchema, type RestoreReport, type ScanStatus } from '@scanmq/contract';
import { type LocalRedis, startLocalRedis } from '@scanmq/local-redis';
import {
  createService,
  type LocalS3,
  type RunningProgram,
  restClient,
  startLocalS3,
  type TestService,
  until,
} from '@scanmq/testkit';
import { Redis } from 'ioredis';

let redis: LocalRedis | undefined;
let service: TestService | undefined;
let s3: LocalS3 | undefined;

afterEach(async () => {
  await service?.close();
  await redis?.stop();
  await s3?.stop();
  redis = service = s3 = undefined;
});

async function restore({ start }: TestService, ...args: string[]): Promise<RestoreReport> {
  const program = start(['restore', '--json', ...args]);
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

async function ask<T>({ url }: LocalRedis, question: (client: Redis) => Promise<T>): Promise<T> {
  const client = new Redis(url);
  try {
    return await question(client);
  } finally {
    client.disconnect();
  }
}

/** Keys of two principals, in a file, which outlives Redis. */
async function makeKeys(env: Readonly<Record<string, string>>, { url }: LocalRedis) {
  const client = new Redis(url);
  const access = await openAccess({ settings: readSettings(env), redis: client, onProblem: () => undefined });
  const make = async (name: string) => {
    const made = await access.keys.create(createKeySchema.parse({ name, role: 'operator' }), 'tester');
    return { authorization: `Bearer ${made.key}` };
  };
  const keys = { alice: await make('alice'), bob: await make('bob') };
  await access.close();
  client.disconnect();
  return keys;
}

const isCopied = async (file: string, { status, paused }: ScanStatus): Promise<boolean> => {
  const copy = JSON.parse(await readFile(file, 'utf8'));
  return copy.state === status && (copy.pause_requested !== null) === paused;
};

describe('a Redis that has lost everything', () => {
  it('is filled again: what had ended answers as before, what waited and ran goes on, and nothing is scanned twice', async () => {
    const server = await startLocalRedis();
    redis = server;
    const running = await createService({
      redisUrl: server.url,
      // a scan ends when the test says so
      scanners: [{ limit: 2, scanDurationMs: 600_000 }],
    });
    service = running;
    const [scanner] = running.simulators;
    if (!scanner) throw new Error('no simulator');
    const env = { API_KEYS_FILE: join(running.directory, 'keys.json') };
    const keys = await makeKeys({ ...running.env, ...env }, server);
    let gateway: { url: string; program: RunningProgram };
    let worker: RunningProgram;
    [gateway, worker] = await Promise.all([running.startGateway(env), running.startWorker(env)]);
    let api = restClient(gateway.url, keys.alice);
    const submit = (n: number, as = api) =>
      as.submit({ targets: `192.0.2.${n}`, name: `task ${n}` }, { 'idempotency-key': `key-${n}` });
    const finish = async (tasks: readonly ScanStatus[]): Promise<void> =>
      void (await until(
        'they end',
        async () => {
          scanner.endScans('all', 'completed');
          const states = await Promise.all(tasks.map(({ task_id }) => api.status(task_id)));
          return states.every(({ status }) => status === 'completed');
        },
        120_000,
      ));
    const done = [await submit(1), await submit(2)];
    await finish(done);
    scanner.setFault({ name: 'abort_scan' });
    const failed = await submit(3);
    expect((await api.ended(failed.task_id)).status).toBe('failed');
    scanner.clearFaults();
    // two run, two of two principals wait behind them, one is held
    const followed = [await submit(4), await submit(5)];
    await until('both run', () => scanner.stats().active_now === 2);
    const waiting = await submit(6);
    const held = await submit(7);
    await api.call('POST', `/api/v1/scans/${held.task_id}/pause`);
    const ofBob = await submit(8, restClient(gateway.url, keys.bob));
    const stats = scanner.stats();

    const list = async (): Promise<ScanStatus[]> =>
      (await api.call('GET', '/api/v1/scans?limit=50')).json().tasks;
    const before = await list();
    expect(before).toHaveLength(7);
    const results = `/api/v1/scans/${done[0]?.task_id}/findings?page_size=100&profile=full`;
    const resultsBefore = await api.call('GET', results);
    const deadBefore = (await api.call('GET', '/api/v1/dead-letters')).json();
    const file = (task: ScanStatus | undefined): string =>
      join(running.dataDir, task?.task_id ?? '', 'task.json');
    // the copy comes a moment after the record
    for (const task of [...before, ofBob])
      await until('its copy is written', () => isCopied(file(task), task));
    const text = await readFile(file(done[1]), 'utf8');
    for (const program of [gateway.program, worker]) program.kill('SIGKILL');
    await Promise.all([gateway.program.ended, worker.ended]);
    await ask(server, (client) => client.flushall());

    await writeFile(file(done[1]), text.slice(0, 100));
    const plan = await restore(running);
    expect(plan).toMatchObject({
      dry_run: true,
      known: 0,
      problems: [`${done[1]?.task_id}: its task.json is not one of ours`],
    });
    expect(plan.restored).toHaveLength(7);
    expect(await ask(server, (client) => client.keys('*:tasks.*'))).toEqual([]);
    await writeFile(file(done[1]), text);
    const report = await restore(running, '--apply');
    expect(report.restored.map(({ task_id }) => task_id).sort()).toEqual(
      [...before, ofBob].map(({ task_id }) => task_id).sort(),
    );
    // once more, as somebody would who is not sure: what Redis knows stays as it is
    await writeFile(file(done[1]), text.replace('"task 2"', '"forged"'));
    expect(await restore(running, '--apply')).toMatchObject({ restored: [], known: 8, problems: [] });

    gateway = await running.startGateway(env);
    api = restClient(gateway.url, keys.alice);
    const after = await list();
    // nobody sees tasks of others for that
    expect(after.map(({ task_id }) => task_id)).toEqual(before.map(({ task_id }) => task_id));
    const ended = (tasks: readonly ScanStatus[]) =>
      tasks.filter(({ status }) => status !== 'running' && status !== 'queued').map(lasting);
    expect(ended(after)).toEqual(ended(before));
    expect(ended(after)).toHaveLength(3);
    expect((await api.call('GET', results)).text).toBe(resultsBefore.text);
    expect((await api.call('GET', '/api/v1/dead-letters')).json()).toEqual(deadBefore);
    // the same key is the same task, running or ended
    for (const task of [...done, ...followed])
      expect(await submit(Number(task.name.split(' ')[1]))).toMatchObject({
        task_id: task.task_id,
        idempotent_replay: true,
      });
    // whoever follows one that has ended learns it at once
    const events = await api.call('GET', `/api/v1/scans/${done[0]?.task_id}/events`);
    expect(events.text).toContain('"status":"completed"');

    worker = await running.startWorker(env);
    await until('they are followed again', async () => {
      const states = await Promise.all(followed.map(({ task_id }) => api.status(task_id)));
      return states.every((task) => task.scanner_status === 'running' && task.nessus_scan_id !== null);
    });
    expect(scanner.stats()).toMatchObject({ created: stats.created, launched: stats.launched });
    await finish([...followed, waiting]);
    api = restClient(gateway.url, keys.bob);
    await finish([ofBob]);
    expect(await api.status(ofBob.task_id)).toMatchObject({ principal: 'bob', status: 'completed' });
    // those that waited were scanned for the first time, the one that is held still is
    expect(scanner.stats()).toMatchObject({ created: stats.created + 2, launched: stats.launched + 2 });
    api = restClient(gateway.url, keys.alice);
    expect(await api.status(held.task_id)).toMatchObject({ status: 'queued', paused: true });
    expect(scanner.stats().max_active_ever).toBeLessThanOrEqual(2);
  }, 360_000);

  it('is filled again from a bucket, also under a gateway that has been there all the time', async () => {
    const server = await startLocalRedis();
    redis = server;
    s3 = await startLocalS3();
    const running = await createService({
      redisUrl: server.url,
      scanners: [{ scanDurationMs: 200 }],
      env: s3.env,
    });
    service = running;
    const [{ url }] = await Promise.all([running.startGateway(), running.startWorker()]);
    const api = restClient(url);
    const { task_id: taskId } = await api.submit({ targets: '192.0.2.1', name: 'kept' });
    const before = await api.ended(taskId);
    const results = `/api/v1/scans/${taskId}/findings?page_size=100&profile=full`;
    const resultsBefore = await api.call('GET', results);
    const bucket = s3;
    await until('the copy is written', async () =>
      (await bucket.read(`${taskId}/task.json`)).includes('"state": "completed"'),
    );
    await ask(server, (client) => client.flushall());
    expect((await api.call('GET', `/api/v1/scans/${taskId}`)).status).toBe(404);
    expect((await restore(running, '--apply')).restored).toEqual([
      { task_id: taskId, state: 'completed', name: 'kept', credentials_lost: false },
    ]);
    expect(lasting(await api.status(taskId))).toEqual(lasting(before));
    expect((await api.call('GET', '/api/v1/scans')).json()).toMatchObject({ total: 1 });
    expect((await api.call('GET', results)).text).toBe(resultsBefore.text);
  }, 240_000);
});
