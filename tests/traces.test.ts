/** One trace per task: from the request or tool call through every attempt and worker, as a real collector gets it. */
import { execFile } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import type { ScanStatus } from '@scanmq/contract';
import { createService, type RunningProgram, restClient, type TestService, until } from '@scanmq/testkit';
import { z } from 'zod';

const valueSchema = z
  .object({ stringValue: z.string(), intValue: z.coerce.string(), boolValue: z.boolean() })
  .partial();
const attributesSchema = z
  .array(z.object({ key: z.string(), value: valueSchema }))
  .default([])
  .transform(
    (list) =>
      new Map(
        list.map(({ key, value }) => [key, String(value.stringValue ?? value.intValue ?? value.boolValue)]),
      ),
  );
const otlpSchema = z.object({
  resourceSpans: z.array(
    z.object({
      resource: z.object({ attributes: attributesSchema }),
      scopeSpans: z.array(
        z.object({
          spans: z.array(
            z.object({
              traceId: z.string(),
              spanId: z.string(),
              parentSpanId: z.string().optional(),
              name: z.string(),
              startTimeUnixNano: z.coerce.bigint(),
              endTimeUnixNano: z.coerce.bigint(),
              attributes: attributesSchema,
            }),
          ),
        }),
      ),
    }),
  ),
});
type Span = z.output<typeof otlpSchema>['resourceSpans'][number]['scopeSpans'][number]['spans'][number] & {
  readonly resource: Map<string, string>;
};

const SECRET = 'canary-pass-4711';
let collector: Server;
let received = '';
const spans: Span[] = [];
let service: TestService;
let api: ReturnType<typeof restClient>;
const programs: RunningProgram[] = [];

beforeAll(async () => {
  collector = createServer(async (request, response) => {
    let text = '';
    for await (const chunk of request) text += chunk;
    received += text;
    if (request.url === '/v1/traces')
      for (const { resource, scopeSpans } of otlpSchema.parse(JSON.parse(text)).resourceSpans)
        spans.push(
          ...scopeSpans.flatMap((scope) =>
            scope.spans.map((span) => ({ ...span, resource: resource.attributes })),
          ),
        );
    response.setHeader('content-type', 'application/json').end('{}');
  });
  await new Promise<void>((resolve) => collector.listen(0, '127.0.0.1', resolve));
  service = await createService({
    redisUrl: process.env.SCANMQ_TEST_REDIS_URL ?? '',
    // a scan ends when the test says so
    scanners: [{ scanDurationMs: 600_000 }],
    env: {
      // no worker dies here: one that a busy machine holds up keeps its tasks
      WORKER_LOCK_SECONDS: '60',
      OTEL_EXPORTER_OTLP_ENDPOINT: `http://127.0.0.1:${(collector.address() as AddressInfo).port}`,
      OTEL_BSP_SCHEDULE_DELAY: '100',
    },
  });
  const [gateway, worker] = await Promise.all([service.startGateway(), service.startWorker()]);
  programs.push(gateway.program, worker);
  api = restClient(gateway.url);
});
afterAll(async () => {
  await service.close();
  collector.closeAllConnections();
  collector.close();
});

const spansOf = (traceId: string): readonly Span[] => spans.filter((span) => span.traceId === traceId);
/** Waits for the last span of the worker, and for that of the request: gateway and worker send each their own. */
async function traceOf(traceId: string, request: string): Promise<readonly Span[]> {
  for (const last of ['task.finish', request])
    await until(`${last} has come`, () => spansOf(traceId).some(({ name }) => name === last));
  return spansOf(traceId);
}
const runs = (taskId: string, attempt: number): Promise<true> =>
  until(`attempt ${attempt} of ${taskId} runs`, async () => {
    const { attempts, scanner_status } = await api.status(taskId);
    return attempts === attempt && scanner_status === 'running';
  });
const endScans = (): unknown => service.simulators[0]?.endScans('all', 'completed');
const names = (trace: readonly Span[]): Record<string, number> => {
  const counts: Record<string, number> = {};
  for (const { name } of trace) counts[name] = (counts[name] ?? 0) + 1;
  return counts;
};
/** Spans whose parent is not in the trace. */
const roots = (trace: readonly Span[]) => {
  const ids = new Set(trace.map(({ spanId }) => spanId));
  return trace.filter(({ parentSpanId }) => parentSpanId === undefined || !ids.has(parentSpanId));
};
const parentName = (trace: readonly Span[], name: string) => {
  const parent = trace.find((span) => span.name === name)?.parentSpanId;
  return trace.find(({ spanId }) => spanId === parent)?.name;
};

describe('a scan that is tried again and handed over to another worker', () => {
  const TRACE = '4bf92f3577b34da6a3ce929d0e0e4736';
  const CALLER = '00f067aa0ba902b7';
  let task: ScanStatus;
  let trace: readonly Span[];
  /** A while in which the scan was only watched. */
  let watched: { fromMs: number; toMs: number };

  beforeAll(async () => {
    const [simulator] = service.simulators;
    simulator?.setFault({ name: 'abort_scan', remaining: 1 });
    const answer = await api.call(
      'POST',
      '/api/v1/scans',
      {
        scan_type: 'authenticated',
        targets: '192.0.2.77',
        name: 'words of a client',
        ssh_username: 'somebody',
        ssh_password: SECRET,
      },
      { traceparent: `00-${TRACE}-${CALLER}-01` },
    );
    expect([answer.status, answer.headers.get('x-trace-id')]).toEqual([202, TRACE]);
    task = answer.json();
    await runs(task.task_id, 2);
    programs[1]?.kill('SIGTERM');
    await programs[1]?.ended;
    programs.push(await service.startWorker());
    await until(
      'the third run has nothing to do but to watch',
      () => spansOf(TRACE).filter(({ name }) => name === 'scan.launch').length === 3,
    );
    const fromMs = Date.now();
    await new Promise((resolve) => setTimeout(resolve, 500));
    watched = { fromMs, toMs: Date.now() };
    endScans();
    task = await api.ended(task.task_id);
    trace = await traceOf(TRACE, 'POST /api/v1/scans');
  }, 240_000);

  it('is one trace, that of the caller, and every span hangs from the request', () => {
    expect(task).toMatchObject({ status: 'completed', attempts: 2, trace_id: TRACE });
    expect(roots(trace).map(({ name, parentSpanId }) => [name, parentSpanId])).toEqual([
      ['POST /api/v1/scans', CALLER],
    ]);
  });

  it('has a short span for each phase of each run, and for what happened to it', () => {
    expect(names(trace)).toMatchObject({
      'POST /api/v1/scans': 1,
      'add nessus.scan': 1,
      'task.begin': 3,
      'attempt.failed': 1,
      'task.handed_over': 1,
      'scanner create': 2,
      'scanner launch': 2,
      'scan.ended': 1,
      'scan.export': 1,
      'scanner download': 1,
      'results.ingest': 1,
      'task.finish': 1,
    });
    const failed = trace.find(({ name }) => name === 'attempt.failed');
    expect(failed?.attributes.get('error.type')).toBe('scan_aborted');
    // none is open as long as the scan runs
    const open = trace.filter(
      ({ startTimeUnixNano: start, endTimeUnixNano: end }) =>
        start < BigInt(watched.fromMs) * 1_000_000n && end > BigInt(watched.toMs) * 1_000_000n,
    );
    expect(open.map(({ name }) => name)).toEqual([]);
  });

  it('comes from a gateway and two workers', () => {
    const of = (name: string) =>
      new Set(
        trace.filter((span) => span.name === name).map(({ resource }) => resource.get('service.instance.id')),
      );
    expect(new Set(trace.map(({ resource }) => resource.get('service.name')))).toEqual(
      new Set(['scanmq-gateway', 'scanmq-worker']),
    );
    expect(of('task.begin').size).toBe(2);
    expect(of('task.handed_over')).not.toEqual(of('task.finish'));
  });

  it('tells nothing that a client, a host or a secret said', () => {
    for (const secret of [SECRET, '192.0.2.77', 'words of a client', 'simulated-password', 'somebody'])
      expect(received).not.toContain(secret);
  });
});

describe('a scan that an agent asks for', () => {
  it('hangs from the tool call, which hangs from the request', async () => {
    const answer = await api.call(
      'POST',
      '/mcp',
      {
        jsonrpc: '2.0',
        id: 1,
        method: 'tools/call',
        params: { name: 'run_untrusted_scan', arguments: { targets: '192.0.2.5', name: 'by an agent' } },
      },
      { accept: 'application/json, text/event-stream' },
    );
    const submission = answer.json().result.structuredContent;
    expect(submission.trace_id).toBe(answer.headers.get('x-trace-id'));
    await runs(submission.task_id, 1);
    endScans();
    await api.ended(submission.task_id);
    const trace = await traceOf(submission.trace_id, 'POST /mcp');
    expect(roots(trace).map(({ name }) => name)).toEqual(['POST /mcp']);
    expect(parentName(trace, 'tool run_untrusted_scan')).toBe('POST /mcp');
    expect(parentName(trace, 'task.begin')).toBe('tool run_untrusted_scan');
    expect(parentName(trace, 'scanner launch')).toBe('scan.launch');
  });
});

describe('the trace id', () => {
  it('is in every log line of a request or task', async () => {
    const tasks = new Map<string, string>(
      (await api.call('GET', '/api/v1/scans'))
        .json()
        .tasks.map((task: ScanStatus) => [task.task_id, task.trace_id]),
    );
    const lines = programs.flatMap((program) =>
      program
        .output()
        .split('\n')
        .filter((line) => line.startsWith('{'))
        .map((line) => JSON.parse(line) as Record<string, unknown>),
    );
    const ofTasks = lines.filter((line) => line.task_id !== undefined);
    expect(ofTasks.length).toBeGreaterThan(10);
    for (const line of ofTasks)
      expect([line.event, line.trace_id]).toEqual([line.event, tasks.get(String(line.task_id))]);
    const requests = lines.filter((line) => line.event === 'http.request');
    expect(requests.length).toBeGreaterThan(1);
    for (const line of requests) expect(line.trace_id).toMatch(/^[0-9a-f]{32}$/);
  });

  it.each([
    ['an address that is none', 'GET', '/nothing-here', undefined],
    ['a request that is refused', 'POST', '/api/v1/scans', { targets: '' }],
    ['an unknown task', 'GET', '/api/v1/scans/ne_ness_20200101_000000_00000000', undefined],
    ['an address that cannot be decoded', 'GET', '/api/v1/scans/%zz', undefined],
  ])('is in the problem document of %s', async (_, method, path, body) => {
    const answer = await api.call(method, path, body);
    expect(answer.status).toBeGreaterThanOrEqual(400);
    expect(answer.json().trace_id).toMatch(/^[0-9a-f]{32}$/);
    expect(answer.headers.get('x-trace-id')).toBe(answer.json().trace_id);
  });

  it('is in the audit line of a change', async () => {
    const audit = await readFile(`${service.directory}/audit.log`, 'utf8');
    const lines = audit
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as Record<string, unknown>);
    expect(lines.map(({ action, trace_id }) => [action, trace_id])).toContainEqual([
      'POST /api/v1/scans',
      '4bf92f3577b34da6a3ce929d0e0e4736',
    ]);
    for (const line of lines.filter(({ event }) => event === 'decision'))
      expect(line.trace_id).toMatch(/^[0-9a-f]{32}$/);
  });

  it.each([
    ['of zeros', `00-${'0'.repeat(32)}-${'1'.repeat(16)}-01`],
    ['of a caller without a span', `00-${'1'.repeat(32)}-${'0'.repeat(16)}-01`],
    ['that is none', 'words'],
  ])('is not taken from a traceparent %s', async (_, traceparent) => {
    const answer = await api.call('GET', '/api/v1/pools', undefined, { traceparent });
    expect(answer.headers.get('x-trace-id')).toMatch(/^(?!0{32}|1{32})[0-9a-f]{32}$/);
  });
});

describe('without a collector', () => {
  it('nothing of the SDK is loaded', async () => {
    const root = fileURLToPath(new URL('..', import.meta.url));
    const program = `
      const { startTracing } = await import('${root}packages/observability/dist/index.js');
      await import('${root}apps/gateway/dist/index.js');
      await import('${root}apps/worker/dist/index.js');
      const tracing = await startTracing({ settings: undefined, program: 'x', version: '1', onProblem() {} });
      const { createRequire } = await import('node:module');
      const loaded = Object.keys(createRequire(import.meta.url).cache);
      console.log(JSON.stringify({ on: tracing.on, some: loaded.length > 0, sdk: loaded.filter((path) => /@opentelemetry.(sdk|exporter|otlp|resources)|bullmq-otel/.test(path)) }));
    `;
    const { stdout } = await promisify(execFile)(process.execPath, ['--input-type=module', '-e', program], {
      cwd: root,
    });
    expect(JSON.parse(stdout)).toEqual({ on: false, some: true, sdk: [] });
  });
});
