/**
 * The change log: one entry for each state that a task came into, in the order in which it happened, written by the same
 * atomic step as the record. Bounded: whoever was away for too long is told, and has to look at the records themselves.
 */
import { TASK_STATES, type TaskState } from '@scanmq/contract';
import type { Keys } from './keys.js';
import type { RedisClient } from './redis-client.js';

/** Entries kept at least; Redis drops older ones in whole blocks (`MAXLEN ~`). */
export const TASK_LOG_ENTRIES = 50_000;

/** `removed`: retention has taken the task away, with all that belongs to it. */
export type LoggedState = TaskState | 'removed';

export interface TaskLogEntry {
  /** Where the log goes on after this entry; opaque. */
  readonly position: string;
  readonly taskId: string;
  readonly state: LoggedState;
}

export interface TaskLog {
  /** The position after the newest entry. */
  end(): Promise<string>;
  /**
   * The next entries after a position, oldest first; none when nothing has happened since.
   * @returns undefined when entries after this position may have been dropped.
   */
  after(position: string, limit: number): Promise<readonly TaskLogEntry[] | undefined>;
  /** The oldest entries that are still there: for whoever was away for too long. */
  oldest(limit: number): Promise<readonly TaskLogEntry[]>;
}

/** Of a log that nothing was written to yet. */
export const LOG_BEGINNING = '0-0';
const STATES: ReadonlySet<string> = new Set<LoggedState>([...TASK_STATES, 'removed']);

export function createTaskLog(redis: RedisClient, keys: Keys): TaskLog {
  return {
    async end() {
      const [newest] = await redis.xrevrange(keys.log, '+', '-', 'COUNT', 1);
      return newest?.[0] ?? LOG_BEGINNING;
    },

    async after(position, limit) {
      // from the entry of the position itself: where it is gone, others may be gone as well
      const found = await redis.xrange(keys.log, position, '+', 'COUNT', limit + 1);
      if (position === LOG_BEGINNING) {
        if (found.length > 0 && (await redis.xlen(keys.log)) >= TASK_LOG_ENTRIES) return undefined;
        return found.slice(0, limit).flatMap(decode);
      }
      return found[0]?.[0] === position ? found.slice(1).flatMap(decode) : undefined;
    },

    oldest: async (limit) => (await redis.xrange(keys.log, '-', '+', 'COUNT', limit)).flatMap(decode),
  };
}

function decode([position, fields]: readonly [string, readonly string[]]): TaskLogEntry[] {
  const [, taskId = '', , state = ''] = fields;
  return isLoggedState(state) ? [{ position, taskId, state }] : [];
}

function isLoggedState(text: string): text is LoggedState {
  return STATES.has(text);
}
