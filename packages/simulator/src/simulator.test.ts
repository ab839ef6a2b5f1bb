import { mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs';
import { request as plainRequest } from 'node:http';
import { Agent, request } from 'node:https';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { gunzipSync } from 'node:zlib';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { until } from '@scanmq/testkit';
import { FAULTS, keepCertificate, type Simulator, startSimulator } from './index.js';

let simulator: Simulator;
let cookie: Record<string, string>;
const agent = new Agent({ keepAlive: false });

const START_MS = 200;
const SCAN_MS = 150;
const STOP_MS = 60;
const EXPORT_MS = 30;
/** Scans go on when a test lets time pass, and not before. */
let nowMs = Date.now();
const pass = (ms: number): void => {
  nowMs += ms;
};

beforeAll(async () => {
  simulator = await startSimulator(
    {
      username: 'u',
      password: 'p',
      startDelayMs: START_MS,
      scanDurationMs: SCAN_MS,
      stopDelayMs: STOP_MS,
      exportDelayMs: EXPORT_MS,
      maxScans: 2,
    },
    () => nowMs,
  );
});
afterAll(async () => await simulator.close());
beforeEach(async () => {
  simulator.clearFaults();
  cookie = {
    'x-cookie': `token=${(await call('POST', '/session', { username: 'u', password: 'p' })).json.token}`,
  };
});

interface Answer {
  status: number;
  text: string;
  // biome-ignore lint/suspicious/noExplicitAny: the shapes are what is under test
  json: any;
  headers: Record<string, string | string[] | undefined>;
}

function call(
  method: string,
  path: string,
  body?: unknown,
  headers: Record<string, string> = {},
  to: Simulator = simulator,
): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const outgoing = request(
      `${to.url}${path}`,
      {
        method,
        agent,
        ca: to.certPem,
        checkServerIdentity: () => undefined,
        headers: { ...(body === undefined ? {} : { 'content-type': 'application/json' }), ...headers },
      },
      (response) => {
        const chunks: Buffer[] = [];
        response.on('data', (chunk: Buffer) => chunks.push(chunk));
        response.on('error', reject);
        response.on('end', () => {
          const text = Buffer.concat(chunks).toString();
          let json: unknown;
          try {
            json = JSON.parse(text);
          } catch {
            json = undefined;
          }
          resolve({ status: response.statusCode ?? 0, text, json, headers: response.headers });
        });
      },
    );
    outgoing.on('error', reject);
    outgoing.end(body === undefined ? undefined : JSON.stringify(body));
  });
}
const api = (method: string, path: string, body?: unknown): Promise<Answer> =>
  call(method, path, body, cookie);
const create = async (targets = '192.0.2.1', name = 'test'): Promise<number> =>
  (
    await api('POST', '/scans', {
      uuid: '731a8e52-3ea6-a291-ec0a-d2ff0619c19d7bd788d6be818b65',
      settings: { name, text_targets: targets },
    })
  ).json.scan.id;
const status = async (id: number): Promise<string> => (await api('GET', `/scans/${id}`)).json.info.status;
async function launch(id: number): Promise<void> {
  expect((await api('POST', `/scans/${id}/launch`)).status).toBe(200);
}
async function complete(id: number): Promise<void> {
  await launch(id);
  pass(START_MS + SCAN_MS);
  expect(await status(id)).toBe('completed');
}
async function exported(id: number): Promise<string> {
  const { file } = (await api('POST', `/scans/${id}/export`, { format: 'nessus' })).json;
  const state = async () => (await api('GET', `/scans/${id}/export/${file}/status`)).json;
  pass(EXPORT_MS - 1);
  expect(await state()).toEqual({ status: 'loading' });
  pass(1);
  expect(await state()).toEqual({ status: 'ready' });
  return (await api('GET', `/scans/${id}/export/${file}/download`)).text;
}

describe('a scan', () => {
  it('goes from empty over pending and running to completed, and its export holds the requested hosts', async () => {
    const id = await create('192.0.2.4, 198.51.100.0/30, app.example.test');
    expect((await api('GET', `/scans/${id}`)).json).toMatchObject({
      info: { status: 'empty' },
      hosts: null,
      history: null,
    });
    const { scan_uuid } = (await api('POST', `/scans/${id}/launch`)).json;
    expect(scan_uuid).toHaveLength(52);
    expect((await api('POST', `/scans/${id}/launch`)).status).toBe(409);
    expect((await api('POST', `/scans/${id}/export`, { format: 'nessus' })).json).toEqual({
      error: 'Can not export running scans',
    });
    pass(START_MS - 1);
    expect(await status(id)).toBe('pending');
    pass(1);
    expect(await status(id)).toBe('running');
    pass(SCAN_MS - 1);
    expect(await status(id)).toBe('running');
    pass(1);
    expect(await status(id)).toBe('completed');
    const report = await exported(id);
    expect([...report.matchAll(/<ReportHost name="([^"]*)"/g)].map(([, name]) => name)).toEqual([
      '192.0.2.4',
      '198.51.100.1',
      '198.51.100.2',
      'app.example.test',
    ]);
    expect(report).toContain('<Report name="simulator: test"');
    expect(report.match(/<tag name="scanmq-simulator">true/g)).toHaveLength(4);
    expect(report).toMatch(/<\/NessusClientData_v2>\s*$/);
  });

  it('stays pending above the limit of the scanner', async () => {
    const ids = [await create(), await create(), await create()];
    const statuses = async () => await Promise.all(ids.map(status));
    for (const id of ids) await launch(id);
    pass(START_MS);
    expect(await statuses()).toEqual(['running', 'running', 'pending']);
    pass(SCAN_MS - 1);
    expect(await statuses()).toEqual(['running', 'running', 'pending']);
    pass(1);
    expect(await statuses()).toEqual(['completed', 'completed', 'running']);
    pass(SCAN_MS);
    expect(await statuses()).toEqual(['completed', 'completed', 'completed']);
  });

  it('is paused, resumed, stopped and deleted, each in time and only in the right state', async () => {
    const id = await create();
    expect((await api('POST', `/scans/${id}/stop`)).status).toBe(409);
    await launch(id);
    pass(START_MS);
    expect(await status(id)).toBe('running');
    expect(await api('POST', `/scans/${id}/pause`)).toMatchObject({ status: 200, text: '' });
    expect(await status(id)).toBe('pausing');
    pass(STOP_MS);
    expect(await status(id)).toBe('paused');
    // what is left of it waits
    pass(10 * SCAN_MS);
    expect(await status(id)).toBe('paused');
    await api('POST', `/scans/${id}/resume`);
    expect(await status(id)).toBe('resuming');
    pass(STOP_MS);
    expect(await status(id)).toBe('running');
    await api('POST', `/scans/${id}/stop`);
    expect((await api('DELETE', `/scans/${id}`)).json).toEqual({ error: 'Can not delete an active scan' });
    pass(STOP_MS);
    expect(await status(id)).toBe('canceled');
    expect((await api('DELETE', `/scans/${id}`)).status).toBe(200);
    expect((await api('DELETE', `/scans/${id}`)).json).toEqual({
      error: 'The requested file was not found.',
    });
  });

  it('launched again keeps its first run in the history', async () => {
    const id = await create();
    for (const runs of [1, 2]) {
      await complete(id);
      expect((await api('GET', `/scans/${id}`)).json.history).toHaveLength(runs);
    }
    const [first, second] = (await api('GET', `/scans/${id}`)).json.history;
    expect((await api('GET', `/scans/${id}?history_id=${first.history_id}`)).json.info.uuid).toBe(first.uuid);
    expect(second.uuid).not.toBe(first.uuid);
  });
});

describe('who may do what', () => {
  it('needs a login, and locks the account after five bad ones', async () => {
    expect((await call('GET', '/scans')).json).toEqual({
      error: 'You need to log in to perform this request',
    });
    const other = await startSimulator({ username: 'u', password: 'p' });
    try {
      for (let i = 0; i < 5; i += 1)
        expect((await call('POST', '/session', { username: 'u', password: 'x' }, {}, other)).json).toEqual({
          error: 'Invalid Credentials',
        });
      expect((await call('POST', '/session', { username: 'u', password: 'p' }, {}, other)).status).toBe(401);
    } finally {
      await other.close();
    }
  });

  it.each(['professional', 'expert', 'essentials'] as const)(
    'refuses a %s to launch by API, but not to export',
    async (product) => {
      const other = await startSimulator({ product, username: 'u', password: 'p' });
      try {
        const keys = { 'x-apikeys': `accessKey=${other.accessKey}; secretKey=${other.secretKey}` };
        const body = { settings: { name: 'n', text_targets: '192.0.2.1' } };
        const refused = await call('POST', '/scans', body, keys, other);
        expect([refused.status, refused.text, refused.headers.connection]).toEqual([
          412,
          '{"error":"API is not available"}',
          'close',
        ]);
        expect((await call('GET', '/scans', undefined, keys, other)).json.scans).toBeNull();
        const session = {
          'x-cookie': `token=${(await call('POST', '/session', { username: 'u', password: 'p' }, {}, other)).json.token}`,
        };
        expect((await call('POST', '/scans', body, session, other)).status).toBe(412);
        const token =
          /getApiToken",value:function\(\)\{return"([^"]+)"/.exec(
            (await call('GET', '/nessus6.js', undefined, {}, other)).text,
          )?.[1] ?? '';
        expect((await call('POST', '/scans', body, { ...session, 'x-api-token': token }, other)).status).toBe(
          200,
        );
        expect((await call('POST', '/scans', body, { ...keys, 'x-api-token': token }, other)).status).toBe(
          412,
        );
      } finally {
        await other.close();
      }
    },
  );

  it('says plainly that it is a simulator', async () => {
    const properties = await api('GET', '/server/properties');
    expect(properties.headers.server).toBe('scanmq-simulator');
    expect(properties.json).toMatchObject({ simulator: true, nessus_type: 'Nessus Manager (simulator)' });
  });

  it('tells whoever forgets the s of https', async () => {
    const text = await new Promise((resolve, reject) => {
      plainRequest(`${simulator.url.replace('https', 'http')}/scans`, (response) => {
        response.setEncoding('utf8').once('data', (chunk) => resolve(`${response.statusCode} ${chunk}`));
      })
        .on('error', reject)
        .end();
    });
    expect(text).toMatch(/^400 You're speaking plain HTTP/);
  });
});

describe('the control address', () => {
  const control = async (
    method: string,
    path: string,
    body?: unknown,
  ): Promise<{ status: number; json: Record<string, unknown> }> => {
    const response = await fetch(`${simulator.controlUrl}/control${path}`, {
      method,
      ...(body === undefined
        ? {}
        : { body: JSON.stringify(body), headers: { 'content-type': 'application/json' } }),
    });
    return { status: response.status, json: (await response.json()) as Record<string, unknown> };
  };

  it('switches faults on and off, by count and by probability', async () => {
    await control('PUT', '/faults', { name: 'http_503', remaining: 1 });
    expect((await api('GET', '/scans')).status).toBe(503);
    expect((await api('GET', '/scans')).status).toBe(200);
    await control('PUT', '/faults', { name: 'http_503', probability: 0.5 });
    const answers = await Promise.all(
      Array.from({ length: 40 }, async () => (await api('GET', '/scans')).status),
    );
    expect(new Set(answers)).toEqual(new Set([200, 503]));
    await control('DELETE', '/faults');
    expect((await control('GET', '/faults')).json).toMatchObject({ set: [], known: FAULTS });
    expect((await control('PUT', '/faults', { name: 'nonsense' })).status).toBe(400);
  });

  it('restarts: connections are refused, then it loads, and what ran is aborted', async () => {
    const id = await create();
    await api('POST', `/scans/${id}/launch`);
    const restarted = control('POST', '/restart', { down_ms: 1_000, loading_ms: 200 });
    await until('it refuses', async () => {
      try {
        await call('GET', '/server/status');
        return false;
      } catch {
        return true;
      }
    });
    await restarted;
    expect((await call('GET', '/server/status')).json).toMatchObject({ code: 503, status: 'loading' });
    pass(200);
    expect((await call('GET', '/server/status')).json).toMatchObject({ code: 200, status: 'ready' });
    expect((await api('GET', '/scans')).status).toBe(401);
    expect(simulator.scans().find((scan) => scan.scan_id === id)?.status).toBe('aborted');
  });

  it('replays any bytes as the next export', async () => {
    const bytes = gunzipSync(
      readFileSync(fileURLToPath(new URL('../samples/cloud-one-host.nessus.gz', import.meta.url))),
    );
    await control('POST', '/next-export', { bytes_base64: bytes.toString('base64') });
    const id = await create();
    await complete(id);
    expect(await exported(id)).toBe(bytes.toString('utf8'));
  });
});

describe('a certificate that is kept', () => {
  it('is the same after a restart, is trusted by its file, and has a key that nobody else reads', async () => {
    const directory = mkdtempSync(join(tmpdir(), 'scanmq-certificate-'));
    try {
      const fingerprints: string[] = [];
      for (let start = 0; start < 2; start += 1) {
        const kept = await startSimulator({ certificate: await keepCertificate(directory) });
        fingerprints.push(kept.fingerprint256);
        const ca = readFileSync(join(directory, 'certificate.pem'), 'utf8');
        const status = await new Promise((resolve, reject) => {
          // name and authority are checked here
          request(`${kept.url}/server/status`, { ca, agent }, (answer) => resolve(answer.resume().statusCode))
            .on('error', reject)
            .end();
        });
        expect(status).toBe(200);
        await kept.close();
      }
      expect(fingerprints[1]).toBe(fingerprints[0]);
      expect(statSync(join(directory, 'key.pem')).mode & 0o777).toBe(0o600);
    } finally {
      rmSync(directory, { recursive: true });
    }
  });
});
