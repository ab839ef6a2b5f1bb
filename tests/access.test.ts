/** Who may do what, at every door of the real gateway: each route and tool × no key, bad, expired, revoked, each role, and what belongs to others. */
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { gunzipSync } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { type Access, openAccess, verifyAuditLog } from '@scanmq/access';
import { readSettings } from '@scanmq/config';
import { createKeySchema, may, NO_SCOPES, type Permission, ROLES, type Role } from '@scanmq/contract';
import { createService, type RunningProgram, startProgram, type TestService, until } from '@scanmq/testkit';
import { Redis } from 'ioredis';

const REDIS_URL = process.env.SCANMQ_TEST_REDIS_URL ?? '';
const SAMPLE = gunzipSync(
  readFileSync(fileURLToPath(new URL('samples/cloud-repeated-host.nessus.gz', import.meta.url))),
);
/** Of the right form, and of nobody. */
const UNKNOWN = 'ne_ness_20251125_195017_0badc0de';

/** What each operation is for, written down here once more: a slip in the table of routes shows. */
const OPERATIONS: Readonly<Record<string, Permission | 'open'>> = {
  isAlive: 'open',
  isReady: 'open',
  getHealth: 'open',
  getMetrics: 'metrics:read',
  getOpenapi: 'docs:read',
  submitScan: 'scans:submit',
  listScans: 'scans:read',
  getScan: 'scans:read',
  followScan: 'scans:read',
  cancelScan: 'scans:control',
  pauseScan: 'scans:control',
  resumeScan: 'scans:control',
  retryScan: 'scans:control',
  listFindings: 'results:read',
  getFinding: 'results:read',
  listHosts: 'results:read',
  getReport: 'results:read',
  getExport: 'results:read',
  compareScans: 'results:read',
  searchFindings: 'results:read',
  judgeScan: 'results:read',
  judgeScanWithFiles: 'results:read',
  importResults: 'imports:write',
  listScanners: 'fleet:read',
  listPools: 'fleet:read',
  getPool: 'fleet:read',
  getQueue: 'fleet:read',
  enableScanner: 'scanners:operate',
  disableScanner: 'scanners:operate',
  drainScanner: 'scanners:operate',
  listDeadLetters: 'dead-letters:read',
  getDeadLetter: 'dead-letters:read',
  retryDeadLetters: 'dead-letters:change',
  discardDeadLetters: 'dead-letters:change',
  retryDeadLetter: 'dead-letters:change',
  discardDeadLetter: 'dead-letters:change',
  listSchedules: 'schedules:read',
  getSchedule: 'schedules:read',
  createSchedule: 'schedules:change',
  removeSchedule: 'schedules:change',
  pauseSchedule: 'schedules:change',
  resumeSchedule: 'schedules:change',
  runSchedule: 'schedules:change',
  listWebhooks: 'webhooks:read',
  getWebhook: 'webhooks:read',
  listDeliveries: 'webhooks:read',
  createWebhook: 'webhooks:change',
  removeWebhook: 'webhooks:change',
  enableWebhook: 'webhooks:change',
  testWebhook: 'webhooks:change',
  replayDelivery: 'webhooks:change',
  listCredentials: 'credentials:read',
  storeCredential: 'credentials:manage',
  removeCredential: 'credentials:manage',
  keepHouse: 'housekeeping:run',
};

const READING_TOOLS = [
  'wait_for_scan',
  'get_scan_status',
  'list_tasks',
  'get_scan_results',
  'search_findings',
  'get_finding',
  'compare_scans',
  'list_scanners',
  'list_pools',
  'get_pool_status',
  'get_queue_status',
];
const CHANGING_TOOLS = [
  'plan_scan',
  'run_untrusted_scan',
  'run_authenticated_scan',
  'cancel_scan',
  'control_scan',
  'manage_schedules',
];

interface Route {
  readonly operationId: string;
  readonly method: string;
  readonly path: string;
}
type Headers = Record<string, string>;

let service: TestService;
let access: Access;
let redis: Redis;
let url: string;
let program: RunningProgram;
let routes: readonly Route[];
let keys: Record<Role, Headers>;
let alice: Headers;
let bob: Headers;
let lookout: Headers;

const bearer = (key: string): Headers => ({ authorization: `Bearer ${key}` });
async function key(role: Role, change: object = {}): Promise<Headers> {
  const made = await access.keys.create(
    createKeySchema.parse({ name: `the ${role}`, role, ...change }),
    'tester',
  );
  return bearer(made.key);
}

async function ask(method: string, path: string, headers: Headers = {}, body?: unknown) {
  const raw = Buffer.isBuffer(body);
  const response = await fetch(`${url}${path}`, {
    method,
    redirect: 'manual',
    headers: {
      ...(body === undefined
        ? {}
        : { 'content-type': raw ? 'application/octet-stream' : 'application/json' }),
      ...headers,
    },
    ...(body === undefined ? {} : { body: raw ? new Uint8Array(body) : JSON.stringify(body) }),
  });
  const text = await response.text();
  return { status: response.status, headers: response.headers, text, json: () => JSON.parse(text) };
}

/** A path with ids in it. @param ids by the names of the parameters; of nobody when left out. */
function filled({ path }: Route, ids: Readonly<Record<string, string>> = {}): string {
  return path.replace(/\{(\w+)\}/g, (_, name: string) => {
    if (ids[name] !== undefined) return ids[name];
    if (/\/(scans|dead-letters)\//.test(path) && ['id', 'head', 'base'].includes(name)) return UNKNOWN;
    return { pool: 'nessus', instance: 'nobody', id: 'nobody', name: 'nobody' }[name] ?? 'nobody';
  });
}

/** The answer without what differs with each request, and with each id. */
function shapeOf(answer: { status: number; text: string }, ...ids: string[]): string {
  let { text } = answer;
  for (const id of ids) text = text.replaceAll(id, '<id>');
  return `${answer.status} ${text.replaceAll(/[0-9a-f]{32}/g, '<trace>')}`;
}

type Generation = 'legacy' | 'modern';
const GENERATIONS: readonly Generation[] = ['legacy', 'modern'];

/** One message of MCP, as either generation of the protocol sends it. */
async function mcp(generation: Generation, headers: Headers, method: string, params: object = {}) {
  const name = (params as { name?: string; uri?: string; taskId?: string }).name;
  const named = name ?? (params as { uri?: string }).uri ?? (params as { taskId?: string }).taskId;
  const modern = generation === 'modern';
  const answer = await ask(
    'POST',
    '/mcp',
    {
      accept: 'application/json, text/event-stream',
      'mcp-protocol-version': modern ? '2026-07-28' : '2025-11-25',
      ...(modern ? { 'mcp-method': method } : {}),
      ...(modern && named !== undefined ? { 'mcp-name': named } : {}),
      ...headers,
    },
    {
      jsonrpc: '2.0',
      id: 1,
      method,
      params: {
        ...params,
        ...(modern && {
          _meta: {
            'io.modelcontextprotocol/protocolVersion': '2026-07-28',
            'io.modelcontextprotocol/clientInfo': { name: 'raw', version: '1' },
            'io.modelcontextprotocol/clientCapabilities': {
              extensions: { 'io.modelcontextprotocol/tasks': {} },
            },
          },
        }),
      },
    },
  );
  const json = answer.text.startsWith('{') ? answer.text : (/^data: (\{.*)$/m.exec(answer.text)?.[1] ?? '{}');
  return { ...answer, text: json, message: JSON.parse(json) };
}

async function call(generation: Generation, headers: Headers, tool: string, args: object) {
  const { message } = await mcp(generation, headers, 'tools/call', { name: tool, arguments: args });
  const text: string = message.result?.content?.[0]?.text ?? '{}';
  return {
    refused: message.result?.isError === true,
    answer: text.startsWith('{"') ? JSON.parse(text.split('\n')[0] ?? '') : {},
  };
}

async function upload(headers: Headers, body: Buffer): Promise<string> {
  const answer = await ask('POST', '/api/v1/imports?name=secret+name', headers, body);
  expect(answer.status).toBe(202);
  const { task_id } = answer.json();
  await until('it is read', async () => {
    const { status } = (await ask('GET', `/api/v1/scans/${task_id}?wait=5`, headers)).json();
    return status === 'completed' || status === 'failed' ? true : undefined;
  });
  return task_id;
}

beforeAll(async () => {
  service = await createService({ redisUrl: REDIS_URL, env: { AUTH_FAILURES_PER_MINUTE: '0' } });
  redis = new Redis(REDIS_URL);
  access = await openAccess({ settings: readSettings(service.env), redis, onProblem: () => undefined });
  ({ url, program } = await service.startGateway());
  const document = (await ask('GET', '/openapi.json')).json();
  routes = Object.entries<Record<string, { operationId: string }>>(document.paths).flatMap(([path, item]) =>
    Object.entries(item).map(([method, { operationId }]) => ({
      operationId,
      method: method.toUpperCase(),
      path,
    })),
  );
});
afterAll(async () => {
  await access.close();
  redis.disconnect();
  await service.close();
});

describe('a gateway without keys', () => {
  it('says that it is open to this machine only, and is closed by the first key while it runs', async () => {
    await program.event('access.local');
    expect((await ask('GET', '/api/v1/scans')).status).toBe(200);
    expect((await ask('GET', '/dashboard')).status).toBe(200);
    keys = { viewer: await key('viewer'), operator: await key('operator'), admin: await key('admin') };
    alice = await key('operator', { name: 'alice' });
    bob = await key('operator', { name: 'bob' });
    lookout = await key('viewer', { name: 'lookout', scopes: { tasks: 'own' } });
    expect((await ask('GET', '/api/v1/scans')).status).toBe(401);
    expect((await ask('GET', '/api/v1/scans', keys.viewer)).status).toBe(200);
  });

  it('does not start beyond loopback, and with a key it does', async () => {
    const beyond = { ...service.env, HOST: '0.0.0.0' };
    const refused = startProgram(['gateway'], { ...beyond, QUEUE_PREFIX: `${service.prefix}none` });
    expect((await refused.ended).code).toBe(4);
    expect(refused.output()).toContain('there is no API key');
    const started = startProgram(['gateway'], beyond);
    try {
      const { url: there } = await started.event('gateway.listening');
      const port = new URL(String(there)).port;
      expect((await fetch(`http://127.0.0.1:${port}/api/v1/scans`)).status).toBe(401);
      expect((await fetch(`http://127.0.0.1:${port}/api/v1/scans`, { headers: keys.viewer })).status).toBe(
        200,
      );
    } finally {
      started.kill('SIGTERM');
      await started.ended;
    }
  }, 180_000);
});

describe('every route', () => {
  it('is one that somebody has thought about', () => {
    expect(routes.map(({ operationId }) => operationId).sort()).toEqual(Object.keys(OPERATIONS).sort());
    expect(program.output()).not.toContain('access.unlisted_route');
  });

  it('needs a key, and not any key', async () => {
    const soon = await key('admin', { expires_at: new Date(Date.now() + 1_500).toISOString() });
    const revoked = await access.keys.create(
      createKeySchema.parse({ name: 'gone', role: 'admin' }),
      'tester',
    );
    expect((await ask('GET', '/api/v1/scans', bearer(revoked.key))).status).toBe(200);
    await access.keys.revoke(revoked.id);
    await until('it has expired', async () =>
      (await ask('GET', '/api/v1/scans', soon)).status === 401 ? true : undefined,
    );
    const text = keys.admin.authorization ?? '';
    const wrong = `${text.slice(0, -1)}${text.endsWith('0') ? '1' : '0'}`;
    const bad: Record<string, Headers> = {
      none: {},
      nonsense: bearer('nonsense'),
      wrong: { authorization: wrong },
      expired: soon,
      revoked: bearer(revoked.key),
    };
    const all = [
      ...routes.map((route) => ({ method: route.method, path: filled(route), id: route.operationId })),
      ...['/mcp', '/dashboard', '/dashboard/api/queues', '/docs/', '/docs/static/index.html', '/nothing'].map(
        (path) => ({ method: path === '/mcp' ? 'POST' : 'GET', path, id: path }),
      ),
    ];
    for (const { method, path, id } of all)
      for (const [what, headers] of Object.entries(bad)) {
        const answer = await ask(method, path, headers);
        const open = OPERATIONS[id] === 'open';
        expect([id, what, answer.status]).toEqual([id, what, open ? 200 : 401]);
        if (open) continue;
        expect(answer.json().code).toBe('unauthenticated');
        expect(answer.headers.get('www-authenticate')).toMatch(/^Bearer realm="scanmq"/);
        expect(answer.headers.get('www-authenticate')).not.toContain('resource_metadata');
      }
  });

  it('is for the roles that may use it', async () => {
    for (const role of ROLES)
      for (const route of routes) {
        const needed = OPERATIONS[route.operationId] ?? 'keys:manage';
        const allowed = needed === 'open' || may({ role, scopes: NO_SCOPES }, needed);
        const answer = await ask(route.method, filled(route), keys[role]);
        expect([role, route.operationId, answer.status === 403]).toEqual([role, route.operationId, !allowed]);
        expect([401, 500]).not.toContain(answer.status);
        if (!allowed) expect(answer.json()).toMatchObject({ code: 'forbidden', detail: expect.any(String) });
      }
  });

  it('of the dashboard shows it to every role, lets operators retry, and is shut to keys for their own tasks', async () => {
    const own = await key('operator', { name: 'agent', scopes: { tasks: 'own' } });
    const retry = '/dashboard/api/queues/nessus/nothing/retry';
    for (const headers of [keys.viewer, keys.operator, keys.admin])
      expect((await ask('GET', '/dashboard', headers)).status).toBe(200);
    expect((await ask('PUT', retry, keys.viewer)).status).toBe(403);
    for (const headers of [keys.operator, keys.admin])
      expect((await ask('PUT', retry, headers)).status).toBe(404);
    for (const [method, path] of [
      ['GET', '/dashboard'],
      ['PUT', retry],
      ['POST', '/api/v1/scanners/nobody/drain'],
    ] as const)
      expect((await ask(method, path, own)).status).toBe(403);
    for (const headers of [keys.viewer, own]) expect((await ask('GET', '/docs/', headers)).status).toBe(200);
  });
});

describe('every tool', () => {
  it.each(GENERATIONS)('of the %s protocol exists for the roles that may use it', async (generation) => {
    for (const role of ROLES) {
      const { message } = await mcp(generation, keys[role], 'tools/list');
      const names = message.result.tools.map(({ name }: { name: string }) => name);
      const expected = role === 'viewer' ? READING_TOOLS : [...READING_TOOLS, ...CHANGING_TOOLS];
      expect([...names].sort()).toEqual([...expected].sort());
    }
    for (const tool of CHANGING_TOOLS) {
      const { refused, answer } = await call(generation, keys.viewer, tool, {});
      expect([tool, refused, answer.code]).toEqual([tool, true, 'forbidden']);
    }
    for (const tool of READING_TOOLS)
      expect((await call(generation, keys.viewer, tool, { task_id: UNKNOWN })).answer.code).not.toBe(
        'forbidden',
      );
  });
});

describe('what belongs to others', () => {
  let foreign: string;
  let own: string;
  let dead: string;
  let schedule: string;
  let webhook: string;

  beforeAll(async () => {
    // before there is a worker: it waits
    const queued = await ask('POST', '/api/v1/scans', alice, { targets: '192.0.2.9', name: 'secret name' });
    expect(queued.status).toBe(202);
    const queue = async (headers: Headers) => (await ask('GET', '/api/v1/queues/nessus', headers)).json();
    expect((await queue(alice)).next_tasks).toMatchObject([{ name: 'secret name' }]);
    expect(await queue(bob)).toMatchObject({ queue_depth: 1, next_tasks: [] });
    expect(await queue(keys.viewer)).toMatchObject({ next_tasks: [{ name: 'secret name' }] });
    const toolsQueue = await call('modern', bob, 'get_queue_status', {});
    expect(toolsQueue.answer).toMatchObject({ queue_depth: 1, next_tasks: [] });
    await ask('POST', `/api/v1/scans/${queued.json().task_id}/cancel`, alice, {});
    await service.startWorker();
    foreign = await upload(alice, SAMPLE);
    own = await upload(bob, SAMPLE);
    dead = await upload(alice, Buffer.from('this is no export'));
    const made = await ask('POST', '/api/v1/schedules', alice, {
      request: { targets: '192.0.2.9', name: 'secret name' },
      every_minutes: 60,
    });
    expect(made.status).toBe(201);
    schedule = made.json().schedule_id;
    const hook = await ask('POST', '/api/v1/webhooks', alice, {
      url: 'https://hooks.example.com/x',
      events: ['*'],
    });
    expect(hook.status).toBe(201);
    webhook = hook.json().webhook_id;
  });

  it('answers like what does not exist, by every route that names a task', async () => {
    const named = routes.filter(({ path }) => /\/(scans|dead-letters)\/\{/.test(path));
    expect(named.length).toBeGreaterThan(15);
    for (const who of [bob, lookout])
      for (const route of named) {
        const others = route.path.includes('dead-letters') ? dead : foreign;
        for (const param of route.path.includes('{head}') ? ['head', 'base'] : ['id']) {
          const mine: Headers = param === 'head' ? { base: own } : param === 'base' ? { head: own } : {};
          const first = await ask(route.method, filled(route, { ...mine, [param]: others }), who);
          const second = await ask(route.method, filled(route, { ...mine, [param]: UNKNOWN }), who);
          expect([route.operationId, shapeOf(first, others)]).toEqual([
            route.operationId,
            shapeOf(second, UNKNOWN),
          ]);
          // a viewer may not change anything: it is told that, whatever the id
          if (who === bob) expect([route.operationId, first.status]).toEqual([route.operationId, 404]);
        }
      }
    // and there is what the ids name, for whoever may see it
    for (const headers of [alice, keys.viewer, keys.admin]) {
      expect((await ask('GET', `/api/v1/scans/${foreign}/findings`, headers)).status).toBe(200);
      expect((await ask('GET', `/api/v1/dead-letters/${dead}`, headers)).status).toBe(200);
    }
    expect((await ask('GET', `/api/v1/scans/${own}/compare/${foreign}`, keys.admin)).status).toBe(200);
  });

  it('is no baseline of a gate', async () => {
    const gate = async (baseline: string) =>
      shapeOf(
        await ask('GET', `/api/v1/scans/${own}/gate?fail_on=high&new_only=true&baseline=${baseline}`, bob),
        baseline,
      );
    expect(await gate(foreign)).toBe(await gate(UNKNOWN));
    expect(await gate(foreign)).toMatch(/^404 /);
    const previous = await ask('GET', `/api/v1/scans/${own}/gate?fail_on=high&new_only=true`, bob);
    expect(previous.text).not.toContain(foreign);
  });

  it('answers like what does not exist, as a schedule or a webhook', async () => {
    for (const [part, id, unknown] of [
      ['schedules', schedule, 'sch_00000000'],
      ['webhooks', webhook, 'wh_0000000000000000'],
    ] as const) {
      for (const route of routes.filter(({ path }) => path.startsWith(`/api/v1/${part}/{id}`))) {
        const first = await ask(route.method, filled(route, { id }), bob);
        const second = await ask(route.method, filled(route, { id: unknown }), bob);
        expect([route.operationId, shapeOf(first, id)]).toEqual([
          route.operationId,
          shapeOf(second, unknown),
        ]);
        expect(first.status).toBe(404);
      }
      expect((await ask('GET', `/api/v1/${part}/${id}`, alice)).status).toBe(200);
      expect((await ask('GET', `/api/v1/${part}`, bob)).text).not.toContain(id);
    }
  });

  it('is in no list, no search and no change of many', async () => {
    for (const path of [
      '/api/v1/scans',
      '/api/v1/scans?principal=alice',
      '/api/v1/findings',
      '/api/v1/dead-letters',
      '/api/v1/schedules',
    ]) {
      const { status, text } = await ask('GET', path, bob);
      expect(status).toBe(200);
      for (const secret of [foreign, dead, schedule, 'alice']) expect(text).not.toContain(secret);
    }
    const everybody = { url: 'https://hooks.example.com/x', events: ['*'], audience: 'all' };
    expect((await ask('POST', '/api/v1/webhooks', bob, everybody)).status).toBe(403);
    expect((await ask('POST', '/api/v1/webhooks', keys.admin, everybody)).status).toBe(201);
    expect((await ask('GET', '/api/v1/findings', bob)).text).toContain(own);
    expect((await ask('GET', '/api/v1/dead-letters', bob)).json()).toMatchObject({ total: 0, by_code: {} });
    for (const what of ['retry', 'discard']) {
      const named = await ask('POST', `/api/v1/dead-letters/${what}`, bob, { task_ids: [dead, UNKNOWN] });
      const [first, second] = named.json().skipped;
      expect(first.code).toBe('not_found');
      expect(first.message.replace(dead, '')).toBe(second.message.replace(UNKNOWN, ''));
      const all = await ask('POST', `/api/v1/dead-letters/${what}`, bob, { code: 'invalid_export' });
      expect(Object.values(all.json()).flat()).toEqual([]);
    }
    expect((await ask('GET', `/api/v1/dead-letters/${dead}`, alice)).status).toBe(200);
  });

  it.each(GENERATIONS)(
    'answers like what does not exist, by every tool of the %s protocol',
    async (generation) => {
      const tools: readonly [string, (id: string) => object][] = [
        ['wait_for_scan', (task_id) => ({ task_id, timeout_seconds: 0 })],
        ['get_scan_status', (task_id) => ({ task_id })],
        ['cancel_scan', (task_id) => ({ task_id })],
        ['control_scan', (task_id) => ({ task_id, action: 'retry' })],
        ['get_scan_results', (task_id) => ({ task_id })],
        ['search_findings', (task_id) => ({ task_id })],
        ['get_finding', (task_id) => ({ task_id, finding_id: '440ebf1ff7f65bf071d698e0f13742f6' })],
        ['compare_scans', (task_id) => ({ base_task_id: task_id, head_task_id: own })],
        ['compare_scans', (task_id) => ({ base_task_id: own, head_task_id: task_id })],
      ];
      for (const [tool, args] of tools) {
        const told = async (id: string) => {
          const { refused, answer } = await call(generation, bob, tool, args(id));
          const { trace_id: _, ...rest } = answer;
          return [tool, refused, JSON.stringify(rest).replaceAll(id, '<id>')];
        };
        expect(await told(foreign)).toEqual(await told(UNKNOWN));
        expect((await call(generation, bob, tool, args(foreign))).answer.code).toBe('not_found');
      }
      const schedules = await call(generation, bob, 'manage_schedules', { action: 'list' });
      expect(schedules.answer).toMatchObject({ schedules: [], total: 0 });
      const removal = { action: 'remove', schedule_id: schedule };
      expect((await call(generation, bob, 'manage_schedules', removal)).answer.code).toBe('not_found');
      expect(JSON.stringify((await call(generation, bob, 'list_tasks', {})).answer)).not.toContain('alice');
      expect(JSON.stringify((await call(generation, bob, 'search_findings', {})).answer)).not.toContain(
        foreign,
      );

      const others: readonly [string, (id: string) => object][] = [
        ['resources/read', (id) => ({ uri: `scanmq://tasks/${id}` })],
        ['resources/read', (id) => ({ uri: `scanmq://tasks/${id}/summary` })],
        ['prompts/get', (id) => ({ name: 'triage_scan', arguments: { task_id: id } })],
        ['prompts/get', (id) => ({ name: 'compare_with_previous', arguments: { task_id: id } })],
        ...(generation === 'modern'
          ? ([
              ['tasks/get', (taskId) => ({ taskId })],
              ['tasks/update', (taskId) => ({ taskId, inputResponses: {} })],
              ['tasks/cancel', (taskId) => ({ taskId })],
            ] as [string, (id: string) => object][])
          : []),
      ];
      for (const [method, params] of others) {
        const first = await mcp(generation, bob, method, params(foreign));
        const second = await mcp(generation, bob, method, params(UNKNOWN));
        expect([method, shapeOf(first, foreign)]).toEqual([method, shapeOf(second, UNKNOWN)]);
        expect([method, first.message.error?.data?.code]).toEqual([method, 'not_found']);
      }
      const completed = await mcp(generation, bob, 'completion/complete', {
        ref: { type: 'ref/prompt', name: 'triage_scan' },
        argument: { name: 'task_id', value: '' },
      });
      expect(completed.message.result.completion.values).toEqual([own]);
    },
  );
});

describe('a key with scopes', () => {
  const scan = (change: object = {}) => ({ targets: '192.0.2.7', name: 'within', ...change });
  it('scans what they allow, by every way in', async () => {
    const narrow = await key('operator', {
      name: 'narrow',
      scopes: {
        targets: { allow: ['192.0.2.0/28'] },
        pools: ['nessus'],
        templates: ['basic'],
        scans_per_day: 2,
      },
    });
    const outside = scan({ targets: '198.51.100.1' });
    expect((await ask('POST', '/api/v1/scans', narrow, outside)).json().code).toBe('target_refused');
    expect((await ask('POST', '/api/v1/scans', narrow, scan({ template: 'discovery' }))).json().code).toBe(
      'forbidden',
    );
    for (const generation of GENERATIONS) {
      const run = await call(generation, narrow, 'run_untrusted_scan', outside);
      expect(run.answer.code).toBe('target_refused');
      const { answer } = await call(generation, narrow, 'plan_scan', { ...outside, scan_type: 'untrusted' });
      expect(answer).toMatchObject({ allowed: false });
    }
    const recurring = { request: outside, every_minutes: 60 };
    expect((await ask('POST', '/api/v1/schedules', narrow, recurring)).json().code).toBe('target_refused');
    for (const status of [202, 202, 429])
      expect((await ask('POST', '/api/v1/scans', narrow, scan({ template: 'basic' }))).status).toBe(status);
    const fromScanner = { scanner: 'scanner1', scan_id: 1 };
    expect((await ask('POST', '/api/v1/imports', narrow, fromScanner)).json().code).toBe('forbidden');
  });

  it('lends them to its schedules, whoever starts these', async () => {
    const narrow = await key('operator', {
      name: 'recurring',
      scopes: { targets: { allow: ['192.0.2.0/28'], deny: ['192.0.2.8'] } },
    });
    const made = await ask('POST', '/api/v1/schedules', narrow, { request: scan(), every_minutes: 60 });
    expect(made.status).toBe(201);
    expect(made.text).not.toContain('192.0.2.8');
    const { schedule_id } = made.json();
    const run = await ask('POST', `/api/v1/schedules/${schedule_id}/run`, keys.admin);
    expect(run.status).toBe(202);
    const record = await recordField(run.json().task_id, 'target_scope');
    expect(JSON.parse(record)).toMatchObject({ deny: ['192.0.2.8'] });
  });
});

/** Of a record, wherever its key is. */
async function recordField(taskId: string, field: string): Promise<string> {
  for (const name of await redis.keys(`*${service.prefix}*${taskId}*`))
    if ((await redis.type(name)) === 'hash') {
      const value = await redis.hget(name, field);
      if (value !== null) return value;
    }
  return 'null';
}

describe('the audit log', () => {
  it('has what was changed and refused over REST and MCP, with the tool and the targets', async () => {
    const { auditFile } = readSettings(service.env);
    const entries = readFileSync(auditFile, 'utf8')
      .split('\n')
      .filter((line) => line.includes('"event":"decision"'))
      .map((line) => JSON.parse(line));
    const of = (principal: string) => entries.filter((entry) => entry.principal === principal);
    expect(of('alice')).toContainEqual(
      expect.objectContaining({ action: 'POST /api/v1/scans', decision: 'allowed', targets: '192.0.2.9' }),
    );
    expect(of('narrow')).toContainEqual(
      expect.objectContaining({
        action: 'run_untrusted_scan',
        decision: 'refused',
        code: 'target_refused',
        targets: '198.51.100.1',
        trace_id: expect.any(String),
      }),
    );
    expect(of('the viewer')).toContainEqual(
      expect.objectContaining({ action: 'cancel_scan', decision: 'refused', code: 'forbidden' }),
    );
    program.kill('SIGTERM');
    await program.ended;
    expect(await verifyAuditLog(auditFile, undefined)).toMatchObject({ ok: true });
  });
});
