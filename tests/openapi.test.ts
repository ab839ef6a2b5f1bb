/** The OpenAPI document against the service that serves it: real gateway, worker, scanners. */
import { execFile } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { copyFile, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { brotliDecompressSync, gunzipSync } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { createConfig, lintFromString } from '@redocly/openapi-core';
import type { ScanStatus } from '@scanmq/contract';
import type { Simulator } from '@scanmq/simulator';
import { createService, restClient, type TestService, until } from '@scanmq/testkit';
import { build } from 'esbuild';
import {
  type Answer,
  type DocumentedOperation,
  type OpenapiDocument,
  readDocument,
} from './openapi-document.js';

const ROOT = fileURLToPath(new URL('..', import.meta.url));
const SAMPLE = gunzipSync(readFileSync(join(ROOT, 'tests/samples/cloud-repeated-host.nessus.gz')));
const NOBODY = 'nothing-like-this';
const run = promisify(execFile);

let service: TestService;
let api: ReturnType<typeof restClient>;
let book: ReturnType<typeof readDocument>;
/** Two scans of the same hosts, and what there is beside them. */
let older: ScanStatus;
let newer: ScanStatus;
let letters: string[];
/** Takes every notification. */
let receiver: Server;
/** Its scans end when they are told to. */
let byHand: Simulator;

beforeAll(async () => {
  service = await createService({
    redisUrl: process.env.SCANMQ_TEST_REDIS_URL ?? '',
    // a scan of the second pool does not end by itself: what is held there stays held, also if it began before
    scanners: [
      { limit: 4 },
      { pool: 'nessus_dmz', scanDurationMs: 600_000 },
      // those of the third end when they are told to
      { pool: 'nessus_by_hand', scanDurationMs: 600_000 },
    ],
    poolRules: { nessus_by_hand: { networks: ['198.51.100.0/24'] } },
    env: { TARGETS_DENY: '203.0.113.0/24', WEBHOOK_ALLOW_NETWORKS: '127.0.0.0/8' },
  });
  receiver = createServer((request, response) => {
    request.resume().on('end', () => response.writeHead(204).end());
  });
  await new Promise<void>((resolve) => receiver.listen(0, '127.0.0.1', resolve));
  const [, , third] = service.simulators;
  if (!third) throw new Error('no simulator');
  byHand = third;
  const [{ url }] = await Promise.all([service.startGateway(), service.startWorker()]);
  api = restClient(url);
  book = readDocument((await api.call('GET', '/openapi.json')).json() as OpenapiDocument);
  await api.call('POST', '/api/v1/credentials', example('storeCredential'));
  older = await completed('before');
  newer = await completed('after');
  letters = await Promise.all([1, 2, 3, 4, 5].map(timedOut));
}, 240_000);
afterAll(async () => {
  receiver.closeAllConnections();
  receiver.close();
  await service.close();
});

async function completed(name: string): Promise<ScanStatus> {
  const { task_id } = await api.submit({ targets: '192.0.2.10 192.0.2.11 192.0.2.12', name });
  const task = await api.ended(task_id);
  if (task.status !== 'completed') throw new Error(`${name} ended as ${task.status}`);
  return task;
}

async function timedOut(number: number): Promise<string> {
  const { task_id } = await api.submit({
    targets: `192.0.2.${100 + number}`,
    name: `too long ${number}`,
    timeout_hours: 0.00002,
  });
  return (await api.ended(task_id)).task_id;
}

/** A task that waits, because it is held. */
async function waiting(): Promise<string> {
  const { task_id } = await api.submit({ targets: '192.0.2.50', name: 'held', scanner_pool: 'nessus_dmz' });
  await api.call('POST', `/api/v1/scans/${task_id}/pause`);
  return task_id;
}

async function cancelled(): Promise<string> {
  const task_id = await waiting();
  await api.call('POST', `/api/v1/scans/${task_id}/cancel`);
  return (await api.ended(task_id)).task_id;
}

/** Completes the scans of the third scanner that are meant, as soon as they have begun. @returns how many. */
function finish(meant: (name: string) => boolean): number {
  return byHand
    .scans()
    .filter(({ name }) => meant(name))
    .reduce((ended, { scan_id }) => ended + byHand.endScans(scan_id, 'completed'), 0);
}

async function schedule(): Promise<string> {
  return (await api.call('POST', '/api/v1/schedules', example('createSchedule'))).json().schedule_id;
}

async function webhook(): Promise<string> {
  const { port } = receiver.address() as AddressInfo;
  const body = { url: `http://127.0.0.1:${port}/hook`, events: ['scan.failed'] };
  return (await api.call('POST', '/api/v1/webhooks', body)).json().webhook_id;
}

/** A delivery that has arrived. */
async function delivery(): Promise<{ id: string; delivery_id: string }> {
  const id = await webhook();
  await api.call('POST', `/api/v1/webhooks/${id}/test`);
  return await until('the ping has arrived', async () => {
    const { deliveries } = (await api.call('GET', `/api/v1/webhooks/${id}/deliveries`)).json();
    const [ping] = deliveries;
    return ping?.status === 'delivered' && { id, delivery_id: ping.delivery_id };
  });
}

function operationOf(operationId: string): DocumentedOperation {
  const operation = book.operations.get(operationId);
  if (!operation) throw new Error(`The document has no operation ${operationId}.`);
  return operation;
}

/** A body that the document gives as an example. */
function example(operationId: string, name?: string): unknown {
  const examples = operationOf(operationId).requestBody?.content['application/json']?.examples ?? {};
  const found = name === undefined ? Object.values(examples)[0] : examples[name];
  if (!found) throw new Error(`${operationId} has no example ${name}.`);
  return found.value;
}

interface Request {
  readonly params?: Record<string, string>;
  readonly query?: Record<string, string>;
  readonly headers?: Record<string, string>;
  /** Sent as JSON. */
  readonly body?: unknown;
  /** Sent as it is. */
  readonly raw?: Buffer | FormData | string;
}
/** A request, and the status that it is answered with. */
type Case = readonly [status: number, request: Request];

async function send(operation: DocumentedOperation, request: Request): Promise<Answer> {
  const path = operation.path.replace(/\{(\w+)\}/g, (_, name: string) =>
    encodeURIComponent(request.params?.[name] ?? NOBODY),
  );
  const query = request.query ? `?${new URLSearchParams(request.query)}` : '';
  const response = await fetch(`${api.url}${path}${query}`, {
    method: operation.method,
    headers: {
      ...(request.body === undefined ? {} : { 'content-type': 'application/json' }),
      ...request.headers,
    },
    ...(request.body === undefined ? {} : { body: JSON.stringify(request.body) }),
    ...(request.raw === undefined ? {} : { body: request.raw as NonNullable<RequestInit['body']> }),
  });
  return { status: response.status, headers: response.headers, text: await response.text() };
}

const form = (): FormData => {
  const data = new FormData();
  data.append('name', 'from a form');
  data.append('file', new Blob([new Uint8Array(SAMPLE)]), 'scan.nessus');
  return data;
};

/** What each operation is asked, good and bad; what all of them are asked comes on top. */
const CASES: Record<string, () => Promise<readonly Case[]> | readonly Case[]> = {
  submitScan: async () => {
    const key = { 'idempotency-key': 'contract-1' };
    return [
      [202, { body: example('submitScan', 'untrusted') }],
      [202, { body: example('submitScan', 'authenticated') }],
      [202, { body: { targets: '192.0.2.7', name: 'with a key' }, headers: key }],
      [202, { body: { targets: '192.0.2.7', name: 'with a key' }, headers: key }],
      [409, { body: { targets: '192.0.2.8', name: 'another' }, headers: key }],
      [400, { body: { targets: '192.0.2.7', name: 'x', idempotency_key: 'other' }, headers: key }],
      [403, { body: { targets: '203.0.113.9', name: 'forbidden' } }],
      [400, { body: { targets: 'not a target!', name: '' } }],
      [400, { body: { targets: '192.0.2.7', name: 'x', scan_type: 'authenticated' } }],
    ];
  },
  listScans: async () => [
    [200, {}],
    [200, { query: { limit: '1', status_filter: 'completed', target_filter: '192.0.2.0/24' } }],
    [400, { query: { limit: '0' } }],
    [400, { query: { cursor: 'not one of ours' } }],
  ],
  getScan: async () => [
    [200, { params: { id: newer.task_id } }],
    [200, { params: { id: newer.task_id }, query: { wait: '5' } }],
    [200, { params: { id: await waiting() }, query: { wait: '0.05' } }],
    [200, { params: { id: letters[0] ?? '' } }],
    [400, { params: { id: newer.task_id }, query: { wait: '61' } }],
  ],
  followScan: async () => {
    const params = { id: newer.task_id };
    const { text } = await send(operationOf('followScan'), { params });
    const [lastId = ''] = [...text.matchAll(/^id: (.*)$/gm)].map(([, id]) => id).slice(-1);
    return [
      [200, { params }],
      [200, { params, query: { last_event_id: '1' } }],
      [200, { params, headers: { 'last-event-id': 'of another service' } }],
      [204, { params, headers: { 'last-event-id': lastId } }],
    ];
  },
  cancelScan: async () => [
    [200, { params: { id: await waiting() }, body: example('cancelScan') }],
    [200, { params: { id: await waiting() } }],
    [409, { params: { id: newer.task_id } }],
    [400, { params: { id: newer.task_id }, body: { reason: 7 } }],
  ],
  pauseScan: async () => [
    [200, { params: { id: await waiting() } }],
    [409, { params: { id: newer.task_id } }],
  ],
  resumeScan: async () => [
    [200, { params: { id: await waiting() } }],
    [409, { params: { id: newer.task_id } }],
  ],
  retryScan: async () => [
    [200, { params: { id: await cancelled() } }],
    [409, { params: { id: newer.task_id } }],
  ],
  listFindings: async () => {
    const params = { id: newer.task_id };
    return [
      [200, { params }],
      [200, { params, query: { page: '0', profile: 'full' } }],
      [
        200,
        { params, query: { fields: 'host,plugin_id', filters: '{"severity":">=high"}', sort: '-severity' } },
      ],
      [200, { params, query: { custom_fields: 'host' } }],
      ...['json', 'ndjson', 'csv', 'sarif', 'junit', 'code-quality', 'defectdojo'].map(
        (format): Case => [200, { params, query: { format } }],
      ),
      ...[
        '*/*',
        'application/json',
        'application/x-ndjson',
        'text/csv;q=0.5, image/png',
        'application/sarif+json',
      ].map((accept): Case => [200, { params, headers: { accept } }]),
      [406, { params, headers: { accept: 'image/png' } }],
      [400, { params, query: { filters: 'severity' } }],
      [400, { params, query: { filters: '{"nonsense":1}' } }],
      [400, { params, query: { fields: 'nonsense' } }],
      [400, { params, query: { cursor: 'not one of ours' } }],
      [409, { params: { id: await waiting() } }],
    ];
  },
  getFinding: async () => {
    const params = { id: newer.task_id };
    const page = JSON.parse(
      (await send(operationOf('listFindings'), { params, query: { profile: 'full' } })).text,
    );
    return [
      [200, { params: { ...params, findingId: page.vulnerabilities[0].finding_id } }],
      [404, { params }],
      [409, { params: { id: await waiting(), findingId: '1' } }],
    ];
  },
  listHosts: async () => [
    [200, { params: { id: newer.task_id }, query: { limit: '1' } }],
    [200, { params: { id: newer.task_id }, query: { limit: '1', offset: '1' } }],
    [400, { params: { id: newer.task_id }, query: { cursor: 'not one of ours' } }],
    [409, { params: { id: await waiting() } }],
  ],
  judgeScan: async () => {
    const params = { id: newer.task_id };
    return [
      [200, { params }],
      [200, { params, query: { fail_on: 'critical', max: '3', min_epss: '0.5', baseline: older.task_id } }],
      ...['json', 'sarif', 'junit', 'code-quality', 'baseline'].map(
        (format): Case => [200, { params, query: { format } }],
      ),
      [400, { params, query: { fail_on: 'none' } }],
      [400, { params, query: { min_epss: '7' } }],
      [400, { params, query: { baseline: newer.task_id } }],
      [404, { params, query: { baseline: 'ne_ness_20261123_152923_0a1b2c3d' } }],
      [409, { params: { id: await waiting() } }],
    ];
  },
  judgeScanWithFiles: async () => {
    const params = { id: newer.task_id };
    return [
      [200, { params }],
      [200, { params, body: example('judgeScanWithFiles') }],
      [200, { params, body: { baseline_findings: ['0'.repeat(32)] }, query: { format: 'sarif' } }],
      [400, { params, body: { ignore: [{ plugin_id: '1', expires: '2026-12-20' }] } }],
      [400, { params, body: { ignore: [{ plugin_id: '1', reason: 'for ever', expires: '2999-01-01' }] } }],
      [409, { params: { id: await waiting() } }],
    ];
  },
  getReport: async () => [
    [200, { params: { id: newer.task_id } }],
    [409, { params: { id: await waiting() } }],
  ],
  getExport: async () => [
    [200, { params: { id: newer.task_id } }],
    [404, { params: { id: await waiting() } }],
  ],
  compareScans: async () => {
    const params = { head: newer.task_id, base: older.task_id };
    return [
      [200, { params, query: { limit: '3', severity: '>=low' } }],
      [200, { params, query: { format: 'html' } }],
      [200, { params, headers: { accept: 'text/html' } }],
      [400, { params: { ...params, base: newer.task_id } }],
      [400, { params, query: { severity: 'terrible' } }],
      [409, { params: { ...params, base: await waiting() } }],
    ];
  },
  searchFindings: async () => [
    [200, { query: { limit: '2' } }],
    [200, { query: { group_by: 'plugin', severity: '>=medium' } }],
    [200, { query: { task_id: newer.task_id, exploit_available: 'true', since: '2020-01-01' } }],
    [400, { query: { severity: 'terrible', limit: '9999' } }],
    [404, { query: { task_id: 'ne_none_20200101_000000_00000000' } }],
    [409, { query: { task_id: await waiting() } }],
  ],
  importResults: () => [
    [202, { body: { scanner: 'nessus:scanner1', scan_id: newer.nessus_scan_id } }],
    [
      202,
      { raw: SAMPLE, headers: { 'content-type': 'application/octet-stream', 'idempotency-key': 'import-1' } },
    ],
    [
      202,
      { raw: SAMPLE, headers: { 'content-type': 'application/octet-stream', 'idempotency-key': 'import-1' } },
    ],
    [
      409,
      {
        raw: 'another file',
        headers: { 'content-type': 'application/octet-stream', 'idempotency-key': 'import-1' },
      },
    ],
    [202, { raw: SAMPLE, headers: { 'content-type': 'application/xml' }, query: { name: 'by hand' } }],
    [202, { raw: form() }],
    [400, {}],
    [400, { body: { scanner: 'nowhere', scan_id: 1 } }],
    [400, { raw: SAMPLE, headers: { 'content-type': 'application/xml' }, query: { schema_profile: 'none' } }],
  ],
  listScanners: () => [
    [200, {}],
    [200, { query: { scanner_pool: 'nessus_dmz' } }],
    [400, { query: { scanner_pool: 'nowhere' } }],
  ],
  enableScanner: () => [
    [200, { params: { instance: 'scanner2' }, body: example('enableScanner') }],
    [200, { params: { instance: 'nessus_dmz:scanner2' } }],
  ],
  disableScanner: () => [[200, { params: { instance: 'scanner2' }, body: example('disableScanner') }]],
  drainScanner: () => [[200, { params: { instance: 'scanner2' }, body: example('drainScanner') }]],
  listPools: () => [[200, {}]],
  getPool: () => [
    [200, { params: { pool: 'nessus' } }],
    [400, { params: { pool: 'nowhere' } }],
  ],
  getQueue: async () => {
    await waiting();
    return [
      [200, { params: { pool: 'nessus_dmz' } }],
      [400, { params: { pool: 'nowhere' } }],
    ];
  },
  listDeadLetters: () => [
    [200, {}],
    [200, { query: { code: 'timeout', limit: '1' } }],
    [400, { query: { code: 'nonsense' } }],
  ],
  getDeadLetter: () => [
    [200, { params: { id: letters[0] ?? '' } }],
    [404, { params: { id: newer.task_id } }],
  ],
  retryDeadLetter: () => [
    [200, { params: { id: letters[1] ?? '' } }],
    [404, { params: { id: newer.task_id } }],
  ],
  discardDeadLetter: () => [
    [204, { params: { id: letters[2] ?? '' } }],
    [409, { params: { id: newer.task_id } }],
  ],
  retryDeadLetters: () => [
    [200, { body: { task_ids: [letters[3], newer.task_id] } }],
    [200, { body: example('retryDeadLetters') }],
    [400, { body: {} }],
  ],
  discardDeadLetters: () => [
    [200, { body: { task_ids: [letters[4], newer.task_id] } }],
    [400, { body: { all: 'yes' } }],
  ],
  listSchedules: async () => {
    await schedule();
    return [[200, {}]];
  },
  createSchedule: () => [
    [201, { body: example('createSchedule') }],
    [400, { body: { request: { targets: '192.0.2.1', name: 'x' }, cron: 'at noon' } }],
    [403, { body: { request: { targets: '203.0.113.9', name: 'x' }, every_minutes: 60 } }],
  ],
  getSchedule: async () => [[200, { params: { id: await schedule() } }]],
  pauseSchedule: async () => [[200, { params: { id: await schedule() } }]],
  resumeSchedule: async () => [[200, { params: { id: await schedule() } }]],
  runSchedule: async () => {
    const request = { params: { id: await schedule() }, headers: { 'idempotency-key': 'run-1' } };
    return [
      [202, request],
      [202, request],
    ];
  },
  removeSchedule: async () => [[204, { params: { id: await schedule() } }]],
  listWebhooks: async () => {
    await webhook();
    return [[200, {}]];
  },
  createWebhook: () => [
    [201, { body: example('createWebhook') }],
    [400, { body: { url: 'https://10.0.0.1/hook', events: ['*'] } }],
    [400, { body: { url: 'ftp://ci.example.com', events: [] } }],
    [201, { body: { url: 'https://ci.example.com/hook', events: ['*'], audience: 'all' } }],
  ],
  getWebhook: async () => [[200, { params: { id: await webhook() } }]],
  removeWebhook: async () => [[204, { params: { id: await webhook() } }]],
  enableWebhook: async () => [[200, { params: { id: await webhook() } }]],
  testWebhook: async () => [[202, { params: { id: await webhook() } }]],
  listDeliveries: async () => {
    const { id } = await delivery();
    return [
      [200, { params: { id } }],
      [200, { params: { id }, query: { limit: '1' } }],
      [400, { params: { id }, query: { cursor: 'not one of ours' } }],
    ];
  },
  replayDelivery: async () => [[202, { params: await delivery() }]],
  listCredentials: () => [[200, {}]],
  storeCredential: () => [
    [201, { body: example('storeCredential') }],
    [400, { body: { name: 'no users', ssh_password: 'x' } }],
  ],
  removeCredential: async () => {
    const stored = { ...(example('storeCredential') as object), name: 'to-go' };
    await api.call('POST', '/api/v1/credentials', stored);
    return [[204, { params: { name: 'to-go' } }]];
  },
  keepHouse: () => [
    [200, { body: example('keepHouse') }],
    [200, {}],
    [400, { body: { dry_run: 'perhaps' } }],
  ],
  isAlive: () => [[200, {}]],
  isReady: () => [[200, {}]],
  getHealth: () => [[200, {}]],
  getMetrics: () => [[200, {}]],
  getOpenapi: () => [[200, {}]],
};

/** Bad input that follows from the document itself. The path leads to something that there is, but for the last. */
function badRequests(operation: DocumentedOperation, good: Request): readonly [string, Request][] {
  const { params = {} } = good;
  const bad: [string, Request][] = [];
  const parameters = operation.parameters ?? [];
  if (parameters.some((one) => one.in === 'query'))
    bad.push(['an unknown query', { ...good, query: { nonsense: '1' } }]);
  for (const { name, schema } of parameters.filter((one) => one.in === 'query'))
    if (schema.type === 'integer' || schema.type === 'number')
      bad.push([`${name} as text`, { ...good, query: { [name]: 'many' } }]);
  for (const { name } of parameters.filter((one) => one.in === 'header'))
    bad.push([`a long ${name}`, { ...good, headers: { ...good.headers, [name]: 'x'.repeat(3_000) } }]);
  if (operation.requestBody?.content['application/json']) {
    const json = { 'content-type': 'application/json' };
    bad.push(['a body of another kind', { params, body: ['nonsense'] }]);
    bad.push(['an unknown field', { params, body: { nonsense: true } }]);
    bad.push(['broken JSON', { params, raw: '{"name":', headers: json }]);
  }
  if (Object.keys(params).length > 0) bad.push(['nothing there', { ...good, params: {} }]);
  return bad;
}

describe('the document', () => {
  it('has a case here for every operation, and no more', () => {
    expect([...book.operations.keys()].sort()).toEqual(Object.keys(CASES).sort());
  });

  it('is OpenAPI 3.1 and passes a strict linter without a remark', async () => {
    expect(book.document.openapi).toMatch(/^3\.1\./);
    const remarks = await lintFromString({
      source: JSON.stringify(book.document),
      config: await createConfig({ extends: ['recommended-strict'] }),
    });
    expect(
      remarks.map(({ ruleId, message, location }) => `${ruleId}: ${message} ${location[0]?.pointer}`),
    ).toEqual([]);
  });

  it('has examples for every request and success with a body, and all of them are true', () => {
    const without: string[] = [];
    for (const { operationId, requestBody, responses } of book.operations.values()) {
      const bodies = [
        requestBody,
        ...Object.entries(responses).flatMap(([status, answer]) => (status < '300' ? [answer] : [])),
      ];
      for (const body of bodies)
        if (body?.content && !Object.values(body.content).some(({ examples }) => examples))
          without.push(operationId);
    }
    expect(without).toEqual([]);
    expect(book.exampleFaults()).toEqual([]);
  });

  it('says for every operation what an error looks like', () => {
    for (const { operationId, responses, path } of book.operations.values()) {
      const errors = Object.entries(responses).filter(([status]) => status >= '400');
      const problems = errors.filter(([, { content }]) => content?.['application/problem+json']);
      // the health routes answer 503 in their own words
      expect([operationId, errors.length - problems.length]).toEqual([
        operationId,
        path.startsWith('/health') && path !== '/health/live' ? 1 : 0,
      ]);
      expect(Object.keys(responses)).toEqual(expect.arrayContaining(['403', '429', '500', '503']));
      if (path.startsWith('/api/')) expect(Object.keys(responses)).toContain('401');
    }
  });
});

describe.each(Object.keys(CASES))('%s', (operationId) => {
  it('answers as documented, to good input and bad', async () => {
    const operation = operationOf(operationId);
    const cases = (await CASES[operationId]?.()) ?? [];
    const faults: string[] = [];
    for (const [status, request] of cases) {
      const answer = await send(operation, request);
      faults.push(...book.faultsOf(operation, answer));
      if (answer.status !== status)
        faults.push(
          `${JSON.stringify(request).slice(0, 300)} → ${answer.status}, not ${status}: ${answer.text.slice(0, 300)}`,
        );
    }
    const [, good = {}] = cases[0] ?? [];
    for (const [what, request] of badRequests(operation, good)) {
      const answer = await send(operation, request);
      faults.push(...book.faultsOf(operation, answer));
      if (answer.status < 400 || answer.status >= 500) faults.push(`${what} → ${answer.status}`);
    }
    expect(faults).toEqual([]);
  });
});

describe('paths and methods that there are not', () => {
  it.each([
    ['GET', '/api/v1/nothing', 404, 'not_found', null],
    ['POST', '/api/v1', 404, 'not_found', null],
    ['DELETE', '/api/v1/scans', 405, 'method_not_allowed', 'GET, HEAD, POST'],
    ['PUT', '/api/v1/scans/ne_x/findings', 405, 'method_not_allowed', 'GET, HEAD'],
    ['PATCH', '/api/v1/dead-letters/retry', 405, 'method_not_allowed', 'DELETE, GET, HEAD, POST'],
  ])('%s %s is answered %d with a problem document', async (method, path, status, code, allow) => {
    const answer = await api.call(method, path);
    expect(answer.headers.get('content-type')).toMatch(/^application\/problem\+json/);
    expect([answer.status, answer.json().code, answer.headers.get('allow')]).toEqual([status, code, allow]);
  });
});

describe('polling', () => {
  const followed = () => [
    `/api/v1/scans/${newer.task_id}`,
    '/api/v1/scans?status_filter=timeout',
    '/api/v1/queues/nessus',
    '/api/v1/pools/nessus',
    '/api/v1/scanners?scanner_pool=nessus',
    '/api/v1/schedules',
    '/api/v1/webhooks',
    `/api/v1/scans/${newer.task_id}/findings`,
    `/api/v1/scans/${newer.task_id}/findings?page=0&profile=full`,
    `/api/v1/scans/${newer.task_id}/findings?format=sarif`,
    `/api/v1/scans/${newer.task_id}/hosts`,
    `/api/v1/scans/${newer.task_id}/report`,
    `/api/v1/scans/${newer.task_id}/export`,
    `/api/v1/scans/${newer.task_id}/compare/${older.task_id}`,
    '/openapi.json',
  ];

  it('is answered 304 without a body while nothing changes', async () => {
    for (const path of followed()) {
      // the slot of a scan that has ended is free a moment later: then it has changed once more between the two
      const [tag, again] = await until(`${path} rests`, async () => {
        const first = await api.call('GET', path);
        const known = first.headers.get('etag');
        const second = await api.call('GET', path, undefined, { 'if-none-match': `"other", ${known}` });
        return first.status === 200 && second.status === 304 && ([known, second] as const);
      });
      expect([path, tag]).toEqual([path, expect.stringMatching(/^W\/"[\w-]{22}"$/)]);
      expect([path, again.text, again.headers.get('etag')]).toEqual([path, '', tag]);
      const other = await api.call('GET', path, undefined, { 'if-none-match': 'W/"other"' });
      expect([path, other.status]).toEqual([path, 200]);
    }
  });

  it('is answered anew once something changed', async () => {
    const id = await waiting();
    const path = `/api/v1/scans/${id}`;
    const tag = (await api.call('GET', path)).headers.get('etag') ?? '';
    await api.call('POST', `${path}/cancel`);
    await api.ended(id);
    const changed = await api.call('GET', path, undefined, { 'if-none-match': tag });
    expect([changed.status, changed.json().status]).toEqual([200, 'cancelled']);
  });

  it('has another tag for another question about the same results', async () => {
    const tags = await Promise.all(
      ['', '?page=2', '?format=csv', '?profile=full'].map(async (query) =>
        (await api.call('GET', `/api/v1/scans/${newer.task_id}/findings${query}`)).headers.get('etag'),
      ),
    );
    expect(new Set(tags).size).toBe(4);
  });

  it('with wait holds until the end whatever the tag says, and is 304 only when nothing is new then', async () => {
    const { task_id } = await api.submit({ targets: '198.51.100.61', name: 'followed' });
    const path = `/api/v1/scans/${task_id}`;
    const tag = (await api.call('GET', path)).headers.get('etag') ?? '';
    const waiting = api.call('GET', `${path}?wait=60`, undefined, { 'if-none-match': tag });
    await until('its scan has begun', () => finish((name) => name.includes(task_id)) > 0);
    const end = await waiting;
    expect([end.status, end.json().status]).toEqual([200, 'completed']);
    const same = await api.call('GET', `${path}?wait=20`, undefined, {
      'if-none-match': end.headers.get('etag') ?? '',
    });
    expect(same.status).toBe(304);
  });
});

describe('lists', () => {
  it('of hosts go on by cursor as by offset', async () => {
    const path = `/api/v1/scans/${newer.task_id}/hosts?limit=2`;
    const all = (await api.call('GET', `/api/v1/scans/${newer.task_id}/hosts`)).json();
    const first = (await api.call('GET', path)).json();
    expect([first.hosts.length, first.next_offset]).toEqual([2, 2]);
    const next = (await api.call('GET', `${path}&cursor=${first.next_cursor}`)).json();
    expect(next).toMatchObject({ next_cursor: null, next_offset: null, total: 3 });
    expect([...first.hosts, ...next.hosts]).toEqual(all.hosts);
    expect((await api.call('GET', `${path}&offset=2`)).json().hosts).toEqual(next.hosts);
    const elsewhere = await api.call(
      'GET',
      `/api/v1/scans/${older.task_id}/hosts?cursor=${first.next_cursor}`,
    );
    expect([elsewhere.status, elsewhere.json().errors[0].path]).toEqual([400, 'cursor']);
  });
});

describe('long answers', () => {
  /** As they come over the wire: fetch would unpack them. */
  const wire = async (path: string, encoding: string): Promise<{ headers: Headers; body: Buffer }> => {
    const { stdout } = await run(
      'curl',
      [
        '--silent',
        '--show-error',
        '--include',
        '--header',
        `accept-encoding: ${encoding}`,
        `${api.url}${path}`,
      ],
      { encoding: 'buffer', maxBuffer: 64 * 1024 * 1024 },
    );
    const end = stdout.indexOf('\r\n\r\n');
    const lines = stdout.subarray(0, end).toString().split('\r\n').slice(1);
    return {
      headers: new Headers(
        lines.map((line): [string, string] => [line.split(': ')[0] ?? '', line.split(': ')[1] ?? '']),
      ),
      body: stdout.subarray(end + 4),
    };
  };

  it.each([
    'findings?page=0&profile=full',
    'findings?format=csv',
    'findings?format=sarif',
    'report',
    'export',
    'findings?page_size=100&profile=full',
  ])('%s come compressed to those who ask, and are the same then', async (what) => {
    const path = `/api/v1/scans/${newer.task_id}/${what}`;
    const plain = await wire(path, 'identity');
    expect(plain.headers.get('content-encoding')).toBeNull();
    const zipped = await wire(path, 'br, gzip');
    expect(zipped.headers.get('content-encoding')).toBe('gzip');
    expect(zipped.headers.get('vary')).toMatch(/accept-encoding/i);
    expect(zipped.headers.get('etag')).toBe(plain.headers.get('etag'));
    expect(zipped.body.length).toBeLessThan(plain.body.length / 2);
    // sent while it is made: nobody knows yet how long it will be
    if (!what.includes('page_size')) expect(zipped.headers.get('content-length')).toBeNull();
    const packed = await wire(path, 'br');
    expect(packed.headers.get('content-encoding')).toBe('br');
    // it tells when it was made
    if (what === 'report') return;
    expect(brotliDecompressSync(packed.body).equals(plain.body)).toBe(true);
    expect(gunzipSync(zipped.body).equals(plain.body)).toBe(true);
  });

  it('and short ones come as they are', async () => {
    const { headers } = await wire(`/api/v1/scans/${newer.task_id}`, 'br, gzip');
    expect([headers.get('content-encoding'), headers.get('content-length')]).toEqual([
      null,
      expect.any(String),
    ]);
  });
});

describe('the types that a client asks for', () => {
  it('are told when there is none of them', async () => {
    const answer = await api.call('GET', `/api/v1/scans/${newer.task_id}/findings`, undefined, {
      accept: 'image/png',
    });
    expect(answer.json()).toMatchObject({
      code: 'not_acceptable',
      next: expect.stringContaining('text/csv'),
    });
  });

  it('are JSON for a browser, and for a client that does not mind', async () => {
    for (const accept of [
      'text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8',
      '*/*',
      'application/*',
    ]) {
      const answer = await api.call('GET', `/api/v1/scans/${newer.task_id}/findings`, undefined, { accept });
      expect([answer.status, answer.headers.get('content-type')]).toEqual([
        200,
        'application/json; charset=utf-8',
      ]);
    }
  });
});

describe('the pages of documentation', () => {
  it('load nothing from elsewhere, under a policy that allows no script or style in the page', async () => {
    const page = await api.call('GET', '/docs/');
    const policy = page.headers.get('content-security-policy') ?? '';
    expect(policy).toContain("default-src 'none'");
    expect(policy).not.toMatch(/unsafe-(inline|eval)|https?:/);
    const links = [...page.text.matchAll(/(?:src|href)="([^"]+)"/g)].map(([, link]) => link ?? '');
    expect(links.length).toBeGreaterThan(4);
    for (const link of links) {
      const url = new URL(link, `${api.url}/docs/`);
      expect(url.origin).toBe(api.url);
      expect([link, (await fetch(url)).status]).toEqual([link, 200]);
    }
    expect(page.text).not.toMatch(/<script(?![^>]*src=)|<style|onload=/);
  });
});

describe('a client that a stranger generates from the document', () => {
  let folder: string;
  beforeAll(async () => {
    // beside the example, so that it finds its packages
    folder = await mkdtemp(join(ROOT, 'examples/typescript-client/.generated-'));
  });
  afterAll(async () => await rm(folder, { recursive: true, force: true }));

  it('has types that fit, and works', async () => {
    const example = join(ROOT, 'examples/typescript-client');
    await run(process.execPath, [
      join(example, 'node_modules/openapi-typescript/bin/cli.js'),
      `${api.url}/openapi.json`,
      '--output',
      join(folder, 'scanmq.d.ts'),
      '--default-non-nullable=false',
    ]);
    for (const file of ['scan.ts', 'tsconfig.json']) await copyFile(join(example, file), join(folder, file));
    await run(process.execPath, [join(ROOT, 'node_modules/typescript/bin/tsc'), '--project', folder]);
    const program = join(folder, 'scan.mjs');
    await build({
      entryPoints: [join(folder, 'scan.ts')],
      outfile: program,
      bundle: true,
      platform: 'node',
      format: 'esm',
      logLevel: 'error',
    });
    // it scans twice, and cancels a third scan: that one does not end before
    const ending = setInterval(() => finish((name) => /^(before|after) /.test(name)), 50);
    const { stdout } = await run(process.execPath, [program, api.url, '198.51.100.30,198.51.100.31']).finally(
      () => clearInterval(ending),
    );
    const told = stdout
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line));
    expect(told).toEqual([
      { what: 'scanned', status: 'completed', findings: expect.any(Number) },
      { what: 'findings', count: 10, worst: expect.stringMatching(/^[1-4]$/), more: true },
      { what: 'compared', new: expect.any(Number), persisting: expect.any(Number) },
      { what: 'cancelled', task_id: true, status: 'cancelled' },
      { what: 'refused', code: 'invalid_state' },
    ]);
  });

  it('would be told by its compiler of a field that there is not', async () => {
    await writeFile(
      join(folder, 'wrong.ts'),
      `import type { components } from './scanmq.js';\nexport const one = (scan: components['schemas']['ScanStatus']) => scan.nonsense;\n`,
    );
    await expect(
      run(process.execPath, [join(ROOT, 'node_modules/typescript/bin/tsc'), '--project', folder]),
    ).rejects.toMatchObject({ stdout: expect.stringContaining("'nonsense'") });
  });
});
