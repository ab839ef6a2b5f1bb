/** Rotation of CREDENTIALS_KEY: everything that is sealed in Redis, sealed anew with the key of today. */
import type { Redis } from 'ioredis';
import { openCredentials, sealCredentials, sealedWith } from './credentials.js';
import type { Keys } from './keys.js';
import { resealScript } from './scripts.js';
import { type StoredEntry, storedEntrySchema, storedPlace } from './stored-credentials.js';

export interface ResealReport {
  /** Sealed anew: credentials of tasks, and stored ones. */
  readonly tasks: number;
  readonly stored: number;
  /** Sealed with the key of today already. */
  readonly current: number;
  /** Sealed with none of the keys: where they are. */
  readonly unreadable: readonly string[];
}

/** @param ring the key of today first, then those of before. */
export async function resealAll(redis: Redis, keys: Keys, ring: readonly Buffer[]): Promise<ResealReport> {
  const [today] = ring;
  const report = { tasks: 0, stored: 0, current: 0, unreadable: [] as string[] };
  if (!today) return report;

  /** @returns undefined when there is nothing to do. */
  const renew = (sealed: string, place: string, shown: string): string | undefined => {
    if (sealedWith(sealed, today)) {
      report.current += 1;
      return undefined;
    }
    try {
      return sealCredentials(openCredentials(sealed, place, ring), place, today);
    } catch {
      report.unreadable.push(shown);
      return undefined;
    }
  };

  const prefix = keys.credentials('');
  for await (const page of redis.scanStream({ match: `${escapePattern(prefix)}*`, count: 500 })) {
    for (const key of page as string[]) {
      const sealed = await redis.get(key);
      const taskId = key.slice(prefix.length);
      const renewed = sealed === null ? undefined : renew(sealed, taskId, taskId);
      if (renewed !== undefined)
        report.tasks += Number(await resealScript(redis, [key], ['', sealed ?? '', renewed]));
    }
  }
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
