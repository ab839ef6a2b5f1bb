/** The figures of a real gateway and a real worker, after things have happened whose number is known. */
import { readFile } from 'node:fs/promises';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import type { ScanStatus } from '@scanmq/contract';
import { INSTRUMENTS, type Instrument, type Program } from '@scanmq/observability';
import { createService, restClient, type TestService, until } from '@scanmq/testkit';

let service: TestService;
let api: ReturnType<typeof restClient>;
let workerUrl: string;
let done: ScanStatus;

beforeAll(async () => {
  service = await createService({
    redisUrl: process.env.SCANMQ_TEST_REDIS_URL ?? '',
    scanners: [{ limit: 2 }],
    // no worker dies here: one that a busy machine holds up keeps its tasks
    env: { TARGETS_DENY: '203.0.113.0/24', WORKER_LOCK_SECONDS: '60' },
  });
  const [simulator] = service.simulators;
  const [{ url }, worker] = await Promise.all([service.startGateway(), service.startWorker()]);
  workerUrl = String((await worker.event('worker.started')).url);
  api = restClient(url);

  // one attempt fails, the next one does it
  simulator?.setFault({ name: 'abort_scan', remaining: 1 });
  done = await scan('192.0.2.1');
  expect(done).toMatchObject({ status: 'completed', attempts: 2 });
  // none of its exports can be read
  simulator?.setFault({ name: 'export_json_body' });
  expect(await scan('192.0.2.2')).toMatchObject({ status: 'failed', error: { code: 'invalid_export' } });
  simulator?.clearFaults();
  // the policy says no
  const refused = await api.call('POST', '/api/v1/scans', { targets: '203.0.113.7', name: 'not this one' });
  expect(refused.json()).toMatchObject({ code: 'target_refused' });
  await callTool('get_scan_status', { task_id: done.task_id });
  await callTool('get_scan_status', { task_id: 'ne_ness_20200101_000000_00000000' });
  await callTool('no_such_tool', {});
  // a task has ended before its worker has counted it, given its slot free and ended its job
  await until('both are done with', async () => {
    const [counted, slots, jobs] = await Promise.all([
      valuesOf(workerUrl, 'nessus_scans_total'),
      valuesOf(url, 'scanmq_active_scans'),
      valuesOf(url, 'scanmq_dead_letters'),
    ]);
    return Object.keys(counted).length === 2 && slots['nessus:scanner1'] === 0 && jobs.nessus === 1;
  });
}, 240_000);
afterAll(async () => await service.close());

async function scan(targets: string): Promise<ScanStatus> {
  return await api.ended((await api.submit({ targets, name: 'test' })).task_id);
}

async function callTool(name: string, args: Record<string, unknown>): Promise<void> {
  const answer = await api.call(
    'POST',
    '/mcp',
    { jsonrpc: '2.0', id: 1, method: 'tools/call', params: { name, arguments: args } },
    { accept: 'application/json, text/event-stream' },
  );
  expect(answer.status).toBe(200);
}

interface Figure {
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly value: number;
}

async function figures(url: string): Promise<readonly Figure[]> {
  const answer = await fetch(`${url}/metrics`);
  expect([answer.status, answer.headers.get('content-type')]).toEqual([
    200,
    expect.stringContaining('text/plain'),
  ]);
  return (await answer.text()).split('\n').flatMap((line) => {
    const [, name = '', labels = '', value] = /^([a-z0-9_]+)(?:\{(.*)\})? (\S+)$/.exec(line) ?? [];
    if (value === undefined) return [];
    const pairs = [...labels.matchAll(/([a-z_]+)="((?:[^"\\]|\\.)*)"/g)].map(([, key, text]) => [key, text]);
    return [{ name, labels: Object.fromEntries(pairs), value: Number(value) }];
  });
}

/** The values of one metric by its labels, as `{a="b"}`. */
async function valuesOf(url: string, name: string): Promise<Record<string, number>> {
  const found = (await figures(url)).filter((figure) => figure.name === name);
  return Object.fromEntries(found.map(({ labels, value }) => [Object.values(labels).join(' '), value]));
}

/** What nothing of the above leads to. */
const NOT_HAPPENED = new Set(['nessus_auth_failures_total']);

const programs = [
  ['gateway', () => api.url],
  ['worker', () => workerUrl],
] as const satisfies readonly (readonly [Program, () => string])[];

describe.each(programs)('/metrics of a %s', (program, url) => {
  const ours = Object.entries<Instrument>(INSTRUMENTS).filter(([, { of }]) => of.includes(program));

  it('has every metric of the table that something is known for, and no other of ours', async () => {
    await until('a sweep has ended', async () =>
      (await figures(url())).some(({ name }) => name === 'scanmq_last_sweep_timestamp_seconds'),
    );
    const told = new Set(
      (await figures(url()))
        .map(({ name }) => name)
        .filter((name) => /^(scanmq|nessus)_/.test(name))
        .map((name) => name.replace(/_(bucket|sum|count)$/, '')),
    );
    // one with labels is there from the first time on
    const expected = ours.map(([name]) => name).filter((name) => !NOT_HAPPENED.has(name));
    expect([...told].sort()).toEqual(expected.sort());
  });

  it('has the labels of the table on each of them', async () => {
    const labels = new Map(ours.map(([name, one]) => [name, [...one.labels].sort()]));
    for (const figure of await figures(url())) {
      const expected = labels.get(figure.name.replace(/_(bucket|sum|count)$/, ''));
      if (expected)
        expect([
          figure.name,
          Object.keys(figure.labels)
            .filter((label) => label !== 'le')
            .sort(),
        ]).toEqual([figure.name, expected]);
    }
  });

  it('tells how late the event loop is, and of the memory', async () => {
    const names = new Set((await figures(url())).map(({ name }) => name));
    expect([...names]).toEqual(
      expect.arrayContaining(['nodejs_eventloop_lag_p99_seconds', 'process_resident_memory_bytes']),
    );
  });
});

describe('what a worker has counted', () => {
  it.each([
    ['scanmq_launches_total', { nessus: 3 }],
    ['scanmq_retries_total', { scan_aborted: 1 }],
    ['scanmq_exports_total', { stored: 1, invalid: 3, failed: 0 }],
    ['scanmq_handoffs_total', { shutdown: 0, crash: 0, scanner_away: 0 }],
    ['scanmq_stalls_total', { '': 0 }],
    ['scanmq_policy_refusals_total', { submission: 0, create: 0, launch: 0 }],
    ['scanmq_webhook_deliveries_total', { delivered: 0, retry: 0, failed: 0, gone: 0 }],
    ['scanmq_scan_duration_seconds_count', { completed: 1, failed: 1 }],
    ['scanmq_parse_duration_seconds_count', { '': 1 }],
    ['nessus_scans_total', { 'untrusted completed': 1, 'untrusted failed': 1 }],
    ['nessus_task_duration_seconds_count', { '': 2 }],
    ['nessus_ttl_deletions_total', { '': 0 }],
    ['nessus_validation_total', { 'nessus success': 1, 'nessus failed': 1 }],
    ['nessus_validation_failures_total', { 'nessus invalid_export': 1 }],
  ])('%s', async (name, expected) => {
    expect(await valuesOf(workerUrl, name)).toEqual(expected);
  });

  it('bytes of the export that was read', async () => {
    const raw = await readFile(`${service.dataDir}/${done.task_id}/scan_native.nessus`);
    expect(await valuesOf(workerUrl, 'scanmq_parsed_bytes_total')).toEqual({ '': raw.length });
  });

  it('how long the scans took, in seconds', async () => {
    const { completed = 0 } = await valuesOf(workerUrl, 'scanmq_scan_duration_seconds_sum');
    const ms = Date.parse(done.completed_at ?? '') - Date.parse(done.started_at ?? '');
    expect(completed).toBeCloseTo(ms / 1_000, 3);
  });

  it('the last sweep, the same as the gateway', async () => {
    const name = 'scanmq_last_sweep_timestamp_seconds';
    for (const url of [workerUrl, api.url]) {
      const { '': at = 0 } = await valuesOf(url, name);
      expect(Math.abs(Date.now() / 1_000 - at)).toBeLessThan(30);
    }
  });
});

describe('what a gateway tells', () => {
  it.each([
    ['scanmq_tasks', { queued: 0, running: 0, completed: 1, failed: 1, cancelled: 0, timeout: 0 }],
    ['scanmq_queue_depth', { nessus: 0 }],
    ['scanmq_dead_letters', { nessus: 1 }],
    ['scanmq_oldest_waiting_seconds', { nessus: 0 }],
    ['scanmq_active_scans', { 'nessus:scanner1': 0 }],
    ['scanmq_scan_limit', { 'nessus:scanner1': 2 }],
    ['scanmq_scanner_healthy', { 'nessus:scanner1': 1 }],
    ['scanmq_scanner_circuit_open', { 'nessus:scanner1': 0 }],
    ['scanmq_scanner_draining', { 'nessus:scanner1': 0 }],
    ['scanmq_event_streams', { '': 0 }],
    ['scanmq_policy_refusals_total', { submission: 1, create: 0, launch: 0 }],
    ['scanmq_tool_calls_total', { 'get_scan_status ok': 1, 'get_scan_status not_found': 1 }],
    ['nessus_api_requests_total', { 'get_scan_status success': 1, 'get_scan_status error': 1 }],
    ['nessus_scans_total', { 'untrusted queued': 2 }],
    ['nessus_active_scans', { '': 0 }],
    ['nessus_queue_depth', { main: 0, dead: 1 }],
    ['nessus_dlq_size', { '': 1 }],
    ['nessus_pool_total_capacity', { '': 2 }],
    ['nessus_scanner_capacity', { 'nessus:scanner1': 2 }],
    ['nessus_pool_dlq_depth', { nessus: 1 }],
    ['nessus_scanner_instances', { 'nessus true': 1 }],
  ])('%s', async (name, expected) => {
    expect(await valuesOf(api.url, name)).toEqual(expected);
  });

  it('requests by the pattern of their route', async () => {
    const requests = await valuesOf(api.url, 'scanmq_http_request_duration_seconds_count');
    expect(requests).toMatchObject({
      'POST /api/v1/scans 202': 2,
      'POST /api/v1/scans 403': 1,
      'POST /mcp 200': 3,
    });
    expect(requests['GET /api/v1/scans/:id 200']).toBeGreaterThanOrEqual(2);
  });

  it('nothing that a client made up: unknown addresses, ids, methods and tools are one label', async () => {
    // those of Node, such as kinds of garbage collections, come and go by themselves
    const count = async () =>
      (await figures(api.url)).filter(({ name }) => /^(scanmq|nessus)_/.test(name)).length;
    await api.call('GET', '/made-up/first');
    await api.call('GET', '/api/v1/scans/ne_made_20200101_000000_00000000');
    await count();
    const before = await count();
    for (let i = 0; i < 5; i += 1) {
      await api.call('GET', `/made-up/${i}?x=${i}`);
      await api.call('GET', `/api/v1/scans/ne_made_20200101_000000_0000000${i}`);
      await callTool(`made_up_${i}`, {});
    }
    expect(await count()).toBe(before);
    expect(await (await fetch(`${api.url}/metrics`)).text()).not.toMatch(/made[-_]up|ne_made|no_such_tool/);
  });
});

describe('docs/observability.md', () => {
  it('lists every metric as it is', async () => {
    const document = await readFile('docs/observability.md', 'utf8');
    for (const [name, { kind, of, help, labels }] of Object.entries<Instrument>(INSTRUMENTS)) {
      const shown = labels.length === 0 ? name : `${name}{${labels.join(',')}}`;
      expect(document).toContain(`| \`${shown}\` | ${kind} | ${of.join(', ')} | ${help} |\n`);
    }
  });
});
