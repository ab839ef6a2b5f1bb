import type { Readable } from 'node:stream';
import type { TaskId } from '@scanmq/contract';

/** Files of one task on this machine: a directory to make them in, or to read them from. */
export interface TaskFiles {
  readonly directory: string;
  /** Brings these files of the store into the directory; one that the store lacks is left out. */
  fetch(names: readonly string[], signal?: AbortSignal): Promise<void>;
  /**
   * Puts files of the directory into the store: all of them are there from one moment on, or none.
   * @param options.replace every other file that the store has of the task goes, but for its record.
   */
  publish(
    names: readonly string[],
    options?: { readonly replace?: boolean; readonly signal?: AbortSignal },
  ): Promise<void>;
  /** The files are being read. What nobody has touched for a while may be cleared away all the same. */
  touch(): void;
  /** They are not needed here any longer. A second time does nothing. */
  close(): Promise<void>;
}

/** One file as the store has it. */
export interface StoredFile {
  readonly bytes: number;
  /** Another one for other content. */
  readonly version: string;
  /** @throws ScanmqError `unavailable`; `not_found` when it was replaced or removed meanwhile. */
  open(): Promise<Readable>;
}

/** `task.json` as the store has it; `undefined` text for something else in its place. */
export interface StoredRecord {
  readonly text: string | undefined;
}

/**
 * Where the files of tasks are kept (contract section 7). Gateways and workers share it, and nothing else but Redis.
 * Everything throws ScanmqError `unavailable` when the store is away: what cannot be asked for is never "nothing there".
 */
export interface ResultStore {
  readonly kind: 'directory' | 's3';
  /** A directory to make files of a task in. */
  work(taskId: string): Promise<TaskFiles>;
  /**
   * Files to read.
   * @param version of what is asked for: as long as it is the same, the files are.
   */
  read(taskId: string, version: string): Promise<TaskFiles>;
  /** @returns undefined when the store has no such file. */
  file(taskId: string, name: string): Promise<StoredFile | undefined>;
  /** @param options.lasting it survives a failure of the power that comes after this resolves; by default it does. */
  writeRecord(taskId: string, text: string, options?: { readonly lasting?: boolean }): Promise<void>;
  /** @returns undefined when there is none. */
  readRecord(taskId: string): Promise<StoredRecord | undefined>;
  /** Every task that the store has anything of. */
  taskIds(): AsyncIterable<TaskId>;
  /** When the newest of the files of a task was written; undefined when there are none. */
  modifiedAt(taskId: string): Promise<Date | undefined>;
  /** Removes everything of a task. */
  remove(taskId: string): Promise<void>;
  /** @throws ScanmqError `unavailable` when the store cannot be used now, with the reason. */
  check(): Promise<void>;
  close(): Promise<void>;
}

/** Name of the record among the files of a task. */
export const RECORD_FILE = 'task.json';
