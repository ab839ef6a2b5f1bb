import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import type { Simulator } from '@scanmq/simulator';
import { createService, type RunningProgram, restClient, type TestService, until } from '@scanmq/testkit';

let service: TestService;
let api: ReturnType<typeof restClient>;
let simulator: Simulator;
let workers: RunningProgram[];

beforeAll(async () => {
  service = await createService({
    redisUrl: process.env.SCANMQ_TEST_REDIS_URL ?? '',
    // a scan ends when the test says so
    scanners: [
      { limit: 1, scanDurationMs: 600_000 },
      // and of this one no export is ever ready
      { pool: 'exports', scanDurationMs: 600_000, exportDelayMs: 600_000 },
    ],
    env: { MAX_ATTEMPTS: '2' },
  });
  const [first] = service.simulators;
  if (!first) throw new Error('no simulator');
  simulator = first;
  const [gateway, ...started] = await Promise.all([
    service.startGateway(),
    service.startWorker(),
    service.startWorker(),
  ]);
  api = restClient(gateway.url);
  workers = started;
});
afterAll(async () => await service.close());

const post = async (path: string, body: object = {}) =>
  (await api.call('POST', `/api/v1${path}`, body)).json();
const control = (taskId: string, action: string, body: object = {}) =>
  post(`/scans/${taskId}/${action}`, body);
const onScanner = (taskId: string) => simulator.scans().find((scan) => scan.name.includes(taskId));
const says = async (taskId: string, word: string) =>
  await until(`${taskId} is ${word}`, async () => {
    const status = await api.status(taskId);
    return status.scanner_status === word ? status : undefined;
  });
async function running(name: string, more: object = {}): Promise<string> {
  const task = await api.submit({ targets: '192.0.2.1', name, ...more });
  await says(task.task_id, 'running');
  return task.task_id;
}
const finish = () => simulator.endScans('all', 'completed');

describe('pausing', () => {
  it('holds a running scan on the scanner, which keeps its slot, until it is resumed', async () => {
    const task = await running('paused');
    expect(await control(task, 'pause')).toMatchObject({ task_id: task, status: 'running' });
    expect(await says(task, 'paused')).toMatchObject({
      status: 'running',
      paused: true,
      waiting_reason: expect.stringContaining('local asked for it'),
    });
    const next = await api.submit({ targets: '192.0.2.2', name: 'next' });
    expect(simulator.stats().active_now).toBe(1);
    // asking again is no error
    expect((await control(task, 'pause')).task_id).toBe(task);
    expect(await control(task, 'resume')).toMatchObject({ message: 'The task goes on.' });
    expect(await says(task, 'running')).toMatchObject({ paused: false, waiting_reason: null });
    expect(await control(task, 'resume')).toMatchObject({ status: 409, code: 'invalid_state' });
    finish();
    expect(await api.ended(task)).toMatchObject({ status: 'completed', attempts: 1 });
    expect(onScanner(task)?.launches).toBe(1);
    await says(next.task_id, 'running');
    finish();
    await api.ended(next.task_id);
  });

  it('survives the worker that did it', async () => {
    const task = await running('paused over a crash');
    await control(task, 'pause');
    await says(task, 'paused');
    const didIt = await until('it is known who did it', () =>
      workers.find((worker) =>
        worker
          .output()
          .split('\n')
          .some((line) => line.includes('"scan.launched"') && line.includes(task)),
      ),
    );
    didIt.kill('SIGKILL');
    await didIt.ended;
    await control(task, 'resume');
    await says(task, 'running');
    finish();
    expect((await api.ended(task)).status).toBe('completed');
  });

  it('holds a waiting task back, and others are served meanwhile', async () => {
    const first = await running('occupies the slot');
    const held = await api.submit({ targets: '192.0.2.2', name: 'held' });
    const next = await api.submit({ targets: '192.0.2.3', name: 'next' });
    await control(held.task_id, 'pause');
    finish();
    await api.ended(first);
    await says(next.task_id, 'running');
    expect(await api.status(held.task_id)).toMatchObject({
      status: 'queued',
      paused: true,
      waiting_reason: expect.stringContaining('local paused it'),
    });
    finish();
    await api.ended(next.task_id);
    await control(held.task_id, 'resume');
    await says(held.task_id, 'running');
    finish();
    expect((await api.ended(held.task_id)).status).toBe('completed');
  });
});

describe('cancelling', () => {
  it('keeps what was found until then, where that is asked for', async () => {
    const task = await running('kept');
    await control(task, 'cancel', { reason: 'enough', keep_results: true });
    const ended = await api.ended(task);
    expect(ended).toMatchObject({
      status: 'cancelled',
      partial_results: true,
      results_summary: { total_findings: expect.any(Number) },
      quality: { reasons: expect.arrayContaining(['stopped_early']) },
    });
    expect((await api.call('GET', `/api/v1/scans/${task}/findings`)).status).toBe(200);
    const other = await running('not kept');
    await control(other, 'cancel');
    expect(await api.ended(other)).toMatchObject({ partial_results: false, results_summary: null });
  });

  it('reaches a task whose export is being made, and one that is paused', async () => {
    const task = await running('exporting', { scanner_pool: 'exports' });
    const [, exporting] = service.simulators;
    exporting?.endScans('all', 'completed');
    await until('it is exported', () => exporting?.stats().exports_requested === 1);
    await control(task, 'cancel');
    expect((await api.ended(task)).status).toBe('cancelled');
    const paused = await running('paused');
    await control(paused, 'pause');
    await says(paused, 'paused');
    await control(paused, 'cancel');
    expect((await api.ended(paused)).status).toBe('cancelled');
    expect(onScanner(paused)?.status).toBe('canceled');
  });
});

describe('identical requests', () => {
  it('join the one that still waits, where both ask for it', async () => {
    const first = await running('occupies the slot');
    const body = { targets: '192.0.2.7', name: 'same', coalesce: true };
    const [one, two] = [await post('/scans', body), await post('/scans', { ...body, idempotency_key: 'k1' })];
    expect(two).toMatchObject({ task_id: one.task_id, coalesced: true, idempotent_replay: false });
    expect(one.coalesced).toBe(false);
    // the key of the second belongs to the task it joined
    expect(await post('/scans', { ...body, idempotency_key: 'k1' })).toMatchObject({
      task_id: one.task_id,
      idempotent_replay: true,
    });
    const other = await post('/scans', { ...body, targets: '192.0.2.8' });
    expect(other.task_id).not.toBe(one.task_id);
    for (const id of [one.task_id, other.task_id]) await control(id, 'cancel');
    const last = await post('/scans', body);
    expect(last.task_id).not.toBe(one.task_id);
    finish();
    await api.ended(first);
    await says(last.task_id, 'running');
    finish();
    await api.ended(last.task_id);
  });
});

describe('dead letters', () => {
  it('tell why, where and how often; are retried, by id and by code; and are discarded with their files', async () => {
    simulator.setFault({ name: 'abort_scan' });
    const tasks = [];
    for (const n of [1, 2, 3]) tasks.push(await api.submit({ targets: `192.0.2.${n}`, name: `dead ${n}` }));
    for (const task of tasks) expect((await api.ended(task.task_id)).status).toBe('failed');
    simulator.clearFaults();
    const [first, second, third] = tasks.map((task) => task.task_id);
    const list = (await api.call('GET', '/api/v1/dead-letters?code=scan_aborted&limit=2')).json();
    expect(list).toMatchObject({ total: 3, by_code: { scan_aborted: 3 }, next_cursor: expect.any(String) });
    const rest = (
      await api.call('GET', `/api/v1/dead-letters?code=scan_aborted&limit=2&cursor=${list.next_cursor}`)
    ).json();
    const ids = [...list.dead_letters, ...rest.dead_letters].map((letter) => letter.task_id);
    expect(ids.sort()).toEqual([first, second, third].sort());

    const letter = (await api.call('GET', `/api/v1/dead-letters/${first}`)).json();
    expect(letter).toMatchObject({
      status: 'failed',
      attempts: 2,
      can_retry: true,
      failures: [
        {
          attempt: 1,
          code: 'scan_aborted',
          scanner_instance: 'nessus:scanner1',
          operation: 'watch',
          scanner_message: 'aborted',
        },
        { attempt: 2, code: 'scan_aborted' },
      ],
      log: expect.arrayContaining([expect.stringContaining('launched')]),
    });

    expect(await post(`/dead-letters/${first}/retry`)).toMatchObject({ status: 'queued' });
    await says(first ?? '', 'running');
    finish();
    expect(await api.ended(first ?? '')).toMatchObject({ status: 'completed', attempts: 1, error: null });

    expect((await api.call('DELETE', `/api/v1/dead-letters/${third}`)).status).toBe(204);
    expect((await api.call('GET', `/api/v1/scans/${third}`)).json()).toMatchObject({ status: 404 });
    expect((await api.call('DELETE', `/api/v1/dead-letters/${first}`)).json()).toMatchObject({
      code: 'invalid_state',
    });

    expect(await post('/dead-letters/retry', {})).toMatchObject({ code: 'invalid_request' });
    expect(await post('/dead-letters/retry', { code: 'scan_aborted' })).toEqual({
      retried: [second],
      skipped: [],
    });
    await says(second ?? '', 'running');
    finish();
    expect((await api.ended(second ?? '')).status).toBe('completed');
    expect((await api.call('GET', '/api/v1/queues/nessus')).json().dlq_size).toBe(0);
  });

  it('that were cancelled are retried by their own route', async () => {
    const task = await running('cancelled');
    await control(task, 'cancel');
    await api.ended(task);
    expect(await post(`/dead-letters/${task}/retry`)).toMatchObject({ code: 'not_found' });
    expect(await control(task, 'retry')).toMatchObject({ status: 'queued' });
    await says(task, 'running');
    finish();
    expect(await api.ended(task)).toMatchObject({ status: 'completed' });
    expect(await control(task, 'retry')).toMatchObject({ code: 'invalid_state' });
  });
});
