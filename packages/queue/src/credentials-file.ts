/** `CREDENTIALS_FILE`: credentials by name, sealed as a whole. Made by `scanmq credentials seal`. */
import { ScanmqError } from '@scanmq/contract';
import { z } from 'zod';
import { openCredentials, sealCredentials, sealedWith } from './credentials.js';

const PLACE = 'credentials file';
const fileSchema = z.strictObject({ scanmq_credentials: z.literal(1), sealed: z.string() });

/** The text of the file. */
export function sealCredentialsFile(byName: object, key: Buffer): string {
  return `${JSON.stringify({ scanmq_credentials: 1, sealed: sealCredentials(byName, PLACE, key) })}\n`;
}

/** @throws ScanmqError `invalid_request` when it is no such file; `internal` when none of the keys opens it. */
export function openCredentialsFile(text: string, keys: readonly Buffer[]): object {
  return openCredentials(parse(text), PLACE, keys);
}

/** The text sealed with the first of the keys; undefined when it is already. Throws as `openCredentialsFile`. */
export function resealCredentialsFile(text: string, keys: readonly Buffer[]): string | undefined {
  const [key] = keys;
  if (!key || sealedWith(parse(text), key)) return undefined;
  return sealCredentialsFile(openCredentialsFile(text, keys), key);
}

function parse(text: string): string {
  try {
    return fileSchema.parse(JSON.parse(text)).sealed;
  } catch {
    throw new ScanmqError('invalid_request', 'This is no file made by scanmq credentials seal.');
  }
}
