/** What the cloud service does otherwise than a Nessus, each with real HTTPS calls. */
import { Agent, request } from 'node:https';
import { text } from 'node:stream/consumers';
import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import { type Simulator, startSimulator } from '../index.js';

const BASIC = '731a8e52-3ea6-a291-ec0a-d2ff0619c19d7bd788d6be818b65';
const CLOUD_SCANNER = '00000000-0000-0000-0000-00000000000000000000000000001';
let simulator: Simulator;
const agent = new Agent({ keepAlive: false });

/** Scans go on when a test lets time pass, and not before; each of their steps takes this long. */
const STEP_MS = 100;
let nowMs = Date.now();
const step = (): void => {
  nowMs += STEP_MS;
};

beforeAll(async () => {
  simulator = await startSimulator(
    {
      product: 'tenable_vm',
      username: 'u',
      password: 'p',
      startDelayMs: STEP_MS,
      scanDurationMs: STEP_MS,
      stopDelayMs: STEP_MS,
      exportDelayMs: STEP_MS,
    },
    () => nowMs,
  );
});
afterAll(async () => await simulator.close());
afterEach(() => simulator.clearFaults());

interface Answer {
  readonly status: number;
  readonly text: string;
  // biome-ignore lint/suspicious/noExplicitAny: the shapes are what is under test
  readonly json: any;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
}
function call(
  method: string,
  path: string,
  body?: unknown,
  headers: Record<string, string> = {
    'x-apikeys': `accessKey=${simulator.accessKey}; secretKey=${simulator.secretKey}`,
  },
): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const outgoing = request(
      `${simulator.url}${path}`,
      {
        method,
        agent,
        ca: simulator.certPem,
        checkServerIdentity: () => undefined,
        headers: { ...(body === undefined ? {} : { 'content-type': 'application/json' }), ...headers },
      },
      (response) => {
        text(response).then((received) => {
          let json: unknown;
          try {
            json = JSON.parse(received);
          } catch {
            json = undefined;
          }
          resolve({ status: response.statusCode ?? 0, text: received, json, headers: response.headers });
        }, reject);
      },
    );
    outgoing.on('error', reject);
    outgoing.end(body === undefined ? undefined : JSON.stringify(body));
  });
}
async function create(more: Record<string, unknown> = {}): Promise<Answer> {
  return await call('POST', '/scans', {
    uuid: BASIC,
    settings: { name: 'n', text_targets: '192.0.2.1', ...more },
  });
}
const word = async (id: number): Promise<string> =>
  (await call('GET', `/scans/${id}/latest-status`)).json.status;

describe('the login', () => {
  it('is by keys; no password opens a session, and there is no page with a token', async () => {
    const login = await call('POST', '/session', { username: 'u', password: 'p' }, {});
    expect(login.status).toBe(401);
    expect((await call('GET', '/session')).json).toMatchObject({ username: 'u', permissions: 64 });
    expect((await call('GET', '/session', undefined, {})).status).toBe(401);
    expect((await call('GET', '/nessus6.js')).status).toBe(404);
    expect((await call('GET', '/tokens/x/status')).status).toBe(404);
  });
});

describe('the server', () => {
  it('says little of its state, and what it is only to those who have keys', async () => {
    expect((await call('GET', '/server/status')).json).toEqual({
      code: 200,
      status: 'ready',
      simulator: true,
    });
    expect((await call('GET', '/server/properties')).json).toMatchObject({
      nessus_type: 'Nessus Cloud (simulator)',
      simulator: true,
    });
    expect((await call('GET', '/server/properties', undefined, {})).status).toBe(401);
  });

  it('turns requests away when told to, and says when to come back', async () => {
    simulator.setFault({ name: 'rate_limited', remaining: 1, ms: 1_500 });
    const { created } = simulator.stats();
    expect(await create()).toMatchObject({ status: 429, headers: { 'retry-after': '2' } });
    expect(simulator.stats().created).toBe(created);
    expect((await create()).status).toBe(200);
  });
});

describe('a scan', () => {
  it('is made with its schedule on, and for one of the scanners offered', async () => {
    expect((await create()).json.scan).toMatchObject({
      enabled: true,
      scanner_id: null,
      scanner_uuid: CLOUD_SCANNER,
      uuid: expect.stringMatching(/^template-/),
    });
    const { inputs } = (await call('GET', `/editor/scan/templates/${BASIC}`)).json.settings.basic;
    const { options } = inputs.find((input: { id: string }) => input.id === 'scanner_id');
    const linked = options[1].id;
    expect((await create({ scanner_id: linked })).json.scan.scanner_uuid).toBe(linked);
    expect((await create({ scanner_id: 'none' })).status).toBe(400);
    expect((await call('GET', '/scanners')).json.scanners.map(({ uuid }: { uuid: string }) => uuid)).toEqual(
      options.map(({ id }: { id: string }) => id),
    );
  });

  it('is not launched when its schedule is off', async () => {
    const { id } = (await create({ enabled: false })).json.scan;
    expect((await call('POST', `/scans/${id}/launch`)).status).toBe(403);
  });

  it('has words of its own before and after it runs, and can be stopped in between only', async () => {
    const { id } = (await create()).json.scan;
    expect(await word(id)).toBe('empty');
    await call('POST', `/scans/${id}/launch`);
    expect(await word(id)).toBe('initializing');
    expect((await call('POST', `/scans/${id}/stop`)).status).toBe(409);
    step();
    expect(await word(id)).toBe('pending');
    step();
    expect(await word(id)).toBe('running');
    step();
    expect(await word(id)).toBe('publishing');
    expect((await call('POST', `/scans/${id}/stop`)).status).toBe(409);
    expect((await call('POST', `/scans/${id}/export`, { format: 'nessus' })).status).toBe(409);
    expect((await call('GET', `/scans/${id}/progress`)).json).toEqual({ progress: 100 });
    step();
    expect(await word(id)).toBe('completed');
    const { file, token } = (await call('POST', `/scans/${id}/export`, { format: 'nessus' })).json;
    expect(file).toMatch(/^SSE-[0-9a-f-]{36}-nessus$/);
    expect(token).toBeUndefined();
    const state = async () => (await call('GET', `/scans/${id}/export/${file}/status`)).json;
    expect(await state()).toMatchObject({ status: 'loading' });
    step();
    expect(await state()).toMatchObject({ status: 'ready' });
    expect((await call('GET', `/scans/${id}/export/${file}/download`)).text).toContain('<ReportHost');
  });

  it('shows its history in pages, newest first', async () => {
    const { id } = (await create()).json.scan;
    const uuids: string[] = [];
    for (let run = 0; run < 3; run += 1) {
      uuids.push((await call('POST', `/scans/${id}/launch`)).json.scan_uuid);
      simulator.endScans(id, 'completed');
    }
    const page = (await call('GET', `/scans/${id}/history?limit=2&offset=0`)).json;
    expect(page.pagination).toMatchObject({ total: 3, limit: 2, offset: 0 });
    expect(page.history.map((run: { scan_uuid: string }) => run.scan_uuid)).toEqual([uuids[2], uuids[1]]);
    const rest = (await call('GET', `/scans/${id}/history?limit=2&offset=2`)).json;
    expect(rest.history).toMatchObject([{ scan_uuid: uuids[0], status: 'completed', is_archived: false }]);
    expect((await call('GET', `/scans/${id}/history?limit=0`)).status).toBe(400);
    const details = (await call('GET', `/scans/${id}?history_id=${uuids[0]}`)).json;
    expect(details.info).toMatchObject({ uuid: uuids[0], scan_type: 'ps', is_archived: false });
    expect(details.history.map((run: { uuid: string }) => run.uuid)).toEqual(uuids.toReversed());
    expect((await call('GET', '/scans/999999/history')).status).toBe(404);
  });
});
