/** What goes wrong on a scanner, and the state and code in which each task then ends. */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import type { ScanStatus } from '@scanmq/contract';
import type { FaultName, Simulator } from '@scanmq/simulator';
import { createService, restClient, type TestService, until } from '@scanmq/testkit';

const WRONG_FINGERPRINT = '0'.repeat(64);
/** A label longer than any may be: it does not exist, whether or not a resolver can be asked. */
const NO_HOST = `${'no-such-host'.padEnd(64, 'x')}.invalid`;
let service: TestService;
let api: ReturnType<typeof restClient>;
let simulator: Simulator;
/** Scans made and launched since the test began. */
let before: { created: number; launched: number };

beforeAll(async () => {
  service = await createService({
    redisUrl: process.env.SCANMQ_TEST_REDIS_URL ?? '',
    scanners: [
      {},
      { yaml: { password: 'wrong-password' } },
      { yaml: { url: `https://${NO_HOST}:8834` } },
      { yaml: { tls_fingerprint: WRONG_FINGERPRINT } },
      { yaml: { tls_fingerprint: '' } },
      { product: 'professional' },
      { product: 'professional', yaml: { interface: 'web_session' } },
      // a scan ends when the test says so
      { scanDurationMs: 600_000 },
    ],
    // no worker dies here: one that a busy machine holds up keeps its tasks
    env: { SCANNER_OUTAGE_SECONDS: '6', WORKER_LOCK_SECONDS: '60' },
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
  before = { created: simulator.stats().created, launched: simulator.stats().launched };
});

const made = () => ({
  created: simulator.stats().created - before.created,
  launched: simulator.stats().launched - before.launched,
});

async function scan(instance = 'scanner1', more: Record<string, unknown> = {}): Promise<ScanStatus> {
  const task = await api.submit({ targets: '192.0.2.7', name: 'test', scanner_instance: instance, ...more });
  return await api.ended(task.task_id);
}

describe('a scanner that cannot be used', () => {
  it('refuses our login: the task fails at once, and the account is not locked by trying again', async () => {
    expect(await scan('scanner2')).toMatchObject({
      status: 'failed',
      attempts: 1,
      error: { code: 'scanner_auth_failed', retryable: false },
    });
    // the health poll and the job share one refused login
    expect(service.simulators[1]?.stats().logins).toBeLessThanOrEqual(2);
  });

  it('has a host name that does not exist: the task fails after its attempts', async () => {
    expect(await scan('scanner3')).toMatchObject({
      status: 'failed',
      attempts: 3,
      error: {
        code: 'scanner_unreachable',
        retryable: true,
        message: expect.stringContaining('does not exist'),
      },
    });
  });

  it('presents another certificate than the pinned one: nothing is sent to it', async () => {
    const task = await scan('scanner4');
    expect(task).toMatchObject({
      status: 'failed',
      attempts: 1,
      error: { code: 'scanner_tls', retryable: false },
    });
    expect(task.error?.message).toContain(service.simulators[3]?.fingerprint256);
    expect(service.simulators[3]?.stats().requests).toBe(0);
  });

  it('presents a certificate that nobody we trust has signed: the advice says what to set', async () => {
    expect(await scan('scanner5')).toMatchObject({
      status: 'failed',
      error: { code: 'scanner_tls', message: expect.stringContaining('tls_fingerprint') },
    });
    expect(service.simulators[4]?.stats().requests).toBe(0);
  });

  it('may only export by its licence: the scan is refused at submission, and nothing is created', async () => {
    await until(
      'its licence is known',
      async () => (await api.call('GET', '/api/v1/scanners')).json().scanners[5].mode === 'export_only',
    );
    const answer = await api.call('POST', '/api/v1/scans', {
      targets: '192.0.2.7',
      name: 'test',
      scanner_instance: 'scanner6',
    });
    expect(answer.json()).toMatchObject({
      status: 409,
      code: 'scanner_export_only',
      detail: expect.stringContaining('web_session'),
    });
    expect(service.simulators[5]?.stats().created).toBe(0);
  });

  it('is driven the way of its web page where its owner chose so, also after its token changed', async () => {
    const professional = service.simulators[6];
    expect(await scan('scanner7')).toMatchObject({ status: 'completed', simulator: true });
    professional?.rotateToken();
    expect(await scan('scanner7')).toMatchObject({ status: 'completed' });
    professional?.rotateToken();
    professional?.setFault({ name: 'reset_on_412', remaining: 1 });
    expect(await scan('scanner7')).toMatchObject({ status: 'completed' });
    expect(professional?.stats()).toMatchObject({ created: 3, launched: 3 });
  });
});

describe('a scanner that fails for a while', () => {
  it('answers 503 for longer than an attempt waits for an absent one: the task waits and completes', async () => {
    simulator.load(8_000);
    expect(await scan()).toMatchObject({ status: 'completed', attempts: 1 });
  });

  it('restarts under a running scan: the aborted scan is made anew, and the task completes', async () => {
    const restarted = service.simulators[7];
    const task = await api.submit({ targets: '192.0.2.7', name: 'test', scanner_instance: 'scanner8' });
    const runs = (attempt: number) =>
      until(`attempt ${attempt} runs`, async () => {
        const { attempts, scanner_status } = await api.status(task.task_id);
        return attempts === attempt && scanner_status === 'running';
      });
    await runs(1);
    await restarted?.restart({ downMs: 1_000, loadingMs: 1_000 });
    await runs(2);
    restarted?.endScans('all', 'completed');
    expect(await api.ended(task.task_id)).toMatchObject({ status: 'completed', attempts: 2 });
    expect(restarted?.stats()).toMatchObject({ created: 2, launched: 2 });
  });

  it.each<FaultName>([
    'reset_before_create',
    'reset_after_create',
    'reset_before_launch',
    'reset_after_launch',
    'launch_conflict',
    'session_expired',
    'drop_connection',
    'unknown_status',
  ])('%s: the task completes with one scan, launched once', async (name) => {
    simulator.setFault({ name, remaining: 1 });
    expect(await scan()).toMatchObject({ status: 'completed', attempts: 1 });
    expect(made()).toEqual({ created: 1, launched: 1 });
    expect(simulator.faults()).toEqual([]);
  });

  it.each<FaultName>([
    'export_500',
    'export_gone',
    'export_truncated',
    'export_empty',
    'export_json_body',
    'export_cut_connection',
  ])('%s once: a new export is asked for, and the task completes', async (name) => {
    simulator.setFault({ name, remaining: 1 });
    const task = await scan();
    expect(task).toMatchObject({ status: 'completed', attempts: 1, results_summary: { hosts_scanned: 1 } });
    expect(made()).toEqual({ created: 1, launched: 1 });
  });

  it('never manages an export: the task ends as a dead letter with export_failed, after one scan', async () => {
    simulator.setFault({ name: 'export_500' });
    expect(await scan()).toMatchObject({
      status: 'failed',
      attempts: 3,
      error: { code: 'export_failed', retryable: true },
    });
    expect(made()).toEqual({ created: 1, launched: 1 });
  });
});

describe('a scan that the scanner aborts', () => {
  it('is made anew once, when it was aborted once', async () => {
    simulator.setFault({ name: 'abort_scan', remaining: 1 });
    expect(await scan()).toMatchObject({ status: 'completed', attempts: 2 });
    expect(made()).toEqual({ created: 2, launched: 2 });
  });

  it('ends as a dead letter with scan_aborted, when it is aborted each time', async () => {
    simulator.setFault({ name: 'abort_scan' });
    const task = await scan();
    expect(task).toMatchObject({
      status: 'failed',
      attempts: 3,
      error: { code: 'scan_aborted' },
      results_summary: null,
    });
    expect((await api.call('GET', `/api/v1/scans/${task.task_id}/findings`)).json()).toMatchObject({
      code: 'invalid_state',
    });
    expect((await api.call('GET', '/api/v1/queues/nessus')).json().dlq_size).toBeGreaterThanOrEqual(1);
  });
});

describe('results that need a second look', () => {
  it('come with a warning when nothing answered', async () => {
    simulator.setFault({ name: 'no_hosts', remaining: 1 });
    expect(await scan()).toMatchObject({
      status: 'completed',
      results_summary: { hosts_scanned: 0 },
      validation_warnings: [expect.stringContaining('No host answered')],
    });
  });

  it('come with a warning when the licence left hosts out', async () => {
    simulator.setFault({ name: 'licence_trim', remaining: 1 });
    expect(await scan('scanner1', { targets: '192.0.2.7, 192.0.2.8' })).toMatchObject({
      status: 'completed',
      validation_warnings: [expect.stringContaining('192.0.2.8')],
    });
  });

  it.each<[FaultName | undefined, string, string]>([
    [undefined, 'authenticated', 'success'],
    ['credentials_rejected', 'authenticated', 'failed'],
    ['escalation_failed', 'authenticated_privileged', 'partial'],
  ])('%s: a scan of type %s says %s', async (name, scan_type, expected) => {
    if (name) simulator.setFault({ name, remaining: 1 });
    const task = await scan('scanner1', {
      scan_type,
      ssh_username: 'auditor',
      ssh_password: 'canary-password',
      ...(scan_type === 'authenticated_privileged' ? { elevate_privileges_with: 'sudo' } : {}),
    });
    expect(task).toMatchObject({ status: 'completed', authentication_status: expected });
    expect(task.troubleshooting === null).toBe(expected === 'success');
    expect(simulator.scans().at(-1)?.with_credentials).toBe(true);
    // the copy comes a moment after the record
    const copy = await until('the copy is written', async () => {
      const text = await readFile(join(service.dataDir, task.task_id, 'task.json'), 'utf8');
      return JSON.parse(text).state === 'completed' ? text : undefined;
    });
    expect(copy).not.toContain('canary-password');
  });
});
