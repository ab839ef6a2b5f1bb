import { afterEach, describe, expect, it } from '@jest/globals';
import type { ScannerView, ScanStatus } from '@scanmq/contract';
import {
  createService,
  restClient,
  type ServiceOptions,
  startDnsStub,
  type TestService,
  until,
} from '@scanmq/testkit';

let service: TestService | undefined;
afterEach(async () => {
  await service?.close();
  service = undefined;
});

const redisUrl = process.env.SCANMQ_TEST_REDIS_URL ?? '';

/** @param worker false where the answers of the gateway are all that a test asks for. */
async function start(options: Omit<ServiceOptions, 'redisUrl'>, { worker = true } = {}) {
  // no worker dies here: one that a busy machine holds up keeps its tasks
  const env = { WORKER_LOCK_SECONDS: '60', ...options.env };
  service = await createService({ redisUrl, ...options, env });
  const running = service;
  const [gateway, started] = await Promise.all([
    running.startGateway(),
    worker ? running.startWorker() : undefined,
  ]);
  const api = restClient(gateway.url);
  const views = async (): Promise<ScannerView[]> =>
    (await api.call('GET', '/api/v1/scanners')).json().scanners;
  return {
    service: running,
    api,
    worker: started,
    scanner: async (id: string): Promise<ScannerView> => {
      const found = (await views()).find((view) => view.instance_id === id);
      if (!found) throw new Error(`no scanner ${id}`);
      return found;
    },
    operate: async (id: string, action: string) =>
      (await api.call('POST', `/api/v1/scanners/${id}/${action}`, { reason: 'maintenance' })).json(),
    runs: async (taskId: string) =>
      await until(`${taskId} runs`, async () => {
        const status = await api.status(taskId);
        return status.scanner_status === 'running' ? status : undefined;
      }),
    simulator: (index: number) => {
      const found = running.simulators[index];
      if (!found) throw new Error(`no simulator ${index}`);
      return found;
    },
  };
}

const LONG = { scanDurationMs: 600_000 };

describe('an instance that is drained', () => {
  it('finishes what runs there, takes nothing new, and tasks that ask for it wait until it is enabled', async () => {
    const { api, operate, scanner, runs, simulator } = await start({
      scanners: [{ limit: 2, ...LONG }, { limit: 2 }],
    });
    const first = await api.submit({ targets: '192.0.2.1', name: 'first', scanner_instance: 'scanner1' });
    await runs(first.task_id);
    expect(await operate('scanner1', 'drain')).toMatchObject({
      draining: true,
      enabled: true,
      active_scans: 1,
      available_capacity: 0,
      operator: { state: 'draining', reason: 'maintenance', by: 'local' },
    });
    const others = await Promise.all(
      [2, 3, 4, 5].map((n) => api.submit({ targets: `192.0.2.${n}`, name: `other ${n}` })),
    );
    const pinned = await api.submit({ targets: '192.0.2.9', name: 'pinned', scanner_instance: 'scanner1' });
    for (const task of others)
      expect(await api.ended(task.task_id)).toMatchObject({
        status: 'completed',
        scanner_instance: 'scanner2',
      });
    const waiting = await until('it is known why it waits', async () => {
      const status = await api.status(pinned.task_id);
      return status.waiting_reason?.includes('drained') ? status : undefined;
    });
    expect(waiting).toMatchObject({ status: 'queued', queue_position: 1 });
    simulator(0).endScans('all', 'completed');
    expect((await api.ended(first.task_id)).status).toBe('completed');
    await until('it is drained', async () => (await scanner('scanner1')).active_scans === 0);

    await operate('scanner1', 'enable');
    await runs(pinned.task_id);
    simulator(0).endScans('all', 'completed');
    expect(await api.ended(pinned.task_id)).toMatchObject({
      status: 'completed',
      scanner_instance: 'scanner1',
    });
  });

  it('that is disabled refuses tasks that ask for it', async () => {
    const { api, operate } = await start({ scanners: [{}, {}] }, { worker: false });
    expect(await operate('scanner2', 'disable')).toMatchObject({ enabled: false });
    const answer = await api.call('POST', '/api/v1/scans', {
      targets: '192.0.2.1',
      name: 'pinned',
      scanner_instance: 'scanner2',
    });
    expect(answer.json()).toMatchObject({ status: 409, code: 'no_scanner' });
    expect((await api.call('POST', '/api/v1/scanners/scanner9/drain', {})).json()).toMatchObject({
      code: 'invalid_request',
    });
  });
});

describe('scanners.yaml that is changed while scans run', () => {
  it('comes into force without losing what is counted', async () => {
    const { service, api, runs, scanner, simulator } = await start({ scanners: [{ limit: 2, ...LONG }] });
    const tasks: ScanStatus[] = [];
    for (const n of [1, 2, 3, 4])
      tasks.push(await api.submit({ targets: `192.0.2.${n}`, name: `task ${n}` }));
    const [first, second, third] = tasks.map((task) => task.task_id);
    await runs(first ?? '');
    await runs(second ?? '');
    await service.rewriteScanners(({ pools }) => {
      const instance = pools.nessus?.instances[0];
      if (instance) instance.max_concurrent_scans = 3;
    });
    await runs(third ?? '');
    // the gateway reads the file by itself, maybe later than the worker
    await until('the gateway knows', async () => (await scanner('scanner1')).max_concurrent_scans === 3);
    expect(await scanner('scanner1')).toMatchObject({ active_scans: 3 });
    expect(simulator(0).stats().max_active_ever).toBe(3);
    simulator(0).endScans('all', 'completed');
    await until('the last one runs', () => simulator(0).stats().launched === 4);
    simulator(0).endScans('all', 'completed');
    for (const task of tasks) expect((await api.ended(task.task_id)).status).toBe('completed');
  });
});

describe('a scanner that fails', () => {
  it('has its circuit opened, gets no task, and takes them again after one check that succeeds', async () => {
    const { api, scanner, simulator } = await start({
      scanners: [{}, {}],
      env: { SCANNER_OUTAGE_SECONDS: '60' },
    });
    await until(
      'both are known',
      async () => (await scanner('scanner1')).healthy && (await scanner('scanner2')).healthy,
    );
    simulator(0).setFault({ name: 'http_503' });
    const open = await until('its circuit opens', async () => {
      const view = await scanner('scanner1');
      return view.circuit === 'open' ? view : undefined;
    });
    expect(open).toMatchObject({
      healthy: false,
      available_capacity: 0,
      reason: expect.stringContaining('not healthy'),
    });
    const tasks = await Promise.all(
      [1, 2, 3, 4].map((n) => api.submit({ targets: `192.0.2.${n}`, name: `task ${n}` })),
    );
    const pinned = await api.submit({ targets: '192.0.2.9', name: 'pinned', scanner_instance: 'scanner1' });
    for (const task of tasks)
      expect(await api.ended(task.task_id)).toMatchObject({
        status: 'completed',
        scanner_instance: 'scanner2',
        attempts: 1,
      });
    expect(simulator(0).stats().created).toBe(0);

    await until('it waits for it', async () =>
      (await api.status(pinned.task_id)).waiting_reason?.includes('not healthy'),
    );
    simulator(0).clearFaults();
    // the time to the next check is doubled with each that fails: it may be as long as all of the above took
    expect(await api.ended(pinned.task_id, 180_000)).toMatchObject({ status: 'completed', attempts: 1 });
    expect(await scanner('scanner1')).toMatchObject({ healthy: true, circuit: 'closed' });
  }, 300_000);

  it('under a running scan for too long: the scan is made anew elsewhere, recorded as such, and the old one stopped', async () => {
    const { api, runs, scanner, simulator } = await start({
      scanners: [{ limit: 1, ...LONG }, { limit: 1 }],
      env: { SCANNER_OUTAGE_SECONDS: '0.3', RETRY_BACKOFF_SECONDS: '0.1' },
    });
    // both are free: the first one takes it
    const task = await api.submit({ targets: '192.0.2.1', name: 'task' });
    expect(await runs(task.task_id)).toMatchObject({ scanner_instance: 'scanner1' });
    simulator(0).setFault({ name: 'http_503' });
    const ended = await api.ended(task.task_id);
    expect(ended).toMatchObject({
      status: 'completed',
      scanner_instance: 'scanner2',
      attempts: 2,
      abandoned_scans: [{ scanner_instance: 'nessus:scanner1', reason: expect.any(String) }],
    });
    // its slot is not free as long as nobody knows that it has ended
    expect(await scanner('scanner1')).toMatchObject({ active_scans: 1 });
    simulator(0).clearFaults();
    await until('it is stopped', () =>
      simulator(0)
        .scans()
        .every((scan) => scan.status === 'canceled'),
    );
    await until('its slot is free', async () => (await scanner('scanner1')).active_scans === 0);
  });
});

describe('pools that name the networks they serve', () => {
  it('get the tasks of their targets, the narrowest first; targets of two pools are refused', async () => {
    // what the network around this machine knows of the names does not count
    const dns = await startDnsStub(() => 'not_there');
    const { api } = await start(
      {
        scanners: [{}, { pool: 'dmz' }, { pool: 'plant' }],
        env: { DNS_SERVERS: dns.address },
        poolRules: {
          dmz: { networks: ['10.20.0.0/16', '.dmz.example.com'] },
          plant: { networks: '10.20.7.0/24' },
        },
      },
      { worker: false },
    );
    const poolOf = async (targets: string) => (await api.submit({ targets, name: 'routed' })).scanner_pool;
    expect(await poolOf('10.20.1.0/24, web.dmz.example.com')).toBe('dmz');
    expect(await poolOf('10.20.7.1-10.20.7.9')).toBe('plant');
    expect(await poolOf('192.0.2.1')).toBe('nessus');
    const mixed = await api.call('POST', '/api/v1/scans', { targets: '10.20.1.1 192.0.2.1', name: 'mixed' });
    expect(mixed.json()).toMatchObject({
      status: 400,
      code: 'invalid_request',
      detail: expect.stringContaining("'dmz' serves 10.20.1.1"),
    });
    // whoever names the pool knows better
    const named = await api.submit({ targets: '10.20.1.1 192.0.2.1', name: 'named', scanner_pool: 'nessus' });
    expect(named.scanner_pool).toBe('nessus');
    await dns.close();
  });
});

describe('limits of target networks', () => {
  it('hold over all scanners, and tasks say that they wait for them', async () => {
    const { api, simulator, runs } = await start({
      scanners: [{ limit: 3, ...LONG }],
      sections: { target_limits: [{ name: 'plant', targets: '10.7.0.0/16', max_concurrent_scans: 1 }] },
    });
    const first = await api.submit({ targets: '10.7.1.1', name: 'first' });
    await runs(first.task_id);
    const second = await api.submit({ targets: '10.7.0.0/30', name: 'second' });
    const free = await api.submit({ targets: '192.0.2.1', name: 'elsewhere' });
    await runs(free.task_id);
    const waiting = await until('it waits', async () => {
      const status = await api.status(second.task_id);
      return status.waiting_reason?.includes('plant') ? status : undefined;
    });
    expect(waiting.waiting_reason).toMatch(/target network 'plant' is scanned 1 times at once/);
    simulator(0).endScans(simulator(0).scans()[0]?.scan_id ?? 0, 'completed');
    await runs(second.task_id);
    simulator(0).endScans('all', 'completed');
    expect((await api.ended(second.task_id)).status).toBe('completed');
  });
});

/** Opens once a year, in half a year from now: whenever a test is run, it is closed all the time. */
const CLOSED = { opens: `0 0 1 ${((new Date().getUTCMonth() + 6) % 12) + 1} *`, hours: 1 };

describe('opening hours', () => {
  it('outside of them tasks wait; at their end a running scan is paused, and resumed at the next opening', async () => {
    const { service, api, worker, runs, simulator } = await start({
      scanners: [{ limit: 2, ...LONG, stopDelayMs: 50 }],
      // open in the first three seconds of every six
      poolRules: { nessus: { windows: [{ opens: '*/6 * * * * *', hours: 3 / 3_600 }] } },
    });
    const pauses = async (taskId: string) =>
      await until(`${taskId} is paused`, async () => {
        const status = await api.status(taskId);
        return status.scanner_status === 'paused' ? status : undefined;
      });
    const task = await api.submit({ targets: '192.0.2.1', name: 'in the window' });
    // again and again, until the scan is ended below: no window has to be met
    expect((await pauses(task.task_id)).waiting_reason).toMatch(
      /paused, because the window of pool 'nessus' is closed until /,
    );
    await runs(task.task_id);

    await service.rewriteScanners(({ pools }) => {
      if (pools.nessus) pools.nessus.rules = { windows: [CLOSED] };
    });
    await worker?.event('config.reloaded');
    const second = await api.submit({ targets: '192.0.2.2', name: 'outside' });
    const waiting = await until('it waits', async () => {
      const status = await api.status(second.task_id);
      return status.waiting_reason?.includes('window') ? status : undefined;
    });
    expect(waiting).toMatchObject({
      status: 'queued',
      waiting_reason: expect.stringMatching(/window of pool 'nessus' is closed until \d{4}-\d\d-01T00:00:00/),
      error: null,
    });
    // also when it was paused before the windows changed
    await until('it is paused until the new opening', async () => {
      const { scanner_status, waiting_reason } = await api.status(task.task_id);
      return scanner_status === 'paused' && /closed until \d{4}-\d\d-01T00:00:00/.test(waiting_reason ?? '');
    });
    expect(simulator(0).stats()).toMatchObject({ launched: 1, active_now: 1 });

    await service.rewriteScanners(({ pools }) => {
      if (pools.nessus) pools.nessus.rules = {};
    });
    await runs(task.task_id);
    await runs(second.task_id);
    simulator(0).endScans('all', 'completed');
    expect(await api.ended(task.task_id)).toMatchObject({ status: 'completed', attempts: 1 });
    expect(await api.ended(second.task_id)).toMatchObject({ status: 'completed', attempts: 1 });
    expect(simulator(0).scans()).toMatchObject([{ launches: 1 }, { launches: 1 }]);
  }, 240_000);

  it('of a target network hold for its scans only, and a scan may be let run at their end', async () => {
    const { api, simulator } = await start({
      scanners: [{ limit: 2, scanDurationMs: 400 }],
      sections: {
        target_limits: [{ name: 'plant', targets: '10.7.0.0/16', windows: [CLOSED], at_close: 'continue' }],
      },
    });
    const closed = await api.submit({ targets: '10.7.1.1', name: 'closed' });
    const open = await api.submit({ targets: '192.0.2.1', name: 'open' });
    expect((await api.ended(open.task_id)).status).toBe('completed');
    const waiting = await until('it waits', async () => {
      const status = await api.status(closed.task_id);
      return status.waiting_reason?.includes('window') ? status : undefined;
    });
    expect(waiting.waiting_reason).toMatch(
      /window of target network 'plant' is closed until \d{4}-\d\d-01T00:00:00/,
    );
    expect(simulator(0).stats().created).toBe(1);
  });
});
