/**
 * The newest entry of each chain, kept in Redis: away from the files, so that cutting off the end of a log, or taking it
 * away whole, is noticed. It is written after the entry; a crash in between leaves it one behind, never ahead.
 */
import { z } from 'zod';
import type { RedisClient } from '../redis-client.js';
import type { AccessKeys } from '../redis-keys.js';
import type { Head } from './chain.js';

const headSchema = z.object({
  seq: z.number().int(),
  hash: z.string(),
  /** Name of the file and of the machine, for whoever looks for it. */
  file: z.string(),
  host: z.string(),
});
export type KnownHead = z.output<typeof headSchema>;

export interface AuditHeads {
  get(chain: string): Promise<KnownHead | undefined>;
  /** By chain. */
  all(): Promise<ReadonlyMap<string, KnownHead>>;
  set(head: Head, file: string, host: string): Promise<void>;
}

export function createAuditHeads(redis: RedisClient, keys: AccessKeys): AuditHeads {
  const parse = (text: string): KnownHead => headSchema.parse(JSON.parse(text));
  return {
    async get(chain) {
      const text = await redis.hget(keys.auditHeads, chain);
      return text === null ? undefined : parse(text);
    },
    async all() {
      const texts = await redis.hgetall(keys.auditHeads);
      return new Map(Object.entries(texts).map(([chain, text]) => [chain, parse(text)]));
    },
    async set({ chain, seq, hash }, file, host) {
      await redis.hset(keys.auditHeads, chain, JSON.stringify({ seq, hash, file, host }));
    },
  };
}
