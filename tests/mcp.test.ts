/** MCP as agents use it: both generations of the protocol, two gateways, following, budgets, confirmation, stdio. */
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import {
  Client as ModernClient,
  StreamableHTTPClientTransport as ModernTransport,
} from '@modelcontextprotocol/client';
import { StdioClientTransport as ModernStdioTransport } from '@modelcontextprotocol/client/stdio';
import { Client } from '@modelcontextprotocol/sdk/client/index.js';
import { StdioClientTransport } from '@modelcontextprotocol/sdk/client/stdio.js';
import { StreamableHTTPClientTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js';
import type { Transport } from '@modelcontextprotocol/sdk/shared/transport.js';
import { createService, finishScan, restClient, type TestService, until } from '@scanmq/testkit';

/** About four characters make a token. */
const CHARS_PER_TOKEN = 4;
const DEFAULT_TOKENS = 4_000;
const HARD_TOKENS = 10_000;

interface ToolResult {
  isError?: boolean;
  content: { type: string; text: string }[];
  structuredContent?: Record<string, unknown>;
}
interface Agent {
  call(
    name: string,
    args?: Record<string, unknown>,
    onProgress?: (p: { progress: number }) => void,
  ): Promise<ToolResult>;
  close(): Promise<void>;
}

/** The pool whose scans end when they are told to. */
const HELD = { scanner_pool: 'held' };

let service: TestService;
let api: ReturnType<typeof restClient>;
let urls: readonly string[];
const agents: Agent[] = [];

/** Sends each request to the other gateway: nothing may depend on who answered before. */
function alternating(): typeof fetch {
  let turn = 0;
  return (input, init) => {
    turn += 1;
    const url = new URL(String(input));
    url.port = new URL(urls[turn % urls.length] ?? '').port;
    return fetch(url, init);
  };
}

async function legacyAgent(): Promise<Agent> {
  const client = new Client({ name: 'legacy', version: '1' });
  await client.connect(
    new StreamableHTTPClientTransport(new URL(`${api.url}/mcp`), { fetch: alternating() }) as Transport,
  );
  return {
    call: async (name, args = {}, onProgress) =>
      (await client.callTool(
        { name, arguments: args },
        undefined,
        onProgress ? { onprogress: onProgress } : {},
      )) as ToolResult,
    close: () => client.close(),
  };
}

async function modernAgent(confirm?: (message: string) => boolean): Promise<Agent> {
  const client = new ModernClient(
    { name: 'modern', version: '1' },
    {
      versionNegotiation: { mode: 'auto' },
      capabilities: confirm ? { elicitation: { form: {} } } : {},
    },
  );
  if (confirm)
    client.setRequestHandler('elicitation/create', (request) => ({
      action: 'accept',
      content: { confirm: confirm(request.params.message) },
    }));
  await client.connect(new ModernTransport(new URL(`${api.url}/mcp`), { fetch: alternating() }));
  expect(client.getNegotiatedProtocolVersion()).toBe('2026-07-28');
  return {
    call: async (name, args = {}, onProgress) =>
      (await client.callTool(
        { name, arguments: args },
        onProgress ? { onprogress: onProgress } : {},
      )) as ToolResult,
    close: () => client.close(),
  };
}

beforeAll(async () => {
  service = await createService({
    redisUrl: process.env.SCANMQ_TEST_REDIS_URL ?? '',
    scanners: [{ limit: 3 }, { limit: 5, pool: HELD.scanner_pool, scanDurationMs: 600_000 }],
    env: { CONFIRM_ABOVE_HOSTS: '100', TARGETS_DENY: '203.0.113.0/24' },
  });
  const [first, second] = await Promise.all([
    service.startGateway(),
    service.startGateway(),
    service.startWorker(),
  ]);
  urls = [first.url, second.url];
  api = restClient(first.url);
});
afterAll(async () => {
  await Promise.all(agents.map((agent) => agent.close()));
  await service.close();
});

const kept = async (agent: Promise<Agent>): Promise<Agent> => {
  const one = await agent;
  agents.push(one);
  return one;
};
/** Lets the scan of a task of the pool `held` complete, as soon as it has begun. */
const finish = (taskId: unknown): Promise<void> => finishScan(service.simulators[1], String(taskId));
const tokens = (value: unknown): number => (JSON.stringify(value) ?? '').length / CHARS_PER_TOKEN;
/** The answer, whose size is what an agent can afford. */
function told(result: ToolResult): Record<string, unknown> {
  if (result.isError) throw new Error(result.content[0]?.text);
  expect((result.content[0]?.text.length ?? 0) / CHARS_PER_TOKEN).toBeLessThanOrEqual(DEFAULT_TOKENS);
  expect(tokens(result.structuredContent)).toBeLessThanOrEqual(DEFAULT_TOKENS);
  expect(tokens(result)).toBeLessThanOrEqual(HARD_TOKENS);
  return result.structuredContent ?? {};
}
function refused(result: ToolResult): Record<string, unknown> {
  expect(result.isError).toBe(true);
  return JSON.parse(result.content[0]?.text ?? '');
}

/** A message of the newer protocol as it goes over the wire. */
async function modernCall(
  method: string,
  params: Record<string, unknown>,
  {
    capabilities = {},
    headers = {},
    url = api.url,
  }: { capabilities?: object; headers?: Record<string, string>; url?: string } = {},
) {
  const response = await fetch(`${url}/mcp`, {
    method: 'POST',
    headers: {
      'content-type': 'application/json',
      accept: 'application/json, text/event-stream',
      'mcp-protocol-version': '2026-07-28',
      'mcp-method': method,
      ...(typeof params.name === 'string' ? { 'mcp-name': params.name } : {}),
      ...headers,
    },
    body: JSON.stringify({
      jsonrpc: '2.0',
      id: 1,
      method,
      params: {
        ...params,
        _meta: {
          'io.modelcontextprotocol/protocolVersion': '2026-07-28',
          'io.modelcontextprotocol/clientInfo': { name: 'raw', version: '1' },
          'io.modelcontextprotocol/clientCapabilities': capabilities,
        },
      },
    }),
  });
  const body = await response.text();
  const json = body.startsWith('{') ? body : (/^data: (\{.*)$/m.exec(body)?.[1] ?? '{}');
  return { status: response.status, message: JSON.parse(json) };
}

describe.each<[string, () => Promise<Agent>]>([
  ['2025-11-25, with @modelcontextprotocol/sdk', legacyAgent],
  ['2026-07-28, with @modelcontextprotocol/client', modernAgent],
])('an agent that speaks %s', (_, connect) => {
  it('plans, scans, waits, reads the summary, triages and compares, all in small answers', async () => {
    const agent = await kept(connect());
    const request = { targets: '192.0.2.10-192.0.2.12', name: 'weekly', ...HELD };
    const plan = told(await agent.call('plan_scan', request));
    expect(plan).toMatchObject({
      allowed: true,
      host_count: 3,
      ...HELD,
      confirmation_required: false,
      plan_token: null,
      next: expect.stringContaining('run_untrusted_scan'),
    });

    const ids: string[] = [];
    for (const round of [1, 2]) {
      const submitted = told(
        await agent.call('run_untrusted_scan', { ...request, idempotency_key: `${_}${round}` }),
      );
      const progress: number[] = [];
      const waiting = agent.call(
        'wait_for_scan',
        { task_id: submitted.task_id, timeout_seconds: 50 },
        (step) => progress.push(step.progress),
      );
      // the scan goes on until something of it was told
      await until('progress is told', () => progress.length > 0);
      await finish(submitted.task_id);
      const status = told(await waiting);
      expect(status).toMatchObject({ status: 'completed', quality: { verdict: 'complete' } });
      expect(progress).toEqual([...new Set(progress)].sort((a, b) => a - b));
      const [worst] = status.top_findings as Record<string, unknown>[];
      expect(worst).toMatchObject({
        severity: '4',
        host_examples: expect.any(Array),
        hosts: expect.any(Number),
      });
      expect(status.next).toContain('search_findings');
      ids.push(String(submitted.task_id));
    }
    const [base_task_id, task_id] = ids;

    const groups = told(
      await agent.call('search_findings', { task_id, group_by: 'plugin', severity: '>=high' }),
    );
    const [group] = groups.groups as { key: string }[];
    const found = told(await agent.call('search_findings', { task_id, plugin_id: group?.key }));
    const [finding] = found.findings as {
      finding_id: string;
      host: string;
      plugin_id: string;
      port: string;
    }[];
    const whole = told(await agent.call('get_finding', { task_id, finding_id: finding?.finding_id }));
    expect(whole).toMatchObject({ plugin_id: group?.key, solution: expect.any(String) });
    expect(whole).not.toHaveProperty('untrusted');
    const same = told(
      await agent.call('get_finding', {
        task_id,
        host: finding?.host,
        plugin_id: finding?.plugin_id,
        port: Number(finding?.port),
        include_output: true,
      }),
    );
    expect(same.finding_id).toBe(finding?.finding_id);

    // everything, page by page of what fits: nothing is lost where an answer is cut
    const seen = new Set<string>();
    let cursor: unknown;
    for (let pages = 0; pages < 200; pages += 1) {
      const result = await agent.call('get_scan_results', {
        task_id,
        page_size: 100,
        custom_fields: ['finding_id', 'description', 'solution', 'plugin_output'],
        ...(cursor === undefined ? {} : { cursor }),
      });
      const { vulnerabilities, pagination } = told(result) as {
        vulnerabilities: { finding_id: string }[];
        pagination: { next_cursor: string | null };
      };
      for (const one of vulnerabilities) seen.add(one.finding_id);
      cursor = pagination.next_cursor ?? undefined;
      if (cursor === undefined) break;
    }
    const { results_summary } = told(await agent.call('get_scan_status', { task_id })) as {
      results_summary: { total_findings: number };
    };
    expect(seen.size).toBe(results_summary.total_findings);

    const comparison = told(await agent.call('compare_scans', { base_task_id, head_task_id: task_id }));
    expect(comparison).toMatchObject({ counts: { new: expect.any(Number), persisting: expect.any(Number) } });
    told(await agent.call('list_tasks', { limit: 100 }));
  });

  it('can pause, resume, schedule, and is told what to do about its mistakes', async () => {
    const agent = await kept(connect());
    const made = told(
      await agent.call('run_untrusted_scan', { targets: '192.0.2.1', name: 'held', ...HELD }),
    );
    const task_id = String(made.task_id);
    expect(told(await agent.call('control_scan', { task_id, action: 'pause' }))).toMatchObject({ task_id });
    expect(told(await agent.call('control_scan', { task_id, action: 'resume' }))).toMatchObject({ task_id });
    await finish(task_id);
    await api.ended(task_id);
    const schedules = told(
      await agent.call('manage_schedules', {
        action: 'create',
        request: { targets: '192.0.2.1', name: 'nightly', scan_type: 'untrusted' },
        cron: '30 2 * * *',
        time_zone: 'Europe/Berlin',
      }),
    );
    const [{ schedule_id }] = schedules.schedules as [{ schedule_id: string }];
    expect(schedules).toMatchObject({ schedules: [{ paused: false, next_run_at: expect.any(String) }] });
    expect(told(await agent.call('manage_schedules', { action: 'pause', schedule_id }))).toMatchObject({
      schedules: [{ paused: true, next_run_at: null }],
    });
    told(await agent.call('manage_schedules', { action: 'remove', schedule_id }));
    expect(told(await agent.call('manage_schedules', { action: 'list' }))).toMatchObject({ total: 0 });

    const slip = task_id.replace(/.$/, (last) => (last === '0' ? '1' : '0'));
    expect(refused(await agent.call('get_scan_status', { task_id: slip }))).toMatchObject({
      code: 'not_found',
      next: expect.stringContaining(task_id),
    });
    expect(refused(await agent.call('get_scan_status', { task_id: `${task_id}x` }))).toMatchObject({
      code: 'invalid_request',
      next: expect.stringContaining(task_id),
    });
    expect(refused(await agent.call('search_findings', { task_id, group_by: 'colour' }))).toMatchObject({
      code: 'invalid_request',
      errors: [{ path: 'group_by', message: expect.stringContaining('plugin') }],
    });
    for (const look of ['list_scanners', 'list_pools', 'get_pool_status', 'get_queue_status'])
      expect(JSON.stringify(told(await agent.call(look)))).toContain('nessus');
    const login = { scan_type: 'authenticated', ssh_username: 'auditor', ssh_password: 'simulated' };
    const logged = told(
      await agent.call('run_authenticated_scan', { targets: '192.0.2.1', name: 'login', ...login }),
    );
    expect((await api.ended(String(logged.task_id))).authentication_status).toBe('success');
    expect(refused(await agent.call('cancel_scan', { task_id }))).toMatchObject({
      code: 'invalid_state',
      next: expect.stringContaining(task_id),
    });
  });

  it('has to plan a scan of many hosts, and the plan is good for that scan only', async () => {
    const agent = await kept(connect());
    const request = { targets: '10.1.0.0/24', name: 'wide', ...HELD };
    expect(refused(await agent.call('run_untrusted_scan', request))).toMatchObject({
      code: 'confirmation_required',
      message: expect.stringContaining('256 hosts'),
      next: expect.stringContaining('plan_scan'),
    });
    const plan = told(await agent.call('plan_scan', request));
    expect(plan).toMatchObject({
      confirmation_required: true,
      host_count: 256,
      plan_token: expect.any(String),
    });
    const { plan_token } = plan;
    expect(
      refused(await agent.call('run_untrusted_scan', { ...request, targets: '10.1.0.0/23', plan_token })),
    ).toMatchObject({ code: 'confirmation_required' });
    expect(
      refused(await agent.call('run_untrusted_scan', { ...request, plan_token: `${String(plan_token)}x` })),
    ).toMatchObject({ code: 'confirmation_required' });
    const made = told(await agent.call('run_untrusted_scan', { ...request, plan_token }));
    expect(made).toMatchObject({ status: 'queued' });
    told(await agent.call('cancel_scan', { task_id: made.task_id }));
    expect(told(await agent.call('plan_scan', { targets: '203.0.113.1', name: 'no' }))).toMatchObject({
      allowed: false,
      reason: expect.stringContaining('TARGETS_DENY'),
      plan_token: null,
    });
  });
});

describe('a client that can ask its user', () => {
  it('asks before a scan of many hosts, and the answer decides', async () => {
    const asked: string[] = [];
    let answer = false;
    const agent = await kept(
      modernAgent((message) => {
        asked.push(message);
        return answer;
      }),
    );
    const request = { targets: '10.2.0.0/24', name: 'asked', idempotency_key: 'asked', ...HELD };
    expect(refused(await agent.call('run_untrusted_scan', request))).toMatchObject({
      code: 'confirmation_required',
      message: expect.stringContaining('did not confirm'),
    });
    answer = true;
    const made = told(await agent.call('run_untrusted_scan', request));
    expect(asked).toHaveLength(2);
    expect(asked[0]).toContain('10.2.0.0/24');
    expect(asked[0]).toContain('256 hosts');
    told(await agent.call('cancel_scan', { task_id: made.task_id }));
  });
});

describe('the tasks extension', () => {
  const capabilities = { extensions: { 'io.modelcontextprotocol/tasks': {} } };
  const task = (method: string, taskId: string, url?: string) =>
    modernCall(
      method,
      { taskId },
      { capabilities, headers: { 'mcp-name': taskId }, ...(url ? { url } : {}) },
    );

  it('makes the scan a task of the same id, which any gateway knows', async () => {
    const { message } = await modernCall(
      'tools/call',
      { name: 'run_untrusted_scan', arguments: { targets: '192.0.2.9', name: 'as a task' } },
      { capabilities },
    );
    expect(message.result).toMatchObject({
      resultType: 'task',
      taskId: expect.stringMatching(/^ne_ness_/),
      status: 'working',
      ttlMs: expect.any(Number),
      pollIntervalMs: expect.any(Number),
    });
    const { taskId } = message.result;
    const ended = await until('the task has ended', async () => {
      const { result } = (await task('tasks/get', taskId, urls[1])).message;
      return result.status === 'working' ? undefined : result;
    });
    expect(ended).toMatchObject({
      taskId,
      status: 'completed',
      result: { structuredContent: { task_id: taskId, status: 'completed' } },
    });
    expect((await task('tasks/cancel', taskId)).message.error).toBeUndefined();
    expect((await api.status(taskId)).status).toBe('completed');
  });

  it('answers a failed scan as an error, cancels, and knows only those who declare it', async () => {
    const [simulator] = service.simulators;
    simulator?.setFault({ name: 'abort_scan' });
    const failing = await api.submit({ targets: '192.0.2.9', name: 'fails' });
    expect((await api.ended(failing.task_id)).status).toBe('failed');
    simulator?.clearFaults();
    expect((await task('tasks/get', failing.task_id)).message.result).toMatchObject({
      status: 'completed',
      result: { isError: true, structuredContent: { error: { code: 'scan_aborted' } } },
    });
    const running = await api.submit({ targets: '192.0.2.9', name: 'stops', ...HELD });
    expect((await task('tasks/cancel', running.task_id)).status).toBe(200);
    await api.ended(running.task_id);
    expect((await task('tasks/get', running.task_id)).message.result).toMatchObject({ status: 'cancelled' });

    expect(
      (
        await modernCall(
          'tasks/get',
          { taskId: running.task_id },
          { headers: { 'mcp-name': running.task_id } },
        )
      ).message.error.code,
    ).toBe(-32_021);
    expect((await task('tasks/get', 'ne_ness_20260101_000000_00000000')).message.error.code).toBe(-32_602);
    const mismatch = await modernCall(
      'tasks/get',
      { taskId: running.task_id },
      { capabilities, headers: { 'mcp-name': 'other' } },
    );
    expect([mismatch.status, mismatch.message.error.code]).toEqual([400, -32_020]);
  });
});

describe('prompts and resources', () => {
  it('are the same in both protocols, with completion of task ids', async () => {
    const done = await api.submit({ targets: '192.0.2.77', name: 'prompted' });
    const again = await api.submit({ targets: '192.0.2.77', name: 'prompted' });
    await Promise.all([api.ended(done.task_id), api.ended(again.task_id)]);
    const old = new Client({ name: 'legacy', version: '1' });
    await old.connect(new StreamableHTTPClientTransport(new URL(`${api.url}/mcp`)) as Transport);
    const young = new ModernClient(
      { name: 'modern', version: '1' },
      { versionNegotiation: { mode: 'auto' } },
    );
    await young.connect(new ModernTransport(new URL(`${api.url}/mcp`)));
    for (const client of [old, young] as const) {
      expect((await client.listPrompts()).prompts.map(({ name }) => name)).toEqual([
        'triage_scan',
        'compare_with_previous',
      ]);
      const triage = await client.getPrompt({ name: 'triage_scan', arguments: { task_id: done.task_id } });
      expect(JSON.stringify(triage)).toContain('top_findings');
      const compare = await client.getPrompt({
        name: 'compare_with_previous',
        arguments: { task_id: again.task_id },
      });
      expect(JSON.stringify(compare)).toContain(done.task_id);
      await expect(
        client.getPrompt({ name: 'triage_scan', arguments: { task_id: 'nonsense' } }),
      ).rejects.toMatchObject({ code: -32_602 });
      expect(
        (await client.listResourceTemplates()).resourceTemplates.map(({ uriTemplate }) => uriTemplate),
      ).toEqual(['scanmq://tasks/{task_id}', 'scanmq://tasks/{task_id}/summary']);
      for (const suffix of ['', '/summary']) {
        const { contents } = await client.readResource({ uri: `scanmq://tasks/${done.task_id}${suffix}` });
        expect(JSON.parse((contents[0] as { text: string }).text)).toMatchObject({
          task_id: done.task_id,
          status: 'completed',
        });
      }
      await expect(client.readResource({ uri: 'scanmq://tasks/nonsense' })).rejects.toMatchObject({
        code: -32_602,
      });
      const { completion } = await client.complete({
        ref: { type: 'ref/prompt', name: 'triage_scan' },
        argument: { name: 'task_id', value: done.task_id.slice(0, 12) },
      });
      expect(completion.values).toContain(done.task_id);
      await client.close();
    }
  });
});

describe('waiting', () => {
  it('ends with the connection, and the scan goes on', async () => {
    const { task_id } = await api.submit({ targets: '192.0.2.50', name: 'left alone', ...HELD });
    const gone = new AbortController();
    const waiting = fetch(`${api.url}/mcp`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', accept: 'application/json, text/event-stream' },
      body: JSON.stringify({
        jsonrpc: '2.0',
        id: 1,
        method: 'tools/call',
        params: { name: 'wait_for_scan', arguments: { task_id }, _meta: { progressToken: 1 } },
      }),
      signal: gone.signal,
    });
    const response = await waiting;
    expect(response.headers.get('content-type')).toContain('text/event-stream');
    gone.abort();
    await finish(task_id);
    expect((await api.ended(task_id)).status).toBe('completed');
  });

  it('costs next to nothing: hundreds of waits at once all get their answer', async () => {
    const { task_id } = await api.submit({ targets: '192.0.2.51', name: 'awaited', ...HELD });
    const agent = await kept(legacyAgent());
    const waiting = Promise.all(
      Array.from({ length: 150 }, () => agent.call('wait_for_scan', { task_id, timeout_seconds: 50 })),
    );
    // without results: a search of them for each answer costs far more than all the waiting
    told(await agent.call('cancel_scan', { task_id }));
    const answers = await waiting;
    expect(new Set(answers.map((one) => told(one).status))).toEqual(new Set(['cancelled']));
  });
});

describe('scanmq mcp', () => {
  it('speaks on standard input and output what the gateway speaks on HTTP', async () => {
    const client = new Client({ name: 'stdio', version: '1' });
    await client.connect(
      new StdioClientTransport({
        command: process.execPath,
        args: ['apps/cli/bin/scanmq.js', 'mcp'],
        env: { PATH: process.env.PATH ?? '', SCANMQ_URL: api.url },
      }) as Transport,
    );
    expect((await client.listTools()).tools).toHaveLength(17);
    expect(await client.callTool({ name: 'list_pools', arguments: {} })).toMatchObject({
      structuredContent: { pools: ['nessus', HELD.scanner_pool] },
    });
    await client.close();
  });

  it('carries the newer protocol too', async () => {
    const client = new ModernClient(
      { name: 'stdio', version: '1' },
      { versionNegotiation: { mode: 'auto' } },
    );
    await client.connect(
      new ModernStdioTransport({
        command: process.execPath,
        args: ['apps/cli/bin/scanmq.js', 'mcp'],
        env: { PATH: process.env.PATH ?? '', SCANMQ_URL: api.url },
      }),
    );
    expect(client.getNegotiatedProtocolVersion()).toBe('2026-07-28');
    expect(await client.callTool({ name: 'list_pools', arguments: {} })).toMatchObject({
      structuredContent: { pools: ['nessus', HELD.scanner_pool] },
    });
    await client.close();
  });

  it('says in words that the gateway is not there', async () => {
    const client = new Client({ name: 'stdio', version: '1' });
    await expect(
      client.connect(
        new StdioClientTransport({
          command: process.execPath,
          args: ['apps/cli/bin/scanmq.js', 'mcp'],
          env: { PATH: process.env.PATH ?? '', SCANMQ_URL: 'http://127.0.0.1:9' },
          stderr: 'ignore',
        }) as Transport,
      ),
    ).rejects.toThrow(/gateway at http:\/\/127\.0\.0\.1:9 gave no answer/);
    await client.close();
  });
});

describe('limits and the record of changes', () => {
  it('count per tool, tell how long to wait, and write one line for each change and refusal', async () => {
    const limited = await createService({
      redisUrl: process.env.SCANMQ_TEST_REDIS_URL ?? '',
      env: { MCP_READS_PER_MINUTE: '3', MCP_CHANGES_PER_MINUTE: '2' },
    });
    try {
      // two gateways share the limit on changes
      const gateways = await Promise.all([limited.startGateway(), limited.startGateway()]);
      const call = async (gateway: number, name: string, args: object): Promise<ToolResult> => {
        const { message } = await modernCall(
          'tools/call',
          { name, arguments: args },
          { url: gateways[gateway]?.url ?? '' },
        );
        return message.result;
      };
      for (let i = 0; i < 3; i += 1) expect((await call(0, 'list_pools', {})).isError).toBeFalsy();
      expect(refused(await call(0, 'list_pools', {}))).toMatchObject({
        code: 'rate_limited',
        retryable: true,
        retry_after_seconds: expect.any(Number),
        next: expect.stringContaining('list_pools'),
      });
      expect((await call(0, 'get_queue_status', {})).isError).toBeFalsy();

      const scan = { targets: '192.0.2.1', name: 'audited', idempotency_key: 'audited' };
      expect((await call(0, 'run_untrusted_scan', scan)).isError).toBeFalsy();
      expect(refused(await call(1, 'run_untrusted_scan', { ...scan, name: 'other' }))).toMatchObject({
        code: 'idempotency_conflict',
      });
      expect(refused(await call(1, 'run_untrusted_scan', scan))).toMatchObject({ code: 'rate_limited' });
      // each gateway writes a chain of its own
      const files = (await readdir(limited.directory)).filter((name) => /^audit.*\.log$/.test(name));
      const lines = await Promise.all(files.map((name) => readFile(join(limited.directory, name), 'utf8')));
      const records = lines
        .flatMap((text) => text.split('\n'))
        .flatMap((line) => (line.includes('"event":"decision"') ? [JSON.parse(line)] : []))
        .sort((a, b) => a.time.localeCompare(b.time));
      expect(records).toEqual([
        expect.objectContaining({
          decision: 'allowed',
          action: 'run_untrusted_scan',
          principal: 'local',
          targets: scan.targets,
          name: scan.name,
          trace_id: expect.any(String),
        }),
        // allowed to ask, and then refused
        expect.objectContaining({ decision: 'allowed', name: 'other' }),
        expect.objectContaining({ decision: 'refused', name: 'other', code: 'idempotency_conflict' }),
      ]);
    } finally {
      await limited.close();
    }
  });
});
