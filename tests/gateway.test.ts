import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import { Client } from '@modelcontextprotocol/sdk/client/index.js';
import { StreamableHTTPClientTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js';
import type { Simulator } from '@scanmq/simulator';
import { createService, restClient, type TestService, until } from '@scanmq/testkit';

let service: TestService;
let api: ReturnType<typeof restClient>;
let mcp: Client;
let simulator: Simulator;

beforeAll(async () => {
  service = await createService({
    redisUrl: process.env.SCANMQ_TEST_REDIS_URL ?? '',
    scanners: [{ limit: 2 }],
    env: { TARGETS_DENY: '203.0.113.0/24', SCAN_TIMEOUT_HOURS: '1' },
  });
  const [first] = service.simulators;
  if (!first) throw new Error('no simulator');
  simulator = first;
  const [{ url }] = await Promise.all([service.startGateway(), service.startWorker()]);
  api = restClient(url);
  mcp = new Client({ name: 'test', version: '1' });
  await mcp.connect(
    new StreamableHTTPClientTransport(new URL(`${api.url}/mcp`)) as Parameters<Client['connect']>[0],
  );
});
afterEach(() => simulator.clearFaults());
afterAll(async () => {
  await mcp.close();
  await service.close();
});

interface ToolResult {
  isError?: boolean;
  content: { type: string; text: string }[];
  structuredContent?: Record<string, unknown>;
}
const call = async (name: string, args: Record<string, unknown> = {}): Promise<ToolResult> =>
  (await mcp.callTool({ name, arguments: args })) as ToolResult;
const answer = async (name: string, args: Record<string, unknown> = {}): Promise<Record<string, unknown>> => {
  const result = await call(name, args);
  if (result.isError) throw new Error(result.content[0]?.text);
  return result.structuredContent ?? {};
};
const refusal = async (name: string, args: Record<string, unknown>) => {
  const result = await call(name, args);
  expect(result.isError).toBe(true);
  return JSON.parse(result.content[0]?.text ?? '');
};

describe('the tools', () => {
  it('are the nine of the earlier version and those that came since, each with schemas and all four hints', async () => {
    const { tools } = await mcp.listTools();
    expect(tools.map((tool) => tool.name)).toEqual([
      'plan_scan',
      'run_untrusted_scan',
      'run_authenticated_scan',
      'wait_for_scan',
      'get_scan_status',
      'list_tasks',
      'cancel_scan',
      'control_scan',
      'manage_schedules',
      'get_scan_results',
      'search_findings',
      'get_finding',
      'compare_scans',
      'list_scanners',
      'list_pools',
      'get_pool_status',
      'get_queue_status',
    ]);
    for (const tool of tools) {
      expect(tool.inputSchema.type).toBe('object');
      expect(tool.outputSchema?.type).toBe('object');
      expect(Object.keys(tool.annotations ?? {}).sort()).toEqual([
        'destructiveHint',
        'idempotentHint',
        'openWorldHint',
        'readOnlyHint',
      ]);
    }
    // about four characters make a token
    expect(JSON.stringify(tools).length / 4).toBeLessThan(8_000);
  });

  it('take a scan from submission to findings', async () => {
    const submitted = await answer('run_untrusted_scan', {
      targets: '192.0.2.10 192.0.2.11',
      name: 'agent scan',
      idempotency_key: 'agent-1',
    });
    expect(submitted).toEqual({
      task_id: expect.stringMatching(/^ne_ness_\d{8}_\d{6}_[0-9a-f]{8}$/),
      trace_id: expect.stringMatching(/^[0-9a-f]{32}$/),
      status: 'queued',
      scan_type: 'untrusted',
      scanner_type: 'nessus',
      scanner_pool: 'nessus',
      scanner_instance: null,
      scanner_url: null,
      queue_position: expect.any(Number),
      estimated_wait_minutes: expect.any(Number),
      message: expect.any(String),
      idempotent_replay: false,
      coalesced: false,
    });
    const task_id = submitted.task_id;
    const status = await until('it is completed', async () => {
      const now = await answer('get_scan_status', { task_id });
      return now.status === 'completed' ? now : undefined;
    });
    expect(status).toMatchObject({
      task_id,
      trace_id: submitted.trace_id,
      progress: 100,
      scan_type: 'untrusted',
      scanner_type: 'nessus',
      scanner_pool: 'nessus',
      scanner_instance: 'scanner1',
      scanner_status: 'completed',
      targets: '192.0.2.10 192.0.2.11',
      name: 'agent scan',
      nessus_scan_id: expect.any(Number),
      attempts: 1,
      created_at: expect.any(String),
      started_at: expect.any(String),
      completed_at: expect.any(String),
      eta: null,
      error: null,
      authentication_status: 'not_applicable',
      validation_warnings: [],
      results_summary: {
        hosts_scanned: 2,
        total_vulnerabilities: expect.any(Number),
        severity_breakdown: {
          critical: expect.any(Number),
          high: expect.any(Number),
          medium: expect.any(Number),
          low: expect.any(Number),
          info: expect.any(Number),
        },
        file_size_kb: expect.any(Number),
        auth_plugins_found: expect.any(Number),
      },
      troubleshooting: null,
      simulator: true,
    });

    const results = await call('get_scan_results', {
      task_id,
      page_size: 10,
      schema_profile: 'minimal',
      filters: { severity: '>=medium' },
      sort: '-severity',
    });
    const lines = (results.content[0]?.text ?? '').split('\n').map((line) => JSON.parse(line));
    expect(lines[0]).toMatchObject({
      type: 'schema',
      profile: 'minimal',
      fields: ['host', 'plugin_id', 'severity', 'cve', 'cvss_score', 'exploit_available'],
      filters_applied: { severity: '>=medium' },
      total_vulnerabilities: expect.any(Number),
      total_pages: expect.any(Number),
    });
    expect(lines[1]).toMatchObject({
      type: 'scan_metadata',
      scan_name: expect.stringContaining('simulator'),
      simulator: true,
    });
    expect(lines.at(-1)).toMatchObject({
      type: 'pagination',
      page: 1,
      page_size: 10,
      has_next: expect.any(Boolean),
    });
    expect(lines.length).toBeGreaterThan(3);
    expect(
      lines.slice(2, -1).every((line) => line.type === 'vulnerability' && Number(line.severity) >= 2),
    ).toBe(true);
    expect(results.structuredContent).toEqual({
      schema: lines[0],
      scan_metadata: lines[1],
      vulnerabilities: lines.slice(2, -1),
      pagination: lines.at(-1),
    });

    const everything = await call('get_scan_results', { task_id, page: 0, schema_profile: 'full' });
    expect(everything.content[0]?.text.length).toBeLessThanOrEqual(16_000);
    expect(everything.structuredContent?.pagination).toMatchObject({ truncated: true });
  });

  it('run a scan with credentials, and never give them back', async () => {
    const submitted = await answer('run_authenticated_scan', {
      targets: '192.0.2.10',
      name: 'login',
      scan_type: 'authenticated',
      ssh_username: 'auditor',
      ssh_password: 'canary-secret',
    });
    expect(submitted).toMatchObject({ scan_type: 'authenticated', status: 'queued' });
    const ended = await api.ended(String(submitted.task_id));
    expect(ended.authentication_status).toBe('success');
    expect(JSON.stringify([ended, submitted])).not.toContain('canary-secret');
  });

  it('describe the fleet', async () => {
    expect(await answer('list_pools')).toEqual({ pools: ['nessus'], default_pool: 'nessus' });
    const scanner = {
      scanner_type: 'nessus',
      pool: 'nessus',
      instance_id: 'scanner1',
      instance_key: 'nessus:scanner1',
      name: 'Simulator 1',
      url: simulator.url,
      enabled: true,
      healthy: true,
      circuit: 'closed',
      max_concurrent_scans: 2,
      active_scans: expect.any(Number),
      available_capacity: expect.any(Number),
      utilization_pct: expect.any(Number),
      version: '10.10.1',
      simulator: true,
    };
    expect(await answer('list_scanners')).toMatchObject({ scanners: [scanner], total: 1, pools: ['nessus'] });
    expect(await answer('get_pool_status', { scanner_pool: 'nessus' })).toMatchObject({
      pool: 'nessus',
      scanner_type: 'nessus',
      total_scanners: 1,
      total_capacity: 2,
      total_active: expect.any(Number),
      available_capacity: expect.any(Number),
      utilization_pct: expect.any(Number),
      scanners: [scanner],
    });
    expect(await answer('get_queue_status')).toMatchObject({
      pool: 'nessus',
      queue_depth: expect.any(Number),
      running: expect.any(Number),
      delayed: expect.any(Number),
      dlq_size: expect.any(Number),
      next_tasks: expect.any(Array),
      oldest_waiting_seconds: expect.any(Number),
      estimated_wait_minutes: expect.any(Number),
      timestamp: expect.any(String),
    });
    const tasks = await answer('list_tasks', { limit: 1, target_filter: '192.0.2.0/24' });
    expect(tasks).toMatchObject({ tasks: { length: 1 }, total: 2, next_cursor: expect.any(String) });
  });

  it.each<[string, Record<string, unknown>, string]>([
    ['run_untrusted_scan', { targets: '300.1.1.1', name: 'x' }, 'invalid_request'],
    ['run_untrusted_scan', { targets: '192.0.2.1', name: 'x', scaner_pool: 'typo' }, 'invalid_request'],
    ['run_untrusted_scan', { targets: '192.0.2.1', name: 'x', scanner_pool: 'nowhere' }, 'invalid_request'],
    ['run_untrusted_scan', { targets: '192.0.2.1, 203.0.113.9', name: 'x' }, 'target_refused'],
    ['run_untrusted_scan', { targets: '203.0.0.0/8', name: 'x' }, 'target_refused'],
    [
      'run_authenticated_scan',
      { targets: '192.0.2.1', name: 'x', scan_type: 'authenticated' },
      'invalid_request',
    ],
    ['get_scan_status', { task_id: 'nonsense' }, 'invalid_request'],
    ['get_scan_status', { task_id: 'ne_ness_20260101_000000_00000000' }, 'not_found'],
    ['get_scan_results', { task_id: 'ne_ness_20260101_000000_00000000' }, 'not_found'],
    ['list_tasks', { target_filter: '///' }, 'invalid_request'],
  ])('%s %j is refused with %s, in words to act on', async (name, args, code) => {
    const error = await refusal(name, args);
    expect(error).toMatchObject({ code, message: expect.any(String), retryable: false });
    expect(error.message).not.toMatch(/ at .*\.(ts|js):/);
  });
});

describe('REST', () => {
  it('accepts a scan with 202, Location and the fields of its status', async () => {
    const made = await api.call('POST', '/api/v1/scans', { targets: '192.0.2.1', name: 'rest' });
    expect(made.status).toBe(202);
    const task = made.json();
    expect(made.headers.get('location')).toBe(`/api/v1/scans/${task.task_id}`);
    expect(task).toMatchObject({
      status: 'queued',
      targets: '192.0.2.1',
      attempts: 0,
      idempotent_replay: false,
    });
    expect((await api.ended(task.task_id)).status).toBe('completed');
  });

  it('makes one task of 200 simultaneous submissions with one key, and refuses a changed one', async () => {
    const body = { targets: '192.0.2.1', name: 'once' };
    const answers = await Promise.all(
      Array.from({ length: 200 }, () =>
        api.call('POST', '/api/v1/scans', body, { 'idempotency-key': 'once' }),
      ),
    );
    expect(new Set(answers.map((one) => one.status))).toEqual(new Set([202]));
    expect(new Set(answers.map((one) => one.json().task_id)).size).toBe(1);
    expect(answers.filter((one) => one.headers.get('idempotency-replayed') === 'true')).toHaveLength(199);
    const changed = await api.call(
      'POST',
      '/api/v1/scans',
      { ...body, name: 'twice' },
      { 'idempotency-key': 'once' },
    );
    expect(changed.status).toBe(409);
    expect(changed.headers.get('content-type')).toContain('application/problem+json');
    expect(changed.json()).toMatchObject({
      type: 'urn:scanmq:error:idempotency_conflict',
      code: 'idempotency_conflict',
      status: 409,
      trace_id: expect.any(String),
    });
  });

  it('lists every mistake of a body at once, with its path', async () => {
    const { json, status } = await api.call('POST', '/api/v1/scans', {
      targets: '',
      priority: 'extreme',
      nonsense: 1,
    });
    expect(status).toBe(400);
    expect(
      json()
        .errors.map((error: { path: string }) => error.path)
        .sort(),
    ).toEqual(['name', 'nonsense', 'priority', 'targets']);
  });

  it.each<[string, string, number, string]>([
    ['GET', '/api/v1/nothing', 404, 'not_found'],
    ['GET', '/api/v1/scans/..%2f..%2fetc', 404, 'not_found'],
    ['GET', '/api/v1/scans?limit=0', 400, 'invalid_request'],
    ['GET', '/api/v1/pools/nowhere', 400, 'invalid_request'],
  ])('%s %s answers %d %s', async (method, path, status, code) => {
    const response = await api.call(method, path);
    expect([response.status, response.json().code]).toEqual([status, code]);
  });

  it('answers findings as JSON and as lines, and the raw export', async () => {
    const { tasks } = (await api.call('GET', '/api/v1/scans?status_filter=completed&limit=1')).json();
    const [task] = tasks;
    const json = (
      await api.call(
        'GET',
        `/api/v1/scans/${task.task_id}/findings?profile=minimal&sort=-severity&filters=${encodeURIComponent('{"severity":">=high"}')}`,
      )
    ).json();
    const lines = await api.call(
      'GET',
      `/api/v1/scans/${task.task_id}/findings?format=ndjson&page=0&profile=minimal`,
    );
    expect(lines.headers.get('content-type')).toContain('application/x-ndjson');
    expect(lines.text.trim().split('\n')).toHaveLength(2 + task.results_summary.total_findings);
    expect(json.schema.total_vulnerabilities).toBe(
      task.results_summary.severity_breakdown.high + task.results_summary.severity_breakdown.critical,
    );
    expect(
      (await api.call('GET', `/api/v1/scans/${task.task_id}/findings?fields=nonsense`)).json(),
    ).toMatchObject({ code: 'invalid_request' });
    const raw = await api.call('GET', `/api/v1/scans/${task.task_id}/export`);
    expect(raw.headers.get('content-disposition')).toBe(`attachment; filename="${task.task_id}.nessus"`);
    expect(raw.text).toMatch(/<\/NessusClientData_v2>\s*$/);
  });

  it('tells its health by dependency', async () => {
    expect((await api.call('GET', '/health/live')).json()).toEqual({ status: 'alive' });
    expect((await api.call('GET', '/health/ready')).status).toBe(200);
    expect((await api.call('GET', '/health')).json()).toMatchObject({
      status: 'healthy',
      dependencies: { redis: { status: 'healthy' }, filesystem: { status: 'healthy' } },
    });
  });
});

describe('a gateway that is asked to end', () => {
  it('answers those who wait, and is gone at once', async () => {
    const other = await service.startGateway();
    // before there is a scan: it cannot end until the scanner answers again
    simulator.setFault({ name: 'http_503' });
    const task = await api.submit({
      targets: '192.0.2.1',
      name: 'held',
      scanner_instance: 'scanner1',
      timeout_hours: 1,
    });
    const waiting = restClient(other.url).call('GET', `/api/v1/scans/${task.task_id}?wait=60`);
    // answered after the request that waits has come in: that was sent before
    for (let i = 0; i < 3; i += 1) await restClient(other.url).call('GET', '/health/ready');
    other.program.kill('SIGTERM');
    expect((await waiting).json()).toMatchObject({
      task_id: task.task_id,
      status: expect.stringMatching(/^(queued|running)$/),
    });
    expect(await other.program.ended).toEqual({ code: 0, signal: null });
    simulator.clearFaults();
    expect((await api.ended(task.task_id)).status).toBe('completed');
  });
});

describe('a browser on another page', () => {
  it('cannot use the gateway, by its origin or by a name that leads here', async () => {
    const foreign = await api.call(
      'POST',
      '/api/v1/scans',
      { targets: '192.0.2.1', name: 'x' },
      { origin: 'https://evil.example' },
    );
    expect([foreign.status, foreign.json().code]).toEqual([403, 'forbidden']);
    const { request } = await import('node:http');
    const status = await new Promise((resolve) => {
      request(`${api.url}/mcp`, { method: 'POST', headers: { host: 'evil.example' } }, (response) =>
        resolve(response.statusCode),
      ).end();
    });
    expect(status).toBe(403);
  });
});

describe('the dashboard', () => {
  const board = async (
    path: string,
  ): Promise<{
    queues: { name: string; jobs: { id: string; name: string }[]; counts: Record<string, number> }[];
  }> => (await api.call('GET', `/dashboard/api/queues${path}`)).json();

  it('shows the queues, and a retried dead letter really runs again', async () => {
    simulator.setFault({ name: 'abort_scan' });
    const task = await api.submit({ targets: '192.0.2.1', name: 'dead letter' });
    expect((await api.ended(task.task_id)).status).toBe('failed');
    simulator.clearFaults();
    // the record tells the end a moment before the job is among the failed
    const job = await until('the dead letter is shown', async () => {
      const { queues } = await board('?activeQueue=nessus&status=failed&page=1');
      return queues.find((one) => one.name === 'nessus')?.jobs.find((one) => one.id === task.task_id);
    });
    expect(job.name).toBe('dead letter');
    expect((await api.call('PUT', `/dashboard/api/queues/nessus/${task.task_id}/retry`)).status).toBe(204);
    await until('it is queued again', async () => (await api.status(task.task_id)).status !== 'failed');
    expect(await api.ended(task.task_id)).toMatchObject({ status: 'completed', error: null });
  });

  it('does not change limits, empty queues or add jobs', async () => {
    for (const [method, path] of [
      ['PUT', 'nessus/clean/failed'],
      ['PUT', 'nessus/pause'],
      ['PUT', 'nessus/empty'],
      ['PUT', 'nessus/obliterate'],
      ['POST', 'nessus/add'],
      ['PUT', 'nessus/concurrency'],
    ] as const) {
      expect((await api.call(method, `/dashboard/api/queues/${path}`, {})).status).toBe(403);
    }
  });
});
