import {
  type ErrorCode,
  isTaskId,
  isTerminal,
  LIMITS,
  type LogEvent,
  type ProgressEvent,
  ScanmqError,
  statesLeadingTo,
  TASK_STATES,
  type TaskId,
  type TaskRecord,
  type TaskState,
  type TransitionCause,
  taskRecordSchema,
} from '@scanmq/contract';
import type { ResultStore } from '@scanmq/store';
import { createBackgroundCopies } from './background-copies.js';
import { type Keys, queueNameOf } from './keys.js';
import type { RedisClient } from './redis-client.js';
import { asTexts, beginRunScript, changeTaskScript, createTaskScript } from './scripts.js';
import { taskFileText } from './task-file.js';

/** BullMQ's lock of a job, as the worker holds it that has the job in its hands. */
export interface JobLock {
  readonly key: string;
  readonly token: string;
}

/** Fields that a change may set; state and revision change only through the store itself. */
export type TaskChange = Partial<Omit<TaskRecord, 'task_id' | 'state' | 'revision'>>;

/** Thrown when another run owns the task now: the one that throws has lost its lock and must stop at once. */
export class NotOwnerError extends Error {
  constructor(taskId: string) {
    super(`another run owns task ${taskId} now`);
    this.name = 'NotOwnerError';
  }
}

export interface TaskStoreOptions {
  readonly redis: RedisClient;
  readonly keys: Keys;
  readonly store: Pick<ResultStore, 'writeRecord'>;
  /** Told when `task.json` could not be written: the record in Redis is the truth, the file a copy, and tried again. */
  readonly onFileError: (taskId: string, error: unknown) => void;
  readonly now?: () => Date;
}

/** Something for those who follow the task; changes of its state are told without being asked for. */
export type TaskNews =
  | { readonly type: 'log'; readonly message: string; readonly code?: ErrorCode }
  | { readonly type: 'progress'; readonly progress: Omit<ProgressEvent, 'at'> };

export interface ChangeOptions {
  /** Only if this run owns the task. @see NotOwnerError */
  readonly runToken?: string;
  readonly cause?: TransitionCause;
  /** Only from one of these states; any that the table allows when left out. */
  readonly from?: readonly TaskState[];
  /** Told in the same step, before the change of state. */
  readonly news?: readonly TaskNews[];
}

export interface CreateOptions {
  readonly idempotencyTtlMs: number;
  readonly sealedCredentials: string | undefined;
  /** Share of its principal among those that wait. */
  readonly share: number;
  /** Tasks that may wait, of all and of this principal; 0 or left out = no limit. */
  readonly maxQueued?: number;
  readonly maxQueuedPerPrincipal?: number;
  /** What the same request was hashed to with keys of before. */
  readonly formerHashes?: readonly string[];
  /** May join an identical task of the same principal that still waits. */
  readonly coalesce: boolean;
}

export interface TaskStore {
  /** Writes a new record and its indexes in one step, or tells to which task the idempotency key belongs. */
  create(
    record: TaskRecord,
    options: CreateOptions,
  ): Promise<
    | { how: 'created'; fairRound: number }
    | { how: 'full'; of: 'all' | 'principal'; limit: number }
    | { how: 'replayed' | 'joined'; taskId: TaskId; requestHash: string }
  >;
  find(taskId: string): Promise<TaskRecord | undefined>;
  /** @throws ScanmqError `not_found`. */
  get(taskId: string): Promise<TaskRecord>;
  getMany(taskIds: readonly string[]): Promise<readonly (TaskRecord | undefined)[]>;
  /**
   * Changes the state with everything that belongs to the change, in one step.
   * @returns the record afterwards.
   * @throws ScanmqError `invalid_state` when the table of states forbids it, `not_found`; NotOwnerError.
   */
  transition(taskId: string, to: TaskState, change: TaskChange, options?: ChangeOptions): Promise<TaskRecord>;
  /** Changes fields of a task that has not ended. Throws as `transition`. */
  update(taskId: string, change: TaskChange, options?: ChangeOptions): Promise<void>;
  /** Tells those who follow a task something. Nobody is told by a run that does not own it any more. */
  tell(taskId: string, news: TaskNews, options?: Pick<ChangeOptions, 'runToken'>): Promise<void>;
  /** A task with the id of its newest event: of one moment. */
  withPosition(taskId: string): Promise<{ readonly task: TaskRecord; readonly position: number } | undefined>;
  /**
   * Makes a run the owner of its task; not begun when there is nothing left to run.
   * @param lock BullMQ's lock of the job, as the run holds it.
   * @throws NotOwnerError when the lock is another's by now.
   */
  beginRun(
    taskId: string,
    runToken: string,
    attempt: number,
    lock: JobLock,
  ): Promise<{ begun: true; crashes: number } | { begun: false }>;
  /** Ids by creation, newest first. @param after an id of the page before. */
  idsByCreation(after: string | undefined, count: number, state?: TaskState): Promise<readonly string[]>;
  /** Ids of tasks that came into a state before a moment, the oldest first. @param from how many to leave out. */
  idsChangedBefore(state: TaskState, moment: Date, from: number, count: number): Promise<readonly string[]>;
  countByState(state: TaskState): Promise<number>;
  /** Writes `task.json` anew from the record. Never throws; what cannot be written now is written later. */
  copyToFile(taskId: string): Promise<void>;
  /** Writes the copies that still wait for their turn, and tries once more what could not be written. */
  close(): Promise<void>;
}

/** At the end; what is not written by then is written with the next change of its task. */
const COPIES_GRACE_MS = 2_000;
const ALL_STATES = TASK_STATES.join(',');
const ANY_STATE: readonly TaskState[] = [];

function eventOf(news: TaskNews, at: string): LogEvent | ProgressEvent {
  return news.type === 'log'
    ? { at, message: news.message, code: news.code ?? null }
    : { at, ...news.progress };
}

/** How soon a `task.json` is tried again that could not be written. */
const FILE_RETRY_MS = 5_000;

/** How long a waiting task may be joined; one that waits longer is not what a new request means. */
const COALESCE_MS = 7 * 24 * 3_600_000;

/** Records kept as they were read; one whose list of targets is long would take the place of many. */
const REMEMBERED_RECORDS = 1_000;
const REMEMBERED_TARGETS_CHARS = 4_096;

function encode(change: TaskChange): string[] {
  return Object.entries(change).flatMap(([field, value]) =>
    value === undefined ? [] : [field, JSON.stringify(value)],
  );
}

function decode(fields: Record<string, string>): TaskRecord | undefined {
  if (fields.task_id === undefined) return undefined;
  const record: Record<string, unknown> = {};
  for (const [field, value] of Object.entries(fields)) record[field] = JSON.parse(value);
  return taskRecordSchema.parse(record);
}

/** Also for whoever may not know of it: both have to read the same. */
export function unknownTask(taskId: string): ScanmqError {
  return new ScanmqError('not_found', `There is no task ${taskId.slice(0, 80)}.`);
}

/** Opens the store of task records (contract section 7; ARCHITECTURE.md, "Task records"). */
export function createTaskStore(options: TaskStoreOptions): TaskStore {
  const { redis, keys, store, onFileError } = options;
  const now = options.now ?? (() => new Date());
  /**
   * Records as they were read last. Whatever changes one counts its revision up: one with the same revision is not read
   * and checked again, which is most of what a question for a status takes.
   */
  const lastRead = new Map<string, TaskRecord>();

  /** Tasks whose `task.json` is older than their record. */
  const behind = new Set<string>();
  let retry: NodeJS.Timeout | undefined;

  async function find(taskId: string): Promise<TaskRecord | undefined> {
    if (!isTaskId(taskId)) return undefined;
    const last = lastRead.get(taskId);
    if (last) {
      const revision = await redis.hget(keys.record(taskId), 'revision');
      if (revision === String(last.revision)) return last;
      lastRead.delete(taskId);
    }
    const task = decode(await redis.hgetall(keys.record(taskId)));
    if (task) remember(task);
    return task;
  }

  function remember(task: TaskRecord): void {
    if (task.targets.length > REMEMBERED_TARGETS_CHARS) return;
    lastRead.set(task.task_id, Object.freeze(task));
    // a map keeps its order: the first is the one that came the longest time ago
    for (const oldest of lastRead.keys()) {
      if (lastRead.size <= REMEMBERED_RECORDS) return;
      lastRead.delete(oldest);
    }
  }

  async function get(taskId: string): Promise<TaskRecord> {
    const record = await find(taskId);
    if (!record) throw unknownTask(taskId);
    return record;
  }

  /** Two processes may write the file at once: whoever finds a newer record afterwards writes again. */
  async function copyToFile(taskId: string): Promise<void> {
    try {
      for (let written = -1; ; ) {
        const record = await find(taskId);
        if (!record || record.revision === written) break;
        // the copy of a record that will change is not worth waiting for the disk
        await store.writeRecord(taskId, taskFileText(record), { lasting: isTerminal(record.state) });
        written = record.revision;
      }
      behind.delete(taskId);
    } catch (error) {
      behind.add(taskId);
      onFileError(taskId, error);
      retry ??= setTimeout(() => void catchUp(), FILE_RETRY_MS).unref();
    }
  }

  /** One after the other; the first that fails shows that it is too early for all. */
  async function catchUp(): Promise<void> {
    clearTimeout(retry);
    retry = undefined;
    for (const taskId of [...behind]) {
      await copyToFile(taskId);
      if (behind.has(taskId)) return;
    }
  }

  async function change(
    taskId: string,
    expected: readonly TaskState[],
    to: TaskState | undefined,
    fields: TaskChange,
    { runToken, news = [] }: Pick<ChangeOptions, 'runToken' | 'news'>,
  ): Promise<void> {
    const at = now();
    const answer = asTexts(
      await changeTaskScript(
        redis,
        [
          keys.record(taskId),
          ...TASK_STATES.map((state) => keys.byState(state)),
          keys.log,
          keys.events(taskId),
          keys.waiting,
        ],
        [
          taskId,
          expected.length === 0 ? '' : `,${expected.join(',')},`,
          runToken ?? '',
          to ?? '',
          at.getTime(),
          ALL_STATES,
          keys.changes,
          JSON.stringify(at.toISOString()),
          LIMITS.taskEvents,
          LIMITS.endedTaskEventsMs,
          news.length,
          ...news.flatMap((one) => [one.type, JSON.stringify(eventOf(one, at.toISOString()))]),
          ...encode(fields),
        ],
      ),
    );
    switch (answer[0]) {
      case 'changed':
        return;
      case 'missing':
        throw new ScanmqError('not_found', `There is no task ${taskId}.`);
      case 'not_owner':
        throw new NotOwnerError(taskId);
      default:
        throw new ScanmqError(
          'invalid_state',
          to === undefined
            ? `The task is ${answer[1]} already.`
            : `A task that is ${answer[1]} cannot become ${to}.`,
        );
    }
  }

  const copies = createBackgroundCopies(copyToFile);

  return {
    find,
    get,
    copyToFile,
    async close() {
      await copies.close(COPIES_GRACE_MS);
      await catchUp();
    },

    async create(record, limits) {
      const { idempotencyTtlMs, sealedCredentials, share, coalesce } = limits;
      const recordKey = keys.record(record.task_id);
      const answer = asTexts(
        await createTaskScript(
          redis,
          [
            recordKey,
            record.idempotency_key === null
              ? recordKey
              : keys.idempotency(record.principal, record.idempotency_key),
            keys.byCreation,
            keys.byState('queued'),
            sealedCredentials === undefined ? recordKey : keys.credentials(record.task_id),
            keys.fair(queueNameOf(record)),
            // the hash of the request is keyed, and two principals must not learn of each other's tasks; one whose lists
            // have changed does not join a task that may go where it may not
            coalesce
              ? keys.coalesce(JSON.stringify([record.principal, record.request_hash, record.target_scope]))
              : recordKey,
            keys.log,
            keys.events(record.task_id),
            keys.waiting,
          ],
          [
            record.task_id,
            record.request_hash,
            record.idempotency_key === null ? 0 : Math.ceil(idempotencyTtlMs),
            Date.parse(record.created_at),
            sealedCredentials ?? '',
            record.principal,
            share,
            coalesce ? COALESCE_MS : 0,
            keys.recordPrefix,
            keys.changes,
            JSON.stringify(record.created_at),
            LIMITS.taskEvents,
            limits.maxQueued ?? 0,
            limits.maxQueuedPerPrincipal ?? 0,
            'task_id',
            JSON.stringify(record.task_id),
            'state',
            JSON.stringify(record.state),
            'revision',
            JSON.stringify(record.revision),
            ...encode(record),
          ],
        ),
      );
      if (answer[0] === 'known') {
        return {
          how: answer[3] === 'joined' ? 'joined' : 'replayed',
          taskId: answer[1] as TaskId,
          requestHash: answer[2] ?? '',
        };
      }
      if (answer[0] === 'full')
        return {
          how: 'full',
          of: answer[1] === 'principal' ? 'principal' : 'all',
          limit: Number(answer[2]),
        };
      await copies.add(record.task_id);
      return { how: 'created', fairRound: Number(answer[1]) };
    },

    async getMany(taskIds) {
      if (taskIds.length === 0) return [];
      const pipeline = redis.pipeline();
      for (const taskId of taskIds) pipeline.hgetall(keys.record(taskId));
      const answers = (await pipeline.exec()) ?? [];
      return answers.map(([error, fields]) => {
        if (error) throw error;
        return decode(fields as Record<string, string>);
      });
    },

    async transition(taskId, to, fields, { cause, from, ...options } = {}) {
      const allowed = statesLeadingTo(to, cause).filter((state) => from?.includes(state) ?? true);
      await change(taskId, allowed, to, fields, options);
      await copyToFile(taskId);
      return await get(taskId);
    },

    async update(taskId, fields, options = {}) {
      await change(taskId, ['queued', 'running'], undefined, fields, options);
    },

    async tell(taskId, news, { runToken } = {}) {
      try {
        await change(taskId, ANY_STATE, undefined, {}, { ...(runToken && { runToken }), news: [news] });
      } catch (error) {
        const gone = error instanceof ScanmqError && error.code === 'not_found';
        if (!gone && !(error instanceof NotOwnerError)) throw error;
      }
    },

    async withPosition(taskId) {
      if (!isTaskId(taskId)) return undefined;
      const fields = await redis.hgetall(keys.record(taskId));
      const task = decode(fields);
      return task && { task, position: Number(fields.events ?? 0) };
    },

    async beginRun(taskId, runToken, attempt, lock) {
      const answer = asTexts(
        await beginRunScript(redis, [keys.record(taskId), lock.key], [runToken, attempt, lock.token]),
      );
      if (answer[0] === 'lock_lost') throw new NotOwnerError(taskId);
      return answer[0] === 'begun' ? { begun: true, crashes: Number(answer[1]) } : { begun: false };
    },

    async idsByCreation(after, count, state) {
      const index = state === undefined ? keys.byCreation : keys.byState(state);
      if (after === undefined) return await redis.zrevrange(index, 0, count - 1);
      const rank = await redis.zrevrank(index, after);
      // the task of the cursor may have left this index: go on below its place in time
      if (rank === null)
        return await redis.zrevrangebyscore(index, `(${creationMs(after)}`, '-inf', 'LIMIT', 0, count);
      return await redis.zrevrange(index, rank + 1, rank + count);
    },

    idsChangedBefore: (state, moment, from, count) =>
      redis.zrangebyscore(keys.byState(state), '-inf', moment.getTime(), 'LIMIT', from, count),

    async countByState(state) {
      return await redis.zcard(keys.byState(state));
    },
  };
}

/** Moment of creation, to the second, out of a task id. */
function creationMs(taskId: string): number {
  const match = /_(\d{4})(\d{2})(\d{2})_(\d{2})(\d{2})(\d{2})_/.exec(taskId);
  if (!match) return 0;
  const [, year, month, day, hour, minute, second] = match;
  return Date.parse(`${year}-${month}-${day}T${hour}:${minute}:${second}Z`);
}
