/** The driver against a scripted TLS server, for what happens on the wire, and against the simulator for whole conversations. */
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { createServer, type Server } from 'node:https';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { inspect } from 'node:util';
import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import type { ScannerInstanceConfig } from '@scanmq/config';
import type { ScannerError } from '@scanmq/contract';
import { type Simulator, startSimulator } from '@scanmq/simulator';
import { createNessusScanner, type Scanner } from '../index.js';

let simulator: Simulator;
const scanners: Scanner[] = [];
let scripted: Server | undefined;

beforeAll(async () => {
  simulator = await startSimulator({
    username: 'u',
    password: 'secret-password',
    scanDurationMs: 50,
    startDelayMs: 5,
    exportDelayMs: 5,
  });
});
afterAll(async () => await simulator.close());
afterEach(async () => {
  await Promise.all(scanners.splice(0).map((scanner) => scanner.close()));
  scripted?.closeAllConnections();
  scripted?.close();
  scripted = undefined;
  simulator.clearFaults();
});

/** @param silenceMs after which an answer is not waited for any more. */
function driver(change: Partial<ScannerInstanceConfig> = {}, silenceMs = 20_000): Scanner {
  const scanner = createNessusScanner(
    {
      type: 'nessus',
      pool: 'nessus',
      instanceId: 's1',
      instanceKey: 'nessus:s1',
      name: 's1',
      url: simulator.url,
      enabled: true,
      maxConcurrentScans: 2,
      auth: { kind: 'session', username: 'u', password: 'secret-password' },
      interface: 'api',
      caFile: undefined,
      tlsFingerprint: simulator.fingerprint256,
      headers: {},
      folder: undefined,
      follow: undefined,
      scanner: undefined,
      ...change,
    },
    { timeouts: { responseMs: silenceMs, idleMs: silenceMs } },
  );
  scanners.push(scanner);
  return scanner;
}

/** A server with the simulator's certificate that does exactly what the test says. */
async function script(
  onRequest: (request: IncomingMessage, response: ServerResponse, body: string) => void,
): Promise<string> {
  const server = createServer({ cert: simulator.certPem, key: simulator.keyPem }, (request, response) => {
    let body = '';
    request.on('data', (chunk: Buffer) => {
      body += chunk.toString();
    });
    request.on('end', () => onRequest(request, response, body));
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  scripted = server;
  return `https://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

const json = (response: ServerResponse, status: number, body: unknown): void => {
  response
    .writeHead(status, { 'content-type': 'application/json' })
    .end(typeof body === 'string' ? body : JSON.stringify(body));
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

describe('trust', () => {
  it('refuses another certificate than the pinned one before a single byte of HTTP is sent', async () => {
    const requests = simulator.stats().requests;
    const error = await failure(driver({ tlsFingerprint: 'ab'.repeat(32) }).createScan(plan));
    expect(error).toMatchObject({
      code: 'scanner_tls',
      retryable: 'no',
      message: expect.stringContaining(simulator.fingerprint256),
    });
    expect(simulator.stats().requests).toBe(requests);
  });

  it('holds on every connection, not only on the first', async () => {
    let served = 0;
    const url = await script((_request, response) => {
      served += 1;
      response.setHeader('connection', 'close');
      json(response, 200, { status: 'ready', progress: null });
    });
    const scanner = driver({ url });
    for (let i = 0; i < 3; i += 1) expect((await scanner.readiness()).ready).toBe(true);
    expect(served).toBe(3);
  });

  it('of a private authority works for the right name, and says what to do for a wrong one', async () => {
    const directory = await mkdtemp(join(tmpdir(), 'scanmq-ca-'));
    try {
      const caFile = join(directory, 'ca.pem');
      await writeFile(caFile, simulator.certPem);
      expect(await failure(driver({ tlsFingerprint: undefined, caFile }).readiness())).toMatchObject({
        code: 'scanner_tls',
        message: expect.stringContaining('another name'),
      });
      expect(await failure(driver({ tlsFingerprint: undefined }).readiness())).toMatchObject({
        code: 'scanner_tls',
        retryable: 'no',
        message: expect.stringContaining('tls_fingerprint'),
      });
    } finally {
      await rm(directory, { recursive: true });
    }
  });
});

describe('a session', () => {
  it('is opened once for many calls at the same time, and renewed once when it expires', async () => {
    const scanner = driver();
    const before = simulator.stats().logins;
    await Promise.all(Array.from({ length: 10 }, () => scanner.findScans('x')));
    expect(simulator.stats().logins - before).toBe(1);
    simulator.expireSessions();
    await Promise.all(Array.from({ length: 10 }, () => scanner.findScans('x')));
    expect(simulator.stats().logins - before).toBe(2);
  });

  it('with a wrong password is tried once, not again and again', async () => {
    const scanner = driver({ auth: { kind: 'session', username: 'u', password: 'wrong-password' } });
    const before = simulator.stats().logins;
    for (let i = 0; i < 8; i += 1)
      expect(await failure(scanner.findScans('x'))).toMatchObject({
        code: 'scanner_auth_failed',
        retryable: 'no',
      });
    expect(simulator.stats().logins - before).toBe(1);
  });

  it('is renewed for a write as well: a 401 was not executed', async () => {
    const scanner = driver();
    await scanner.findScans('x');
    simulator.expireSessions();
    const created = simulator.stats().created;
    await scanner.createScan(plan);
    expect(simulator.stats().created - created).toBe(1);
  });

  it('is not needed with API keys, and wrong ones are told', async () => {
    const keys = {
      kind: 'api_keys',
      accessKey: simulator.accessKey,
      secretKey: simulator.secretKey,
    } as const;
    expect(await driver({ auth: keys }).findScans('nothing of this name')).toEqual([]);
    expect(
      await failure(driver({ auth: { ...keys, secretKey: '0'.repeat(64) } }).findScans('x')),
    ).toMatchObject({ code: 'scanner_auth_failed', retryable: 'no' });
  });
});

describe('what breaks on the wire', () => {
  it.each([
    ['before the answer', (response: ServerResponse) => response.socket?.destroy()],
    ['by silence', () => undefined],
  ])('%s of a write: its outcome is unknown, and it is not repeated', async (_, break_) => {
    let writes = 0;
    const url = await script((request, response) => {
      if (request.url === '/session') return json(response, 200, { token: 'abc' });
      if (request.method === 'GET') return json(response, 200, { templates: null });
      writes += 1;
      break_(response);
    });
    expect(await failure(driver({ url }, 3_000).createScan(plan))).toMatchObject({
      code: 'scanner_unreachable',
      retryable: 'unknown_outcome',
    });
    expect(writes).toBe(1);
  });

  it('of a read is tried once more, on a fresh connection', async () => {
    let reads = 0;
    const url = await script((request, response) => {
      if (request.url === '/session') return json(response, 200, { token: 'abc' });
      reads += 1;
      if (reads === 1) response.socket?.destroy();
      else json(response, 200, { scans: null });
    });
    expect(await driver({ url }).findScans('x')).toEqual([]);
    expect(reads).toBe(2);
  });

  it('before anything was sent can be tried again', async () => {
    expect(await failure(driver({ url: 'https://127.0.0.1:1' }).createScan(plan))).toMatchObject({
      code: 'scanner_unreachable',
      retryable: 'yes',
    });
    expect(await failure(driver({ url: 'https://no-such-host.invalid' }).readiness())).toMatchObject({
      code: 'scanner_unreachable',
      message: expect.stringContaining('does not exist'),
    });
  });

  it('in that its time has passed is not sent at all, and can be tried again', async () => {
    const { created } = simulator.stats();
    const scanner = driver();
    await scanner.findScans('x');
    expect(
      await failure(scanner.createScan(plan, undefined, { sendBeforeMs: Date.now() - 1 })),
    ).toMatchObject({
      code: 'scanner_unreachable',
      retryable: 'yes',
      message: expect.stringContaining('nothing was sent'),
    });
    expect(simulator.stats().created).toBe(created);
    await scanner.createScan(plan, undefined, { sendBeforeMs: Date.now() + 60_000 });
    expect(simulator.stats().created).toBe(created + 1);
  });

  it('by our own abort rejects with the reason of the signal', async () => {
    simulator.setFault({ name: 'stalled_socket' });
    const reason = new Error('enough');
    const controller = new AbortController();
    const work = driver().readiness(controller.signal);
    controller.abort(reason);
    await expect(work).rejects.toBe(reason);
  });
});

describe('what a scanner answers', () => {
  it.each<[number, unknown, string, string]>([
    [400, { error: "Invalid 'name' field" }, 'scanner_rejected', 'no'],
    [403, { error: 'You do not have permission' }, 'scanner_rejected', 'no'],
    [412, { error: 'API is not available' }, 'scanner_export_only', 'no'],
    [500, { error: 'boom' }, 'scanner_rejected', 'yes'],
    [503, '<html>busy</html>', 'scanner_unreachable', 'yes'],
  ])('%d %j means %s, to be tried again: %s', async (status, body, code, retryable) => {
    const url = await script((request, response) =>
      request.url === '/session' ? json(response, 200, { token: 'abc' }) : json(response, status, body),
    );
    expect(await failure(driver({ url }).launchScan(1))).toMatchObject({
      code,
      retryable,
      scannerHttpStatus: status,
    });
  });

  it('is read leniently: numbers as texts, missing parts, unknown words, hosts with odd totals', async () => {
    const details = {
      info: { status: 'quantum' },
      hosts: [
        {
          hostname: 'web',
          scanprogresscurrent: '50',
          scanprogresstotal: '100',
          critical: '2',
          high: 0,
          medium: 1,
          low: 0,
          info: 7,
        },
        { hostname: 'db', progress: '10-100/1-2', critical: 1 },
        {},
      ],
      history: [{ history_id: '7', uuid: 'r', status: 'quantum' }],
      notes: [{ title: 'Limit', message: 'too many' }],
    };
    const url = await script((request, response) =>
      request.url === '/session' ? json(response, 200, { token: 'abc' }) : json(response, 200, details),
    );
    expect(await driver({ url }).getScan(5)).toEqual({
      scanId: 5,
      name: '',
      status: 'quantum',
      statusClass: 'active',
      progressPercent: 30,
      hostsSeen: 3,
      hosts: [
        { name: 'web', progressPercent: 50, found: { critical: 2, high: 0, medium: 1, low: 0, info: 7 } },
        { name: 'db', progressPercent: 10, found: null },
        { name: '', progressPercent: 0, found: null },
      ],
      runs: [{ historyId: 7, uuid: 'r', status: 'quantum', statusClass: 'active' }],
      notes: ['Limit: too many'],
    });
  });

  it('of a scan that was never run is idle, and of an unknown one nothing', async () => {
    const scanner = driver();
    const { scanId } = await scanner.createScan(plan);
    expect(await scanner.getScan(scanId)).toMatchObject({
      status: 'empty',
      statusClass: 'idle',
      runs: [],
      progressPercent: 0,
    });
    expect(await scanner.getScan(999_999)).toBeUndefined();
  });

  it('never brings a credential into an error, however it is looked at', async () => {
    const url = await script((request, response, body) =>
      request.url === '/session'
        ? json(response, 200, { token: 'token-canary' })
        : json(response, 500, { error: `echo ${body.length}` }),
    );
    const errors = [
      await failure(driver({ url, headers: { 'x-proxy': 'header-canary' } }).launchScan(1)),
      await failure(
        driver({ url: 'https://127.0.0.1:1', headers: { 'x-proxy': 'header-canary' } }).findScans('x'),
      ),
      await failure(
        driver({ auth: { kind: 'session', username: 'u', password: 'password-canary' } }).findScans('x'),
      ),
    ];
    expect(inspect(errors, { depth: 20, showHidden: true })).not.toMatch(/(token|header|password)-canary/);
  });
});

describe('the way of the web page', () => {
  const professional = {
    username: 'u',
    password: 'secret-password',
    product: 'professional',
    scanDurationMs: 10,
    startDelayMs: 1,
  } as const;

  it('is needed for a licence without API, and works after the token changed', async () => {
    const other = await startSimulator(professional);
    try {
      const trust = { url: other.url, tlsFingerprint: other.fingerprint256 };
      const plain = driver(trust);
      expect(await plain.probe()).toMatchObject({
        healthy: true,
        mode: 'export_only',
        scan_api: false,
        simulator: true,
      });
      expect(await failure(plain.createScan(plan))).toMatchObject({
        code: 'scanner_export_only',
        retryable: 'no',
      });
      const web = driver({ ...trust, interface: 'web_session' });
      expect(await web.probe()).toMatchObject({ healthy: true, mode: 'full' });
      await web.createScan(plan);
      other.rotateToken();
      await web.createScan(plan);
      expect(other.stats().created).toBe(2);
    } finally {
      await other.close();
    }
  });
});

describe('the state of the server', () => {
  it('is read from the body of a 503, and tells waiting from needing its operator', async () => {
    const scanner = driver();
    simulator.load(60_000);
    expect(await scanner.readiness()).toMatchObject({ ready: false, word: 'loading', operatorNeeded: false });
    expect(await scanner.probe()).toMatchObject({ healthy: false, readiness: 'loading' });
    simulator.load(0);
    simulator.setServerStatus('register');
    expect(await scanner.readiness()).toMatchObject({ ready: false, word: 'register', operatorNeeded: true });
    simulator.setServerStatus('ready');
    expect((await scanner.readiness()).ready).toBe(true);
  });

  it('never makes a probe fail', async () => {
    expect(await driver({ url: 'https://127.0.0.1:1' }).probe()).toMatchObject({
      healthy: false,
      readiness: 'scanner_unreachable',
      reason: expect.any(String),
    });
  });
});
