import { randomUUID } from 'node:crypto';
import { mkdir, mkdtemp, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import type { S3Settings } from '@scanmq/config';
import { isTaskId, ScanmqError } from '@scanmq/contract';
import { clearLeftBehind, openCache } from './cache.js';
import { MANIFEST_FILE, type Manifest, readManifest } from './manifest.js';
import { away, openBucket } from './s3-client.js';
import { RECORD_FILE, type ResultStore, type TaskFiles } from './store.js';
import { checkTaskId } from './task-directory.js';
import { bringFile, sendFile } from './transfer.js';

export interface S3StoreOptions {
  readonly s3: S3Settings;
  /** Absolute path: for files in the making, and for copies of those that are asked for. */
  readonly dataDir: string;
  /** Most that the copies take. */
  readonly cacheBytes: number;
}

/** A change of state waits for its copy no longer; who writes it tries again later. */
const RECORD_MS = 3_000;
/** A directory in which nothing was done for so long belongs to a process that was killed. */
const LEFT_BEHIND_MS = 24 * 3_600_000;
/** Versions remembered, each with the list of the files. */
const KNOWN_VERSIONS = 5_000;
const NO_FILES: Manifest = { version: 1, id: 'none', files: {} };

/**
 * Files of tasks as objects of a bucket: `<prefix><task id>/task.json`, `…/files.json` which says what the files are, and the
 * files themselves under names that are used once.
 */
export async function openS3Store(options: S3StoreOptions): Promise<ResultStore> {
  const { s3, dataDir } = options;
  const bucket = openBucket(s3);
  const workDir = join(dataDir, '.work');
  await mkdir(workDir, { recursive: true });
  await clearLeftBehind(workDir, LEFT_BEHIND_MS);
  const cache = await openCache(join(dataDir, '.cache'), options.cacheBytes);
  /** Task id → what it was asked for with, and what its files are. The oldest is forgotten first. */
  const known = new Map<string, { readonly version: string; readonly manifest: Manifest }>();
  const bringing = new Map<string, Promise<void>>();

  const keyOf = (taskId: string, name: string): string => {
    checkTaskId(taskId);
    return `${s3.prefix}${taskId}/${name}`;
  };

  async function manifestOf(taskId: string, signal?: AbortSignal): Promise<Manifest> {
    const object = await bucket.get(keyOf(taskId, MANIFEST_FILE), signal);
    if (!object) return NO_FILES;
    return readManifest(await text(object.body).catch((error: unknown) => Promise.reject(away(error))));
  }

  async function publish(
    taskId: string,
    directory: string,
    names: readonly string[],
    replace: boolean,
    signal: AbortSignal | undefined,
  ): Promise<Manifest> {
    const before = await manifestOf(taskId, signal);
    const id = randomUUID();
    const sent: Record<string, Manifest['files'][string]> = {};
    for (const name of names)
      sent[name] = await sendFile(bucket, join(directory, name), keyOf(taskId, `${id}/${name}`), signal);
    const manifest: Manifest = { version: 1, id, files: { ...(replace ? {} : before.files), ...sent } };
    // when this fails it may have happened all the same: what was sent stays, and goes with the task at the latest
    await bucket.put(keyOf(taskId, MANIFEST_FILE), JSON.stringify(manifest), signal);
    const current = new Set(Object.values(manifest.files).map(({ key }) => key));
    const old = Object.values(before.files).flatMap(({ key }) => (current.has(key) ? [] : [key]));
    await bucket.delete(old).catch(() => undefined);
    return manifest;
  }

  /** Brings one file, once for however many ask for it at a time. @returns false when it was replaced meanwhile. */
  async function bring(
    directory: string,
    name: string,
    entry: Manifest['files'][string],
    signal: AbortSignal | undefined,
  ): Promise<boolean> {
    const path = join(directory, name);
    // files get their names when they are whole
    for (;;) {
      if (await stat(path).catch(() => undefined)) return true;
      const begun = bringing.get(path);
      if (!begun) break;
      // another's failure may be its own: it was interrupted
      await begun.catch(() => undefined);
    }
    let found = true;
    const bringingIt = (async () => {
      found = await bringFile(bucket, entry, directory, name, signal);
    })();
    bringing.set(path, bringingIt);
    try {
      await bringingIt;
      return found;
    } finally {
      bringing.delete(path);
    }
  }

  return {
    kind: 's3',

    async work(taskId) {
      checkTaskId(taskId);
      const directory = await mkdtemp(join(workDir, `${taskId}-`));
      return {
        directory,
        async fetch(names, signal) {
          const { files } = await manifestOf(taskId, signal);
          for (const name of names) {
            const entry = files[name];
            if (entry && !(await bring(directory, name, entry, signal)))
              throw away(new Error(`${name} was replaced while it was fetched`));
          }
        },
        async publish(names, { replace = false, signal } = {}) {
          await publish(taskId, directory, names, replace, signal);
        },
        touch: () => undefined,
        close: () => rm(directory, { recursive: true, force: true }),
      };
    },

    async read(taskId, version): Promise<TaskFiles> {
      const asked = known.get(taskId);
      const manifest = asked?.version === version ? asked.manifest : await manifestOf(taskId);
      remember(taskId, version, manifest);
      const entry = await cache.hold(`${taskId} ${manifest.id}`);
      return {
        directory: entry.directory,
        async fetch(names, signal) {
          entry.touch();
          for (const name of names) {
            const file = manifest.files[name];
            if (!file || (await bring(entry.directory, name, file, signal))) continue;
            known.delete(taskId);
            throw away(new Error(`${name} was replaced while it was fetched`));
          }
          await entry.measure();
        },
        async publish(names, { replace = false, signal } = {}) {
          const made = await publish(taskId, entry.directory, names, replace, signal);
          await entry.measure();
          // other processes find the new files; this one has them here
          if (known.get(taskId)?.manifest.id === made.id) known.delete(taskId);
        },
        touch: () => entry.touch(),
        close: async () => entry.release(),
      };
    },

    async file(taskId, name) {
      const entry = (await manifestOf(taskId)).files[name];
      if (!entry) return undefined;
      return {
        bytes: entry.bytes,
        version: entry.sha256,
        async open() {
          const object = await bucket.get(entry.key);
          if (!object) throw new ScanmqError('not_found', 'The file was replaced or removed in this moment.');
          return object.body;
        },
      };
    },

    async writeRecord(taskId, record) {
      const signal = AbortSignal.timeout(RECORD_MS);
      try {
        await bucket.put(keyOf(taskId, RECORD_FILE), record, signal);
      } catch (error) {
        throw signal.aborted ? away(error) : error;
      }
    },

    async readRecord(taskId) {
      const object = await bucket.get(keyOf(taskId, RECORD_FILE));
      if (!object) return undefined;
      return { text: await text(object.body).catch((error: unknown) => Promise.reject(away(error))) };
    },

    async *taskIds() {
      for await (const { folders } of bucket.list(s3.prefix, true))
        for (const name of folders) if (isTaskId(name)) yield name;
    },

    async modifiedAt(taskId) {
      let newest: Date | undefined;
      for await (const { keys } of bucket.list(keyOf(taskId, ''), false))
        for (const { modifiedAt } of keys)
          if (modifiedAt && !(newest && newest >= modifiedAt)) newest = modifiedAt;
      return newest;
    },

    async remove(taskId) {
      known.delete(taskId);
      // the list first: nobody finds half of the files
      await bucket.delete([keyOf(taskId, MANIFEST_FILE)]);
      const rest: string[] = [];
      for await (const { keys } of bucket.list(keyOf(taskId, ''), false))
        for (const { key } of keys) rest.push(key);
      await bucket.delete(rest);
    },

    check: () => bucket.check(),

    async close() {
      await cache.close();
      bucket.close();
    },
  };

  function remember(taskId: string, version: string, manifest: Manifest): void {
    known.delete(taskId);
    // files that are not there yet may come
    if (manifest !== NO_FILES) known.set(taskId, { version, manifest });
    for (const [oldest] of known) {
      if (known.size <= KNOWN_VERSIONS) break;
      known.delete(oldest);
    }
  }
}
