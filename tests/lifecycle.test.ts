import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import type { Simulator } from '@scanmq/simulator';
import { createService, type RunningProgram, restClient, type TestService, until } from '@scanmq/testkit';

let service: TestService;
let api: ReturnType<typeof restClient>;
let simulator: Simulator;
let worker: RunningProgram;

beforeAll(async () => {
  service = await createService({
    redisUrl: process.env.SCANMQ_TEST_REDIS_URL ?? '',
    // a scan ends when the test says so
    scanners: [{ limit: 2, scanDurationMs: 600_000 }],
    env: { SCAN_TIMEOUT_HOURS: '1' },
  });
  const [first] = service.simulators;
  if (!first) throw new Error('no simulator');
  simulator = first;
  const [gateway, started] = await Promise.all([service.startGateway(), service.startWorker()]);
  api = restClient(gateway.url);
  worker = started;
});
afterAll(async () => await service.close());

const onScanner = (taskId: string) => simulator.scans().find((scan) => scan.name.includes(taskId));
const cancel = async (taskId: string, reason = '') =>
  (await api.call('POST', `/api/v1/scans/${taskId}/cancel`, { reason })).json();
async function running(name: string): Promise<string> {
  const task = await api.submit({ targets: '192.0.2.1', name });
  await until(`${name} runs`, async () => (await api.status(task.task_id)).scanner_status === 'running');
  return task.task_id;
}

describe('cancelling', () => {
  it('ends a waiting task at once, and a running one when the scanner has stopped it', async () => {
    const [first, second] = [await running('first'), await running('second')];
    const waiting = await api.submit({ targets: '192.0.2.3', name: 'waiting' });
    expect(waiting.queue_position).toBe(1);
    expect(await cancel(waiting.task_id, 'no longer needed')).toMatchObject({
      status: 'cancelled',
      previous_status: 'queued',
    });
    expect((await api.status(waiting.task_id)).error).toMatchObject({
      code: 'cancelled',
      message: expect.stringContaining('no longer needed'),
    });

    expect(await cancel(first)).toMatchObject({ status: 'running', previous_status: 'running' });
    expect(await api.ended(first)).toMatchObject({ status: 'cancelled', error: { code: 'cancelled' } });
    expect(onScanner(first)?.status).toBe('canceled');
    // asking again is no error
    expect(await cancel(first)).toMatchObject({ status: 'cancelled' });

    simulator.endScans('all', 'completed');
    expect((await api.ended(second)).status).toBe('completed');
    expect(await cancel(second)).toMatchObject({ code: 'invalid_state' });
    expect(onScanner(waiting.task_id)).toBeUndefined();
  });

  it('reaches a task whose stop was answered with a reset', async () => {
    const task = await running('reset');
    simulator.setFault({ name: 'reset_after_stop', remaining: 1 });
    await cancel(task);
    expect((await api.ended(task)).status).toBe('cancelled');
    expect(onScanner(task)?.status).toBe('canceled');
  });

  it('reaches a task whose worker is killed in that moment', async () => {
    const task = await running('killed');
    const other = await service.startWorker();
    await cancel(task);
    worker.kill('SIGKILL');
    await worker.ended;
    worker = other;
    expect((await api.ended(task)).status).toBe('cancelled');
    expect(onScanner(task)).toMatchObject({ status: 'canceled', launches: 1 });
  });
});

describe('the time limit', () => {
  it('stops the scan on the scanner, and the task ends as a dead letter with timeout', async () => {
    // three seconds: time enough to create and launch it
    const task = await api.submit({ targets: '192.0.2.1', name: 'slow', timeout_hours: 1 / 1_200 });
    expect(await api.ended(task.task_id)).toMatchObject({
      status: 'timeout',
      error: { code: 'timeout', retryable: false },
      // what the scanner had found until then
      partial_results: true,
      results_summary: { total_findings: expect.any(Number) },
      quality: { reasons: expect.arrayContaining(['stopped_early']) },
    });
    const findings = await api.call('GET', `/api/v1/scans/${task.task_id}/findings`);
    expect(findings.status).toBe(200);
    expect(onScanner(task.task_id)).toMatchObject({ status: 'canceled', launches: 1 });
    await until(
      'it is a dead letter',
      async () => (await api.call('GET', '/api/v1/queues/nessus')).json().dlq_size === 1,
    );
  });

  it('of a request may not be above that of the service', async () => {
    const answer = await api.call('POST', '/api/v1/scans', {
      targets: '192.0.2.1',
      name: 'long',
      timeout_hours: 2,
    });
    expect(answer.json()).toMatchObject({
      status: 400,
      code: 'invalid_request',
      errors: [{ path: 'timeout_hours', message: expect.any(String) }],
    });
  });
});

describe('a scan that somebody ends or deletes on the scanner', () => {
  it('is not taken for a result', async () => {
    const task = await running('ended elsewhere');
    const scan = onScanner(task);
    await fetch(`${simulator.controlUrl}/control/abort`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ scan_id: scan?.scan_id }),
    });
    // aborted by the scanner: made anew
    await until(
      'it is made anew',
      () => simulator.scans().filter((one) => one.name.includes(task)).length === 2,
    );
    expect((await api.status(task)).results_summary).toBeNull();
    await until('the new one runs', () => simulator.stats().active_now === 1);
    simulator.endScans('all', 'completed');
    expect(await api.ended(task)).toMatchObject({ status: 'completed', attempts: 2 });
  });
});
