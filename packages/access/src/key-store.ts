/** Where keys are kept: one of two places with the same door (`docs/decisions/0013-access.md`). */
import { keyScopesSchema, roleSchema, ScanmqError } from '@scanmq/contract';
import { z } from 'zod';

const isoTime = z.iso.datetime();

/** What is kept of a key. */
export const keyRecordSchema = z.object({
  id: z.string().regex(/^[0-9a-f]{16}$/),
  name: z.string(),
  role: roleSchema,
  scopes: keyScopesSchema,
  /** SHA-256 of the secret, hexadecimal. */
  hash: z.string().regex(/^[0-9a-f]{64}$/),
  created_at: isoTime,
  created_by: z.string(),
  expires_at: isoTime.nullable(),
  revoked_at: isoTime.nullable(),
});
export type KeyRecord = z.output<typeof keyRecordSchema>;

export interface KeyStore {
  /** For people: the file, or Redis. */
  readonly place: string;
  /** Every key, revoked ones too. @throws when the place cannot be read. */
  load(): Promise<readonly KeyRecord[]>;
  /** @throws ScanmqError `invalid_request` when there are too many. */
  add(record: KeyRecord): Promise<void>;
  /** Does nothing to a key that is revoked already. @throws ScanmqError `not_found`. */
  revoke(id: string, at: Date): Promise<KeyRecord>;
  /** True as soon as what was loaded may have changed. */
  hasNews(): boolean;
  /** Whether a key with this id was made meanwhile; asked before a key that is not known is refused, and cheap. */
  mayHave(id: string): Promise<boolean>;
  /** How long to believe `hasNews`, milliseconds: then it is loaded again in any case. */
  readonly trustMs: number;
  close(): void;
}

export function unknownKey(id: string): ScanmqError {
  return new ScanmqError('not_found', `There is no key '${id.slice(0, 80)}'.`);
}
