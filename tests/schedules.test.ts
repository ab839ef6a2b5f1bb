import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import type { ScanStatus, Schedule } from '@scanmq/contract';
import type { Simulator } from '@scanmq/simulator';
import { createService, restClient, startProgram, type TestService, until } from '@scanmq/testkit';
import { Redis } from 'ioredis';

/** Every 1.2 seconds. */
const OFTEN = { every_minutes: 0.02 };
const INTERVAL_MS = 1_200;
let request: { targets: string; name: string };

const redis = new Redis(process.env.SCANMQ_TEST_REDIS_URL ?? '', { lazyConnect: true });
let service: TestService;
let simulator: Simulator;
let api: ReturnType<typeof restClient>;
/** With a gateway and a worker, for tests that kill nothing; each finds it without schedules and without scans. */
let shared: { readonly service: TestService; readonly url: string };
let test = 0;

async function own(): Promise<void> {
  service = await createService({
    redisUrl: process.env.SCANMQ_TEST_REDIS_URL ?? '',
    // a scan ends when the test says so
    scanners: [{ limit: 3, scanDurationMs: 600_000 }],
    env: { TARGETS_DENY: '203.0.113.0/24' },
  });
  const [first] = service.simulators;
  if (!first) throw new Error('no simulator');
  simulator = first;
}
async function start(): Promise<string> {
  const { url } = await service.startGateway();
  api = restClient(url);
  await service.startWorker();
  return url;
}

beforeAll(async () => {
  await own();
  shared = { url: await start(), service };
});
beforeEach(() => {
  test += 1;
  request = { targets: '192.0.2.1', name: `recurring ${test}` };
});
afterEach(async () => {
  if (service !== shared.service) await service.close();
  ({ service } = shared);
  [simulator] = service.simulators as [Simulator];
  api = restClient(shared.url);
  for (const { schedule_id: id } of (await api.call('GET', '/api/v1/schedules')).json().schedules)
    await api.call('DELETE', `/api/v1/schedules/${id}`);
  const open = (await allTasks()).filter(({ status }) => status === 'queued' || status === 'running');
  for (const { task_id: id } of open) await api.call('POST', `/api/v1/scans/${id}/cancel`, {});
  for (const { task_id: id } of open) await api.ended(id);
});
afterAll(async () => {
  await shared.service.close();
  redis.disconnect();
});

async function create(body: Record<string, unknown>): Promise<Schedule> {
  const answer = await api.call('POST', '/api/v1/schedules', { request, ...body });
  if (answer.status !== 201) throw new Error(`answered ${answer.status}: ${answer.text}`);
  expect(answer.headers.get('location')).toBe(`/api/v1/schedules/${answer.json().schedule_id}`);
  return answer.json();
}
const look = async (id: string): Promise<Schedule> =>
  (await api.call('GET', `/api/v1/schedules/${id}`)).json();
const act = async (id: string, action: string) => await api.call('POST', `/api/v1/schedules/${id}/${action}`);
const allTasks = async (): Promise<ScanStatus[]> =>
  (await api.call('GET', '/api/v1/scans?limit=100')).json().tasks;
const tasks = async (): Promise<ScanStatus[]> =>
  (await allTasks()).filter(({ name }) => name === request.name);

/** When the runs were due that submitted a scan: out of the keys of their tasks, the oldest first. */
async function submittedRuns(id: string): Promise<number[]> {
  const records = await redis.keys(`${service.prefix}:tasks.record:*`);
  const keys = await Promise.all(records.map((record) => redis.hget(record, 'idempotency_key')));
  const prefix = `schedule:${id}:`;
  return keys
    .map((key) => String(JSON.parse(key ?? 'null')))
    .filter((key) => key.startsWith(prefix) && !key.includes(':now:'))
    .map((key) => Date.parse(key.slice(prefix.length)))
    .sort((a, b) => a - b);
}

/** When the runs were due that a worker left to a later one, by its log. */
function leftOut(log: string): number[] {
  return log
    .split('\n')
    .filter((line) => line.includes('"event":"schedule.not_run"'))
    .map((line) => JSON.parse(line))
    .filter(({ reason }) => reason === 'a later run was due already')
    .map(({ due }) => Date.parse(due));
}

describe('a recurring scan', () => {
  it('runs again and again, rests while it is paused, and is gone when it is removed', async () => {
    const { schedule_id: id, ...made } = await create({ ...OFTEN, overlap: 'queue', name: 'often' });
    expect(made).toMatchObject({ name: 'often', paused: false, principal: 'local', last_task_id: null });
    await until('three runs', async () => (await look(id)).runs >= 3);
    const running = await look(id);
    expect(running.last_outcome).toMatchObject({ outcome: 'submitted', task_id: running.last_task_id });
    expect(Date.parse(running.next_run_at ?? '')).toBeGreaterThan(Date.parse(running.last_run_at ?? ''));

    expect((await act(id, 'pause')).json()).toMatchObject({ paused: true, next_run_at: null });
    const { runs } = await look(id);
    const pausedAt = Date.now();
    await until('two intervals have passed', () => Date.now() > pausedAt + 2.2 * INTERVAL_MS);
    expect((await look(id)).runs).toBeLessThanOrEqual(runs + 1);
    const asked = await act(id, 'run');
    expect(asked.status).toBe(202);
    expect(asked.headers.get('location')).toBe(`/api/v1/scans/${asked.json().task_id}`);
    expect(await look(id)).toMatchObject({ last_task_id: asked.json().task_id, next_run_at: null });
    const before = (await look(id)).runs;
    await act(id, 'resume');
    await until('it goes on', async () => (await look(id)).runs > before);

    // every run at its own time, on the grid of the interval
    const due = await submittedRuns(id);
    expect(new Set(due).size).toBe(due.length);
    expect(due.every((time) => (time - Date.parse(made.created_at)) % INTERVAL_MS === 0)).toBe(true);

    expect((await api.call('GET', '/api/v1/schedules')).json()).toMatchObject({
      total: 1,
      schedules: [{ schedule_id: id }],
    });
    expect((await api.call('DELETE', `/api/v1/schedules/${id}`)).status).toBe(204);
    for (const [method, path] of [
      ['GET', ''],
      ['DELETE', ''],
      ['POST', '/pause'],
      ['POST', '/resume'],
      ['POST', '/run'],
    ] as const)
      expect((await api.call(method, `/api/v1/schedules/${id}${path}`)).json()).toMatchObject({
        status: 404,
        code: 'not_found',
      });
  });

  it('is refused at once when its scan would be, and keeps no credentials', async () => {
    const post = async (body: unknown) => (await api.call('POST', '/api/v1/schedules', body)).json();
    expect(await post({ request: { ...request, targets: '203.0.113.1' }, ...OFTEN })).toMatchObject({
      code: 'target_refused',
    });
    expect(await post({ request: { ...request, scanner_pool: 'none' }, ...OFTEN })).toMatchObject({
      code: 'invalid_request',
    });
    const login = { scan_type: 'authenticated', ssh_username: 'root', ssh_password: 'canary-7' };
    const refused = await post({ request: { ...request, ...login }, ...OFTEN });
    expect(refused).toMatchObject({
      code: 'invalid_request',
      errors: [
        { path: 'request.ssh_username', message: expect.stringContaining('credential_ref') },
        { path: 'request.ssh_password' },
      ],
    });
    expect(JSON.stringify(refused)).not.toContain('canary-7');
    expect((await api.call('GET', '/api/v1/schedules')).json()).toEqual({ schedules: [], total: 0 });
  });
});

describe('a run that is due before the last scan has ended', () => {
  it('is skipped with its reason, until that scan has ended', async () => {
    const { schedule_id: id } = await create(OFTEN);
    await until('two are skipped', async () => (await look(id)).skips >= 2);
    const skipping = await look(id);
    expect(skipping).toMatchObject({
      overlap: 'skip',
      runs: 1,
      last_outcome: {
        outcome: 'skipped',
        reason: expect.stringContaining(skipping.last_task_id ?? 'no task'),
      },
    });
    await until('the scan runs', () => simulator.endScans('all', 'completed') > 0);
    expect((await api.ended(skipping.last_task_id ?? '')).status).toBe('completed');
    await until('it runs again', async () => (await look(id)).runs === 2);
  });

  it('is queued all the same, when that is wanted', async () => {
    const { schedule_id: id } = await create({
      cron: '*/2 * * * * *',
      time_zone: 'Asia/Kolkata',
      overlap: 'queue',
    });
    await until('three wait or run', async () => (await tasks()).length >= 3);
    expect((await submittedRuns(id)).every((time) => time % 2_000 === 0)).toBe(true);
    const all = await tasks();
    expect(all.every((task) => task.status === 'queued' || task.status === 'running')).toBe(true);
    expect(await look(id)).toMatchObject({ skips: 0 });
  });

  it('takes the place of that scan, when that is wanted', async () => {
    const { schedule_id: id } = await create({ ...OFTEN, overlap: 'replace' });
    await until('two runs', async () => (await look(id)).runs >= 2);
    await act(id, 'pause');
    // one may be under way in that moment
    await until('all are noted', async () => (await look(id)).runs === (await submittedRuns(id)).length);
    const [last, ...before] = await tasks();
    expect(last?.task_id).toBe((await look(id)).last_task_id);
    for (const task of before)
      expect(await api.ended(task.task_id)).toMatchObject({
        status: 'cancelled',
        error: { code: 'cancelled', message: expect.stringContaining(id) },
      });
    expect(['queued', 'running']).toContain((await api.status(last?.task_id ?? '')).status);
  });
});

describe('a run that is refused', () => {
  it('is shown with its code, and the schedule goes on', async () => {
    await own();
    api = restClient((await service.startGateway()).url);
    const { schedule_id: id } = await create(OFTEN);
    // the policy has become stricter since
    const strict = startProgram(['worker'], { ...service.env, TARGETS_DENY: '192.0.2.0/24' });
    try {
      await until('two are refused', async () => (await look(id)).refusals >= 2);
      expect(await look(id)).toMatchObject({
        runs: 0,
        last_task_id: null,
        last_outcome: { outcome: 'refused', code: 'target_refused' },
      });
      expect(await tasks()).toEqual([]);
      expect(strict.output()).toContain('"event":"schedule.refused"');
    } finally {
      strict.kill('SIGKILL');
      await strict.ended;
    }
    await service.startWorker();
    await until('it runs', async () => (await look(id)).runs === 1);
  });
});

describe('workers and gateway that are killed', () => {
  it('lose no run and double none; runs that were due meanwhile become one', async () => {
    await own();
    const gateway = await service.startGateway();
    api = restClient(gateway.url);
    const workers = [await service.startWorker(), await service.startWorker()];
    const { schedule_id: id, created_at } = await create({ ...OFTEN, overlap: 'queue' });
    await until('some runs', async () => (await look(id)).runs >= 3);
    for (const program of [...workers, gateway.program]) program.kill('SIGKILL');
    await Promise.all([...workers, gateway.program].map((program) => program.ended));
    const before = await submittedRuns(id);
    const killedAt = Date.now();
    await until('three runs would have been due', () => Date.now() > killedAt + 3.5 * INTERVAL_MS);

    const startingAt = Date.now();
    api = restClient((await service.startGateway()).url);
    const worker = await service.startWorker();
    const { runs } = await look(id);
    await until('further runs', async () => (await look(id)).runs >= runs + 3);
    await act(id, 'pause');
    // one may be under way in that moment
    await until('all are noted', async () => (await look(id)).runs === (await submittedRuns(id)).length);

    const due = await submittedRuns(id);
    expect(new Set(due).size).toBe(due.length);
    // a worker that gets to it only when the next run is due as well leaves it to that one, and says so
    const decided = [...due, ...leftOut(worker.output())];
    const missed = decided.filter((time) => time < startingAt && !before.includes(time));
    expect(missed).toHaveLength(1);
    expect(missed[0]).toBeGreaterThan(before.at(-1) ?? Number.POSITIVE_INFINITY);
    expect(due.every((time) => (time - Date.parse(created_at)) % INTERVAL_MS === 0)).toBe(true);
    expect((await tasks()).length).toBe(due.length);
  });

  it('before the schedule is armed: it is armed when a worker starts', async () => {
    await own();
    api = restClient((await service.startGateway()).url);
    const { schedule_id: id } = await create({ every_minutes: 60 });
    const schedulers = `${service.prefix}:scanmq.schedules:repeat`;
    await redis.del(schedulers);
    await (await service.startWorker()).event('schedules.reconciled');
    expect(await redis.zrange(schedulers, 0, '-1')).toEqual([id]);
  });
});

describe('the command', () => {
  const command = async (...args: string[]) => {
    const program = startProgram(['schedules', ...args], { SCANMQ_URL: api.url });
    const { code } = await program.ended;
    return { code, output: program.output() };
  };

  it('makes, lists, shows, pauses, resumes, runs and removes recurring scans', async () => {
    const made = await command(
      ...[
        'create',
        '192.0.2.1',
        '--name',
        'Weekly',
        '--cron',
        '0 30 2 * * 1',
        '--time-zone',
        'Europe/Berlin',
      ],
      ...['--overlap', 'queue', '--json'],
    );
    expect(made.code).toBe(0);
    const { schedule_id: id } = JSON.parse(made.output);
    expect((await command('create', '192.0.2.1', '--name', 'x', '--every', '36h')).output).toContain(
      'every 36 h',
    );
    expect((await command('list')).output).toContain('0 30 2 * * 1 (Europe/Berlin)');
    expect(JSON.parse((await command('list', '--json')).output)).toMatchObject({ total: 2 });
    expect((await command('pause', id)).output).toContain('paused');
    expect(JSON.parse((await command('resume', id, '--json')).output)).toMatchObject({ paused: false });
    const run = await command('run', id, '--json', '--idempotency-key', 'once');
    const again = await command('run', id, '--json', '--idempotency-key', 'once');
    expect(JSON.parse(again.output)).toMatchObject({
      task_id: JSON.parse(run.output).task_id,
      idempotent_replay: true,
    });
    expect((await command('show', id)).output).toMatch(/1 runs, 0 skipped, 0 refused\n {2}last .* submitted/);
    expect((await command('remove', id)).code).toBe(0);
    expect(await command('show', id)).toMatchObject({ code: 4, output: expect.stringContaining(id) });
    expect(JSON.parse((await command('list', '--json')).output)).toMatchObject({ total: 1 });
    expect(await command('create', '192.0.2.1', '--name', 'x', '--every', 'often')).toMatchObject({
      code: 2,
    });
    expect(await command('create', '192.0.2.1', '--name', 'x', '--cron', 'never')).toMatchObject({ code: 2 });
  });
});
