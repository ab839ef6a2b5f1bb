/** Making, listing and revoking keys: what `scanmq keys` does, wherever the keys are. */
import { type ApiKeyView, type CreatedKey, type CreateKey, ScanmqError } from '@scanmq/contract';
import { keyPrefix, makeApiKey, parseApiKey } from './api-key.js';
import { faultOf } from './key-ring.js';
import { type KeyRecord, type KeyStore, unknownKey } from './key-store.js';
import type { RedisClient } from './redis-client.js';
import type { AccessKeys } from './redis-keys.js';

export interface KeyAdministration {
  /** The only time that the key itself is told. @throws ScanmqError `invalid_request`. */
  create(wanted: CreateKey, by: string): Promise<CreatedKey>;
  /** The newest first. */
  list(): Promise<readonly ApiKeyView[]>;
  /**
   * The key that is meant: by id, by how it begins, by the whole key, or by a name that one valid key has.
   * @throws ScanmqError `not_found`; `invalid_request` where several are meant.
   */
  find(text: string): Promise<ApiKeyView>;
  /** From now on the key is refused, by every gateway. @throws as `find`. */
  revoke(text: string): Promise<ApiKeyView>;
}

export function createKeyAdministration(
  store: KeyStore,
  redis: RedisClient,
  keys: AccessKeys,
  now: () => Date,
): KeyAdministration {
  const view = (record: KeyRecord, lastUsed: string | undefined): ApiKeyView => ({
    id: record.id,
    prefix: keyPrefix(record.id),
    name: record.name,
    role: record.role,
    scopes: record.scopes,
    state: faultOf(record, now()) ?? 'valid',
    created_at: record.created_at,
    created_by: record.created_by,
    expires_at: record.expires_at,
    last_used_at: lastUsed ?? null,
    revoked_at: record.revoked_at,
  });

  async function list(): Promise<readonly ApiKeyView[]> {
    const [records, lastUsed] = await Promise.all([store.load(), redis.hgetall(keys.lastUsed)]);
    return records
      .map((record) => view(record, lastUsed[record.id]))
      .sort((a, b) => b.created_at.localeCompare(a.created_at) || a.id.localeCompare(b.id));
  }

  async function find(text: string): Promise<ApiKeyView> {
    const all = await list();
    const id = parseApiKey(text)?.id ?? text.replace(/^smq_/, '');
    const byId = all.find((key) => key.id === id);
    if (byId) return byId;
    const named = all.filter((key) => key.name === text && key.state !== 'revoked');
    if (named.length > 1)
      throw new ScanmqError(
        'invalid_request',
        `${named.length} keys have the name '${text}': say which one by its id, ${named.map((key) => key.id).join(' or ')}.`,
      );
    const [only] = named;
    // a whole key is not repeated
    if (!only) throw unknownKey(parseApiKey(text)?.id ?? text);
    return only;
  }

  return {
    async create({ name, role, expires_at, scopes }, by) {
      const at = now();
      if (expires_at !== null && Date.parse(expires_at) <= at.getTime())
        throw new ScanmqError('invalid_request', 'The key would have expired already.', {
          issues: [{ path: 'expires_at', message: 'expected a time to come' }],
        });
      const key = makeApiKey();
      const record: KeyRecord = {
        id: key.id,
        name,
        role,
        scopes,
        hash: key.hash,
        created_at: at.toISOString(),
        created_by: by,
        expires_at: expires_at === null ? null : new Date(expires_at).toISOString(),
        revoked_at: null,
      };
      await store.add(record);
      return { key: key.text, ...view(record, undefined) };
    },
    list,
    find,
    async revoke(text) {
      const { id, last_used_at } = await find(text);
      return view(await store.revoke(id, now()), last_used_at ?? undefined);
    },
  };
}
