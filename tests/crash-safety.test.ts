import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { createService, restClient, type TestService, until } from '@scanmq/testkit';

let service: TestService;
let ending: NodeJS.Timeout | undefined;
beforeEach(async () => {
  service = await createService({
    redisUrl: process.env.SCANMQ_TEST_REDIS_URL ?? '',
    // a scan ends when the test says so
    scanners: [
      { limit: 2, scanDurationMs: 600_000 },
      { limit: 3, scanDurationMs: 600_000 },
    ],
  });
});
afterEach(async () => {
  clearInterval(ending);
  await service.close();
});

/** Over all scanners. */
function sum(name: 'created' | 'launched' | 'active_now'): number {
  return service.simulators.reduce((total, simulator) => total + simulator.stats()[name], 0);
}

function endScans(): void {
  for (const simulator of service.simulators) simulator.endScans('all', 'completed');
}

/** From now on no scan lasts longer than a second. */
function endScansBySecond(): void {
  endScans();
  ending = setInterval(endScans, 1_000);
}

describe('thirty tasks on two scanners with limits 2 and 3', () => {
  it('each run once, within the limits, though one worker and then both are killed', async () => {
    const { url } = await service.startGateway();
    const api = restClient(url);
    const [first, second] = await Promise.all([service.startWorker(), service.startWorker()]);
    const tasks = await Promise.all(
      Array.from({ length: 30 }, (_, index) =>
        api.submit({ targets: `192.0.2.${index + 1}`, name: `task ${index}` }),
      ),
    );
    await until('both scanners are busy', () => sum('active_now') === 5);
    first.kill('SIGKILL');
    await first.ended;
    endScansBySecond();
    await until('some scans are done', () => sum('launched') >= 10);
    const third = await service.startWorker();
    await until('more scans are done', () => sum('launched') >= 16);
    second.kill('SIGKILL');
    third.kill('SIGKILL');
    await Promise.all([second.ended, third.ended]);
    await Promise.all([service.startWorker(), service.startWorker()]);

    const ended = await Promise.all(tasks.map((task) => api.ended(task.task_id, 120_000)));
    expect(ended.map((task) => task.status)).toEqual(tasks.map(() => 'completed'));
    expect({ created: sum('created'), launched: sum('launched') }).toEqual({ created: 30, launched: 30 });
    expect(service.simulators.flatMap((simulator) => simulator.scans().map((scan) => scan.launches))).toEqual(
      tasks.map(() => 1),
    );
    expect(service.simulators.map((simulator) => simulator.stats().max_active_ever)).toEqual([2, 3]);
    for (const task of ended) expect(task.results_summary).toMatchObject({ hosts_scanned: 1 });
  }, 240_000);
});

describe('a worker that gets SIGTERM with running scans', () => {
  it('is gone within the grace time, uses up no attempt, and another goes on with the same scans', async () => {
    const { url } = await service.startGateway();
    const api = restClient(url);
    const first = await service.startWorker({ SHUTDOWN_GRACE_SECONDS: '60' });
    const tasks = await Promise.all(
      Array.from({ length: 4 }, (_, index) =>
        api.submit({ targets: `192.0.2.${index + 1}`, name: `task ${index}` }),
      ),
    );
    await until('all scans run', () => sum('active_now') === 4);
    first.kill('SIGTERM');
    expect(await first.ended).toEqual({ code: 0, signal: null });
    // not so when the grace time passed first
    expect(await first.event('worker.stopped')).toMatchObject({ handed_over: true });
    expect(first.output()).toContain('"event":"run.handed_over"');
    // it did not wait for the end of a scan
    expect(sum('active_now')).toBe(4);

    await service.startWorker();
    endScans();
    const ended = await Promise.all(tasks.map((task) => api.ended(task.task_id)));
    expect(ended.map((task) => [task.status, task.attempts])).toEqual(tasks.map(() => ['completed', 1]));
    expect({ created: sum('created'), launched: sum('launched') }).toEqual({ created: 4, launched: 4 });
  });
});

describe('a worker that stands still until its locks are lost, and wakes up again', () => {
  it('touches nothing that another worker has taken over', async () => {
    const { url } = await service.startGateway();
    const api = restClient(url);
    const first = await service.startWorker();
    const submitAll = (from: number) =>
      Promise.all(
        Array.from({ length: 5 }, (_, index) =>
          api.submit({ targets: `192.0.2.${from + index}`, name: `task ${from + index}` }),
        ),
      );
    const tasks = await submitAll(1);
    // some are being created, some launched, some watched
    await until('scans are being made', () => sum('launched') >= 2);
    first.kill('SIGSTOP');
    endScansBySecond();
    const second = await service.startWorker();
    tasks.push(...(await submitAll(11)));
    await second.event('run.begun');
    await until(
      'it has finished some',
      async () => (await api.call('GET', '/api/v1/scans?status_filter=completed')).json().total >= 3,
    );
    first.kill('SIGCONT');
    const ended = await Promise.all(tasks.map((task) => api.ended(task.task_id)));
    expect(ended.map((task) => [task.status, task.attempts])).toEqual(tasks.map(() => ['completed', 1]));
    expect(service.simulators.flatMap((simulator) => simulator.scans().map((scan) => scan.launches))).toEqual(
      tasks.map(() => 1),
    );
  }, 240_000);
});

describe('a gateway that is killed', () => {
  it('loses nothing that it accepted, and the repetition of a request finds the same task', async () => {
    const { url, program } = await service.startGateway();
    const task = await restClient(url).submit(
      { targets: '192.0.2.1', name: 'kept' },
      { 'idempotency-key': 'k' },
    );
    program.kill('SIGKILL');
    await program.ended;
    const [again] = await Promise.all([service.startGateway(), service.startWorker()]);
    const api = restClient(again.url);
    endScansBySecond();
    expect(
      (await api.submit({ targets: '192.0.2.1', name: 'kept' }, { 'idempotency-key': 'k' })).task_id,
    ).toBe(task.task_id);
    expect((await api.ended(task.task_id)).status).toBe('completed');
    expect(sum('launched')).toBe(1);
  });
});
