/** Keys in a file (API_KEYS_FILE), shared by all gateways: out of the reach of whoever can write to Redis. */
import { randomBytes } from 'node:crypto';
import { statSync } from 'node:fs';
import { mkdir, open, readFile, rename, rm } from 'node:fs/promises';
import { dirname } from 'node:path';
import { fileSignature } from '@scanmq/config';
import { LIMITS, ScanmqError } from '@scanmq/contract';
import { lock } from 'proper-lockfile';
import { z } from 'zod';
import { type KeyRecord, type KeyStore, keyRecordSchema, unknownKey } from './key-store.js';

const fileSchema = z.strictObject({ version: z.literal(1), keys: z.array(keyRecordSchema) });

/** Some file systems tell times to the second: two changes in one of them look like one. */
const TRUST_MS = 2_000;
const MODE = 0o600;
/** Bits that let others than the owner change the file. */
const WRITABLE_BY_OTHERS = 0o022;

const LOCK = {
  // the file may not exist yet
  realpath: false,
  // whoever holds it for longer has died
  stale: 10_000,
  retries: { retries: 100, factor: 1.2, minTimeout: 10, maxTimeout: 200, randomize: true },
};

/** @param file absolute path; made with the first key. */
export function openFileKeyStore(file: string): KeyStore {
  let seen = '';
  let existed = false;

  async function read(): Promise<readonly KeyRecord[]> {
    const stats = statSync(file, { throwIfNoEntry: false });
    if (!stats) {
      // one that vanishes must not open the door that it has closed
      if (existed) throw unusable(file, 'it is gone');
      seen = '';
      return [];
    }
    if ((stats.mode & WRITABLE_BY_OTHERS) !== 0)
      throw unusable(file, `others than its owner may write it (chmod ${MODE.toString(8)})`);
    const before = fileSignature(stats);
    let keys: readonly KeyRecord[];
    try {
      keys = fileSchema.parse(JSON.parse(await readFile(file, 'utf8'))).keys;
    } catch (error) {
      throw unusable(file, 'it does not hold what scanmq keys writes', error);
    }
    seen = before;
    existed = true;
    return keys;
  }

  /** One change at a time, over all processes; the file is replaced whole, or not at all. */
  async function change<T>(
    make: (keys: readonly KeyRecord[]) => { keys: readonly KeyRecord[]; answer: T },
  ): Promise<T> {
    await mkdir(dirname(file), { recursive: true });
    const release = await lock(file, LOCK).catch((error: unknown) => {
      throw unusable(file, 'it cannot be locked', error);
    });
    const draft = `${file}.${randomBytes(4).toString('hex')}.tmp`;
    try {
      const { keys, answer } = make(await read());
      const handle = await open(draft, 'wx', MODE);
      try {
        await handle.writeFile(`${JSON.stringify({ version: 1, keys }, null, 2)}\n`);
        await handle.sync();
      } finally {
        await handle.close();
      }
      await rename(draft, file);
      return answer;
    } catch (error) {
      if (error instanceof ScanmqError) throw error;
      throw unusable(file, 'it cannot be written', error);
    } finally {
      await rm(draft, { force: true });
      await release();
    }
  }

  const hasChanged = (): boolean => fileSignature(statSync(file, { throwIfNoEntry: false })) !== seen;

  return {
    place: file,
    trustMs: TRUST_MS,
    // for each request, a few microseconds: what is revoked is refused from then on
    hasNews: hasChanged,
    mayHave: async () => hasChanged(),
    load: read,
    async add(record) {
      await change((keys) => {
        if (keys.length >= LIMITS.apiKeys)
          throw new ScanmqError('invalid_request', `There are ${LIMITS.apiKeys} keys, which is the most.`);
        return { keys: [...keys, record], answer: undefined };
      });
    },
    async revoke(id, at) {
      return await change((keys) => {
        const found = keys.find((key) => key.id === id);
        if (!found) throw unknownKey(id);
        const revoked: KeyRecord = { ...found, revoked_at: found.revoked_at ?? at.toISOString() };
        return { keys: keys.map((key) => (key === found ? revoked : key)), answer: revoked };
      });
    },
    close: () => undefined,
  };
}

function unusable(file: string, why: string, cause?: unknown): ScanmqError {
  return new ScanmqError('unavailable', `The file of API keys (${file}) cannot be used: ${why}.`, {
    cause,
    retryable: 'no',
  });
}
