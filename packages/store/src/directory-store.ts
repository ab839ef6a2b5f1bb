import { randomBytes } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { access, constants, lstat, mkdir, open, readdir, readFile, rename, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { isTaskId, ScanmqError } from '@scanmq/contract';
import { RECORD_FILE, type ResultStore, type TaskFiles } from './store.js';
import { taskDirectory } from './task-directory.js';

/**
 * Files of tasks in one directory each, which gateways and workers share. They are made in place, and renamed: there is
 * nothing to publish, and nothing to bring.
 * @param dataDir absolute path.
 */
export function createDirectoryStore(dataDir: string): ResultStore {
  const inPlace = (directory: string): TaskFiles => ({
    directory,
    fetch: async () => undefined,
    publish: async () => undefined,
    touch: () => undefined,
    close: async () => undefined,
  });

  return {
    kind: 'directory',

    async work(taskId) {
      const directory = taskDirectory(dataDir, taskId);
      await mkdir(directory, { recursive: true });
      return inPlace(directory);
    },

    read: async (taskId) => inPlace(taskDirectory(dataDir, taskId)),

    async file(taskId, name) {
      const path = join(taskDirectory(dataDir, taskId), name);
      const facts = await stat(path).catch(nothing);
      if (!facts) return undefined;
      return {
        bytes: facts.size,
        version: `${facts.size}:${facts.mtimeMs}`,
        open: async () => createReadStream(path),
      };
    },

    async writeRecord(taskId, text, { lasting = true } = {}) {
      const directory = taskDirectory(dataDir, taskId);
      await mkdir(directory, { recursive: true });
      const temporary = join(directory, `.${RECORD_FILE}.${randomBytes(6).toString('hex')}`);
      const file = await open(temporary, 'w', 0o640);
      try {
        await file.writeFile(text);
        if (lasting) await file.sync();
      } finally {
        await file.close();
      }
      // by rename: a reader sees the old record or the new one, never a part
      await rename(temporary, join(directory, RECORD_FILE));
    },

    async readRecord(taskId) {
      const path = join(taskDirectory(dataDir, taskId), RECORD_FILE);
      const found = await lstat(path).catch(nothing);
      if (!found) return undefined;
      return { text: found.isFile() ? await readFile(path, 'utf8').catch(nothing) : undefined };
    },

    async *taskIds() {
      // never through a link, and nothing whose name is not ours
      for (const entry of (await readdir(dataDir, { withFileTypes: true }).catch(nothing)) ?? [])
        if (entry.isDirectory() && isTaskId(entry.name)) yield entry.name;
    },

    modifiedAt: async (taskId) => (await lstat(taskDirectory(dataDir, taskId)).catch(nothing))?.mtime,

    async remove(taskId) {
      await rm(taskDirectory(dataDir, taskId), { recursive: true, force: true });
    },

    async check() {
      try {
        await mkdir(dataDir, { recursive: true });
        await access(dataDir, constants.W_OK);
      } catch (error) {
        throw new ScanmqError('unavailable', 'The data directory cannot be written.', { cause: error });
      }
    },

    close: async () => undefined,
  };
}

/** Of a file that is not there. @throws any other error. */
function nothing(error: NodeJS.ErrnoException): undefined {
  if (error.code !== 'ENOENT' && error.code !== 'ENOTDIR') throw error;
}
