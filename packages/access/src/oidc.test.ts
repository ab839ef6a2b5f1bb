import { generateKeyPairSync } from 'node:crypto';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import type { OidcSettings } from '@scanmq/config';
import fc from 'fast-check';
import { exportJWK, SignJWT, UnsecuredJWT } from 'jose';
import Provider from 'oidc-provider';
import { createOidcVerifier } from './oidc.js';

const AUDIENCE = 'https://scans.example.com';
const keys = generateKeyPairSync('rsa', { modulusLength: 2048 });
let server: Server;
let issuer: string;

/** A real provider: its discovery document, its keys, its tokens. */
beforeAll(async () => {
  server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  issuer = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const jwk = await exportJWK(keys.privateKey);
  const provider = new Provider(issuer, {
    jwks: { keys: [{ ...jwk, kid: 'one', use: 'sig', alg: 'RS256' }] },
    clients: [
      {
        client_id: 'pipeline',
        client_secret: 'pipeline-secret',
        grant_types: ['client_credentials'],
        redirect_uris: [],
        response_types: [],
      },
    ],
    cookies: { keys: ['cookie-signing'] },
    features: {
      clientCredentials: { enabled: true },
      devInteractions: { enabled: false },
      resourceIndicators: {
        enabled: true,
        defaultResource: () => AUDIENCE,
        getResourceServerInfo: () => ({
          scope: '',
          audience: AUDIENCE,
          accessTokenTTL: 600,
          accessTokenFormat: 'jwt',
          jwt: { sign: { alg: 'RS256' } },
        }),
      },
    },
    extraTokenClaims: () => ({ realm: { groups: ['staff', 'scan-operators'] } }),
  });
  server.on('request', provider.callback());
});

afterAll(async () => {
  await new Promise((resolve) => server.close(resolve));
});

const settings = (change: Partial<OidcSettings> = {}): OidcSettings => ({
  issuer,
  audience: AUDIENCE,
  nameClaim: 'sub',
  roleClaim: 'realm.groups',
  roles: new Map([
    ['scan-viewers', 'viewer'],
    ['scan-operators', 'operator'],
    ['scan-admins', 'admin'],
  ]),
  defaultRole: undefined,
  ...change,
});

async function tokenOfProvider(): Promise<string> {
  const answer = await fetch(`${issuer}/token`, {
    method: 'POST',
    headers: { authorization: `Basic ${Buffer.from('pipeline:pipeline-secret').toString('base64')}` },
    body: new URLSearchParams({ grant_type: 'client_credentials' }),
  });
  const { access_token: token } = (await answer.json()) as { access_token?: string };
  if (token === undefined) throw new Error(`no token: ${answer.status}`);
  return token;
}

/** A token signed with the key of the issuer, and what is wrong with it. */
async function token(claims: Record<string, unknown>, kid = 'one', key = keys.privateKey): Promise<string> {
  const now = Math.floor(Date.now() / 1_000);
  return await new SignJWT({
    iss: issuer,
    aud: AUDIENCE,
    sub: 'somebody',
    exp: now + 60,
    realm: { groups: ['scan-operators'] },
    ...claims,
  })
    .setProtectedHeader({ alg: 'RS256', kid })
    .sign(key);
}

const refused = { code: 'unauthenticated' };

describe('a token of the issuer', () => {
  it('makes a principal whose name no key can have', async () => {
    const verifier = createOidcVerifier(settings());
    expect(await verifier.verify(await tokenOfProvider())).toMatchObject({
      id: 'oidc:pipeline',
      name: 'oidc:pipeline',
      role: 'operator',
      via: 'oidc',
    });
  });

  it('has the highest of the roles that its claim means', async () => {
    const verifier = createOidcVerifier(settings());
    const roleFor = async (groups: unknown) =>
      (await verifier.verify(await token({ realm: { groups } }))).role;
    expect(await roleFor(['scan-viewers', 'scan-admins', 'scan-operators'])).toBe('admin');
    expect(await roleFor('scan-viewers')).toBe('viewer');
  });

  it('without a role is refused, unless there is a role for those', async () => {
    for (const claims of [{ realm: {} }, { realm: { groups: ['admin', 1, null] } }, { realm: 'scan-admins' }])
      await expect(createOidcVerifier(settings()).verify(await token(claims))).rejects.toMatchObject({
        code: 'forbidden',
      });
    const lenient = createOidcVerifier(settings({ defaultRole: 'viewer' }));
    expect((await lenient.verify(await token({ realm: {} }))).role).toBe('viewer');
  });

  it('finds the role under a name that has dots itself, and not in what every object has', async () => {
    const claim = 'https://example.com/roles';
    const verifier = createOidcVerifier(settings({ roleClaim: claim }));
    expect((await verifier.verify(await token({ [claim]: ['scan-admins'] }))).role).toBe('admin');
    const odd = createOidcVerifier(
      settings({ roleClaim: 'realm.constructor.name', roles: new Map([['Object', 'admin']]) }),
    );
    await expect(odd.verify(await token({}))).rejects.toMatchObject({ code: 'forbidden' });
  });

  it('is named by the claim that the settings say, and refused without it', async () => {
    const verifier = createOidcVerifier(settings({ nameClaim: 'email' }));
    expect((await verifier.verify(await token({ email: 'a@example.com' }))).name).toBe('oidc:a@example.com');
    for (const email of [undefined, '', 7, ['a'], 'a\nb', 'x'.repeat(300)])
      await expect(verifier.verify(await token({ email }))).rejects.toMatchObject(refused);
  });

  const seconds = (offset: number): number => Math.floor(Date.now() / 1_000) + offset;
  it.each<[string, () => Promise<string>]>([
    ['has expired', () => token({ exp: seconds(-60) })],
    ['is not good yet', () => token({ nbf: seconds(120) })],
    ['never expires', () => token({ exp: undefined })],
    ['is meant for somebody else', () => token({ aud: 'https://other.example.com' })],
    ['is meant for nobody', () => token({ aud: undefined })],
    ['is of another issuer', () => token({ iss: 'https://other.example.com' })],
    ['has no subject', () => token({ sub: undefined })],
    [
      'was signed with another key',
      () => token({}, 'one', generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey),
    ],
    ['names a key that the issuer has not', () => token({}, 'another')],
    [
      'is not signed',
      async () =>
        new UnsecuredJWT({ sub: 'x' })
          .setIssuer(issuer)
          .setAudience(AUDIENCE)
          .setExpirationTime('1m')
          .encode(),
    ],
    [
      'is signed with the public key taken for a secret',
      async () =>
        await new SignJWT({ realm: { groups: ['scan-admins'] } })
          .setProtectedHeader({ alg: 'HS256', kid: 'one' })
          .setIssuer(issuer)
          .setAudience(AUDIENCE)
          .setSubject('x')
          .setExpirationTime('1m')
          .sign(Buffer.from(keys.publicKey.export({ type: 'spki', format: 'pem' }))),
    ],
  ])('that %s is refused', async (_, make) => {
    await expect(createOidcVerifier(settings()).verify(await make())).rejects.toMatchObject(refused);
  });

  it('may be some seconds off, as clocks are', async () => {
    const verifier = createOidcVerifier(settings());
    expect(await verifier.verify(await token({ exp: seconds(-5), nbf: seconds(5) }))).toMatchObject({
      role: 'operator',
    });
  });

  it('that was changed in any way is refused, and never called anything else', async () => {
    const verifier = createOidcVerifier(settings());
    const good = await token({});
    await fc.assert(
      fc.asyncProperty(
        fc.oneof(
          fc.tuple(fc.base64String(), fc.base64String(), fc.base64String()).map((parts) => parts.join('.')),
          fc.string(),
          fc
            .tuple(fc.nat(good.length - 20), fc.constantFrom('A', 'b', '_', '.'))
            .map(([at, letter]) =>
              good[at] === letter ? `${good}x` : `${good.slice(0, at)}${letter}${good.slice(at + 1)}`,
            ),
        ),
        async (text) => {
          await expect(verifier.verify(text)).rejects.toMatchObject(refused);
        },
      ),
      { numRuns: 300 },
    );
  });
});

describe('an issuer', () => {
  it('that cannot be asked makes no token bad: nobody can tell', async () => {
    const gone = createOidcVerifier(settings({ issuer: 'http://127.0.0.1:9' }));
    await expect(gone.verify(await token({}))).rejects.toMatchObject({ code: 'unavailable' });
  });

  it('that says it is another one is not believed', async () => {
    const other = createServer((_request, response) =>
      response.end(JSON.stringify({ issuer: 'https://other.example.com', jwks_uri: `${issuer}/jwks` })),
    );
    await new Promise<void>((resolve) => other.listen(0, '127.0.0.1', resolve));
    const at = `http://127.0.0.1:${(other.address() as AddressInfo).port}`;
    const verifier = createOidcVerifier(settings({ issuer: at }));
    await expect(verifier.verify(await token({ iss: at }))).rejects.toMatchObject({ code: 'unavailable' });
    other.close();
  });

  it('that sends us elsewhere, or too much, is not followed', async () => {
    const answers: Record<string, () => { status: number; location?: string; body: string }> = {
      redirect: () => ({ status: 302, location: `${issuer}/.well-known/openid-configuration`, body: '' }),
      flood: () => ({ status: 200, body: `{"issuer":"${'x'.repeat(2 * 1024 * 1024)}"}` }),
      nonsense: () => ({ status: 200, body: '<html>' }),
    };
    for (const answer of Object.values(answers)) {
      const other = createServer((_request, response) => {
        const { status, location, body } = answer();
        response.writeHead(status, location === undefined ? {} : { location }).end(body);
      });
      await new Promise<void>((resolve) => other.listen(0, '127.0.0.1', resolve));
      const at = `http://127.0.0.1:${(other.address() as AddressInfo).port}`;
      const verifier = createOidcVerifier(settings({ issuer: at }));
      await expect(verifier.verify(await token({ iss: at }))).rejects.toMatchObject({ code: 'unavailable' });
      other.closeAllConnections();
      other.close();
    }
  });

  it('is asked once for its keys, however many tokens come', async () => {
    let asked = 0;
    const count = (request: { url?: string }): void => {
      if (/well-known|jwks/.test(request.url ?? '')) asked += 1;
    };
    server.on('request', count);
    const verifier = createOidcVerifier(settings());
    const good = await token({});
    await Promise.all(Array.from({ length: 20 }, () => verifier.verify(good)));
    for (let forged = 0; forged < 5; forged += 1)
      await expect(verifier.verify(await token({}, `forged-${forged}`))).rejects.toMatchObject(refused);
    server.off('request', count);
    // the document and the keys; a forged key id makes us ask again at most once
    expect(asked).toBeLessThanOrEqual(3);
  });
});
