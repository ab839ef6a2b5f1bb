/** Behaviours of nessus-api.md section 10 that a client can see, each with real HTTPS calls. */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { request as plainRequest } from 'node:http';
import { Agent, request } from 'node:https';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import { until } from '@scanmq/testkit';
import { type Simulator, type SimulatorOptions, startSimulator } from './index.js';

const BASIC = '731a8e52-3ea6-a291-ec0a-d2ff0619c19d7bd788d6be818b65';
const QUICK: SimulatorOptions = {
  username: 'u',
  password: 'p',
  startDelayMs: 5,
  scanDurationMs: 60,
  stopDelayMs: 20,
  exportDelayMs: 20,
};
const agent = new Agent({ keepAlive: false });

interface Answer {
  readonly status: number;
  readonly text: string;
  // biome-ignore lint/suspicious/noExplicitAny: the shapes are what is under test
  readonly json: any;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
}
interface Client {
  readonly simulator: Simulator;
  readonly headers: Record<string, string>;
  call(method: string, path: string, body?: unknown, headers?: Record<string, string>): Promise<Answer>;
  /** With the session. */
  api(method: string, path: string, body?: unknown, headers?: Record<string, string>): Promise<Answer>;
  create(targets?: string, more?: Record<string, unknown>): Promise<number>;
  /** Creates, launches, and waits until the scan has ended. */
  run(targets?: string, more?: Record<string, unknown>): Promise<number>;
  status(id: number): Promise<string>;
  ended(id: number): Promise<string>;
  exportOf(id: number, query?: string): Promise<string>;
}

async function connect(simulator: Simulator): Promise<Client> {
  const call: Client['call'] = (method, path, body, headers = {}) =>
    new Promise((resolve, reject) => {
      const payload = typeof body === 'string' ? body : body === undefined ? undefined : JSON.stringify(body);
      const outgoing = request(
        `${simulator.url}${path}`,
        {
          method,
          agent,
          ca: simulator.certPem,
          checkServerIdentity: () => undefined,
          headers: {
            ...(payload === undefined
              ? {}
              : { 'content-type': 'application/json', 'content-length': Buffer.byteLength(payload) }),
            ...headers,
          },
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
      outgoing.end(payload);
    });
  const headers: Record<string, string> = {};
  const login = await call('POST', '/session', { username: 'u', password: 'p' });
  headers['x-cookie'] = `token=${login.json?.token}`;
  const client: Client = {
    simulator,
    headers,
    call,
    api: (method, path, body, more = {}) => call(method, path, body, { ...headers, ...more }),
    async create(text_targets = '192.0.2.1', more = {}) {
      const settings = { name: 'test', text_targets };
      return (await client.api('POST', '/scans', { uuid: BASIC, settings, ...more })).json.scan.id;
    },
    async run(targets, more) {
      const id = await client.create(targets, more);
      await client.api('POST', `/scans/${id}/launch`);
      await client.ended(id);
      return id;
    },
    status: async (id) => (await client.api('GET', `/scans/${id}`)).json.info.status,
    ended: (id) =>
      until('the scan ends', async () => {
        const word = await client.status(id);
        return ['completed', 'aborted', 'canceled', 'stopped'].includes(word) ? word : undefined;
      }),
    async exportOf(id, query = '') {
      const { file } = (await client.api('POST', `/scans/${id}/export${query}`, { format: 'nessus' })).json;
      await until(
        'the export is ready',
        async () => (await client.api('GET', `/scans/${id}/export/${file}/status`)).json?.status === 'ready',
      );
      return (await client.api('GET', `/scans/${id}/export/${file}/download`)).text;
    },
  };
  return client;
}

const opened: Simulator[] = [];
async function start(options: SimulatorOptions = {}, clock?: () => number): Promise<Client> {
  const simulator = await startSimulator({ ...QUICK, ...options }, clock);
  opened.push(simulator);
  return await connect(simulator);
}
/** One on which time passes when the test says so, and not before. */
async function startStill(
  options: SimulatorOptions = {},
): Promise<Client & { readonly pass: (ms: number) => void }> {
  let nowMs = Date.now();
  const client = await start(options, () => nowMs);
  return {
    ...client,
    pass(ms) {
      nowMs += ms;
    },
  };
}
const hostNames = (report: string): string[] =>
  [...report.matchAll(/<ReportHost name="([^"]*)"/g)].map(([, name = '']) => name);

let shared: Client;
beforeAll(async () => {
  shared = await connect(await startSimulator(QUICK));
});
afterAll(async () => await shared.simulator.close());
afterEach(async () => {
  shared.simulator.clearFaults();
  await Promise.all(opened.splice(0).map((simulator) => simulator.close()));
});

describe('answers', () => {
  it.each([
    ['an unknown path', 'GET', '/nothing/here', 404, 'The requested file was not found.'],
    ['an unknown scan', 'GET', '/scans/999999', 404, 'The requested file was not found.'],
    [
      'an id that is no number',
      'GET',
      '/scans/abc',
      400,
      "Invalid 'id' field: invalid type 'string', expecting 'int'",
    ],
    ['a method that is not offered', 'PUT', '/scanners', 405, 'The requested method is not supported.'],
  ])('%s with its status and text', async (_case, method, path, status, error) => {
    expect(await shared.api(method, path)).toMatchObject({ status, json: { error } });
  });

  it.each([
    ['name', { settings: { text_targets: '192.0.2.1' } }],
    ['text_targets', { settings: { name: 'n', text_targets: '10.0.0.256' } }],
    ['settings', {}],
    ['body', '{broken'],
  ])('a bad %s field with 400', async (field, body) => {
    expect(await shared.api('POST', '/scans', body)).toMatchObject({
      status: 400,
      json: { error: `Invalid '${field}' field` },
    });
  });

  it('have the headers of a Nessus, but the name of a simulator', async () => {
    expect((await shared.api('GET', '/scans')).headers).toMatchObject({
      server: 'scanmq-simulator',
      'content-type': 'application/json',
      'cache-control': 'no-cache, no-store, must-revalidate',
      'x-frame-options': 'DENY',
    });
  });

  it('that are large are compressed for those who accept it', async () => {
    const plain = await shared.api('GET', '/editor/scan/templates');
    expect(plain.json.templates.find((template: { name: string }) => template.name === 'basic').uuid).toBe(
      BASIC,
    );
    const zipped = await shared.api('GET', '/editor/scan/templates', undefined, {
      'accept-encoding': 'gzip',
    });
    expect(zipped.headers).toMatchObject({ 'content-encoding': 'gzip', 'transfer-encoding': 'chunked' });
    expect(zipped.text.length).toBeLessThan(plain.text.length / 4);
  });

  it('have null for empty lists, and mixed types', async () => {
    const empty = await start();
    expect((await empty.api('GET', '/scans')).json).toMatchObject({ scans: null });
    expect((await empty.api('GET', '/policies')).json).toEqual({ policies: null });
    expect((await empty.api('GET', '/server/properties')).json).toMatchObject({
      idle_timeout: '30',
      feed_error: 0,
    });
    const id = await empty.create();
    expect((await empty.api('GET', `/scans/${id}`)).json).toMatchObject({
      history: null,
      info: { no_target: 'false' },
    });
    expect((await empty.api('GET', '/scans')).json.scans).toMatchObject([
      { id, status: 'empty', uuid: null, type: null, creation_date: 0, enabled: false, simulator: true },
    ]);
  });

  it('take an action without a body, also when its type says JSON', async () => {
    const id = await shared.create();
    expect(await shared.api('POST', `/scans/${id}/launch`, '')).toMatchObject({ status: 200 });
  });
});

describe('logins', () => {
  it('end when the session is idle for too long, with one text or the other', async () => {
    const { api, call, pass } = await startStill({ idleSessionMs: 30_000 });
    pass(30_000);
    expect((await api('GET', '/scans')).status).toBe(200);
    pass(30_001);
    expect(await api('GET', '/scans')).toMatchObject({
      status: 401,
      json: { error: 'Invalid Credentials' },
    });
    expect((await api('GET', '/scans')).json).toEqual({ error: 'Authorization required' });
    expect((await api('GET', '/scans')).json).toEqual({ error: 'Invalid Credentials' });
    expect((await call('GET', '/scans')).json).toEqual({
      error: 'You need to log in to perform this request',
    });
  });

  it('by new API keys void the keys before', async () => {
    const { api, call, simulator } = await start();
    const keysOf = ({ accessKey, secretKey }: { accessKey: string; secretKey: string }) => ({
      'x-apikeys': `accessKey=${accessKey}; secretKey=${secretKey};`,
    });
    const before = keysOf(simulator);
    expect((await call('GET', '/scans', undefined, before)).status).toBe(200);
    expect((await call('PUT', '/session/keys', undefined, before)).status).toBe(403);
    const renewed = await api('PUT', '/session/keys');
    expect(renewed.json).toEqual({
      accessKey: expect.stringMatching(/^[0-9a-f]{64}$/),
      secretKey: expect.stringMatching(/^[0-9a-f]{64}$/),
    });
    expect((await call('GET', '/scans', undefined, before)).status).toBe(401);
    expect((await call('GET', '/scans', undefined, keysOf(renewed.json))).status).toBe(200);
  });

  it('of the web page need its token, which may rotate just before a call', async () => {
    const { api, call, simulator } = await start({ product: 'professional' });
    const token = async () =>
      /getApiToken",value:function\(\)\{return"([^"]+)"/.exec((await call('GET', '/nessus6.js')).text)?.[1] ??
      '';
    const stale = { 'x-api-token': await token() };
    const body = { settings: { name: 'n', text_targets: '192.0.2.1' } };
    simulator.setFault({ name: 'token_rotates', remaining: 1 });
    expect((await api('POST', '/scans', body, stale)).text).toBe('{"error":"API is not available"}');
    const fresh = { 'x-api-token': await token() };
    expect(fresh).not.toEqual(stale);
    expect((await api('POST', '/scans', body, fresh)).status).toBe(200);
    expect((await api('DELETE', '/scans/1/history/2', undefined, stale)).status).toBe(412);
  });
});

describe('the state of the server', () => {
  it('is 503 with a body that says how far it is, and everything else is 503', async () => {
    const { api, simulator } = await start();
    simulator.load(60_000);
    expect(await api('GET', '/server/status')).toMatchObject({
      status: 503,
      json: {
        code: 503,
        status: 'loading',
        progress: expect.any(Number),
        detailed_status: { login_status: 'allow' },
      },
    });
    expect((await api('GET', '/scans')).status).toBe(503);
    expect((await api('GET', '/nessus6.js')).status).toBe(503);
  });

  it('can be one that only an operator ends', async () => {
    const { api, simulator } = await start();
    simulator.setServerStatus('register');
    expect(await api('GET', '/server/status')).toMatchObject({
      status: 503,
      json: { status: 'register', initLevel: 4 },
    });
    simulator.setServerStatus('ready');
    expect(await api('GET', '/server/status')).toMatchObject({
      status: 200,
      json: { status: 'ready', progress: null },
    });
  });
});

describe('hosts of a running scan', () => {
  it('enter one after the other, with totals of their own', async () => {
    const { api, create, simulator, pass } = await startStill({ startDelayMs: 0, scanDurationMs: 1_000 });
    const id = await create('192.0.2.1-192.0.2.8');
    await api('POST', `/scans/${id}/launch`);
    const seen: number[] = [];
    for (let passed = 0; passed < 1_000; passed += 100) {
      const { info, hosts } = (await api('GET', `/scans/${id}`)).json;
      expect(info.status).toBe('running');
      seen.push(hosts.length);
      pass(100);
    }
    expect((await api('GET', `/scans/${id}`)).json.info.status).toBe('completed');
    // none while hosts are looked for, then more and more
    expect(seen.slice(0, 2)).toEqual([0, 0]);
    expect(seen).toEqual(seen.toSorted((a, b) => a - b));
    expect(new Set(seen).size).toBeGreaterThan(4);
    const { hosts, vulnerabilities } = (await api('GET', `/scans/${id}`)).json;
    expect(hosts).toHaveLength(8);
    expect(new Set(hosts.map((host: { scanprogresstotal: number }) => host.scanprogresstotal))).toEqual(
      new Set([100, 2_506]),
    );
    expect(vulnerabilities.length).toBeGreaterThan(10);
    expect(simulator.stats().max_active_ever).toBe(1);
  });

  it('agree with the export, and are shown one by one', async () => {
    const id = await shared.run('192.0.2.1,192.0.2.2');
    const { hosts } = (await shared.api('GET', `/scans/${id}`)).json;
    const report = await shared.exportOf(id);
    for (const host of hosts) {
      const [block = ''] =
        new RegExp(`<ReportHost name="${host.hostname}">[\\s\\S]*?</ReportHost>`).exec(report) ?? [];
      expect(block.match(/<ReportItem\b/g)).toHaveLength(host.severity);
      for (const [level, word] of ['info', 'low', 'medium', 'high', 'critical'].entries())
        expect(block.match(new RegExp(`severity="${level}"`, 'g')) ?? []).toHaveLength(host[word]);
      expect((await shared.api('GET', `/scans/${id}/hosts/${host.host_id}`)).json).toMatchObject({
        info: { 'host-ip': host.hostname },
        vulnerabilities: expect.arrayContaining([
          expect.objectContaining({ hostname: host.hostname, plugin_id: 19506 }),
        ]),
      });
    }
    expect((await shared.api('GET', `/scans/${id}/hosts/99`)).status).toBe(404);
  });

  it('of a network are a share, the same each time, and never more than asked for', async () => {
    const { run, exportOf } = await start({ aliveShare: 0.5 });
    const [first, second] = [
      hostNames(await exportOf(await run('10.1.0.0/26'))),
      hostNames(await exportOf(await run('10.1.0.0/26'))),
    ];
    expect(first).toEqual(second);
    expect(first.length).toBeGreaterThan(15);
    expect(first.length).toBeLessThan(47);
    expect(first).not.toContain('10.1.0.0');
    const few = await start({ hostsPerScan: 3 });
    expect(hostNames(await few.exportOf(await few.run('10.0.0.0/8')))).toEqual([
      '10.0.0.1',
      '10.0.0.2',
      '10.0.0.3',
    ]);
    const none = await start({ aliveShare: 0 });
    expect(hostNames(await none.exportOf(await none.run('10.0.0.0/8')))).toEqual([]);
  });
});

describe('a scan that ends before its time', () => {
  it('has the hosts that it had begun with, and none of them an end', async () => {
    const { api, create, ended, exportOf } = await start({ scanDurationMs: 60_000, startDelayMs: 0 });
    const id = await create('192.0.2.1-192.0.2.4');
    await api('POST', `/scans/${id}/launch`);
    await api('POST', `/scans/${id}/stop`);
    expect(await ended(id)).toBe('canceled');
    // stopped while hosts were looked for
    expect(hostNames(await exportOf(id))).toEqual([]);

    const later = await startStill({
      scanDurationMs: 1_000,
      startDelayMs: 0,
      exportDelayMs: 0,
      stoppedWord: 'stopped',
    });
    const other = await later.create('192.0.2.1-192.0.2.4');
    await later.api('POST', `/scans/${other}/launch`);
    later.pass(150);
    expect((await later.api('GET', `/scans/${other}`)).json.hosts).toHaveLength(1);
    await later.api('POST', `/scans/${other}/stop`);
    expect(await later.status(other)).toBe('stopping');
    later.pass(20);
    expect(await later.status(other)).toBe('stopped');
    const report = await later.exportOf(other);
    expect(hostNames(report)[0]).toBe('192.0.2.1');
    expect(hostNames(report).length).toBeLessThan(4);
    expect(report).toContain('HOST_START');
    expect(report).not.toContain('HOST_END');
  });

  it('is aborted at progress 0 when the engine fails', async () => {
    shared.simulator.setFault({ name: 'abort_scan', remaining: 1 });
    const id = await shared.run();
    expect((await shared.api('GET', `/scans/${id}`)).json).toMatchObject({
      info: { status: 'aborted' },
      hosts: [],
    });
  });

  it('waits for a place: it starts when one was free, not when somebody looks', async () => {
    const { api, create, simulator, pass } = await startStill({
      maxScans: 1,
      scanDurationMs: 30,
      startDelayMs: 0,
    });
    const ids = [await create(), await create(), await create()];
    for (const id of ids) await api('POST', `/scans/${id}/launch`);
    // nobody looks meanwhile: they go on all the same
    pass(90);
    expect(simulator.stats().active_now).toBe(0);
    const runs = await Promise.all(ids.map(async (id) => (await api('GET', `/scans/${id}`)).json.info));
    expect(runs.map((info) => info.status)).toEqual(['completed', 'completed', 'completed']);
  });
});

describe('calls in the wrong state', () => {
  it.each([
    [false, 409],
    [true, 500],
  ])('with legacyConflicts %s answer %i', async (legacyConflicts, status) => {
    const { api, create } = await start({ legacyConflicts, scanDurationMs: 60_000 });
    const id = await create();
    expect((await api('POST', `/scans/${id}/pause`)).status).toBe(status);
    await api('POST', `/scans/${id}/launch`);
    expect((await api('POST', `/scans/${id}/launch`)).status).toBe(status);
    expect((await api('POST', `/scans/${id}/resume`)).status).toBe(status);
    expect(await api('DELETE', `/scans/${id}`)).toMatchObject({
      status,
      json: { error: 'Can not delete an active scan' },
    });
    expect(await api('POST', `/scans/${id}/export`, { format: 'nessus' })).toMatchObject({
      status,
      json: { error: 'Can not export running scans' },
    });
    expect((await api('POST', `/scans/${id}/kill`)).status).toBe(200);
    expect((await api('DELETE', '/scans', { ids: [id, 999] })).json).toEqual({ deleted: [id] });
  });
});

describe('a run', () => {
  it('can have targets of its own, and be deleted from the history', async () => {
    const id = await shared.run('192.0.2.1');
    await shared.api('POST', `/scans/${id}/launch`, { alt_targets: ['192.0.2.9'] });
    await shared.ended(id);
    const { history, info } = (await shared.api('GET', `/scans/${id}`)).json;
    expect(info).toMatchObject({ targets: '192.0.2.9', alt_targets_used: true });
    expect(history[1].history_id).toBeGreaterThan(history[0].history_id);
    expect(hostNames(await shared.exportOf(id))).toEqual(['192.0.2.9']);
    expect(hostNames(await shared.exportOf(id, `?history_id=${history[0].history_id}`))).toEqual([
      '192.0.2.1',
    ]);
    expect((await shared.api('DELETE', `/scans/${id}/history/${history[0].history_id}`)).status).toBe(200);
    expect((await shared.api('DELETE', `/scans/${id}/history/${history[0].history_id}`)).status).toBe(404);
    expect((await shared.api('GET', `/scans/${id}`)).json.history).toHaveLength(1);
  });

  it('of an Essentials licence covers 16 addresses, and says what it left out', async () => {
    const { api, call, headers, simulator } = await start({ product: 'essentials' });
    const token = /getApiToken",value:function\(\)\{return"([^"]+)"/.exec(
      (await call('GET', '/nessus6.js')).text,
    )?.[1];
    headers['x-api-token'] = token ?? '';
    const { id } = (
      await api('POST', '/scans', { settings: { name: 'n', text_targets: '192.0.2.1-192.0.2.20' } })
    ).json.scan;
    await api('POST', `/scans/${id}/launch`);
    await until('it runs', () => simulator.endScans(id, 'completed') === 1);
    const details = (await api('GET', `/scans/${id}`)).json;
    expect(details.hosts).toHaveLength(16);
    expect(details.notes).toMatchObject([{ message: expect.stringContaining('4 hosts') }]);
    expect((await api('GET', '/server/properties')).json.license).toMatchObject({
      type: 'home',
      ips: 16,
      restricted: true,
    });
  });

  it.each([
    ['none', undefined, false, ['19506', '110723']],
    ['accepted', undefined, true, ['19506', '141118']],
    ['rejected', 'credentials_rejected', true, ['19506', '104410']],
    ['not enough for root', 'escalation_failed', true, ['19506', '141118', '110385']],
  ] as const)('with credentials that are %s says so, and completes', async (_case, fault, given, plugins) => {
    if (fault) shared.simulator.setFault({ name: fault, remaining: 1 });
    const credentials = {
      add: { Host: { SSH: [{ auth_method: 'password', username: 'a', password: 'canary-secret' }] } },
    };
    const id = await shared.run('192.0.2.1', given ? { credentials } : {});
    expect(await shared.status(id)).toBe('completed');
    const report = await shared.exportOf(id);
    const found = [...report.matchAll(/pluginID="(19506|141118|110385|104410|110723)"/g)].map(
      ([, plugin]) => plugin,
    );
    expect(found).toEqual(plugins);
    // secrets are returned by nothing
    const answers = await Promise.all(
      ['/scans', `/scans/${id}`, `/editor/scan/${id}`].map(
        async (path) => (await shared.api('GET', path)).text,
      ),
    );
    expect([...answers, report].join('')).not.toContain('canary-secret');
    expect((await shared.api('GET', `/editor/scan/${id}`)).json.credentials.data).toHaveLength(given ? 1 : 0);
  });
});

describe('plugins of a scan', () => {
  const plugins = { General: { status: 'enabled' } };
  const shown = async ({ api }: Client, header: Record<string, string>) => {
    const settings = { name: 'n', text_targets: '192.0.2.1' };
    const { id } = (await api('POST', '/scans', { settings, plugins }, header)).json.scan;
    return (await api('GET', `/editor/scan/${id}`, undefined, { 'x-api-version': '2' })).json.plugins
      .families;
  };

  it('are dropped without a word by 10.12 when the header is missing', async () => {
    const recent = await start({ uiVersion: '10.12.4' });
    expect(await shown(recent, {})).toEqual({});
    expect(await shown(recent, { 'x-api-version': '2' })).toEqual(plugins);
    expect((await recent.api('GET', `/editor/scan/templates/${BASIC}`)).json.plugins).toBeUndefined();
    expect(await shown(shared, {})).toEqual(plugins);
  });
});

describe('exports', () => {
  it('load for a while, can be fetched by token, and expire', async () => {
    const { create, api, call, simulator, pass } = await startStill({
      exportDelayMs: 300,
      exportLifeMs: 600,
    });
    const id = await create();
    await api('POST', `/scans/${id}/launch`);
    simulator.endScans(id, 'completed');
    const { file, token } = (await api('POST', `/scans/${id}/export`, { format: 'nessus' })).json;
    const path = `/scans/${id}/export/${file}`;
    expect((await api('GET', `${path}/status`)).json).toEqual({ status: 'loading' });
    expect((await api('GET', `${path}/download`)).status).toBe(404);
    pass(300);
    expect((await call('GET', `/tokens/${token}/status`)).json).toMatchObject({ status: 'ready' });
    const download = await call('GET', `/tokens/${token}/download`);
    expect(download.headers['content-disposition']).toMatch(/^attachment; filename="test_\w+\.nessus"$/);
    expect(download.text).toMatch(/<\/NessusClientData_v2>\s*$/);
    pass(600);
    expect((await api('GET', `${path}/status`)).status).toBe(200);
    pass(1);
    expect((await api('GET', `${path}/status`)).status).toBe(404);
  });

  it('need a login by token from 10.12 on', async () => {
    const { run, api, call } = await start({ uiVersion: '10.12.0', exportDelayMs: 0 });
    const { token } = (await api('POST', `/scans/${await run()}/export`, { format: 'nessus' })).json;
    expect((await call('GET', `/tokens/${token}/download`)).status).toBe(401);
    expect((await api('GET', `/tokens/${token}/download`)).status).toBe(200);
  });

  it.each([
    ['no format', {}, 'format'],
    ['an unknown format', { format: 'docx' }, 'format'],
    ['a db without password', { format: 'db' }, 'password'],
  ])('with %s are refused', async (_case, body, field) => {
    const id = await shared.run();
    expect(await shared.api('POST', `/scans/${id}/export`, body)).toMatchObject({
      status: 400,
      json: { error: `Invalid '${field}' field` },
    });
  });

  it('that fail say so once, and are unknown afterwards', async () => {
    const id = await shared.run();
    shared.simulator.setFault({ name: 'export_500', remaining: 1 });
    const { file } = (await shared.api('POST', `/scans/${id}/export`, { format: 'nessus' })).json;
    const ask = () => shared.api('GET', `/scans/${id}/export/${file}/status`);
    const failed = await until('it fails', async () => {
      const answer = await ask();
      return answer.status === 200 ? undefined : answer;
    });
    expect(failed).toMatchObject({ status: 500, json: { status: 'error' } });
    expect(await ask()).toMatchObject({ status: 404, json: { error: 'The requested file was not found.' } });
  });
});

describe('writes that are cut off', () => {
  it.each([
    ['reset_before_create', 0],
    ['reset_after_create', 1],
  ] as const)('%s: the client sees a reset, and %i scans are there', async (name, created) => {
    const { api, simulator } = await start();
    simulator.setFault({ name, remaining: 1 });
    await expect(
      api('POST', '/scans', { settings: { name: 'n', text_targets: '192.0.2.1' } }),
    ).rejects.toThrow();
    expect(simulator.stats().created).toBe(created);
    expect((await api('GET', '/scans')).json.scans?.length ?? 0).toBe(created);
  });

  it.each([
    ['reset_before_launch', 0],
    ['reset_after_launch', 1],
  ] as const)('%s: the client sees a reset, and the scan was launched %i times', async (name, launched) => {
    const { api, create, simulator } = await start();
    const id = await create();
    simulator.setFault({ name, remaining: 1 });
    await expect(api('POST', `/scans/${id}/launch`)).rejects.toThrow();
    expect((await api('GET', `/scans/${id}`)).json.history?.length ?? 0).toBe(launched);
  });
});

describe('uploads', () => {
  it('take a file in the field Filedata, and give it another name', async () => {
    const form = (field: string) =>
      `--x\r\ncontent-disposition: form-data; name="${field}"; filename="id rsa"\r\n\r\nsecret\r\n--x--\r\n`;
    const type = { 'content-type': 'multipart/form-data; boundary=x' };
    expect((await shared.api('POST', '/file/upload', form('Filedata'), type)).json).toEqual({
      fileuploaded: expect.stringMatching(/^id_rsa-\d+$/),
    });
    expect((await shared.api('POST', '/file/upload', form('other'), type)).status).toBe(400);
    expect((await shared.api('POST', '/file/upload', {})).status).toBe(400);
  });
});

describe('starting', () => {
  it('says everything that is wrong with the options', async () => {
    await expect(startSimulator({ port: -1, aliveShare: 2 })).rejects.toMatchObject({
      code: 'invalid_request',
      issues: [{ path: 'port' }, { path: 'aliveShare' }],
    });
  });

  it('names a sample that cannot be used, and a port that is taken', async () => {
    const directory = await mkdtemp(join(tmpdir(), 'scanmq-simulator-'));
    try {
      const empty = join(directory, 'empty.nessus');
      await writeFile(empty, '<NessusClientData_v2/>');
      for (const file of [empty, join(directory, 'absent.nessus')])
        await expect(startSimulator({ samples: [file] })).rejects.toThrow(file);
    } finally {
      await rm(directory, { recursive: true });
    }
    const port = Number(new URL(shared.simulator.url).port);
    const controlPort = Number(new URL(shared.simulator.controlUrl).port);
    await expect(startSimulator({ port })).rejects.toMatchObject({ code: 'unavailable' });
    await expect(startSimulator({ controlPort })).rejects.toMatchObject({ code: 'unavailable' });
  });

  it('makes a certificate for no name that we use, or for those that are given, or takes one', async () => {
    const verified = (simulator: Simulator) =>
      new Promise((resolve, reject) => {
        // no agent: a TLS session that is resumed is not verified again
        request(`${simulator.url}/server/status`, { agent: false, ca: simulator.certPem }, (response) => {
          response.resume().once('end', () => resolve(response.statusCode));
        })
          .on('error', reject)
          .end();
      });
    await expect(verified(shared.simulator)).rejects.toMatchObject({ code: 'ERR_TLS_CERT_ALTNAME_INVALID' });
    const named = await start({ certificateNames: ['127.0.0.1', 'localhost'] });
    expect(await verified(named.simulator)).toBe(200);
    const { certPem, keyPem, fingerprint256 } = named.simulator;
    const again = await start({ certificate: { certPem, keyPem } });
    expect(again.simulator.fingerprint256).toBe(fingerprint256);
    expect(fingerprint256).toMatch(/^[0-9a-f]{64}$/);
  });
});

describe('the control address', () => {
  it('counts by scan, and from zero again', async () => {
    const { run, simulator } = await start();
    const id = await run();
    const stats = async () => (await fetch(`${simulator.controlUrl}/control/stats`)).json();
    expect(await stats()).toMatchObject({
      created: 1,
      launched: 1,
      by_scan: [{ scan_id: id, name: 'test', launches: 1, status: 'completed' }],
    });
    await fetch(`${simulator.controlUrl}/control/reset-stats`, { method: 'POST' });
    expect(await stats()).toMatchObject({ created: 0, launched: 0, max_active_ever: 0 });
  });

  it.each([
    ['of another name', { host: 'attacker.example' }],
    ['from a page', { origin: 'https://attacker.example' }],
  ])('refuses a request %s', async (_case, headers) => {
    const status = await new Promise((resolve, reject) => {
      plainRequest(`${shared.simulator.controlUrl}/control/stats`, { headers }, (response) => {
        response.resume();
        resolve(response.statusCode);
      })
        .on('error', reject)
        .end();
    });
    expect(status).toBe(403);
  });

  it('restarts once when asked twice, and closing meanwhile leaves nothing open', async () => {
    const { api, simulator } = await start();
    await Promise.all([
      simulator.restart({ downMs: 30, loadingMs: 0 }),
      simulator.restart({ downMs: 30, loadingMs: 0 }),
    ]);
    expect((await api('GET', '/server/status')).status).toBe(200);
    const restarted = simulator.restart({ downMs: 30, loadingMs: 0 });
    await simulator.close();
    await restarted;
    await expect(api('GET', '/server/status')).rejects.toMatchObject({ code: 'ECONNREFUSED' });
  });
});
