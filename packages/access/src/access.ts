/** Who asks, and whether they may: everything of it that a gateway needs, behind one door. */
import type { Settings } from '@scanmq/config';
import { LIMITS, LOCAL_PRINCIPAL, type Principal, ScanmqError } from '@scanmq/contract';
import { type AuditLog, createAuditLog } from './audit/audit-log.js';
import { createAuditHeads } from './audit/heads.js';
import { openFileKeyStore } from './file-key-store.js';
import { createKeyRing, type KeyVerdict } from './key-ring.js';
import type { KeyStore } from './key-store.js';
import { createKeyAdministration, type KeyAdministration } from './keys.js';
import { createOidcVerifier } from './oidc.js';
import { createRateLimits, type LimitSettings, type RateLimits } from './rate-limits.js';
import type { RedisClient } from './redis-client.js';
import { openRedisKeyStore } from './redis-key-store.js';
import { accessKeys } from './redis-keys.js';
import { type RequestOrigin, sessionMayAct } from './same-origin.js';
import { createSessions } from './sessions.js';

export type AccessSettings = LimitSettings &
  Pick<
    Settings,
    | 'queuePrefix'
    | 'apiKeysFile'
    | 'oidc'
    | 'credentialsKey'
    | 'publicUrl'
    | 'sessionMs'
    | 'sessionIdleMs'
    | 'auditFile'
    | 'auditMaxBytes'
    | 'auditSync'
  >;

export interface AccessOptions {
  readonly settings: AccessSettings;
  /** Not closed by us. */
  readonly redis: RedisClient;
  readonly onProblem: (what: string, error?: unknown) => void;
  readonly now?: () => Date;
  /** Follows changes of keys; false for a command that ends at once. */
  readonly listening?: boolean;
}

/**
 * - `local`: nobody has made a key and no issuer is configured. Whoever is on this machine is an administrator, and
 *   nobody else can reach the gateway.
 * - `closed`: everybody has to show something.
 */
export type AccessMode = 'local' | 'closed';

/** What a request shows of whoever sends it. */
export interface Proof {
  /** Of `Authorization: Bearer …`. */
  readonly bearer: string | undefined;
  /** `X-API-Key` */
  readonly apiKey: string | undefined;
  /** Cookie of a session. */
  readonly session: string | undefined;
  /** Whether the connection comes from this machine. */
  readonly fromHere: boolean;
  readonly request: RequestOrigin;
}

export interface Identity {
  readonly principal: Principal;
  /** A newer cookie for the session. */
  readonly renewedSession: string | undefined;
}

export interface Access {
  /** Cheap: asked with every request, so that the first key counts from the moment it is made. */
  mode(): Promise<AccessMode>;
  /**
   * Who sends a request.
   * @throws ScanmqError `unauthenticated`; `forbidden` for a token without a role, and for a session used from another
   *   page; `unavailable` when keys or issuer cannot be asked. A wrong key is to be told to `limits.failure`.
   */
  identify(proof: Proof): Promise<Identity>;
  /** Turns a key into a session. @returns the cookie; undefined for a key that is not good. */
  login(key: string): Promise<{ readonly cookie: string; readonly principal: Principal } | undefined>;
  logout(cookie: string): Promise<void>;
  readonly sessionSeconds: number;
  readonly keys: KeyAdministration;
  /** Where keys are kept, for people. */
  readonly keyPlace: string;
  readonly limits: RateLimits;
  readonly audit: AuditLog;
  close(): Promise<void>;
}

/** Where the keys of this service are. */
export async function openKeyStore(
  settings: Pick<Settings, 'apiKeysFile' | 'queuePrefix'>,
  redis: RedisClient,
  options: { readonly listening: boolean; readonly onError: (error: Error) => void },
): Promise<KeyStore> {
  return settings.apiKeysFile === undefined
    ? await openRedisKeyStore({ redis, keys: accessKeys(settings.queuePrefix), ...options })
    : openFileKeyStore(settings.apiKeysFile);
}

/** @throws ScanmqError `unavailable` when the keys cannot be read. */
export async function openAccess(options: AccessOptions): Promise<Access> {
  const { settings, redis, onProblem } = options;
  const now = options.now ?? (() => new Date());
  const keys = accessKeys(settings.queuePrefix);
  const store = await openKeyStore(settings, redis, {
    listening: options.listening ?? true,
    onError: (error) => onProblem('changes of API keys cannot be followed', error),
  });
  const ring = createKeyRing({
    store,
    redis,
    keys,
    now,
    onError: (error) => onProblem('the API keys', error),
  });
  const oidc = settings.oidc && createOidcVerifier(settings.oidc, now);
  const sessions = createSessions({ ...settings, redis, keys, now });
  const audit = createAuditLog({
    file: settings.auditFile,
    maxBytes: settings.auditMaxBytes,
    sync: settings.auditSync,
    heads: createAuditHeads(redis, keys),
    now,
    onProblem,
  });

  const mode = async (): Promise<AccessMode> => (oidc || (await ring.hasKeys()) ? 'closed' : 'local');

  async function byToken(token: string): Promise<Identity> {
    if (token.length > LIMITS.tokenChars) throw new ScanmqError('unauthenticated', REFUSALS.not_a_key);
    // three parts, as only a token of an issuer has
    if (oidc && /^[^.]+\.[^.]+\.[^.]+$/.test(token))
      return { principal: await oidc.verify(token), renewedSession: undefined };
    const verdict = await ring.verify(token);
    if (!verdict.ok) throw new ScanmqError('unauthenticated', REFUSALS[verdict.why]);
    return { principal: verdict.principal, renewedSession: undefined };
  }

  async function bySession(cookie: string, request: RequestOrigin): Promise<Identity | undefined> {
    if (cookie.length > LIMITS.tokenChars) return undefined;
    const session = await sessions.open(cookie);
    const key = session && (await ring.valid(session.keyId));
    if (!session || !key) return undefined;
    if (!sessionMayAct(request, settings.publicUrl))
      throw new ScanmqError(
        'forbidden',
        'A login of a browser only changes things from the pages of this service. Programs send a key instead.',
      );
    return { principal: { ...key.principal, via: 'session' }, renewedSession: session.renewed };
  }

  // a file that is broken now is told of before anybody relies on it
  await store.load().catch((error: unknown) => {
    store.close();
    throw error;
  });

  return {
    mode,

    async identify({ bearer, apiKey, session, fromHere, request }) {
      if ((await mode()) === 'local') {
        if (fromHere) return { principal: LOCAL_PRINCIPAL, renewedSession: undefined };
        throw new ScanmqError(
          'unauthenticated',
          'There is no API key yet; make one with: scanmq keys create',
        );
      }
      const token = bearer ?? apiKey;
      if (bearer !== undefined && apiKey !== undefined && bearer !== apiKey)
        throw new ScanmqError(
          'unauthenticated',
          'Two different keys were sent: which one counts is not for us to say.',
        );
      if (token !== undefined) return await byToken(token);
      const found = session === undefined ? undefined : await bySession(session, request);
      if (found) return found;
      throw new ScanmqError(
        'unauthenticated',
        'An API key is needed: send it as Authorization: Bearer <key>, or as X-API-Key.',
      );
    },

    async login(key) {
      const verdict = await ring.verify(key);
      if (!verdict.ok) return undefined;
      return { cookie: await sessions.begin(verdict.record.id), principal: verdict.principal };
    },
    logout: (cookie) => sessions.end(cookie),
    sessionSeconds: sessions.maxAgeSeconds,
    keys: createKeyAdministration(store, redis, keys, now),
    keyPlace: store.place,
    limits: createRateLimits(redis, keys, settings),
    audit,
    async close() {
      store.close();
      await ring.flush();
      await audit.close();
    },
  };
}

const REFUSALS: Readonly<Record<Extract<KeyVerdict, { ok: false }>['why'], string>> = {
  // told apart from one that is merely wrong: whoever pastes half of a key should know
  not_a_key: 'What was sent is no API key: one begins with smq_ and has 85 characters.',
  unknown: 'The API key is not valid.',
  wrong_secret: 'The API key is not valid.',
  expired: 'The API key has expired.',
  revoked: 'The API key was revoked.',
};

/**
 * Whether a gateway may listen there.
 * @throws ScanmqError `forbidden`: without a key it would let in whoever reaches it.
 */
export function checkBinding(host: string, isLoopback: boolean, mode: AccessMode): void {
  if (isLoopback || mode === 'closed') return;
  throw new ScanmqError(
    'forbidden',
    `HOST is ${host}, but there is no API key: whoever reaches the gateway could start scans. Make one first, with the same settings (scanmq keys create --name admin --role admin), or leave HOST at 127.0.0.1.`,
  );
}
