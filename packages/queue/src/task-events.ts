/** The events of a task, as the scripts that change it wrote them (`lua/task-events.lua`). */
import { type TaskEvent, type TaskState, taskEventSchema, taskStateSchema } from '@scanmq/contract';
import { z } from 'zod';
import type { Keys } from './keys.js';
import type { RedisClient } from './redis-client.js';

export interface EventPage {
  /** Those after the place asked for, the oldest first. */
  readonly events: readonly TaskEvent[];
  /** Id of the newest event of the task. */
  readonly newest: number;
  /** State of the task, not older than its events. */
  readonly state: TaskState;
  /** False when events after this id may be missing: they were dropped, or there never was such an id. */
  reaches(id: number): boolean;
}

export interface TaskEvents {
  /** What happened after an event; 0 = from the beginning. @returns undefined when there is no such task. */
  after(taskId: string, id: number): Promise<EventPage | undefined>;
}

/** Whoever follows a task is behind by a few events at most; only a new one asks for all. */
const TAIL = 32;

const storedSchema = z
  .tuple([z.number(), z.string(), z.unknown()])
  .transform(([id, type, data]): unknown => ({ id, type, data }))
  .pipe(taskEventSchema);

export function createTaskEvents(redis: RedisClient, keys: Keys): TaskEvents {
  return {
    async after(taskId, id) {
      const key = keys.events(taskId);
      const [facts, tail] = await Promise.all([
        // first, so that the events are not older than the state
        redis.hmget(keys.record(taskId), 'state', 'events'),
        redis.lrange(key, -TAIL, -1),
      ]);
      const [quoted, counted] = facts;
      if (quoted === null || quoted === undefined) return undefined;
      let events = tail.map(decode);
      if (events.length === TAIL && (events[0]?.id ?? 0) > id + 1)
        events = (await redis.lrange(key, 0, -1)).map(decode);
      const newest = Math.max(Number(counted ?? 0), events.at(-1)?.id ?? 0);
      const oldest = events[0]?.id ?? newest + 1;
      return {
        events: events.filter((event) => event.id > id),
        newest,
        state: taskStateSchema.parse(JSON.parse(quoted)),
        reaches: (from) => from <= newest && from + 1 >= oldest,
      };
    },
  };
}

function decode(text: string): TaskEvent {
  return storedSchema.parse(JSON.parse(text));
}
