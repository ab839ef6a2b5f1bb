/** Rotation of CREDENTIALS_KEY: everything that is sealed in Redis, sealed anew with the key of today. */
import { openText, sealedWith, sealText } from './credentials.js';
import type { Keys } from './keys.js';
import { type RedisClient, serversOf } from './redis-client.js';
import { resealScript } from './scripts.js';
import { type StoredEntry, storedEntrySchema, storedPlace } from './stored-credentials.js';
import { webhookPlace } from './webhooks.js';

export interface ResealReport {
  /** Sealed anew: credentials of tasks, stored ones, and secrets of webhooks. */
  readonly tasks: number;
  readonly stored: number;
  readonly webhooks: number;
  /** Sealed with the key of today already. */
  readonly current: number;
  /** Sealed with none of the keys: where they are. */
  readonly unreadable: readonly string[];
}

/** @param ring the key of today first, then those of before. */
export async function resealAll(
  redis: RedisClient,
  keys: Keys,
  ring: readonly Buffer[],
): Promise<ResealReport> {
  const [today] = ring;
  const report = { tasks: 0, stored: 0, webhooks: 0, current: 0, unreadable: [] as string[] };
  if (!today) return report;

  /** @returns undefined when there is nothing to do. */
  const renew = (sealed: string, place: string, shown: string): string | undefined => {
    if (sealedWith(sealed, today)) {
      report.current += 1;
      return undefined;
    }
    try {
      return sealText(openText(sealed, place, ring), place, today);
    } catch {
      report.unreadable.push(shown);
      return undefined;
    }
  };

  /** Of every key with this beginning. @returns how many. */
  const renewAll = async (prefix: string, placeOf: (id: string) => string): Promise<number> => {
    let renewed = 0;
    for (const server of serversOf(redis)) {
      for await (const page of server.scanStream({ match: `${escapePattern(prefix)}*`, count: 500 })) {
        for (const key of page as string[]) {
          const sealed = await redis.get(key);
          const id = key.slice(prefix.length);
          const anew = sealed === null ? undefined : renew(sealed, placeOf(id), id);
          if (anew !== undefined)
            renewed += Number(await resealScript(redis, [key], ['', sealed ?? '', anew]));
        }
      }
    }
    return renewed;
  };

  report.tasks = await renewAll(keys.credentials(''), (taskId) => taskId);
  report.webhooks = await renewAll(keys.webhookSecret(''), webhookPlace);
  for (const [name, text] of Object.entries(await redis.hgetall(keys.storedCredentials))) {
    const entry = storedEntrySchema.parse(JSON.parse(text));
    const renewed = renew(entry.sealed, storedPlace(name), name);
    if (renewed === undefined) continue;
    const changed = JSON.stringify({ ...entry, sealed: renewed } satisfies StoredEntry);
    report.stored += Number(await resealScript(redis, [keys.storedCredentials], [name, text, changed]));
  }
  return report;
}

/** A prefix may hold what means something in a pattern. */
function escapePattern(text: string): string {
  return text.replace(/[\\*?[\]]/g, '\\$&');
}
