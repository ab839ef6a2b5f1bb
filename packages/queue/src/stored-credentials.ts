/**
 * Credentials that scans name. Those that an administrator stored are in Redis, sealed like those of a task; others lie
 * with the workers (a mounted folder, a sealed file, the environment), and of these only names are known here.
 */
import {
  type CredentialView,
  credentialSourceSchema,
  credentialViewSchema,
  type ScanCredentials,
  ScanmqError,
  type ScanType,
  type StoreCredential,
} from '@scanmq/contract';
import { z } from 'zod';
import { openCredentials, sealCredentials } from './credentials.js';
import type { Keys } from './keys.js';
import type { RedisClient } from './redis-client.js';

export const storedEntrySchema = z.object({ view: credentialViewSchema, sealed: z.string() });
export type StoredEntry = z.output<typeof storedEntrySchema>;

const offerSchema = z.object({
  /** Epoch milliseconds. */
  at: z.number(),
  credentials: z.array(
    z.object({ name: z.string(), source: credentialSourceSchema, privileged: z.boolean() }),
  ),
});
export type OfferedCredential = z.output<typeof offerSchema>['credentials'][number];

/** What a worker has beside the store. Read anew at each call: files change. */
export interface LocalCredentials {
  list(): readonly OfferedCredential[];
  open(name: string): ScanCredentials | undefined;
}

/** A worker that has not said for so long what it has is gone. */
const OFFER_LIFE_MS = 5 * 60_000;

/** More would be another product. */
const MOST = 1_000;

export interface StoredCredentials {
  list(): Promise<readonly CredentialView[]>;
  /** Stores, or replaces what the name had. @throws ScanmqError `unavailable` without CREDENTIALS_KEY. */
  store(credential: StoreCredential, by: string): Promise<CredentialView>;
  /** @throws ScanmqError `not_found`. */
  remove(name: string): Promise<void>;
  /** @throws ScanmqError `not_found`; `invalid_request` when it cannot be used for this kind of scan. */
  check(name: string, scanType: ScanType): Promise<void>;
  /**
   * Of this worker, else of the store.
   * @returns undefined when neither has it. @throws ScanmqError `internal` when it cannot be opened.
   */
  open(name: string): Promise<ScanCredentials | undefined>;
  /** Tells the gateways what this worker has; to be repeated within five minutes. */
  offer(worker: string): Promise<void>;
  /** What this worker has is gone with it. */
  withdraw(worker: string): Promise<void>;
}

export const storedPlace = (name: string): string => `stored credential ${name}`;

export function createStoredCredentials(
  redis: RedisClient,
  keys: Keys,
  ring: readonly Buffer[],
  now: () => Date,
  local: LocalCredentials | undefined,
): StoredCredentials {
  const [key] = ring;

  async function find(name: string): Promise<StoredEntry | undefined> {
    const text = await redis.hget(keys.storedCredentials, name);
    return text === null ? undefined : storedEntrySchema.parse(JSON.parse(text));
  }
  async function offered(): Promise<ReadonlyMap<string, OfferedCredential & { readonly at: number }>> {
    const found = new Map<string, OfferedCredential & { readonly at: number }>();
    for (const text of await redis.hvals(keys.offeredCredentials)) {
      const { at, credentials } = offerSchema.parse(JSON.parse(text));
      if (at < now().getTime() - OFFER_LIFE_MS) continue;
      for (const one of credentials) found.set(one.name, { ...one, at });
    }
    return found;
  }
  const unknown = (name: string): ScanmqError =>
    new ScanmqError('not_found', `There is no stored credential '${name}'.`);

  return {
    async list() {
      const texts = await redis.hvals(keys.storedCredentials);
      const ofWorkers = await offered();
      const stored = texts
        .map((text) => storedEntrySchema.parse(JSON.parse(text)).view)
        .filter(({ name }) => !ofWorkers.has(name));
      return [...stored, ...[...ofWorkers.values()].map(viewOfOffer)].sort((a, b) =>
        a.name.localeCompare(b.name),
      );
    },

    async store({ name, description, ...credentials }, by) {
      if (!key) {
        throw new ScanmqError(
          'unavailable',
          'This service cannot store credentials: no CREDENTIALS_KEY is configured to seal them with.',
          { retryable: 'no' },
        );
      }
      const ofWorker = (await offered()).get(name);
      if (ofWorker) {
        throw new ScanmqError(
          'invalid_request',
          `The workers have a credential '${name}' already (${ofWorker.source}), which comes before one that is stored. Use another name.`,
        );
      }
      if ((await redis.hlen(keys.storedCredentials)) >= MOST && !(await find(name)))
        throw new ScanmqError('invalid_request', `There are ${MOST} stored credentials; remove one first.`);
      const view: CredentialView = {
        name,
        description,
        source: 'stored',
        ssh_username: credentials.ssh_username ?? null,
        ssh_login:
          credentials.ssh_username === undefined
            ? null
            : credentials.ssh_private_key === undefined
              ? 'password'
              : 'private_key',
        elevate_privileges_with:
          credentials.ssh_username === undefined ? null : credentials.elevate_privileges_with,
        windows_username: credentials.windows_username ?? null,
        stored_at: now().toISOString(),
        stored_by: by,
      };
      const sealed = sealCredentials({ ...credentials, credential_ref: undefined }, storedPlace(name), key);
      await redis.hset(keys.storedCredentials, name, JSON.stringify({ view, sealed }));
      return view;
    },

    async remove(name) {
      if ((await redis.hdel(keys.storedCredentials, name)) === 0) throw unknown(name);
    },

    async check(name, scanType) {
      const ofWorker = (await offered()).get(name);
      const entry = ofWorker ? undefined : await find(name);
      if (!ofWorker && !entry) throw unknown(name);
      const privileged = ofWorker?.privileged ?? entry?.view.elevate_privileges_with !== 'Nothing';
      if (scanType === 'authenticated_privileged' && !privileged) {
        throw new ScanmqError(
          'invalid_request',
          `The stored credential '${name}' does not become a privileged user, so it does not fit authenticated_privileged.`,
          { issues: [{ path: 'credential_ref', message: 'expected one with elevate_privileges_with' }] },
        );
      }
    },

    async open(name) {
      const own = local?.open(name);
      if (own) return own;
      const entry = await find(name);
      if (!entry) return undefined;
      if (!key) {
        throw new ScanmqError(
          'internal',
          'This worker has no CREDENTIALS_KEY, so it cannot run scans that log in.',
          { retryable: 'no' },
        );
      }
      return openCredentials(entry.sealed, storedPlace(name), ring);
    },

    async offer(worker) {
      const credentials = local?.list() ?? [];
      const at = now().getTime();
      if (credentials.length === 0) await redis.hdel(keys.offeredCredentials, worker);
      else await redis.hset(keys.offeredCredentials, worker, JSON.stringify({ at, credentials }));
      // of workers that ended without a word
      for (const [other, text] of Object.entries(await redis.hgetall(keys.offeredCredentials)))
        if (offerSchema.parse(JSON.parse(text)).at < at - OFFER_LIFE_MS)
          await redis.hdel(keys.offeredCredentials, other);
    },

    async withdraw(worker) {
      await redis.hdel(keys.offeredCredentials, worker);
    },
  };
}

/** Name and source: more is not known outside the workers. */
function viewOfOffer({ name, source, at }: OfferedCredential & { readonly at: number }): CredentialView {
  return {
    name,
    description: '',
    source,
    ssh_username: null,
    ssh_login: null,
    elevate_privileges_with: null,
    windows_username: null,
    stored_at: new Date(at).toISOString(),
    stored_by: 'worker',
  };
}
