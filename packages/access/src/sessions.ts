/**
 * A login of a browser: a signed cookie that names the key it was made with. Nothing is kept of it but that it was
 * ended, so any gateway knows it; and it is worth as much as its key is at that moment.
 */
import { hkdfSync, randomBytes } from 'node:crypto';
import { jwtVerify, SignJWT } from 'jose';
import { z } from 'zod';
import type { RedisClient } from './redis-client.js';
import type { AccessKeys } from './redis-keys.js';

export interface Session {
  readonly sessionId: string;
  readonly keyId: string;
  /** Its cookie with the time of this request; undefined while the old one will do. */
  readonly renewed: string | undefined;
}

export interface Sessions {
  /** @returns the value of the cookie. */
  begin(keyId: string): Promise<string>;
  /** @returns undefined for what is no session, or no longer. Whether the key is still good is the caller's to ask. */
  open(cookie: string): Promise<Session | undefined>;
  /** Logs out: a copy of the cookie is worth nothing either. */
  end(cookie: string): Promise<void>;
  /** Longest that a cookie is good for. */
  readonly maxAgeSeconds: number;
}

export interface SessionOptions {
  readonly redis: RedisClient;
  readonly keys: AccessKeys;
  readonly credentialsKey: Buffer | undefined;
  readonly sessionMs: number;
  readonly sessionIdleMs: number;
  readonly now: () => Date;
}

const SECRET_BYTES = 32;
const AUDIENCE = 'scanmq session';
/** A new cookie with every request would be noise; one in this time keeps the idle time right enough. */
const RENEW_MS = 60_000;

const payloadSchema = z.object({ sub: z.string(), jti: z.string(), exp: z.number(), seen: z.number() });
type Payload = z.output<typeof payloadSchema>;

export function createSessions(options: SessionOptions): Sessions {
  const { redis, keys, sessionMs, sessionIdleMs, now } = options;
  const seconds = (ms: number): number => Math.floor(ms / 1_000);
  let secret: Promise<Uint8Array> | undefined;

  async function makeSecret(): Promise<Uint8Array> {
    if (options.credentialsKey)
      return new Uint8Array(hkdfSync('sha256', options.credentialsKey, '', AUDIENCE, SECRET_BYTES));
    // whoever can read it could read every task as well; where that is too much, CREDENTIALS_KEY keeps it out of Redis
    const made = randomBytes(SECRET_BYTES).toString('base64');
    await redis.set(keys.sessionSecret, made, 'NX');
    return Buffer.from((await redis.get(keys.sessionSecret)) ?? made, 'base64');
  }

  async function sharedSecret(): Promise<Uint8Array> {
    secret ??= makeSecret();
    try {
      return await secret;
    } catch (error) {
      secret = undefined;
      throw error;
    }
  }

  async function sign({ sub, jti, exp, seen }: Payload): Promise<string> {
    return await new SignJWT({ seen })
      .setProtectedHeader({ alg: 'HS256' })
      .setAudience(AUDIENCE)
      .setSubject(sub)
      .setJti(jti)
      .setExpirationTime(exp)
      .sign(await sharedSecret());
  }

  async function read(cookie: string): Promise<Payload | undefined> {
    const key = await sharedSecret();
    const opened = await jwtVerify(cookie, key, {
      algorithms: ['HS256'],
      audience: AUDIENCE,
      currentDate: now(),
    }).catch(() => undefined);
    const payload = payloadSchema.safeParse(opened?.payload);
    if (!payload.success) return undefined;
    return now().getTime() - payload.data.seen * 1_000 > sessionIdleMs ? undefined : payload.data;
  }

  return {
    maxAgeSeconds: seconds(sessionMs),

    async begin(keyId) {
      const at = now().getTime();
      return await sign({
        sub: keyId,
        jti: randomBytes(16).toString('hex'),
        exp: seconds(at + sessionMs),
        seen: seconds(at),
      });
    },

    async open(cookie) {
      const payload = await read(cookie);
      if (!payload || (await redis.exists(keys.sessionEnded(payload.jti))) > 0) return undefined;
      const at = now().getTime();
      const renew = at - payload.seen * 1_000 >= Math.min(RENEW_MS, sessionIdleMs / 2);
      return {
        sessionId: payload.jti,
        keyId: payload.sub,
        renewed: renew ? await sign({ ...payload, seen: seconds(at) }) : undefined,
      };
    },

    async end(cookie) {
      const payload = await read(cookie);
      if (!payload) return;
      const leftMs = Math.max(1, payload.exp * 1_000 - now().getTime());
      await redis.set(keys.sessionEnded(payload.jti), '1', 'PX', leftMs);
    },
  };
}
