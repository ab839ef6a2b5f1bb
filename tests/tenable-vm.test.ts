/** Scans on the cloud service: the programs as they are, against a simulator that behaves like it. */
import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import type { Simulator } from '@scanmq/simulator';
import { createService, restClient, type TestService, until } from '@scanmq/testkit';

const KEYS = { accessKey: 'a1'.repeat(32), secretKey: 'b2'.repeat(32) };
const ENTRY = { type: 'tenable_vm', username: '', password: '', access_key: KEYS.accessKey };
let service: TestService;
let api: ReturnType<typeof restClient>;
let simulator: Simulator;

beforeAll(async () => {
  service = await createService({
    redisUrl: process.env.SCANMQ_TEST_REDIS_URL ?? '',
    scanners: [
      {
        ...KEYS,
        product: 'tenable_vm',
        scanDurationMs: 500,
        yaml: { ...ENTRY, secret_key: KEYS.secretKey, scanner: 'linked-scanner' },
      },
      { ...KEYS, product: 'tenable_vm', yaml: { ...ENTRY, secret_key: 'c3'.repeat(32) } },
      // its scans end only when they are stopped
      {
        ...KEYS,
        product: 'tenable_vm',
        scanDurationMs: 600_000,
        yaml: { ...ENTRY, secret_key: KEYS.secretKey, scanner: 'linked-scanner' },
      },
    ],
  });
  const [first] = service.simulators;
  if (!first) throw new Error('no simulator');
  simulator = first;
  const [gateway] = await Promise.all([service.startGateway(), service.startWorker()]);
  api = restClient(gateway.url);
});
afterAll(async () => await service.close());
beforeEach(() => {
  simulator.clearFaults();
  simulator.resetStats();
});

const scan = async (more: Record<string, unknown> = {}) =>
  await api.submit({ targets: '192.0.2.7,192.0.2.8', name: 'cloud', scanner_instance: 'scanner1', ...more });

describe('a pool of the cloud service', () => {
  it('shows its type, and scanners that may launch', async () => {
    const scanners = await until('its health is known', async () => {
      const found = (await api.call('GET', '/api/v1/scanners')).json().scanners;
      return found[0].mode === 'full' ? found : undefined;
    });
    expect(scanners[0]).toMatchObject({ scanner_type: 'tenable_vm', healthy: true, reason: null });
  });

  it('runs a scan to its results', async () => {
    const task = await scan();
    const ended = await api.ended(task.task_id);
    expect(ended).toMatchObject({
      status: 'completed',
      scanner_type: 'tenable_vm',
      simulator: true,
      attempts: 1,
    });
    const answer = await api.call('GET', `/api/v1/scans/${task.task_id}/findings`);
    expect(answer.status).toBe(200);
    expect(answer.text).toContain('192.0.2.7');
    expect(simulator.stats()).toMatchObject({ created: 1, launched: 1, logins: 0 });
  });

  it('that turns requests away again and again still runs each scan once', async () => {
    simulator.setFault({ name: 'rate_limited', probability: 0.2, ms: 0 });
    const task = await scan();
    expect(await api.ended(task.task_id)).toMatchObject({ status: 'completed' });
    expect(simulator.stats()).toMatchObject({ created: 1, launched: 1 });
  });

  it('runs a scan once, also when the answers to its creation and its launch get lost', async () => {
    simulator.setFault({ name: 'reset_after_create', remaining: 1 });
    simulator.setFault({ name: 'reset_after_launch', remaining: 1 });
    const task = await scan();
    expect(await api.ended(task.task_id)).toMatchObject({ status: 'completed' });
    expect(simulator.stats()).toMatchObject({ created: 1, launched: 1 });
  });

  it('stops a scan that is cancelled', async () => {
    const task = await scan({ scanner_instance: 'scanner3' });
    await until('it runs', async () => (await api.status(task.task_id)).scanner_status === 'running');
    expect((await api.call('POST', `/api/v1/scans/${task.task_id}/cancel`, {})).status).toBeLessThan(300);
    expect(await api.ended(task.task_id)).toMatchObject({ status: 'cancelled' });
    expect(service.simulators[2]?.scans().map(({ status }) => status)).toEqual(['canceled']);
  });

  it('that refuses our keys ends the task at once', async () => {
    const task = await scan({ scanner_instance: 'scanner2' });
    expect(await api.ended(task.task_id)).toMatchObject({
      status: 'failed',
      attempts: 1,
      error: { code: 'scanner_auth_failed', retryable: false },
    });
  });
});
