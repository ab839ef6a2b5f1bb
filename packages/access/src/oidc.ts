/** Tokens of an issuer (OpenID Connect): found by discovery, checked with its public keys. We are a resource server only. */
import type { OidcSettings } from '@scanmq/config';
import { NO_SCOPES, type Principal, ROLES, type Role, ScanmqError } from '@scanmq/contract';
import { createRemoteJWKSet, customFetch, errors, type JWTPayload, jwtVerify } from 'jose';
import { z } from 'zod';

export interface OidcVerifier {
  /**
   * @throws ScanmqError `unauthenticated` for a token that is not good; `forbidden` for one without a role;
   *   `unavailable` when the issuer cannot be asked: nobody can tell whether the token is good.
   */
  verify(token: string): Promise<Principal>;
}

/** Only those in which we cannot make tokens ourselves: with a shared secret, a public key could be taken for one. */
const ALGORITHMS = [
  'RS256',
  'RS384',
  'RS512',
  'PS256',
  'PS384',
  'PS512',
  'ES256',
  'ES384',
  'ES512',
  'EdDSA',
  'Ed25519',
];
const CLOCK_TOLERANCE_SECONDS = 30;
const ISSUER_TIMEOUT_MS = 5_000;
/** An issuer that is away is not asked with every request. */
const RETRY_MS = 2_000;
/** Where the issuer keeps its public keys changes hardly ever. */
const DISCOVERY_MS = 24 * 3_600_000;
const DOCUMENT_BYTES = 1024 * 1024;
const NAME_CHARS = 200;

const discoverySchema = z.object({ issuer: z.string(), jwks_uri: z.url() });

type KeySet = ReturnType<typeof createRemoteJWKSet>;

export function createOidcVerifier(settings: OidcSettings, now: () => Date = () => new Date()): OidcVerifier {
  let known: { readonly keys: Promise<KeySet>; readonly untilMs: number } | undefined;

  async function discover(): Promise<KeySet> {
    const base = settings.issuer.replace(/\/$/, '');
    const response = await ask(`${base}/.well-known/openid-configuration`, {
      headers: { accept: 'application/json' },
    });
    if (!response.ok) throw new Error(`discovery answered ${response.status}`);
    const document = discoverySchema.parse(await response.json());
    // RFC 8414 section 3.3: or another's document could stand in for it
    if (document.issuer !== settings.issuer)
      throw new Error('the document of discovery is of another issuer than OIDC_ISSUER');
    const place = new URL(document.jwks_uri);
    if (place.protocol !== 'https:' && new URL(settings.issuer).protocol === 'https:')
      throw new Error('the keys of the issuer are not at an https address');
    return createRemoteJWKSet(place, {
      timeoutDuration: ISSUER_TIMEOUT_MS,
      // a key that is not known yet is looked for, but not with every forged token
      cooldownDuration: 30_000,
      cacheMaxAge: 10 * 60_000,
      [customFetch]: ask,
    });
  }

  async function keySet(): Promise<KeySet> {
    if (known && Date.now() < known.untilMs) return await known.keys;
    const keys = discover();
    known = { keys, untilMs: Date.now() + DISCOVERY_MS };
    keys.catch(() => {
      known = { keys, untilMs: Date.now() + RETRY_MS };
    });
    return await keys;
  }

  async function claimsOf(token: string): Promise<JWTPayload> {
    const keys = await keySet().catch((error: unknown) => {
      throw away(error);
    });
    try {
      const { payload } = await jwtVerify(token, keys, {
        issuer: settings.issuer,
        audience: settings.audience,
        algorithms: ALGORITHMS,
        clockTolerance: CLOCK_TOLERANCE_SECONDS,
        requiredClaims: ['exp', 'sub'],
        currentDate: now(),
      });
      return payload;
    } catch (error) {
      throw isOfToken(error) ? refusal(error) : away(error);
    }
  }

  return {
    async verify(token) {
      const claims = await claimsOf(token);
      const name = claims[settings.nameClaim];
      if (typeof name !== 'string' || name === '' || name.length > NAME_CHARS || /\p{C}/u.test(name))
        throw new ScanmqError('unauthenticated', `The token has no usable claim '${settings.nameClaim}'.`);
      const role = roleOf(claimAt(claims, settings.roleClaim), settings);
      if (!role)
        throw new ScanmqError(
          'forbidden',
          `The token has no role of scanmq: none of the values of its claim '${settings.roleClaim}' is one.`,
        );
      return {
        id: `oidc:${claims.sub}`.slice(0, NAME_CHARS),
        // no key can have a name with a colon: nobody becomes the owner of a key's tasks by choosing a name
        name: `oidc:${name}`,
        role,
        scopes: NO_SCOPES,
        via: 'oidc',
      };
    },
  };
}

/** Nothing is followed elsewhere, waited for long, or read without end. */
async function ask(url: string, init: RequestInit): Promise<Response> {
  const response = await fetch(url, {
    ...init,
    redirect: 'error',
    signal: init.signal
      ? AbortSignal.any([init.signal, AbortSignal.timeout(ISSUER_TIMEOUT_MS)])
      : AbortSignal.timeout(ISSUER_TIMEOUT_MS),
  });
  const { body } = response;
  if (!body) return response;
  let bytes = 0;
  const limited = body.pipeThrough(
    new TransformStream<Uint8Array, Uint8Array>({
      transform(chunk, controller) {
        bytes += chunk.byteLength;
        if (bytes > DOCUMENT_BYTES) controller.error(new Error('the issuer answers with too much'));
        else controller.enqueue(chunk);
      },
    }),
  );
  return new Response(limited, response);
}

/** True where the token is to blame, and not that its issuer could not be asked. */
function isOfToken(error: unknown): boolean {
  return (
    error instanceof errors.JWTClaimValidationFailed ||
    error instanceof errors.JWTExpired ||
    error instanceof errors.JWTInvalid ||
    error instanceof errors.JWSInvalid ||
    error instanceof errors.JWSSignatureVerificationFailed ||
    error instanceof errors.JOSEAlgNotAllowed ||
    error instanceof errors.JOSENotSupported ||
    error instanceof errors.JWKSNoMatchingKey ||
    error instanceof errors.JWKSMultipleMatchingKeys
  );
}

function refusal(cause: unknown): ScanmqError {
  const why =
    cause instanceof errors.JWTExpired
      ? 'it has expired'
      : cause instanceof errors.JWTClaimValidationFailed
        ? `its claim '${cause.claim}' is not right`
        : 'it was not signed by the issuer';
  return new ScanmqError('unauthenticated', `The token is not valid: ${why}.`, { cause });
}

function away(cause: unknown): ScanmqError {
  if (cause instanceof ScanmqError) return cause;
  return new ScanmqError(
    'unavailable',
    'The issuer of tokens cannot be asked now, so the token cannot be checked.',
    { cause, retryAfterSeconds: 5 },
  );
}

/** The claim of this very name, which may be a URL with dots; or the one that the dots lead to. */
function claimAt(claims: JWTPayload, path: string): unknown {
  if (Object.hasOwn(claims, path)) return claims[path];
  return path
    .split('.')
    .reduce<unknown>(
      (value, part) =>
        value !== null && typeof value === 'object' && Object.hasOwn(value, part)
          ? (value as Record<string, unknown>)[part]
          : undefined,
      claims,
    );
}

/** The highest role that the values mean. */
function roleOf(claim: unknown, { roles, defaultRole }: OidcSettings): Role | undefined {
  const values = Array.isArray(claim) ? claim : [claim];
  const meant = values.map((value) => (typeof value === 'string' ? roles.get(value) : undefined));
  return [...ROLES].reverse().find((role) => meant.includes(role)) ?? defaultRole;
}
