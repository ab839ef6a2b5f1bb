/**
 * Inline credentials of a scan between the gateway that took them and the worker that uses them: sealed with
 * AES-256-GCM in a key of their own, bound to their task, deleted when the task ends.
 */
import { createCipheriv, createDecipheriv, createHmac, randomBytes } from 'node:crypto';
import { type ScanCredentials, ScanmqError, type TaskId } from '@scanmq/contract';
import type { Keys } from './keys.js';
import type { RedisClient } from './redis-client.js';

const NONCE_BYTES = 12;
const TAG_BYTES = 16;
/** `k1.<id of the key>.<base64 of nonce, tag and ciphertext>`; before there were ids, the base64 alone. */
const SEALED = /^k1\.([0-9a-f]{8})\.([A-Za-z0-9+/=]+)$/;

/** Tells keys apart without telling anything about them. */
export function keyId(key: Buffer): string {
  return createHmac('sha256', key).update('scanmq key id').digest('hex').slice(0, 8);
}

/**
 * Seals a text for one place: a task, a name in the store, a webhook.
 * @param place is authenticated: moved to another place, it does not open.
 * @param key 32 bytes.
 */
export function sealText(text: string, place: string, key: Buffer): string {
  const nonce = randomBytes(NONCE_BYTES);
  const cipher = createCipheriv('aes-256-gcm', key, nonce).setAAD(Buffer.from(place));
  const sealed = Buffer.concat([cipher.update(text, 'utf8'), cipher.final()]);
  return `k1.${keyId(key)}.${Buffer.concat([nonce, cipher.getAuthTag(), sealed]).toString('base64')}`;
}

/** True when the text was sealed with this key. */
export function sealedWith(sealed: string, key: Buffer): boolean {
  return SEALED.exec(sealed)?.[1] === keyId(key);
}

/**
 * @param keys any of them may be the one.
 * @throws Error when none of the keys fits or the text was changed.
 */
export function openText(sealed: string, place: string, keys: readonly Buffer[]): string {
  const [, id, content = sealed] = SEALED.exec(sealed) ?? [];
  const bytes = Buffer.from(content, 'base64');
  for (const key of keys) {
    if (id !== undefined && keyId(key) !== id) continue;
    try {
      const decipher = createDecipheriv('aes-256-gcm', key, bytes.subarray(0, NONCE_BYTES), {
        authTagLength: TAG_BYTES,
      })
        .setAAD(Buffer.from(place))
        .setAuthTag(bytes.subarray(NONCE_BYTES, NONCE_BYTES + TAG_BYTES));
      return Buffer.concat([
        decipher.update(bytes.subarray(NONCE_BYTES + TAG_BYTES)),
        decipher.final(),
      ]).toString('utf8');
    } catch {
      // sealed with another of the keys, or changed: told below
    }
  }
  throw new Error('sealed with another key, or changed');
}

/** Seals credentials as `sealText` does. */
export function sealCredentials(credentials: object, place: string, key: Buffer): string {
  return sealText(JSON.stringify(credentials), place, key);
}

/** @throws ScanmqError `internal` (not retryable) when none of the keys fits or the text was changed. */
export function openCredentials(sealed: string, place: string, keys: readonly Buffer[]): ScanCredentials {
  try {
    return JSON.parse(openText(sealed, place, keys)) as ScanCredentials;
  } catch {
    throw new ScanmqError(
      'internal',
      'The credentials cannot be opened: they were sealed with another CREDENTIALS_KEY.',
      { retryable: 'no' },
    );
  }
}

/**
 * Tells whether two requests are the same. Keyed where a key is configured: the plain hash of a request
 * would let whoever reads Redis try passwords against it.
 */
export function hashRequest(request: unknown, key: Buffer | undefined): string {
  return createHmac('sha256', key ?? 'scanmq request')
    .update(canonicalJson(request))
    .digest('hex');
}

function canonicalJson(value: unknown): string {
  return JSON.stringify(value, (_, inner: unknown) =>
    inner !== null && typeof inner === 'object' && !Array.isArray(inner)
      ? Object.fromEntries(Object.entries(inner).sort(([a], [b]) => (a < b ? -1 : 1)))
      : inner,
  );
}

/** Sealed credentials by task. */
export interface CredentialBox {
  /** @returns undefined when the task has none (or no longer). */
  open(taskId: TaskId): Promise<ScanCredentials | undefined>;
  delete(taskId: TaskId): Promise<void>;
}

export function createCredentialBox(redis: RedisClient, keys: Keys, ring: readonly Buffer[]): CredentialBox {
  return {
    async open(taskId) {
      const sealed = await redis.get(keys.credentials(taskId));
      if (sealed === null) return undefined;
      if (ring.length === 0) {
        throw new ScanmqError(
          'internal',
          'This worker has no CREDENTIALS_KEY, so it cannot run scans that log in.',
          {
            retryable: 'no',
          },
        );
      }
      return openCredentials(sealed, taskId, ring);
    },
    async delete(taskId) {
      await redis.del(keys.credentials(taskId));
    },
  };
}
