/** Keys in Redis: at hand wherever the service runs, with nothing to configure. */
import { LIMITS, ScanmqError } from '@scanmq/contract';
import { type KeyRecord, type KeyStore, keyRecordSchema, unknownKey } from './key-store.js';
import { listenerOf, type RedisClient } from './redis-client.js';
import type { AccessKeys } from './redis-keys.js';

/** Messages of Redis can be lost with a connection: after so long we look whether there was one. */
const TRUST_MS = 5_000;
const TRUST_UNHEARD_MS = 250;

export interface RedisKeyStoreOptions {
  readonly redis: RedisClient;
  readonly keys: AccessKeys;
  /** Listens for changes, on a connection of its own; not for a command that ends at once. */
  readonly listening: boolean;
  readonly onError: (error: Error) => void;
}

export async function openRedisKeyStore(options: RedisKeyStoreOptions): Promise<KeyStore> {
  const { redis, keys } = options;
  let news = true;
  let subscriber: RedisClient | undefined;
  let subscribed = false;
  if (options.listening) {
    subscriber = listenerOf(redis);
    subscriber.on('error', options.onError);
    subscriber.on('message', () => {
      news = true;
    });
    // ioredis subscribes again by itself; what was said meanwhile is lost
    subscriber.on('close', () => {
      subscribed = false;
      news = true;
    });
    subscriber.on('ready', () => {
      subscribed = true;
      news = true;
    });
    await subscriber.subscribe(keys.apiKeysChanged);
    subscribed = true;
  }
  const tell = async (id: string): Promise<void> => {
    // this process need not wait for its own message
    news = true;
    await redis.publish(keys.apiKeysChanged, id);
  };

  return {
    place: 'Redis',
    get trustMs() {
      return subscribed ? TRUST_MS : TRUST_UNHEARD_MS;
    },
    hasNews: () => news,
    mayHave: async (id) => (await redis.hexists(keys.apiKeys, id)) > 0,
    async load() {
      // before the question: what is told while it is answered is news again
      news = false;
      try {
        const texts = await redis.hvals(keys.apiKeys);
        return texts.map((text) => keyRecordSchema.parse(JSON.parse(text)));
      } catch (error) {
        news = true;
        throw error;
      }
    },
    async add(record) {
      if ((await redis.hlen(keys.apiKeys)) >= LIMITS.apiKeys)
        throw new ScanmqError('invalid_request', `There are ${LIMITS.apiKeys} keys, which is the most.`);
      await redis.hsetnx(keys.apiKeys, record.id, JSON.stringify(record));
      await tell(record.id);
    },
    async revoke(id, at) {
      const text = await redis.hget(keys.apiKeys, id);
      if (text === null) throw unknownKey(id);
      const record = keyRecordSchema.parse(JSON.parse(text));
      if (record.revoked_at !== null) return record;
      const revoked: KeyRecord = { ...record, revoked_at: at.toISOString() };
      await redis.hset(keys.apiKeys, id, JSON.stringify(revoked));
      await tell(id);
      return revoked;
    },
    close: () => subscriber?.disconnect(),
  };
}
