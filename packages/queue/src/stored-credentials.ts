/** Credentials that an administrator stored under a name: sealed like those of a task, until they are removed. */
import {
  type CredentialView,
  credentialViewSchema,
  type ScanCredentials,
  ScanmqError,
  type ScanType,
  type StoreCredential,
} from '@scanmq/contract';
import type { Redis } from 'ioredis';
import { z } from 'zod';
import { openCredentials, sealCredentials } from './credentials.js';
import type { Keys } from './keys.js';

const entrySchema = z.object({ view: credentialViewSchema, sealed: z.string() });

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
  /** @returns undefined when it was removed. @throws ScanmqError `internal` when it cannot be opened. */
  open(name: string): Promise<ScanCredentials | undefined>;
}

const placeOf = (name: string): string => `stored credential ${name}`;

export function createStoredCredentials(
  redis: Redis,
  keys: Keys,
  key: Buffer | undefined,
  now: () => Date,
): StoredCredentials {
  async function find(name: string): Promise<z.output<typeof entrySchema> | undefined> {
    const text = await redis.hget(keys.storedCredentials, name);
    return text === null ? undefined : entrySchema.parse(JSON.parse(text));
  }
  const unknown = (name: string): ScanmqError =>
    new ScanmqError('not_found', `There is no stored credential '${name}'.`);

  return {
    async list() {
      const texts = await redis.hvals(keys.storedCredentials);
      return texts
        .map((text) => entrySchema.parse(JSON.parse(text)).view)
        .sort((a, b) => a.name.localeCompare(b.name));
    },

    async store({ name, description, ...credentials }, by) {
      if (!key) {
        throw new ScanmqError(
          'unavailable',
          'This service cannot store credentials: no CREDENTIALS_KEY is configured to seal them with.',
          { retryable: 'no' },
        );
      }
      if ((await redis.hlen(keys.storedCredentials)) >= MOST && !(await find(name)))
        throw new ScanmqError('invalid_request', `There are ${MOST} stored credentials; remove one first.`);
      const view: CredentialView = {
        name,
        description,
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
      const sealed = sealCredentials({ ...credentials, credential_ref: undefined }, placeOf(name), key);
      await redis.hset(keys.storedCredentials, name, JSON.stringify({ view, sealed }));
      return view;
    },

    async remove(name) {
      if ((await redis.hdel(keys.storedCredentials, name)) === 0) throw unknown(name);
    },

    async check(name, scanType) {
      const entry = await find(name);
      if (!entry) throw unknown(name);
      const { view } = entry;
      if (scanType === 'authenticated_privileged' && view.elevate_privileges_with === 'Nothing') {
        throw new ScanmqError(
          'invalid_request',
          `The stored credential '${name}' does not become a privileged user, so it does not fit authenticated_privileged.`,
          { issues: [{ path: 'credential_ref', message: 'expected one with elevate_privileges_with' }] },
        );
      }
    },

    async open(name) {
      const entry = await find(name);
      if (!entry) return undefined;
      if (!key) {
        throw new ScanmqError(
          'internal',
          'This worker has no CREDENTIALS_KEY, so it cannot run scans that log in.',
          { retryable: 'no' },
        );
      }
      return openCredentials(entry.sealed, placeOf(name), key);
    },
  };
}
