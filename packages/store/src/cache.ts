/**
 * Copies of files on this machine, within a bound: what was used least recently goes first. Each process has a
 * directory of its own, so that none clears away what another reads.
 */
import { randomBytes } from 'node:crypto';
import { mkdir, readdir, rm, stat, utimes } from 'node:fs/promises';
import { join } from 'node:path';

/** Files of one task as they were at one moment. */
export interface CacheEntry {
  readonly directory: string;
  touch(): void;
  /** Counts what the directory holds now, and clears away others if it is too much. */
  measure(): Promise<void>;
  release(): void;
}

export interface Cache {
  /** @param id names the content: an entry never changes it. */
  hold(id: string): Promise<CacheEntry>;
  /** Bytes that are kept now. */
  readonly bytes: number;
  close(): Promise<void>;
}

interface Kept {
  readonly directory: string;
  bytes: number;
  holders: number;
  usedAtMs: number;
}

/** A holder that has not been heard of for so long has forgotten to let go. */
const FORGOTTEN_MS = 10 * 60_000;
/** How often a process says that its directory is in use, and when one counts as left behind. */
const ALIVE_MS = 60_000;
const LEFT_BEHIND_MS = 60 * 60_000;

/** @param root shared by all processes that use this data directory. */
export async function openCache(root: string, maxBytes: number): Promise<Cache> {
  await mkdir(root, { recursive: true });
  await clearLeftBehind(root);
  const own = join(root, `${process.pid}-${randomBytes(4).toString('hex')}`);
  await mkdir(own, { mode: 0o750 });
  const alive = setInterval(() => {
    const now = new Date();
    utimes(own, now, now).catch(() => undefined);
  }, ALIVE_MS);
  alive.unref();
  const kept = new Map<string, Kept>();
  let total = 0;

  async function shrink(): Promise<void> {
    const byUse = [...kept].sort(([, a], [, b]) => a.usedAtMs - b.usedAtMs);
    for (const [id, entry] of byUse) {
      if (total <= maxBytes) return;
      if (entry.holders > 0 && Date.now() - entry.usedAtMs < FORGOTTEN_MS) continue;
      kept.delete(id);
      total -= entry.bytes;
      await rm(entry.directory, { recursive: true, force: true });
    }
  }

  return {
    get bytes() {
      return total;
    },

    async hold(id) {
      const entry = kept.get(id) ?? {
        // a new name each time: the one before may still be on its way out
        directory: join(own, randomBytes(8).toString('hex')),
        bytes: 0,
        holders: 0,
        usedAtMs: Date.now(),
      };
      kept.set(id, entry);
      entry.holders += 1;
      entry.usedAtMs = Date.now();
      let held = true;
      const release = (): void => {
        if (held) entry.holders -= 1;
        held = false;
      };
      try {
        await mkdir(entry.directory, { recursive: true });
      } catch (error) {
        release();
        throw error;
      }
      return {
        directory: entry.directory,
        touch: () => {
          entry.usedAtMs = Date.now();
        },
        async measure() {
          const bytes = await bytesIn(entry.directory);
          // unless it was cleared away meanwhile
          if (kept.get(id) !== entry) return;
          total += bytes - entry.bytes;
          entry.bytes = bytes;
          await shrink();
        },
        release,
      };
    },

    async close() {
      clearInterval(alive);
      await rm(own, { recursive: true, force: true });
    },
  };
}

async function bytesIn(directory: string): Promise<number> {
  let bytes = 0;
  for (const name of await readdir(directory)) {
    const facts = await stat(join(directory, name)).catch(() => undefined);
    bytes += facts?.size ?? 0;
  }
  return bytes;
}

/** Directories of processes that were killed; those that live touch theirs every minute. */
export async function clearLeftBehind(root: string, ageMs: number = LEFT_BEHIND_MS): Promise<void> {
  for (const name of await readdir(root).catch(() => [])) {
    const facts = await stat(join(root, name)).catch(() => undefined);
    if (facts && Date.now() - facts.mtimeMs > ageMs)
      await rm(join(root, name), { recursive: true, force: true });
  }
}
