import { randomBytes } from 'node:crypto';
import { chmod, mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from '@jest/globals';
import { type CreateKey, createKeySchema } from '@scanmq/contract';
import { until } from '@scanmq/testkit';
import { Redis } from 'ioredis';
import { openFileKeyStore } from './file-key-store.js';
import { createKeyRing } from './key-ring.js';
import type { KeyStore } from './key-store.js';
import { createKeyAdministration } from './keys.js';
import { openRedisKeyStore } from './redis-key-store.js';
import { accessKeys } from './redis-keys.js';

const redis = new Redis(process.env.SCANMQ_TEST_REDIS_URL ?? '');
const closing: (() => Promise<void> | void)[] = [];
afterAll(async () => {
  for (const close of closing.reverse()) await close();
  redis.disconnect();
});

const wanted = (name: string, more: object = {}): CreateKey =>
  createKeySchema.parse({ name, role: 'operator', ...more });

/** A place for keys, as any number of processes open it. */
async function place(kind: 'Redis' | 'a file') {
  const keys = accessKeys(`t${randomBytes(4).toString('hex')}`);
  const directory = await mkdtemp(join(tmpdir(), 'scanmq-keys-'));
  closing.push(() => rm(directory, { recursive: true, force: true }));
  const file = join(directory, 'deep', 'keys.json');
  const time = { now: new Date() };
  const open = async (): Promise<KeyStore> => {
    const store =
      kind === 'a file'
        ? openFileKeyStore(file)
        : await openRedisKeyStore({ redis, keys, listening: true, onError: () => undefined });
    closing.push(() => store.close());
    return store;
  };
  const errors: unknown[] = [];
  return {
    file,
    keys,
    time,
    errors,
    directory: join(directory, 'deep'),
    administration: async () => createKeyAdministration(await open(), redis, keys, () => time.now),
    ring: async () =>
      createKeyRing({
        store: await open(),
        redis,
        keys,
        now: () => time.now,
        onError: (error) => errors.push(error),
      }),
  };
}

describe.each(['Redis', 'a file'] as const)('keys in %s', (kind) => {
  it('are made, recognised and revoked, while a gateway runs', async () => {
    const { administration, ring } = await place(kind);
    const gateway = await ring();
    expect(await gateway.hasKeys()).toBe(false);
    const people = await administration();
    const made = await people.create(wanted('ci', { role: 'viewer' }), 'tester');
    expect(made.key).toMatch(/^smq_[0-9a-f]{16}_[0-9a-f]{64}$/);
    expect(made.key.startsWith(`${made.prefix}_`)).toBe(true);

    // made a moment ago by another process: at once
    expect(await gateway.verify(made.key)).toMatchObject({
      ok: true,
      principal: { id: made.id, name: 'ci', role: 'viewer', via: 'key' },
    });
    expect(await gateway.hasKeys()).toBe(true);

    await people.revoke(made.id);
    await until('the key is refused', async () => ((await gateway.verify(made.key)).ok ? undefined : true));
    expect(await gateway.verify(made.key)).toEqual({ ok: false, why: 'revoked', keyId: made.id });
    expect(await gateway.valid(made.id)).toBeUndefined();
    // revoking the last key opens nothing
    expect(await gateway.hasKeys()).toBe(true);
  });

  it('are refused when they are wrong in any part, or have expired', async () => {
    const { administration, ring, time } = await place(kind);
    const people = await administration();
    const soon = new Date(time.now.getTime() + 60_000);
    const { key, id } = await people.create(wanted('ci', { expires_at: soon.toISOString() }), 'tester');
    const gateway = await ring();
    const wrong = key.replace(/.$/, (last) => (last === '0' ? '1' : '0'));
    expect(await gateway.verify(wrong)).toMatchObject({ ok: false, why: 'wrong_secret', keyId: id });
    const another = key.replace(id, 'f'.repeat(16));
    expect(await gateway.verify(another)).toMatchObject({ ok: false, why: 'unknown' });
    for (const text of ['', 'smq_', key.toUpperCase(), `${key}0`, ` ${key}`, key.slice(4), `smq_${id}_`])
      expect(await gateway.verify(text)).toEqual({ ok: false, why: 'not_a_key', keyId: undefined });
    expect(await gateway.verify(key)).toMatchObject({ ok: true });
    time.now = soon;
    expect(await gateway.verify(key)).toMatchObject({ ok: false, why: 'expired' });
    // who has not the secret is not told that the key is there
    expect(await gateway.verify(wrong)).toMatchObject({ ok: false, why: 'wrong_secret' });
    expect(await people.list()).toMatchObject([{ id, state: 'expired' }]);
  });

  it('are all there when many are made at once', async () => {
    const { administration } = await place(kind);
    const people = await Promise.all(Array.from({ length: 5 }, administration));
    const made = await Promise.all(
      people.flatMap((one, index) =>
        Array.from({ length: 4 }, (_, copy) => one.create(wanted(`k${index}-${copy}`), 'tester')),
      ),
    );
    const listed = await people[0]?.list();
    expect(listed?.map(({ id }) => id).sort()).toEqual(made.map(({ id }) => id).sort());
  });

  it('are kept without what would open a door', async () => {
    const { administration, ring, keys, file } = await place(kind);
    const { key } = await (await administration()).create(wanted('ci'), 'tester');
    const gateway = await ring();
    await gateway.verify(key);
    await gateway.flush();
    const kept =
      kind === 'a file' ? await readFile(file, 'utf8') : JSON.stringify(await redis.hgetall(keys.apiKeys));
    expect(kept).toContain('"ci"'.replaceAll('"', kind === 'a file' ? '"' : '\\"'));
    expect(kept).not.toContain(key.split('_')[2]);
  });

  it('tell when they were last used, once a minute', async () => {
    const { administration, ring, time } = await place(kind);
    const people = await administration();
    const { key } = await people.create(wanted('ci'), 'tester');
    const gateway = await ring();
    const lastUsed = async () => (await people.list())[0]?.last_used_at;
    expect(await lastUsed()).toBeNull();
    const first = time.now.toISOString();
    for (const laterMs of [0, 30_000, 29_000]) {
      time.now = new Date(time.now.getTime() + laterMs);
      await gateway.verify(key);
    }
    await gateway.flush();
    expect(await lastUsed()).toBe(first);
    time.now = new Date(time.now.getTime() + 1_000);
    await gateway.verify(key);
    await gateway.flush();
    expect(await lastUsed()).toBe(time.now.toISOString());
  });

  it('are named by id, by how they begin, whole, or by a name that is theirs alone', async () => {
    const { administration } = await place(kind);
    const people = await administration();
    const one = await people.create(wanted('one'), 'tester');
    const two = await people.create(wanted('two'), 'tester');
    const twin = await people.create(wanted('two'), 'tester');
    for (const text of [one.id, one.prefix, one.key, 'one'])
      expect(await people.find(text)).toMatchObject({ id: one.id });
    await expect(people.find('two')).rejects.toMatchObject({ code: 'invalid_request' });
    await people.revoke(twin.id);
    expect(await people.find('two')).toMatchObject({ id: two.id });
    await expect(people.revoke('nobody')).rejects.toMatchObject({ code: 'not_found' });
    // a mistaken key is not repeated in the message
    const absent = two.key.replace(two.id, 'e'.repeat(16));
    await expect(people.find(absent)).rejects.toThrow(/There is no key 'e{16}'/);
  });

  it('cannot be made for a time that has passed', async () => {
    const { administration, time } = await place(kind);
    const past = new Date(time.now.getTime() - 1).toISOString();
    await expect(
      (await administration()).create(wanted('x', { expires_at: past }), 'tester'),
    ).rejects.toMatchObject({ code: 'invalid_request', issues: [{ path: 'expires_at' }] });
  });
});

describe('the file of keys', () => {
  it('can be read by its owner only, and nothing is left beside it', async () => {
    const { administration, file, directory } = await place('a file');
    const people = await administration();
    await people.create(wanted('one'), 'tester');
    await people.create(wanted('two'), 'tester');
    expect((await stat(file)).mode & 0o777).toBe(0o600);
    expect(await readdir(directory)).toEqual(['keys.json']);
  });

  it.each([0o660, 0o602, 0o666])('is refused when others may write it (%o)', async (mode) => {
    const { administration, ring, file, errors } = await place('a file');
    const people = await administration();
    const { key } = await people.create(wanted('one'), 'tester');
    await chmod(file, mode);
    await expect((await ring()).verify(key)).rejects.toMatchObject({ code: 'unavailable' });
    expect(String(errors[0])).toContain('others than its owner may write it');
    await expect(people.create(wanted('two'), 'tester')).rejects.toThrow(/others than its owner/);
  });

  it('that vanishes or breaks closes the door rather than opening it', async () => {
    const { administration, ring, file } = await place('a file');
    const { key } = await (await administration()).create(wanted('one'), 'tester');
    const gateway = await ring();
    expect(await gateway.verify(key)).toMatchObject({ ok: true });
    const text = await readFile(file, 'utf8');
    await rm(file);
    expect(await gateway.hasKeys()).toBe(true);
    await writeFile(file, '{"version":1,"keys":[{"id"', { mode: 0o600 });
    expect(await gateway.hasKeys()).toBe(true);
    // what was known counts for a while; a gateway that begins now knows nothing
    await expect((await ring()).hasKeys()).rejects.toMatchObject({ code: 'unavailable' });
    await writeFile(file, text, { mode: 0o600 });
    expect(await gateway.verify(key)).toMatchObject({ ok: true });
  });
});

describe('with Redis away', () => {
  it('keys that are known stay good for a while, and nobody else is let in', async () => {
    const { administration, keys } = await place('Redis');
    const { key } = await (await administration()).create(wanted('one'), 'tester');
    const broken = redis.duplicate({ enableOfflineQueue: false, maxRetriesPerRequest: 0 });
    await until('it is connected', () => (broken.status === 'ready' ? true : undefined));
    const errors: unknown[] = [];
    const open = async () => {
      const store = await openRedisKeyStore({
        redis: broken,
        keys,
        listening: false,
        onError: () => undefined,
      });
      return createKeyRing({
        store,
        redis: broken,
        keys,
        now: () => new Date(),
        onError: (error) => errors.push(error),
      });
    };
    const gateway = await open();
    expect(await gateway.verify(key)).toMatchObject({ ok: true });
    const late = await open();
    broken.disconnect();
    expect(await gateway.verify(key)).toMatchObject({ ok: true });
    await expect(late.verify(key)).rejects.toMatchObject({ code: 'unavailable' });
  });
});
