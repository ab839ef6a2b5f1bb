import { randomBytes } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from '@jest/globals';
import { type CreateKey, createKeySchema, NO_SCOPES, type Principal } from '@scanmq/contract';
import { until } from '@scanmq/testkit';
import fc from 'fast-check';
import { Redis } from 'ioredis';
import { type AccessSettings, checkBinding, openAccess, type Proof } from './access.js';
import { challenge, protectedResourceMetadata } from './challenges.js';
import { networkOf } from './rate-limits.js';
import { originOf, sessionMayAct } from './same-origin.js';
import { checkSubmission, targetScopeOf, type WantedScan } from './submission.js';

const redis = new Redis(process.env.SCANMQ_TEST_REDIS_URL ?? '');
const closing: (() => Promise<unknown>)[] = [];
afterAll(async () => {
  for (const close of closing.reverse()) await close();
  redis.disconnect();
});

async function gateway(change: Partial<AccessSettings> = {}, connection = redis) {
  const directory = await mkdtemp(join(tmpdir(), 'scanmq-access-'));
  closing.push(() => rm(directory, { recursive: true, force: true }));
  const time = { now: new Date() };
  const settings: AccessSettings = {
    queuePrefix: `t${randomBytes(4).toString('hex')}`,
    apiKeysFile: undefined,
    oidc: undefined,
    credentialsKey: undefined,
    publicUrl: undefined,
    sessionMs: 12 * 3_600_000,
    sessionIdleMs: 3_600_000,
    auditFile: join(directory, 'audit.log'),
    auditMaxBytes: 1024 * 1024,
    auditSync: 'never',
    readsPerMinute: 0,
    changesPerMinute: 0,
    authFailuresPerMinute: 0,
    loginsPerMinute: 0,
    ...change,
  };
  const open = async () => {
    const access = await openAccess({
      settings,
      redis: connection,
      onProblem: () => undefined,
      now: () => time.now,
    });
    closing.push(() => access.close());
    return access;
  };
  return { access: await open(), another: open, time };
}

const key = (name: string, change: object = {}): CreateKey =>
  createKeySchema.parse({ name, role: 'operator', ...change });
const shown = (change: Partial<Proof>): Proof => ({
  bearer: undefined,
  apiKey: undefined,
  session: undefined,
  fromHere: true,
  request: { method: 'GET', site: undefined, origin: undefined, host: '127.0.0.1:8835' },
  ...change,
});

describe('without any key', () => {
  it('whoever is on this machine is an administrator, and nobody else is anybody', async () => {
    const { access } = await gateway();
    expect(await access.mode()).toBe('local');
    expect(await access.identify(shown({}))).toMatchObject({ principal: { name: 'local', role: 'admin' } });
    await expect(access.identify(shown({ fromHere: false }))).rejects.toMatchObject({
      code: 'unauthenticated',
    });
  });

  it('a gateway listens on loopback, and nowhere else', () => {
    expect(() => checkBinding('127.0.0.1', true, 'local')).not.toThrow();
    expect(() => checkBinding('0.0.0.0', false, 'local')).toThrow(/there is no API key/);
    expect(() => checkBinding('0.0.0.0', false, 'closed')).not.toThrow();
  });

  it('the first key that is made closes the door, in gateways that run', async () => {
    const { access, another } = await gateway();
    const other = await another();
    expect(await other.mode()).toBe('local');
    const made = await access.keys.create(key('first'), 'tester');
    await until('the other gateway knows', async () =>
      (await other.mode()) === 'closed' ? true : undefined,
    );
    await expect(other.identify(shown({}))).rejects.toMatchObject({ code: 'unauthenticated' });
    expect(await other.identify(shown({ bearer: made.key }))).toMatchObject({
      principal: { name: 'first', via: 'key' },
    });
    await access.keys.revoke(made.id);
    expect(await access.mode()).toBe('closed');
  });

  it('an issuer closes the door as well', async () => {
    const { access } = await gateway({
      oidc: {
        issuer: 'http://127.0.0.1:9',
        audience: 'a',
        nameClaim: 'sub',
        roleClaim: 'roles',
        roles: new Map(),
        defaultRole: undefined,
      },
    });
    expect(await access.mode()).toBe('closed');
    await expect(access.identify(shown({ bearer: 'a.b.c' }))).rejects.toMatchObject({ code: 'unavailable' });
  });
});

describe('a key', () => {
  it('is taken as bearer and as X-API-Key, but not two that differ', async () => {
    const { access } = await gateway();
    const one = await access.keys.create(key('one'), 'tester');
    const two = await access.keys.create(key('two'), 'tester');
    for (const proof of [{ bearer: one.key }, { apiKey: one.key }, { bearer: one.key, apiKey: one.key }])
      expect((await access.identify(shown(proof))).principal.id).toBe(one.id);
    await expect(access.identify(shown({ bearer: one.key, apiKey: two.key }))).rejects.toMatchObject({
      code: 'unauthenticated',
    });
  });

  it('that is none is refused, whatever it looks like', async () => {
    const { access } = await gateway();
    const { key: good } = await access.keys.create(key('one'), 'tester');
    await fc.assert(
      fc.asyncProperty(
        fc
          .oneof(fc.string(), fc.string({ unit: 'binary', maxLength: 40_000 }), fc.base64String())
          .filter((text) => text !== good),
        async (text) => {
          for (const proof of [{ bearer: text }, { apiKey: text }, { session: text }])
            await expect(access.identify(shown(proof))).rejects.toMatchObject({ code: 'unauthenticated' });
        },
      ),
      { numRuns: 200 },
    );
  });
});

describe('a login of a browser', () => {
  const page = (change: Partial<Proof['request']> = {}): Proof['request'] => ({
    method: 'POST',
    site: 'same-origin',
    origin: 'http://127.0.0.1:8835',
    host: '127.0.0.1:8835',
    ...change,
  });
  async function login() {
    const service = await gateway();
    const made = await service.access.keys.create(key('person'), 'tester');
    const begun = await service.access.login(made.key);
    if (!begun) throw new Error('the login failed');
    return { ...service, made, cookie: begun.cookie };
  }

  it('is good at every gateway, for what the key may', async () => {
    const { another, cookie, made } = await login();
    expect(await (await another()).identify(shown({ session: cookie }))).toMatchObject({
      principal: { id: made.id, name: 'person', role: 'operator', via: 'session' },
      renewedSession: undefined,
    });
    expect(cookie).not.toContain(made.key.slice(-64));
  });

  it('needs a good key', async () => {
    const { access, made } = await login();
    expect(await access.login(`${made.key.slice(0, -1)}x`)).toBeUndefined();
    await access.keys.revoke(made.id);
    expect(await access.login(made.key)).toBeUndefined();
  });

  it('ends when its key is revoked', async () => {
    const { access, cookie, made } = await login();
    await access.keys.revoke(made.id);
    await until('it has ended', async () =>
      access.identify(shown({ session: cookie })).then(
        () => undefined,
        () => true,
      ),
    );
  });

  it('ends when it is ended, also for whoever has a copy of the cookie', async () => {
    const { access, another, cookie } = await login();
    await access.logout(cookie);
    for (const one of [access, await another()])
      await expect(one.identify(shown({ session: cookie }))).rejects.toMatchObject({
        code: 'unauthenticated',
      });
  });

  it('ends after an hour without a request, and after twelve with many', async () => {
    const { access, time, cookie } = await login();
    const began = time.now.getTime();
    const at = (minutes: number): void => {
      time.now = new Date(began + minutes * 60_000);
    };
    let newest = cookie;
    for (let minutes = 0; minutes < 12 * 60; minutes += 50) {
      at(minutes);
      const { renewedSession } = await access.identify(shown({ session: newest }));
      newest = renewedSession ?? newest;
    }
    at(90);
    await expect(access.identify(shown({ session: cookie }))).rejects.toMatchObject({
      code: 'unauthenticated',
    });
    at(12 * 60 + 1);
    await expect(access.identify(shown({ session: newest }))).rejects.toMatchObject({
      code: 'unauthenticated',
    });
  });

  it('is refused when the cookie was changed, or made elsewhere', async () => {
    const { access, cookie } = await login();
    const elsewhere = await login();
    for (const bad of [elsewhere.cookie, `${cookie}x`, cookie.slice(1), cookie.replace(/\.[^.]*$/, '.')])
      await expect(access.identify(shown({ session: bad }))).rejects.toMatchObject({
        code: 'unauthenticated',
      });
  });

  it('changes things only from our own pages', async () => {
    const { access, cookie } = await login();
    const act = (request: Proof['request']) => access.identify(shown({ session: cookie, request }));
    await act(page());
    await act(page({ site: undefined }));
    await act(page({ method: 'GET', site: 'cross-site' }));
    for (const foreign of [
      { site: 'cross-site' },
      { site: 'same-site' },
      { site: 'none' },
      { site: undefined, origin: 'http://127.0.0.1:9999' },
      { site: undefined, origin: 'null' },
      { site: undefined, origin: undefined },
    ])
      await expect(act(page(foreign))).rejects.toMatchObject({ code: 'forbidden' });
  });
});

describe('where a request comes from', () => {
  it('is told by the browser, else by the origin, which is the host or the public address', () => {
    const from = (
      site: string | undefined,
      origin: string | undefined,
      host = 'a.example:1',
      publicUrl?: string,
    ) => originOf({ site, origin, host }, publicUrl);
    expect(from('same-origin', 'https://evil.example')).toBe('own');
    expect(from('cross-site', 'http://a.example:1')).toBe('foreign');
    expect(from(undefined, 'https://a.example:1')).toBe('own');
    expect(from(undefined, 'https://a.example')).toBe('foreign');
    expect(from(undefined, 'https://scans.example', 'inner:8835', 'https://scans.example')).toBe('own');
    expect(from(undefined, undefined)).toBe('untold');
  });

  it('never lets a foreign page act, whatever the headers are', () => {
    const header = fc.option(
      fc.oneof(fc.string(), fc.webUrl(), fc.constantFrom('same-origin', 'cross-site', 'none')),
      {
        nil: undefined,
      },
    );
    fc.assert(
      fc.property(
        header,
        header,
        fc.constantFrom('POST', 'PUT', 'DELETE', 'PATCH', 'FOO'),
        (site, origin, method) => {
          const may = sessionMayAct({ method, site, origin, host: 'scans.internal:8835' }, undefined);
          const own =
            site === 'same-origin' || (site === undefined && origin === 'http://scans.internal:8835');
          expect(may).toBe(own);
        },
      ),
    );
  });
});

describe('limits', () => {
  const principal = (
    change: Partial<Principal['scopes']> = {},
    id = randomBytes(4).toString('hex'),
  ): Principal => ({
    id,
    name: 'n',
    role: 'operator',
    scopes: { ...NO_SCOPES, ...change },
    via: 'key',
  });
  const limited = { code: 'rate_limited', retryAfterSeconds: expect.any(Number) };

  it('of a principal count over all gateways', async () => {
    const { access, another } = await gateway({ changesPerMinute: 3, readsPerMinute: 4 });
    const gateways = [access, await another()];
    const one = principal();
    for (const { limits } of [...gateways, access]) await limits.request(one, true);
    for (const { limits } of gateways) await expect(limits.request(one, true)).rejects.toMatchObject(limited);
    // reading is counted apart, and so is everybody else
    await access.limits.request(one, false);
    await access.limits.request(principal(), true);
  });

  it('of a key are its own', async () => {
    const { access } = await gateway();
    const slow = principal({ requests_per_minute: 2, scans_per_day: 1 });
    await access.limits.request(slow, false);
    await access.limits.request(slow, true);
    await expect(access.limits.request(slow, false)).rejects.toThrow(
      'This key may make 2 requests a minute.',
    );
    await access.limits.scan(slow);
    await expect(access.limits.scan(slow)).rejects.toMatchObject(limited);
    for (let request = 0; request < 10; request += 1) await access.limits.request(principal(), true);
  });

  it('of an address count wrong keys, and attempts to log in', async () => {
    const { access } = await gateway({ authFailuresPerMinute: 2, loginsPerMinute: 1 });
    await access.limits.failure('192.0.2.1');
    await access.limits.failure('192.0.2.1');
    await expect(access.limits.failure('192.0.2.1')).rejects.toMatchObject(limited);
    await access.limits.failure('192.0.2.2');
    await access.limits.login('2001:db8::1');
    await expect(access.limits.login('2001:db8::ffff:1')).rejects.toMatchObject(limited);
    await access.limits.login('2001:db8:0:1::1');
  });

  it('are counted by each process while Redis is away', async () => {
    const broken = redis.duplicate({ enableOfflineQueue: false, maxRetriesPerRequest: 0 });
    await until('it is connected', () => (broken.status === 'ready' ? true : undefined));
    const { access } = await gateway({ authFailuresPerMinute: 2 }, broken);
    broken.disconnect();
    await access.limits.failure('192.0.2.1');
    await access.limits.failure('192.0.2.1');
    await expect(access.limits.failure('192.0.2.1')).rejects.toMatchObject(limited);
  });

  it('know addresses by the network that one customer has', () => {
    expect(networkOf('::ffff:192.0.2.1')).toBe('192.0.2.1');
    expect(networkOf('2001:db8::1')).toBe(networkOf('2001:db8::2'));
    expect(networkOf('nonsense')).toBe('unknown');
  });
});

describe('scopes of a submission', () => {
  const now = new Date('2026-11-25T12:00:00Z');
  const wanted = (change: Partial<WantedScan['request']> = {}, pool = 'nessus'): WantedScan => ({
    pool,
    request: { scan_type: 'untrusted', template: 'basic', ...change },
  });
  const holder = (scopes: Partial<Principal['scopes']>): Principal => ({
    id: '1',
    name: 'n',
    role: 'operator',
    scopes: { ...NO_SCOPES, ...scopes },
    via: 'key',
  });
  const check = (scopes: Partial<Principal['scopes']>, scan: WantedScan) => () =>
    checkSubmission(holder(scopes), scan, now);

  it('allow what they hold, and name the one that does not', () => {
    expect(check({}, wanted())).not.toThrow();
    expect(check({ pools: ['nessus'], templates: ['basic'] }, wanted())).not.toThrow();
    expect(check({ pools: ['dmz'] }, wanted())).toThrow(
      "This key may not scan with pool 'nessus' (scope pools).",
    );
    expect(check({ templates: ['discovery'] }, wanted())).toThrow(/template 'basic' \(scope templates\)/);
    // an empty list allows nothing
    expect(check({ pools: [] }, wanted())).toThrow(/scope pools/);
  });

  it('let a key use the credentials of its list, and none of its own', () => {
    const named = wanted({ scan_type: 'authenticated', credential_ref: 'linux' });
    const own = wanted({ scan_type: 'authenticated', ssh_username: 'root' });
    expect(check({ credentials: ['linux'] }, named)).not.toThrow();
    expect(check({ credentials: ['windows'] }, named)).toThrow(
      /use credential 'linux' \(scope credentials\)/,
    );
    expect(check({ credentials: ['linux'] }, own)).toThrow(/bring credentials of its own/);
    expect(check({ credentials: [] }, named)).toThrow(/scope credentials/);
    expect(check({ credentials: [] }, wanted())).not.toThrow();
    expect(check({}, own)).not.toThrow();
  });

  it('open and close windows', () => {
    const nights = [{ opens: '0 22 * * *', hours: 8, time_zone: 'UTC' }];
    expect(check({ windows: nights }, wanted())).toThrow(
      /its next window opens at 2026-11-25T22:00:00.000Z \(scope windows\)/,
    );
    expect(
      check({ windows: [...nights, { opens: '0 11 * * *', hours: 2, time_zone: 'UTC' }] }, wanted()),
    ).not.toThrow();
  });

  it('hand the targets over to the policy', () => {
    const targets = { allow: ['10.0.0.0/8'], deny: [], max_hosts: 16 };
    expect(targetScopeOf(holder({ targets }))).toEqual(targets);
    expect(targetScopeOf(holder({}))).toBeNull();
  });
});

describe('clients that are refused', () => {
  it('are told where to get a token, where there is an issuer', async () => {
    expect(challenge({ error: undefined, metadataUrl: undefined })).toBe('Bearer realm="scanmq"');
    expect(
      challenge({
        error: 'invalid_token',
        metadataUrl: 'https://x/.well-known/oauth-protected-resource/mcp',
      }),
    ).toBe(
      'Bearer realm="scanmq", error="invalid_token", resource_metadata="https://x/.well-known/oauth-protected-resource/mcp"',
    );
    expect(
      protectedResourceMetadata({
        publicUrl: 'https://scans.example',
        path: '/mcp',
        issuer: 'https://login.example',
      }),
    ).toEqual({
      resource: 'https://scans.example/mcp',
      authorization_servers: ['https://login.example'],
      bearer_methods_supported: ['header'],
      resource_name: 'scanmq',
    });
  });
});
