/**
 * An API key: `smq_<id>_<secret>`. The prefix lets people and secret scanners recognise one, the id lets us find and
 * name it, and the secret is 256 random bits.
 *
 * Stored is the SHA-256 of the secret, on purpose not a slow hash (scrypt, Argon2): slowness protects what people
 * choose, from a guesser who may try the likely ones. Among 2^256 equally likely secrets nothing is likely, at any
 * speed, and a slow hash would cost every request tens of milliseconds and give strangers a way to keep us busy.
 */
import { createHash, randomBytes, timingSafeEqual } from 'node:crypto';

const ID_BYTES = 8;
const SECRET_BYTES = 32;
const KEY = /^smq_([0-9a-f]{16})_([0-9a-f]{64})$/;

export interface ApiKey {
  readonly id: string;
  /** The whole key, as it is shown once. */
  readonly text: string;
  /** What is stored. */
  readonly hash: string;
}

export function makeApiKey(): ApiKey {
  const id = randomBytes(ID_BYTES).toString('hex');
  const secret = randomBytes(SECRET_BYTES).toString('hex');
  return { id, text: `${keyPrefix(id)}_${secret}`, hash: hashSecret(secret) };
}

/** How the key with this id begins. */
export function keyPrefix(id: string): string {
  return `smq_${id}`;
}

/** @returns undefined for a text that is no key. */
export function parseApiKey(text: string): { readonly id: string; readonly secret: string } | undefined {
  const [, id, secret] = KEY.exec(text) ?? [];
  return id === undefined || secret === undefined ? undefined : { id, secret };
}

export function hashSecret(secret: string): string {
  return createHash('sha256').update(secret).digest('hex');
}

/** Takes the same time wherever the two differ. */
export function sameHash(a: string, b: string): boolean {
  const [left, right] = [Buffer.from(a, 'hex'), Buffer.from(b, 'hex')];
  return left.length === right.length && timingSafeEqual(left, right);
}
