import { createHash, randomBytes } from 'node:crypto';
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { newTaskId, type TaskId } from '@scanmq/contract';
import { type LocalS3, startLocalS3 } from '@scanmq/testkit';
import { createDirectoryStore } from './directory-store.js';
import { openS3Store } from './s3-store.js';
import type { ResultStore } from './store.js';

let s3: LocalS3;
let directory: string;
/** Stores of one test, each as another machine would have it: with S3 they share no directory. */
const stores: ResultStore[] = [];
let machines = 0;

beforeAll(async () => {
  s3 = await startLocalS3();
});
afterAll(async () => await s3.stop());
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'scanmq-store-'));
});
afterEach(async () => {
  for (const store of stores.splice(0)) await store.close();
  await rm(directory, { recursive: true, force: true });
});

const task = (): TaskId => newTaskId('nessus', new Date());

async function s3Store({ cacheBytes = 1024 * 1024, endpoint = s3.endpoint } = {}): Promise<ResultStore> {
  machines += 1;
  const store = await openS3Store({
    dataDir: join(directory, `machine${machines}`),
    cacheBytes,
    s3: {
      bucket: 'results',
      // of this test: each finds only what it has made itself
      prefix: `${directory.split('-').at(-1)}/tasks/`,
      endpoint,
      region: 'us-east-1',
      accessKeyId: 'S3RVER',
      secretAccessKey: 'S3RVER',
      forcePathStyle: true,
    },
  });
  stores.push(store);
  return store;
}

async function put(store: ResultStore, id: string, files: Record<string, string | Buffer>, replace = false) {
  const made = await store.work(id);
  for (const [name, content] of Object.entries(files)) await writeFile(join(made.directory, name), content);
  await made.publish(Object.keys(files), { replace });
  await made.close();
}

async function get(store: ResultStore, id: string, name: string, version = '1'): Promise<string | undefined> {
  const files = await store.read(id, version);
  try {
    await files.fetch([name]);
    return await readFile(join(files.directory, name), 'utf8').catch(() => undefined);
  } finally {
    await files.close();
  }
}

async function idsOf(store: ResultStore): Promise<string[]> {
  const ids: string[] = [];
  for await (const id of store.taskIds()) ids.push(id);
  return ids.sort();
}

describe.each([
  ['directory', async () => createDirectoryStore(join(directory, 'shared'))],
  ['s3', async () => await s3Store()],
] as const)('a store of the kind %s', (_kind, open) => {
  it('gives every machine the files that one has published', async () => {
    const [worker, gateway] = [await open(), await open()];
    const id = task();
    await put(worker, id, { 'results.json': '{"a":1}', 'empty.txt': '' });
    expect(await get(gateway, id, 'results.json')).toBe('{"a":1}');
    expect(await get(gateway, id, 'empty.txt')).toBe('');
    expect(await get(gateway, id, 'missing.txt')).toBeUndefined();
    expect(await get(gateway, task(), 'results.json')).toBeUndefined();
  });

  it('streams a large file byte for byte, and tells its size before', async () => {
    const [worker, gateway] = [await open(), await open()];
    const id = task();
    // more than one part of an upload
    const content = randomBytes(20 * 1024 * 1024);
    await put(worker, id, { 'scan_native.nessus': content });
    const file = await gateway.file(id, 'scan_native.nessus');
    expect(file?.bytes).toBe(content.length);
    const read = await buffer((await file?.open()) ?? Readable.from([]));
    const hash = (bytes: Buffer) => createHash('sha256').update(bytes).digest('hex');
    expect(hash(read)).toBe(hash(content));
    expect(await gateway.file(id, 'other')).toBeUndefined();
  });

  it('lets a later machine go on with what an earlier one has left', async () => {
    const [gateway, worker] = [await open(), await open()];
    const id = task();
    await put(gateway, id, { 'scan_native.nessus': 'raw' });
    const made = await worker.work(id);
    await made.fetch(['scan_native.nessus', 'missing']);
    expect(await readFile(join(made.directory, 'scan_native.nessus'), 'utf8')).toBe('raw');
    await writeFile(join(made.directory, 'results.json'), 'derived');
    await made.publish(['results.json']);
    await made.close();
    expect(await get(gateway, id, 'results.json')).toBe('derived');
    expect(await get(gateway, id, 'scan_native.nessus')).toBe('raw');
  });

  it('has new files in place of old ones, and another version says so', async () => {
    const [worker, gateway] = [await open(), await open()];
    const id = task();
    await put(worker, id, { 'results.json': 'old', 'scan_native.nessus': 'raw' });
    expect(await get(gateway, id, 'results.json', 'first')).toBe('old');
    const before = await gateway.file(id, 'results.json');
    await put(worker, id, { 'results.json': 'newer' }, true);
    expect(await get(gateway, id, 'results.json', 'second')).toBe('newer');
    expect((await gateway.file(id, 'results.json'))?.version).not.toBe(before?.version);
  });

  it('keeps the record of a task, and has the newest one', async () => {
    const [worker, gateway] = [await open(), await open()];
    const id = task();
    expect(await gateway.readRecord(id)).toBeUndefined();
    await worker.writeRecord(id, '{"revision":1}');
    await worker.writeRecord(id, '{"revision":2}');
    expect(await gateway.readRecord(id)).toEqual({ text: '{"revision":2}' });
  });

  it('names every task that it has something of, when it was last written, and nothing else', async () => {
    const store = await open();
    const [one, two] = [task(), task()];
    await store.writeRecord(one, '{}');
    await put(store, two, { 'results.json': 'x' });
    expect(await idsOf(store)).toEqual([one, two].sort());
    const written = await store.modifiedAt(two);
    expect(Math.abs(Date.now() - (written?.getTime() ?? 0))).toBeLessThan(60_000);
    expect(await store.modifiedAt(task())).toBeUndefined();
  });

  it('removes a task with everything, and only that one', async () => {
    const store = await open();
    const [one, two] = [task(), task()];
    for (const id of [one, two]) {
      await store.writeRecord(id, '{}');
      await put(store, id, { 'results.json': 'x' });
    }
    await store.remove(one);
    await store.remove(one);
    expect(await idsOf(store)).toEqual([two]);
    expect(await store.readRecord(one)).toBeUndefined();
    expect(await store.file(one, 'results.json')).toBeUndefined();
    expect(await get(store, one, 'results.json', 'again')).toBeUndefined();
    expect(await get(store, two, 'results.json')).toBe('x');
  });

  it('takes no id that is none', async () => {
    const store = await open();
    for (const id of ['..', '../x', 'a/b', '']) {
      await expect(store.writeRecord(id, '{}')).rejects.toThrow('There is no such task');
      await expect(store.remove(id)).rejects.toThrow('There is no such task');
      await expect((async () => await store.work(id))()).rejects.toThrow('There is no such task');
    }
  });
});

describe('a bucket', () => {
  it('has no half of what was published: until the list says so, there is nothing', async () => {
    const [worker, gateway] = [await s3Store(), await s3Store()];
    const id = task();
    const made = await worker.work(id);
    await writeFile(join(made.directory, 'a'), 'a');
    await expect(made.publish(['a', 'not-there'])).rejects.toThrow('ENOENT');
    expect(await get(gateway, id, 'a')).toBeUndefined();
  });

  it('keeps what was replaced no longer than its task', async () => {
    const store = await s3Store();
    const id = task();
    await put(store, id, { a: 'one', b: 'two' });
    await put(store, id, { a: 'three' }, true);
    const objects = (await s3.objects()).filter((name) => name.includes(id));
    expect(objects.map((name) => name.split('/').at(-1)).sort()).toEqual(['a', 'files.json']);
    await store.remove(id);
    expect((await s3.objects()).filter((name) => name.includes(id))).toEqual([]);
  });

  it('is asked once for what several want at the same time, and not again for what is here', async () => {
    // a server of its own: it goes away for good
    const server = await startLocalS3();
    const { endpoint } = server;
    const [worker, gateway] = [await s3Store({ endpoint }), await s3Store({ endpoint })];
    const id = task();
    await put(worker, id, { a: 'a'.repeat(200_000) });
    const several = await Promise.all(Array.from({ length: 8 }, () => get(gateway, id, 'a')));
    expect(new Set(several.map((text) => text?.length))).toEqual(new Set([200_000]));
    await server.stop();
    expect((await get(gateway, id, 'a'))?.length).toBe(200_000);
  });

  it('has copies on this machine within the bound: the least recently used go first, never those in use', async () => {
    const [worker, gateway] = [await s3Store(), await s3Store({ cacheBytes: 250_000 })];
    const ids = [task(), task(), task()];
    for (const id of ids) await put(worker, id, { a: id.padEnd(100_000, 'x') });
    const [first = '', second = '', third = ''] = ids;
    const held = await gateway.read(first, '1');
    await held.fetch(['a']);
    await get(gateway, second, 'a');
    await get(gateway, third, 'a');
    // the second went, though the first is older
    expect((await readFile(join(held.directory, 'a'), 'utf8')).startsWith(first)).toBe(true);
    const [cache = ''] = await readdir(join(directory, `machine${machines}`, '.cache'));
    expect(await readdir(join(directory, `machine${machines}`, '.cache', cache))).toHaveLength(2);
    await held.close();
    expect((await get(gateway, second, 'a'))?.startsWith(second)).toBe(true);
  });

  it('that is away is an error, and never an empty answer', async () => {
    const store = await s3Store({ endpoint: 'http://127.0.0.1:1' });
    const id = task();
    const away = expect.objectContaining({ code: 'unavailable', retryable: 'yes' });
    await expect(store.check()).rejects.toEqual(away);
    await expect(store.file(id, 'a')).rejects.toEqual(away);
    await expect(store.read(id, '1')).rejects.toEqual(away);
    await expect(store.readRecord(id)).rejects.toEqual(away);
    await expect(store.writeRecord(id, '{}')).rejects.toEqual(away);
    await expect(idsOf(store)).rejects.toEqual(away);
    await expect(store.remove(id)).rejects.toEqual(away);
    await expect(put(store, id, { a: 'a' })).rejects.toEqual(away);
  });

  it('that does not exist, or refuses us, is one as well', async () => {
    const options = { dataDir: join(directory, 'x'), cacheBytes: 1 };
    const settings = {
      bucket: 'results',
      prefix: '',
      endpoint: s3.endpoint,
      region: 'us-east-1',
      accessKeyId: 'S3RVER',
      secretAccessKey: 'S3RVER',
      forcePathStyle: true,
    };
    for (const wrong of [{ bucket: 'nobody' }, { accessKeyId: 'NOBODY' }]) {
      const store = await openS3Store({ ...options, s3: { ...settings, ...wrong } });
      stores.push(store);
      await expect(store.check()).rejects.toMatchObject({ code: 'unavailable' });
      await expect(store.file(task(), 'a')).rejects.toMatchObject({ code: 'unavailable' });
    }
  });

  it('that delivers other bytes than were sent is not believed', async () => {
    const [worker, gateway] = [await s3Store(), await s3Store()];
    const id = task();
    await put(worker, id, { a: 'honest' });
    const list = await worker.file(id, 'a');
    expect(list?.bytes).toBe(6);
    await s3.damage((name) => name.includes(id) && name.endsWith('/a'));
    await expect(get(gateway, id, 'a')).rejects.toMatchObject({ code: 'unavailable' });
  });
});
