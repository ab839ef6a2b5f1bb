/** The keys as a gateway uses them: in memory, and never older than a moment. */
import { type Principal, ScanmqError } from '@scanmq/contract';
import { hashSecret, parseApiKey, sameHash } from './api-key.js';
import type { KeyRecord, KeyStore } from './key-store.js';
import type { RedisClient } from './redis-client.js';
import type { AccessKeys } from './redis-keys.js';

export type KeyVerdict =
  | { readonly ok: true; readonly record: KeyRecord; readonly principal: Principal }
  | {
      readonly ok: false;
      /** `expired` and `revoked` are told only to whoever has the right secret. */
      readonly why: 'not_a_key' | 'unknown' | 'wrong_secret' | 'expired' | 'revoked';
      /** As it was given: of a key that perhaps does not exist. */
      readonly keyId: string | undefined;
    };

export interface KeyRing {
  /** True as soon as there is a key, or was one: revoking the last one opens nothing. */
  hasKeys(): Promise<boolean>;
  verify(text: string): Promise<KeyVerdict>;
  /** The key with this id, where it is still good. */
  valid(id: string): Promise<Known | undefined>;
  /** Writes down uses that are not written yet. */
  flush(): Promise<void>;
}

export interface KeyRingOptions {
  readonly store: KeyStore;
  readonly redis: RedisClient;
  readonly keys: AccessKeys;
  readonly now: () => Date;
  /** Told of a place of keys that cannot be read, and of uses that could not be noted. */
  readonly onError: (error: unknown) => void;
}

/** Where the place of the keys is away: what was read last counts for so long, then nobody is let in. */
const STALE_MS = 5 * 60_000;
/** A use is written down once in this time, for each key. */
const USED_MS = 60_000;

interface Known {
  readonly record: KeyRecord;
  readonly principal: Principal;
}

interface Snapshot {
  readonly byId: ReadonlyMap<string, Known>;
  readonly atMs: number;
}

export function createKeyRing({ store, redis, keys, now, onError }: KeyRingOptions): KeyRing {
  let snapshot: Snapshot | undefined;
  let loading: Promise<Snapshot> | undefined;
  const usedAtMs = new Map<string, number>();
  const unwritten = new Map<string, string>();
  let writing: Promise<void> = Promise.resolve();

  async function load(): Promise<Snapshot> {
    loading ??= (async () => {
      try {
        const atMs = Date.now();
        const records = await store.load();
        snapshot = {
          byId: new Map(records.map((record) => [record.id, { record, principal: principalOf(record) }])),
          atMs,
        };
        return snapshot;
      } finally {
        loading = undefined;
      }
    })();
    return await loading;
  }

  async function current(): Promise<Snapshot> {
    const known = snapshot;
    if (known && !store.hasNews() && Date.now() - known.atMs <= store.trustMs) return known;
    try {
      const loaded = await load();
      // the load may be one that began before the news came
      return store.hasNews() ? await load() : loaded;
    } catch (error) {
      onError(error);
      if (known && Date.now() - known.atMs <= STALE_MS) return known;
      throw new ScanmqError('unavailable', 'The API keys cannot be read now, so nobody can be recognised.', {
        cause: error,
        retryAfterSeconds: 2,
      });
    }
  }

  /** The message that a key was made may be on its way still. Where nobody can be asked, it is not known. */
  async function madeMeanwhile(id: string): Promise<Known | undefined> {
    if (!(await store.mayHave(id).catch(() => false))) return undefined;
    return (await load().catch(() => undefined))?.byId.get(id);
  }

  function noteUse(id: string): void {
    const at = now();
    if (at.getTime() - (usedAtMs.get(id) ?? 0) < USED_MS) return;
    usedAtMs.set(id, at.getTime());
    unwritten.set(id, at.toISOString());
    writing = writing.then(async () => {
      const entries = [...unwritten];
      unwritten.clear();
      // nobody waits for it, and the next use in a minute writes it again
      if (entries.length > 0) await redis.hset(keys.lastUsed, new Map(entries)).catch(onError);
    });
  }

  return {
    hasKeys: async () => (await current()).byId.size > 0,

    async verify(text) {
      const given = parseApiKey(text);
      if (!given) return { ok: false, why: 'not_a_key', keyId: undefined };
      const hash = hashSecret(given.secret);
      const found = (await current()).byId.get(given.id) ?? (await madeMeanwhile(given.id));
      // compared in any case, so that an unknown id takes as long as a wrong secret
      const same = sameHash(hash, found?.record.hash ?? hashSecret(''));
      if (!found) return { ok: false, why: 'unknown', keyId: given.id };
      if (!same) return { ok: false, why: 'wrong_secret', keyId: given.id };
      const fault = faultOf(found.record, now());
      if (fault) return { ok: false, why: fault, keyId: given.id };
      noteUse(given.id);
      return { ok: true, ...found };
    },

    async valid(id) {
      const found = (await current()).byId.get(id);
      if (!found || faultOf(found.record, now())) return undefined;
      noteUse(id);
      return found;
    },

    flush: () => writing,
  };
}

export function faultOf({ revoked_at, expires_at }: KeyRecord, at: Date): 'revoked' | 'expired' | undefined {
  if (revoked_at !== null) return 'revoked';
  return expires_at !== null && at.getTime() >= Date.parse(expires_at) ? 'expired' : undefined;
}

function principalOf({ id, name, role, scopes }: KeyRecord): Principal {
  return Object.freeze({ id, name, role, scopes, via: 'key' as const });
}
