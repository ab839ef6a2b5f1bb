import { randomBytes } from 'node:crypto';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from '@jest/globals';
import { openAccess, verifyAuditLog } from '@scanmq/access';
import { readSettings, type Settings } from '@scanmq/config';
import { createKeySchema, type Role, ScanmqError } from '@scanmq/contract';
import { createLogger, NO_TRACING } from '@scanmq/observability';
import { until } from '@scanmq/testkit';
import fc from 'fast-check';
import Fastify from 'fastify';
import { Redis } from 'ioredis';
import { installErrors } from '../plugins/errors.js';
import { installTraces } from '../plugins/traces.js';
import { installAccess, principalOf } from './install-access.js';

const redis = new Redis(process.env.SCANMQ_TEST_REDIS_URL ?? '');
const closing: (() => Promise<unknown>)[] = [];
afterAll(async () => {
  for (const close of closing.reverse()) await close();
  redis.disconnect();
});

/** Some of the routes, behind the real guard, over real HTTP. */
async function service(env: Record<string, string> = {}) {
  const directory = await mkdtemp(join(tmpdir(), 'scanmq-access-'));
  closing.push(() => rm(directory, { recursive: true, force: true }));
  const settings: Settings = readSettings({
    QUEUE_PREFIX: `t${randomBytes(4).toString('hex')}`,
    DATA_DIR: join(directory, 'tasks'),
    ...env,
  });
  const access = await openAccess({ settings, redis, onProblem: () => undefined });
  closing.push(() => access.close());
  const app = Fastify();
  const lines: string[] = [];
  const log = createLogger({
    name: 'test',
    level: 'info',
    pretty: false,
    destination: { write: (line) => lines.push(line) },
  });
  installTraces(app, NO_TRACING);
  installErrors(app);
  await installAccess(app, { access, settings, log });
  let done = 0;
  app.get('/health/live', async () => ({ status: 'alive' }));
  app.get('/api/v1/scans', async (request) => ({ who: principalOf(request).name }));
  app.post('/api/v1/scans', async (request) => {
    const { targets } = request.body as { targets: string };
    if (targets === 'refused') throw new ScanmqError('target_refused', 'Not this one.');
    done += 1;
    return { who: principalOf(request).name };
  });
  app.post('/api/v1/housekeeping', async () => ({}));
  app.get('/dashboard', async () => 'the dashboard');
  app.put('/dashboard/api/queues/nessus/1/retry', async () => ({}));
  app.post('/mcp', async () => ({}));
  app.get('/not/thought/about', async () => ({}));
  const url = await app.listen({ host: '127.0.0.1', port: 0 });
  closing.push(() => app.close());
  return {
    access,
    settings,
    url,
    lines,
    done: () => done,
    entries: async () =>
      (await readFile(settings.auditFile, 'utf8').catch(() => ''))
        .split('\n')
        .filter((line) => line.includes('"event":"decision"'))
        .map((line) => JSON.parse(line)),
    key: async (role: Role, change: object = {}) =>
      (await access.keys.create(createKeySchema.parse({ name: `${role} key`, role, ...change }), 'tester'))
        .key,
    ask: (method: string, path: string, headers: Record<string, string> = {}, body?: unknown) =>
      fetch(`${url}${path}`, {
        method,
        redirect: 'manual',
        headers: { ...(body === undefined ? {} : { 'content-type': 'application/json' }), ...headers },
        ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      }),
  };
}

const bearer = (key: string): Record<string, string> => ({ authorization: `Bearer ${key}` });
const scan = { targets: '192.0.2.1', name: 'x' };

describe('a gateway without keys', () => {
  it('takes everybody here for an administrator, until the first key is made', async () => {
    const { ask, key } = await service();
    expect(await (await ask('GET', '/api/v1/scans')).json()).toEqual({ who: 'local' });
    expect((await ask('GET', '/not/thought/about')).status).toBe(200);
    expect((await ask('GET', '/login')).status).toBe(303);
    await key('admin');
    for (const path of ['/api/v1/scans', '/not/thought/about', '/nothing/there', '/dashboard'])
      expect((await ask('GET', path)).status).toBe(401);
    expect((await ask('GET', '/health/live')).status).toBe(200);
  });
});

describe('a route', () => {
  it('that nobody has thought about is told of', async () => {
    const { lines } = await service();
    const told = lines
      .map((line) => JSON.parse(line))
      .filter(({ event }) => event === 'access.unlisted_route');
    expect(told.map(({ route }) => route)).toEqual(['GET /not/thought/about']);
  });

  const routes: readonly [string, string, readonly Role[]][] = [
    ['GET', '/api/v1/scans', ['viewer', 'operator', 'admin']],
    ['POST', '/api/v1/scans', ['operator', 'admin']],
    ['POST', '/api/v1/housekeeping', ['admin']],
    ['GET', '/dashboard', ['viewer', 'operator', 'admin']],
    ['PUT', '/dashboard/api/queues/nessus/1/retry', ['operator', 'admin']],
    ['POST', '/mcp', ['viewer', 'operator', 'admin']],
    ['GET', '/not/thought/about', ['admin']],
  ];

  it('is for the roles that may use it, and for nobody without a good key', async () => {
    const { ask, access, key } = await service();
    const good = { viewer: await key('viewer'), operator: await key('operator'), admin: await key('admin') };
    const revoked = await key('admin');
    await access.keys.revoke(revoked);
    const bad = [
      {},
      bearer(`${good.admin.slice(0, -1)}${good.admin.endsWith('0') ? '1' : '0'}`),
      bearer(revoked),
      bearer(''),
      { authorization: `Basic ${Buffer.from('admin:admin').toString('base64')}` },
      { 'x-api-key': 'nonsense' },
      { cookie: 'scanmq_session=nonsense' },
      { ...bearer(good.viewer), 'x-api-key': good.admin },
    ];
    for (const [method, path, roles] of routes) {
      const body = method === 'GET' ? undefined : scan;
      for (const [role, text] of Object.entries(good) as [Role, string][]) {
        const expected = roles.includes(role) ? 200 : 403;
        for (const headers of [bearer(text), { 'x-api-key': text }])
          expect([role, method, path, (await ask(method, path, headers, body)).status]).toEqual([
            role,
            method,
            path,
            expected,
          ]);
      }
      for (const headers of bad) {
        const answer = await ask(method, path, headers, body);
        expect([method, path, headers, answer.status]).toEqual([method, path, headers, 401]);
        expect(answer.headers.get('www-authenticate')).toMatch(/^Bearer realm="scanmq"/);
        expect(await answer.json()).toMatchObject({ code: 'unauthenticated' });
      }
    }
  });

  it('answers no header with a server error, whatever it holds', async () => {
    const { ask, key } = await service({ AUTH_FAILURES_PER_MINUTE: '0' });
    await key('admin');
    const text = fc.string({ unit: fc.constantFrom(...'abcSMQ_.:;=, "\\<>%{}019~éÿ'), maxLength: 300 });
    const name = fc.constantFrom(
      'authorization',
      'x-api-key',
      'cookie',
      'sec-fetch-site',
      'accept',
      'traceparent',
    );
    await fc.assert(
      fc.asyncProperty(fc.dictionary(name, text), fc.boolean(), async (headers, asBearer) => {
        const given = {
          ...headers,
          ...(asBearer ? { authorization: `Bearer ${headers.authorization ?? ''}` } : {}),
        };
        const answer = await ask('GET', '/api/v1/scans', given);
        expect(answer.status).toBe(401);
        await answer.text();
      }),
      { numRuns: 300 },
    );
  });

  it('is limited for an address that guesses, and never for a good key', async () => {
    const { ask, key } = await service({ AUTH_FAILURES_PER_MINUTE: '3' });
    const good = await key('viewer');
    const guess = () => ask('GET', '/api/v1/scans', bearer('guess'));
    for (let count = 0; count < 3; count += 1) expect((await guess()).status).toBe(401);
    const limited = await guess();
    expect(limited.status).toBe(429);
    expect(Number(limited.headers.get('retry-after'))).toBeGreaterThan(0);
    expect((await ask('GET', '/api/v1/scans', bearer(good))).status).toBe(200);
    // asking without anything is no guess
    expect((await ask('GET', '/api/v1/scans')).status).toBe(401);
  });

  it('is limited for a key that has a limit', async () => {
    const { ask, key } = await service();
    const slow = await key('viewer', { scopes: { requests_per_minute: 1 } });
    expect((await ask('GET', '/api/v1/scans', bearer(slow))).status).toBe(200);
    const limited = await ask('GET', '/api/v1/scans', bearer(slow));
    expect(limited.status).toBe(429);
    expect(await limited.json()).toMatchObject({ code: 'rate_limited' });
  });
});

describe('the audit log', () => {
  it('has an entry for each change, and for each that was refused', async () => {
    const { ask, key, entries, settings, access } = await service();
    const [viewer, operator] = [await key('viewer'), await key('operator')];
    await ask('GET', '/api/v1/scans', bearer(viewer));
    await ask('POST', '/api/v1/scans', { ...bearer(operator), 'user-agent': 'pipeline/1' }, scan);
    await ask('POST', '/api/v1/scans', bearer(viewer), scan);
    await ask('POST', '/api/v1/scans', bearer(operator), { ...scan, targets: 'refused' });
    await ask('POST', '/api/v1/scans', bearer('guess'), scan);
    const written = await until('all is written', async () => {
      const all = await entries();
      return all.length >= 4 ? all : undefined;
    });
    const action = 'POST /api/v1/scans';
    expect(written).toMatchObject([
      {
        action,
        decision: 'allowed',
        principal: 'operator key',
        role: 'operator',
        via: 'key',
        targets: '192.0.2.1',
        client: 'pipeline/1',
        from: '127.0.0.1',
        trace_id: expect.any(String),
      },
      {
        action,
        decision: 'refused',
        principal: 'viewer key',
        code: 'forbidden',
        reason: expect.stringContaining('scans:submit'),
      },
      { action, decision: 'allowed', principal: 'operator key', targets: 'refused' },
      {
        action,
        decision: 'refused',
        principal: 'operator key',
        targets: 'refused',
        code: 'target_refused',
        reason: 'Not this one.',
      },
    ]);
    await access.audit.close();
    expect(await verifyAuditLog(settings.auditFile, undefined)).toMatchObject({ ok: true });
  });

  it('that cannot be written stops what it would tell of', async () => {
    const { ask, key, done, access } = await service({ AUDIT_FILE: join(import.meta.filename, 'audit.log') });
    const made = await access.keys.create(createKeySchema.parse({ name: 'o', role: 'operator' }), 'tester');
    const answer = await ask('POST', '/api/v1/scans', bearer(made.key), scan);
    expect(answer.status).toBe(503);
    expect(await answer.json()).toMatchObject({ code: 'unavailable' });
    expect(done()).toBe(0);
    expect((await ask('GET', '/api/v1/scans', bearer(await key('viewer')))).status).toBe(200);
  });
});

describe('a browser', () => {
  const form = (url: string, key: string, headers: Record<string, string> = {}) =>
    fetch(`${url}/login?to=dashboard`, {
      method: 'POST',
      redirect: 'manual',
      headers: { origin: url, 'sec-fetch-site': 'same-origin', ...headers },
      body: new URLSearchParams({ key }),
    });
  const cookieOf = (answer: Response): string => (answer.headers.get('set-cookie') ?? '').split(';')[0] ?? '';

  it('is sent to the login page, logs in, uses the dashboard, and logs out', async () => {
    const { ask, url, key } = await service();
    const admin = await key('admin');
    const first = await ask('GET', '/dashboard', { accept: 'text/html,*/*' });
    expect([first.status, first.headers.get('location')]).toEqual([303, '/login?to=dashboard']);
    const begun = await form(url, admin);
    expect([begun.status, begun.headers.get('location')]).toEqual([303, '/dashboard']);
    expect(begun.headers.get('set-cookie')).toMatch(
      /^scanmq_session=[^;]+; Max-Age=43200; Path=\/; HttpOnly; SameSite=Strict$/,
    );
    const cookie = cookieOf(begun);
    expect(await (await ask('GET', '/dashboard', { cookie })).text()).toBe('the dashboard');
    const retry = '/dashboard/api/queues/nessus/1/retry';
    expect((await ask('PUT', retry, { cookie, 'sec-fetch-site': 'same-origin' }, {})).status).toBe(200);
    // from another page, or from nobody knows where
    for (const headers of [{ 'sec-fetch-site': 'cross-site' }, { origin: 'http://evil.example' }, {}])
      expect((await ask('PUT', retry, { cookie, ...headers }, {})).status).toBe(403);
    const ended = await ask('POST', '/logout', { cookie, 'sec-fetch-site': 'same-origin' });
    expect(ended.headers.get('set-cookie')).toMatch(/^scanmq_session=; Max-Age=0; Path=\/;/);
    expect((await ask('GET', '/dashboard', { cookie })).status).toBe(401);
  });

  it('gets a cookie that only travels over TLS, where the gateway is reached so', async () => {
    const { url, key } = await service({ PUBLIC_URL: 'https://scans.example.com' });
    const begun = await form(url, await key('viewer'), { origin: 'https://scans.example.com' });
    expect(begun.headers.get('set-cookie')).toMatch(
      /^__Host-scanmq_session=.*; HttpOnly; Secure; SameSite=Strict$/,
    );
  });

  it('is told nothing but that the key is not valid', async () => {
    const { url, entries } = await service();
    const answers = await Promise.all(
      ['', 'wrong', '"><script>alert(1)</script>', 'smq_'.repeat(20)].map(
        async (key) => await form(url, key),
      ),
    );
    const texts = await Promise.all(
      answers.map(async (answer) => (await answer.text()).replaceAll(/nonce="[^"]+"/g, '')),
    );
    expect(answers.map(({ status }) => status)).toEqual([401, 401, 401, 401]);
    expect(new Set(texts).size).toBe(1);
    expect(texts[0]).toContain('This key is not valid.');
    expect((await entries()).filter(({ decision }) => decision === 'refused')).toHaveLength(4);
  });

  it('gets pages without a script, framed by nobody, kept by nobody', async () => {
    const { ask, key } = await service();
    await key('admin');
    const answer = await ask('GET', '/login?to=%22%3E%3Cscript%3E');
    const text = await answer.text();
    expect(text).not.toContain('<script');
    expect(text).toContain('action="/login?to=dashboard"');
    const policy = answer.headers.get('content-security-policy') ?? '';
    const [, nonce] = /style-src 'nonce-([^']+)'/.exec(policy) ?? [];
    expect(text).toContain(`<style nonce="${nonce}">`);
    expect(policy).toContain("default-src 'none'");
    expect(policy).toContain("frame-ancestors 'none'");
    expect(answer.headers.get('cache-control')).toBe('no-store');
  });

  it('may try ten keys a minute, and is not logged in by another page', async () => {
    const { url, key } = await service({ LOGINS_PER_MINUTE: '2' });
    const admin = await key('admin');
    expect((await form(url, admin, { 'sec-fetch-site': 'cross-site' })).status).toBe(403);
    expect((await form(url, 'wrong')).status).toBe(401);
    expect((await form(url, 'wrong')).status).toBe(401);
    const limited = await form(url, admin);
    expect(limited.status).toBe(429);
    expect(limited.headers.get('retry-after')).toMatch(/^\d+$/);
  });

  it('does not have a long form read', async () => {
    const { url, key } = await service();
    await key('admin');
    expect((await form(url, 'x'.repeat(10_000))).status).toBe(400);
  });
});

describe('clients of an issuer', () => {
  it('find out whose tokens are accepted, and from nobody else', async () => {
    const { ask, url } = await service({ OIDC_ISSUER: 'http://127.0.0.1:9', OIDC_AUDIENCE: 'scanmq' });
    const refused = await ask('POST', '/mcp', {}, {});
    expect(refused.headers.get('www-authenticate')).toBe(
      `Bearer realm="scanmq", resource_metadata="${url}/.well-known/oauth-protected-resource/mcp"`,
    );
    const metadata = await ask('GET', '/.well-known/oauth-protected-resource/mcp');
    expect(await metadata.json()).toMatchObject({
      resource: `${url}/mcp`,
      authorization_servers: ['http://127.0.0.1:9'],
    });
    // the issuer is away: nobody can tell whether the token is good
    expect((await ask('GET', '/api/v1/scans', bearer('a.b.c'))).status).toBe(503);
    const without = await service();
    await without.key('admin');
    expect((await without.ask('GET', '/.well-known/oauth-protected-resource/mcp')).status).toBe(401);
  });
});
