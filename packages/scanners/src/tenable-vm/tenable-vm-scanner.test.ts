/** The driver of the cloud service: whole conversations with the simulator, and scripted answers for what it never says. */
import { once } from 'node:events';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { createServer, type Server } from 'node:https';
import type { AddressInfo } from 'node:net';
import { text } from 'node:stream/consumers';
import { inspect } from 'node:util';
import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import type { ScannerInstanceConfig, ScannersConfig } from '@scanmq/config';
import type { ScannerError } from '@scanmq/contract';
import { type Simulator, startSimulator } from '@scanmq/simulator';
import { until } from '@scanmq/testkit';
import { createScannerRegistry, createTenableVmScanner, type Scanner } from '../index.js';

const CLOUD_SCANNER = '00000000-0000-0000-0000-00000000000000000000000000001';
const LINKED_SCANNER = '3e839499-e7a5-4aa5-8a2d-61e621ea343b';

/** Scans go on when a test lets time pass, and not before; each of their steps takes this long. */
const STEP_MS = 100;
let nowMs = Date.now();
const step = (): void => {
  nowMs += STEP_MS;
};
let simulator: Simulator;
const scanners: Scanner[] = [];
let scripted: Server | undefined;

beforeAll(async () => {
  simulator = await startSimulator(
    {
      product: 'tenable_vm',
      startDelayMs: STEP_MS,
      scanDurationMs: STEP_MS,
      stopDelayMs: STEP_MS,
      exportDelayMs: STEP_MS,
    },
    () => nowMs,
  );
});
afterAll(async () => await simulator.close());
afterEach(async () => {
  await Promise.all(scanners.splice(0).map((scanner) => scanner.close()));
  scripted?.closeAllConnections();
  scripted?.close();
  scripted = undefined;
  simulator.clearFaults();
});

const keys = (): ScannerInstanceConfig['auth'] => ({
  kind: 'api_keys',
  accessKey: simulator.accessKey,
  secretKey: simulator.secretKey,
});
const configOf = (change: Partial<ScannerInstanceConfig> = {}): ScannerInstanceConfig => ({
  type: 'tenable_vm',
  pool: 'cloud',
  instanceId: 's1',
  instanceKey: 'cloud:s1',
  name: 's1',
  url: simulator.url,
  enabled: true,
  maxConcurrentScans: 2,
  auth: keys(),
  interface: 'api',
  caFile: undefined,
  tlsFingerprint: simulator.fingerprint256,
  headers: {},
  folder: undefined,
  follow: undefined,
  scanner: undefined,
  ...change,
});
function driver(change: Partial<ScannerInstanceConfig> = {}): Scanner {
  const scanner = createTenableVmScanner(configOf(change), {
    timeouts: { responseMs: 20_000, idleMs: 20_000 },
  });
  scanners.push(scanner);
  return scanner;
}

interface Heard {
  readonly method: string;
  readonly url: string;
  readonly headers: IncomingMessage['headers'];
  readonly body: string;
}
/** A server with the simulator's certificate that does exactly what the test says. */
async function script(
  onRequest: (request: Heard, response: ServerResponse, heard: readonly Heard[]) => void,
): Promise<{ url: string; heard: Heard[] }> {
  const heard: Heard[] = [];
  const server = createServer({ cert: simulator.certPem, key: simulator.keyPem }, (request, response) => {
    void text(request).then((body) => {
      const { method = '', url = '', headers } = request;
      const one = { method, url, headers, body };
      heard.push(one);
      onRequest(one, response, heard);
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  scripted = server;
  return { url: `https://127.0.0.1:${(server.address() as AddressInfo).port}`, heard };
}
const json = (response: ServerResponse, status: number, body: unknown, headers = {}): void => {
  response
    .writeHead(status, { 'content-type': 'application/json', ...headers })
    .end(typeof body === 'string' ? body : JSON.stringify(body));
};
const tooMany = (response: ServerResponse, retryAfter?: string): void => {
  const headers = retryAfter === undefined ? {} : { 'retry-after': retryAfter };
  response.writeHead(429, { 'content-type': 'text/html', ...headers }).end('<html>Too Many Requests</html>');
};
const failure = async (work: Promise<unknown>): Promise<ScannerError> => {
  try {
    await work;
  } catch (error) {
    return error as ScannerError;
  }
  throw new Error('it should have failed');
};
const plan = { name: 'n', description: 'd', targets: '192.0.2.1', template: 'basic', credentials: undefined };
const settingsOf = (body: string): Record<string, unknown> => JSON.parse(body).settings;

async function statusOf(scanner: Scanner, scanId: number): Promise<string | undefined> {
  return (await scanner.getScan(scanId))?.status;
}
async function launched(scanner: Scanner): Promise<{ scanId: number; runUuid: string }> {
  const { scanId } = await scanner.createScan(plan);
  return { scanId, ...(await scanner.launchScan(scanId)) };
}
/** Lets a scan go on by one step. */
async function stepTo(scanner: Scanner, scanId: number, status: string): Promise<void> {
  step();
  expect(await statusOf(scanner, scanId)).toBe(status);
}

describe('a scan', () => {
  it('goes through the words of the service in their order, and its results are fetched by the run that was launched', async () => {
    const scanner = driver();
    const { scanId } = await scanner.createScan({ ...plan, name: 'mine [marker]' });
    expect(await scanner.findScans('[marker]')).toEqual([
      { scanId, name: 'mine [marker]', status: 'empty', statusClass: 'idle' },
    ]);
    expect(await scanner.getScan(scanId)).toMatchObject({
      name: 'mine [marker]',
      status: 'empty',
      statusClass: 'idle',
      runs: [],
    });
    const { runUuid } = await scanner.launchScan(scanId);
    for (const status of ['initializing', 'pending', 'running', 'publishing']) {
      expect(await scanner.getScan(scanId)).toMatchObject({ status, statusClass: 'active' });
      step();
    }
    const ended = await scanner.getScan(scanId);
    expect(ended).toMatchObject({
      statusClass: 'terminal',
      name: 'mine [marker]',
      status: 'completed',
      progressPercent: 100,
      hostsSeen: 1,
    });
    expect(ended?.runs).toMatchObject([{ uuid: runUuid, status: 'completed', statusClass: 'terminal' }]);

    const fileId = await scanner.requestExport(scanId, ended?.runs[0]?.historyId);
    expect(fileId).toMatch(/^SSE-.*-nessus$/);
    expect(await scanner.exportState(scanId, fileId)).not.toBe('ready');
    step();
    expect(await scanner.exportState(scanId, fileId)).toBe('ready');
    const report = await text(await scanner.downloadExport(scanId, fileId));
    expect(report).toContain('<ReportHost name="192.0.2.1"');
    expect(report.trimEnd().endsWith('</NessusClientData_v2>')).toBe(true);
    await scanner.deleteScan(scanId);
    expect(await scanner.getScan(scanId)).toBeUndefined();
    await scanner.deleteScan(scanId);
  });

  it('shows how far it is while it runs', async () => {
    const scanner = driver();
    const { scanId } = await launched(scanner);
    await stepTo(scanner, scanId, 'pending');
    await stepTo(scanner, scanId, 'running');
    expect((await scanner.getScan(scanId))?.progressPercent).toBe(0);
    nowMs += STEP_MS * 0.6;
    const percent = (await scanner.getScan(scanId))?.progressPercent;
    expect(percent).toBeGreaterThan(0);
    expect(percent).toBeLessThan(100);
  });

  it('is paused, resumed and stopped', async () => {
    const scanner = driver();
    const { scanId } = await launched(scanner);
    // the service cannot stop a scan that is being prepared: no error, the next look tells
    await scanner.stopScan(scanId);
    await stepTo(scanner, scanId, 'pending');
    await stepTo(scanner, scanId, 'running');
    await scanner.pauseScan(scanId);
    await stepTo(scanner, scanId, 'paused');
    await scanner.resumeScan(scanId);
    await stepTo(scanner, scanId, 'running');
    expect((await failure(scanner.deleteScan(scanId))).scannerHttpStatus).toBe(409);
    await scanner.stopScan(scanId);
    await stepTo(scanner, scanId, 'canceled');
    expect((await scanner.getScan(scanId))?.statusClass).toBe('terminal');
    await scanner.stopScan(scanId);
  });

  it('of several runs has them oldest first, and shows the one asked for', async () => {
    const scanner = driver();
    const { scanId } = await scanner.createScan(plan);
    const uuids: string[] = [];
    for (const status of ['completed', 'aborted'] as const) {
      uuids.push((await scanner.launchScan(scanId)).runUuid);
      simulator.endScans(scanId, status);
    }
    const scan = await scanner.getScan(scanId);
    expect(scan?.runs.map(({ uuid, status }) => [uuid, status])).toEqual([
      [uuids[0], 'completed'],
      [uuids[1], 'aborted'],
    ]);
    expect(scan?.status).toBe('aborted');
    expect((await scanner.getScan(scanId, scan?.runs[0]?.historyId))?.status).toBe('completed');
    expect(await scanner.getScan(scanId, 999_999)).toBeUndefined();
    expect(await scanner.getScan(999_999)).toBeUndefined();
  });

  it('with more runs than fit on a page has all of them', async () => {
    const scanner = driver();
    const { scanId } = await scanner.createScan(plan);
    for (let run = 0; run < 103; run += 1) {
      await scanner.launchScan(scanId);
      simulator.endScans(scanId, 'completed');
    }
    const scan = await scanner.getScan(scanId);
    expect(new Set(scan?.runs.map(({ uuid }) => uuid)).size).toBe(103);
    const ids = scan?.runs.map(({ historyId }) => historyId) ?? [];
    expect(ids).toEqual(ids.toSorted((a, b) => a - b));
  });

  it('carries credentials, their key uploaded first', async () => {
    const scanner = driver();
    const { scanId } = await scanner.createScan({
      ...plan,
      credentials: { ssh_username: 'auditor', ssh_private_key: 'KEY', elevate_privileges_with: 'Nothing' },
    });
    expect(simulator.scans().find((scan) => scan.scan_id === scanId)?.with_credentials).toBe(true);
  });

  it('is made in our folder, which is made when it is missing', async () => {
    const scanner = driver({ folder: 'scanmq' });
    const { scanId } = await scanner.createScan(plan);
    expect(await scanner.listFolder('scanmq')).toMatchObject([{ scanId, status: 'empty' }]);
  });
});

describe('the scanner that does the work', () => {
  it.each([
    ['by its name', 'linked-scanner', LINKED_SCANNER],
    ['by its uuid', CLOUD_SCANNER, CLOUD_SCANNER],
    ['not at all', undefined, undefined],
  ])('may be named %s', async (_how, scanner, uuid) => {
    const { url, heard } = await script((request, response) => {
      if (request.method === 'POST') return json(response, 200, { scan: { id: 7 } });
      if (request.url === '/editor/scan/templates')
        return json(response, 200, { templates: [{ name: 'basic', uuid: 'b-1' }] });
      return json(response, 200, {
        settings: {
          basic: {
            inputs: [
              { id: 'name', options: null },
              {
                id: 'scanner_id',
                options: [
                  { id: CLOUD_SCANNER, name: 'US Cloud Scanner' },
                  { id: LINKED_SCANNER, name: 'linked-scanner' },
                ],
              },
            ],
          },
        },
      });
    });
    await driver({ url, scanner }).createScan(plan);
    const posted = heard.find((request) => request.method === 'POST');
    // no word of a schedule: a scan whose schedule is off may refuse to be launched
    expect(settingsOf(posted?.body ?? '{}')).toEqual({
      name: 'n',
      description: 'd',
      text_targets: '192.0.2.1',
      ...(uuid === undefined ? {} : { scanner_id: uuid }),
    });
  });

  it('that is offered is taken', async () => {
    const { scanId } = await launched(driver({ scanner: 'linked-scanner' }));
    expect(scanId).toBeGreaterThan(0);
  });

  it.each([
    ['does not exist', 'Berlin', /no scanner 'Berlin'.*US Cloud Scanner, linked-scanner/],
    ['has a name of two', 'twins', /2 scanners of the name 'twins'.*7699e6b9.*3945f352/],
  ])('that %s is told, and nothing is made', async (_what, scanner, message) => {
    const { created } = simulator.stats();
    expect(await failure(driver({ scanner }).createScan(plan))).toMatchObject({
      code: 'scanner_rejected',
      retryable: 'no',
      message: expect.stringMatching(message),
    });
    expect(simulator.stats().created).toBe(created);
  });
});

describe('a service that is asked too often', () => {
  it('is asked again when it says so, for reads and for writes, and a write happens once', async () => {
    const scanner = driver();
    const { created, requests } = simulator.stats();
    simulator.setFault({ name: 'rate_limited', remaining: 2, ms: 0 });
    expect(await scanner.findScans('none')).toEqual([]);
    expect(simulator.stats().requests - requests).toBe(3);
    // templates, then the scan itself
    await scanner.createScan(plan);
    const { scanId } = await scanner.createScan(plan);
    simulator.setFault({ name: 'rate_limited', remaining: 1, ms: 0 });
    const { launched: before } = simulator.stats();
    await scanner.launchScan(scanId);
    expect(simulator.stats()).toMatchObject({ created: created + 2, launched: before + 1 });
  });

  it('is left in peace for as long as it asks, by all reads', async () => {
    let turnedAway = 0;
    const { url } = await script((_request, response) => {
      turnedAway += 1;
      if (turnedAway === 1) return tooMany(response, '1');
      return json(response, 200, { scans: [] });
    });
    const scanner = driver({ url });
    const from = Date.now();
    const first = scanner.findScans('x');
    await until('it was turned away', () => turnedAway === 1);
    await Promise.all([first, scanner.findScans('x'), scanner.findScans('x')]);
    expect(Date.now() - from).toBeGreaterThanOrEqual(990);
    expect(turnedAway).toBe(4);
  });

  it('may name a date', async () => {
    const { url, heard } = await script((_request, response, { length }) =>
      length === 1
        ? tooMany(response, new Date(Date.now() - 5_000).toUTCString())
        : json(response, 200, { scans: [] }),
    );
    await driver({ url }).findScans('x');
    expect(heard).toHaveLength(2);
  });

  it('is not asked for ever', async () => {
    const { url, heard } = await script((_request, response) => tooMany(response, '0'));
    expect(await failure(driver({ url }).launchScan(1))).toMatchObject({
      code: 'scanner_unreachable',
      retryable: 'yes',
      scannerHttpStatus: 429,
      message: expect.stringContaining('too many'),
    });
    expect(heard).toHaveLength(5);
  });

  it('that wants to be left alone for long is not waited for inside a call, and not asked meanwhile', async () => {
    const { url, heard } = await script((_request, response) => tooMany(response, '600'));
    const scanner = driver({ url });
    for (let i = 0; i < 3; i += 1) {
      const error = await failure(scanner.findScans('x'));
      expect(error).toMatchObject({ code: 'scanner_unreachable', retryable: 'yes' });
      expect(error.retryAfterSeconds).toBeGreaterThan(590);
    }
    expect(heard).toHaveLength(1);
    // a stop is another matter: launches have limits that stops have not
    await failure(scanner.launchScan(1));
    await failure(scanner.stopScan(1));
    expect(heard.map((request) => request.url)).toEqual(['/scans', '/scans/1/launch', '/scans/1/stop']);
  });

  it('does not get a write for which it would be too late', async () => {
    const { url, heard } = await script((_request, response) => tooMany(response, '30'));
    const work = driver({ url }).launchScan(1, undefined, { sendBeforeMs: Date.now() + 20_000 });
    expect(await failure(work)).toMatchObject({ code: 'scanner_unreachable', retryable: 'yes' });
    expect(heard).toHaveLength(1);
  });

  it('is waited for only until our own abort', async () => {
    const { url } = await script((_request, response) => tooMany(response, '30'));
    const controller = new AbortController();
    const reason = new Error('enough');
    const work = driver({ url }).findScans('x', controller.signal);
    setTimeout(() => controller.abort(reason), 50);
    await expect(work).rejects.toBe(reason);
  });

  it('turns downloads away as well', async () => {
    const { url } = await script((_request, response, { length }) =>
      length === 1 ? tooMany(response, '0') : response.writeHead(200).end('bytes'),
    );
    expect(await text(await driver({ url }).downloadExport(1, 'SSE-1-nessus'))).toBe('bytes');
  });
});

describe('the login', () => {
  it('is by keys alone: wrong ones are told, and no session is opened', async () => {
    const auth = {
      kind: 'api_keys',
      accessKey: simulator.accessKey,
      secretKey: '0'.repeat(64),
    } as const;
    const scanner = driver({ auth });
    const { logins } = simulator.stats();
    for (const work of [scanner.findScans('x'), scanner.createScan(plan), scanner.getScan(1)])
      expect(await failure(work)).toMatchObject({ code: 'scanner_auth_failed', retryable: 'no' });
    expect(await scanner.probe()).toMatchObject({ healthy: false, readiness: 'scanner_auth_failed' });
    expect(simulator.stats().logins).toBe(logins);
  });

  it('never shows in an error', async () => {
    const { url } = await script((_request, response) => json(response, 500, { error: 'boom' }));
    const auth = { kind: 'api_keys', accessKey: 'canary-1', secretKey: 'canary-2' } as const;
    const errors = [
      await failure(driver({ url, auth }).launchScan(1)),
      await failure(driver({ url: 'https://127.0.0.1:1', auth }).findScans('x')),
    ];
    expect(inspect(errors, { depth: 20, showHidden: true })).not.toContain('canary');
  });
});

describe('the health', () => {
  it('is that of a service which offers launching scans by API', async () => {
    expect(await driver().probe()).toMatchObject({
      instance_key: 'cloud:s1',
      healthy: true,
      readiness: 'ready',
      mode: 'full',
      scan_api: true,
      version: '11.0.46',
      licence: 'Nessus Cloud (simulator)',
      plugin_set: expect.stringMatching(/^\d+$/),
      simulator: true,
      reason: null,
    });
  });

  it('says when our user may only look', async () => {
    const { url } = await script((request, response) => {
      if (request.url === '/server/status') return json(response, 200, { code: 200, status: 'ready' });
      if (request.url === '/session') return json(response, 200, { permissions: 16 });
      return json(response, 403, { statusCode: 403, error: 'Forbidden', message: 'Insufficient scope' });
    });
    expect(await driver({ url }).probe()).toMatchObject({
      healthy: true,
      mode: 'full',
      version: null,
      reason: expect.stringContaining('Scan Operator'),
    });
  });

  it('of a service that is not ready, or cannot be reached, is told and never thrown', async () => {
    simulator.load(60_000);
    expect(await driver().probe()).toMatchObject({ healthy: false, readiness: 'loading' });
    simulator.load(0);
    expect(await driver({ url: 'https://127.0.0.1:1' }).probe()).toMatchObject({
      healthy: false,
      readiness: 'scanner_unreachable',
    });
  });
});

describe('what the service answers', () => {
  it.each<[string, (scanner: Scanner) => Promise<unknown>, string, string]>([
    ['a launch', (scanner) => scanner.launchScan(1), 'scanner_rejected', 'unknown_outcome'],
    ['the list', (scanner) => scanner.findScans('x'), 'scanner_rejected', 'yes'],
    ['a status', (scanner) => scanner.getScan(1), 'scanner_unreachable', 'yes'],
    ['an export', (scanner) => scanner.requestExport(1, 2), 'scanner_rejected', 'yes'],
  ])('in an unknown form to %s is told as such', async (_what, ask, code, retryable) => {
    const { url } = await script((_request, response) => json(response, 200, '{"scans":7,"surprise":true}'));
    expect(await failure(ask(driver({ url })))).toMatchObject({
      code,
      retryable,
      message: expect.stringContaining('a form that scanmq does not know'),
    });
  });

  it('is read leniently: no pagination, numbers as texts, unknown words, no progress', async () => {
    const { url } = await script((request, response) => {
      if (request.url.endsWith('/latest-status')) return json(response, 200, { status: 'quantum' });
      if (request.url.includes('/history'))
        return json(response, 200, {
          history: [
            { id: '12', scan_uuid: 'b', status: 'quantum' },
            { id: 11, scan_uuid: 'a' },
          ],
        });
      return json(response, 403, { error: 'Forbidden' });
    });
    expect(await driver({ url }).getScan(5)).toEqual({
      scanId: 5,
      name: '',
      status: 'quantum',
      statusClass: 'active',
      progressPercent: 0,
      hostsSeen: 0,
      hosts: [],
      runs: [
        { historyId: 11, uuid: 'a', status: 'empty', statusClass: 'idle' },
        { historyId: 12, uuid: 'b', status: 'quantum', statusClass: 'active' },
      ],
      notes: [],
    });
  });

  it('in smaller pages than asked for is read to its end', async () => {
    const { url, heard } = await script((request, response) => {
      if (request.url.endsWith('/latest-status')) return json(response, 200, { status: 'completed' });
      const offset = Number(new URL(request.url, 'https://x').searchParams.get('offset'));
      if (!request.url.includes('/history')) return json(response, 500, { error: 'too large' });
      const history = [3, 2, 1]
        .slice(offset, offset + 2)
        .map((id) => ({ id, scan_uuid: `r${id}`, status: 'completed' }));
      return json(response, 200, { pagination: { total: 3 }, history });
    });
    const scan = await driver({ url }).getScan(5);
    expect(scan?.runs.map(({ uuid }) => uuid)).toEqual(['r1', 'r2', 'r3']);
    expect(heard.filter((request) => request.url.includes('/history'))).toHaveLength(2);
    // details that cannot be told do not keep anybody from the results
    expect(scan).toMatchObject({ status: 'completed', statusClass: 'terminal', name: '' });
  });

  it('about a scan without history and without details is enough', async () => {
    const { url } = await script((request, response) =>
      request.url.endsWith('/latest-status')
        ? json(response, 200, { status: 'imported' })
        : json(response, 404, { error: 'The requested file was not found' }),
    );
    expect(await driver({ url }).getScan(5)).toMatchObject({
      status: 'imported',
      statusClass: 'terminal',
      runs: [],
    });
  });

  it.each([
    [403, 'scanner_rejected', 'no'],
    [409, 'scanner_rejected', 'no'],
    [500, 'scanner_rejected', 'yes'],
    [503, 'scanner_unreachable', 'yes'],
  ])('%d to a launch means %s, to be tried again: %s', async (status, code, retryable) => {
    const { url } = await script((_request, response) => json(response, status, { error: 'no' }));
    expect(await failure(driver({ url }).launchScan(1))).toMatchObject({
      code,
      retryable,
      scannerHttpStatus: status,
    });
  });

  it('by breaking the connection of a write has an unknown outcome, and is not asked again', async () => {
    const { launched: before } = simulator.stats();
    const scanner = driver();
    const { scanId } = await scanner.createScan(plan);
    simulator.setFault({ name: 'reset_after_launch', remaining: 1 });
    expect(await failure(scanner.launchScan(scanId))).toMatchObject({
      code: 'scanner_unreachable',
      retryable: 'unknown_outcome',
    });
    expect(simulator.stats().launched).toBe(before + 1);
    expect((await scanner.getScan(scanId))?.runs).toHaveLength(1);
  });
});

describe('the registry', () => {
  it('takes the driver of the type, and another one when the type or the scanner changes', async () => {
    const pools = (change: Partial<ScannerInstanceConfig>): ScannersConfig => ({
      pools: new Map([['cloud', [configOf(change)]]]),
      defaultPool: 'cloud',
      poolRules: new Map(),
      targetRules: [],
      principalRules: new Map(),
    });
    const registry = createScannerRegistry(pools({}));
    try {
      const first = registry.scanner('cloud:s1');
      expect(await first.probe()).toMatchObject({ mode: 'full', version: '11.0.46' });
      expect(registry.scanner('cloud:s1')).toBe(first);
      registry.update(pools({ scanner: 'linked-scanner' }));
      expect(registry.scanner('cloud:s1')).not.toBe(first);
      registry.update(pools({ type: 'nessus' }));
      // the driver of a Nessus asks who may launch, and the service does not say it in that form
      expect(await registry.scanner('cloud:s1').probe()).toMatchObject({ mode: 'unknown' });
    } finally {
      await registry.close();
    }
  });
});
