/** The dead letters: what failed or ran out of time, why, and what can be done about it. */
import {
  type DeadLetter,
  type DeadLettersQuery,
  InvalidRequestError,
  isTaskId,
  type RetryMany,
  ScanmqError,
  type TaskRecord,
  toScanmqError,
  toScanStatus,
} from '@scanmq/contract';
import type { Keys } from './keys.js';
import { type PurgeDeps, purgeTask } from './purge.js';
import type { RedisClient } from './redis-client.js';
import { type ControlDeps, retryTask, whyNoRetry } from './task-control.js';
import { unknownTask } from './task-store.js';

export interface DeadLetterPage {
  readonly deadLetters: readonly DeadLetter[];
  readonly total: number;
  readonly byCode: Readonly<Record<string, number>>;
  readonly nextCursor: string | null;
}

/** With `owner`, those of others do not exist. */
export interface DeadLetters {
  list(query: DeadLettersQuery, owner?: string): Promise<DeadLetterPage>;
  /** With the lines of its job. @throws ScanmqError `not_found` when there is no such dead letter. */
  inspect(taskId: string): Promise<DeadLetter>;
  /** Those by id, or all that match, oldest first. */
  retryMany(wanted: RetryMany, owner?: string): Promise<{ retried: string[]; skipped: Skipped[] }>;
  /** Removes one for good. @throws ScanmqError `not_found` when there is no such dead letter. */
  discard(taskId: string): Promise<void>;
  /** As `retryMany`. */
  discardMany(wanted: RetryMany, owner?: string): Promise<{ discarded: string[]; skipped: Skipped[] }>;
}

export interface Skipped {
  readonly task_id: string;
  readonly code: string;
  readonly message: string;
}

const DEAD = ['failed', 'timeout'] as const;

/** More dead letters than these are not looked at, the newest first: whoever has so many needs another tool. */
const MOST = 20_000;
const BATCH = 1_000;

interface Entry {
  readonly taskId: string;
  /** When it ended. */
  readonly atMs: number;
  readonly code: string;
  readonly pool: string;
}

export function createDeadLetters(
  redis: RedisClient,
  keys: Keys,
  deps: ControlDeps,
  purgeDeps: PurgeDeps,
): DeadLetters {
  /** All of them, or all of one principal, the newest first. */
  async function entries(owner: string | undefined): Promise<readonly Entry[]> {
    const scored: { id: string; atMs: number }[] = [];
    for (const state of DEAD) {
      const flat = await redis.zrevrange(keys.byState(state), 0, MOST - 1, 'WITHSCORES');
      for (let at = 0; at < flat.length; at += 2)
        scored.push({ id: flat[at] ?? '', atMs: Number(flat[at + 1]) });
    }
    scored.sort((a, b) => b.atMs - a.atMs || (a.id < b.id ? 1 : -1));
    const found: Entry[] = [];
    for (let from = 0; from < Math.min(MOST, scored.length); from += BATCH) {
      const batch = scored.slice(from, Math.min(MOST, from + BATCH));
      const pipeline = redis.pipeline();
      for (const { id } of batch) pipeline.hmget(keys.record(id), 'error', 'scanner_pool', 'principal');
      for (const [index, [error, fields]] of ((await pipeline.exec()) ?? []).entries()) {
        if (error) throw error;
        const [failure, pool, principal] = fields as (string | null)[];
        const entry = batch[index];
        // purged in this moment
        if (!entry || !pool) continue;
        if (owner !== undefined && JSON.parse(principal ?? 'null') !== owner) continue;
        const { code } = (JSON.parse(failure ?? 'null') ?? { code: 'internal' }) as { code: string };
        found.push({ taskId: entry.id, atMs: entry.atMs, code, pool: JSON.parse(pool) as string });
      }
    }
    return found;
  }

  const matching = (all: readonly Entry[], wanted: Pick<DeadLettersQuery, 'code' | 'scanner_pool'>) =>
    all.filter(
      ({ code, pool }) =>
        (wanted.code === undefined || code === wanted.code) &&
        (wanted.scanner_pool === undefined || pool === wanted.scanner_pool),
    );

  return {
    async list(query, owner) {
      const all = await entries(owner);
      const matches = matching(all, query);
      const from = query.cursor === undefined ? 0 : after(matches, query.cursor);
      const page = matches.slice(from, from + query.limit);
      const records = await deps.tasks.getMany(page.map(({ taskId }) => taskId));
      const byCode: Record<string, number> = {};
      for (const { code } of all) byCode[code] = (byCode[code] ?? 0) + 1;
      const last = page.at(-1);
      return {
        deadLetters: records.filter((task) => task !== undefined).map(toDeadLetter),
        total: matches.length,
        byCode,
        nextCursor: last && from + query.limit < matches.length ? encodeCursor(last) : null,
      };
    },

    async inspect(taskId) {
      const task = await deps.tasks.get(taskId);
      if (task.state !== 'failed' && task.state !== 'timeout') {
        throw new ScanmqError('not_found', `Task ${taskId} is ${task.state}, not a dead letter.`);
      }
      const { logs } = await deps.queues.forTask(task).getJobLogs(taskId);
      return { ...toDeadLetter(task), log: logs };
    },

    async retryMany(wanted, owner) {
      const { done, skipped } = await each(wanted, owner, (taskId) => retryTask(deps, taskId));
      return { retried: done, skipped };
    },

    async discard(taskId) {
      await purgeTask(purgeDeps, taskId, DEAD);
    },

    async discardMany(wanted, owner) {
      const { done, skipped } = await each(wanted, owner, (taskId) => purgeTask(purgeDeps, taskId, DEAD));
      return { discarded: done, skipped };
    },
  };

  /** Those by id, or all that match, the oldest first. What cannot be done with one stops no other. */
  async function each(
    wanted: RetryMany,
    owner: string | undefined,
    act: (taskId: string) => Promise<unknown>,
  ): Promise<{ done: string[]; skipped: Skipped[] }> {
    const ids =
      wanted.task_ids ??
      matching(await entries(owner), wanted)
        .map(({ taskId }) => taskId)
        .reverse();
    const done: string[] = [];
    const skipped: Skipped[] = [];
    for (const taskId of ids) {
      try {
        if (owner !== undefined && (await deps.tasks.get(taskId)).principal !== owner)
          throw unknownTask(taskId);
        await act(taskId);
        done.push(taskId);
      } catch (error) {
        const { code, message } = toScanmqError(error);
        if (code === 'internal' || code === 'unavailable') throw error;
        skipped.push({ task_id: taskId, code, message });
      }
    }
    return { done, skipped };
  }
}

function toDeadLetter(task: TaskRecord): DeadLetter {
  const refusal = whyNoRetry(task);
  return {
    ...toScanStatus(task),
    crashes: task.crashes,
    failures: task.failures,
    can_retry: refusal === undefined,
    why_not: refusal ?? null,
  };
}

const encodeCursor = ({ atMs, taskId }: Entry): string =>
  Buffer.from(`${atMs} ${taskId}`).toString('base64url');

/** Where the page after the cursor begins, also when its own task was retried or discarded meanwhile. */
function after(entries: readonly Entry[], cursor: string): number {
  const [at = '', taskId = ''] = Buffer.from(cursor, 'base64url').toString().split(' ');
  if (!/^\d+$/.test(at) || !isTaskId(taskId)) {
    throw new InvalidRequestError('The cursor is not one of ours.', [
      { path: 'cursor', message: 'expected the next_cursor of an earlier answer' },
    ]);
  }
  const index = entries.findIndex(
    (entry) => entry.atMs < Number(at) || (entry.atMs === Number(at) && entry.taskId < taskId),
  );
  return index === -1 ? entries.length : index;
}
