/**
 * Messages between processes. BullMQ has no cross-process cancel: a flag in the record covers tasks that wait and the
 * moment of a hand-over, and a message reaches the process that runs the task now.
 */
import { taskStateSchema } from '@scanmq/contract';
import { z } from 'zod';
import { quietErrors } from './quiet-errors.js';
import { duplicateOf, type RedisClient } from './redis-client.js';

export const controlMessageSchema = z.discriminatedUnion('action', [
  z.object({ action: z.enum(['cancel', 'look', 'wake']), task_id: z.string() }),
  z.object({ action: z.literal('admit') }),
]);
/**
 * `cancel`: stop it. `look`: the sweep found the task overdue. `wake`: what is wanted of it has changed (pause, resume).
 * `admit`: somebody who waits may be served now.
 */
export type ControlMessage = z.infer<typeof controlMessageSchema>;

export const changeMessageSchema = z.object({
  task_id: z.string(),
  /** Id of its newest event. */
  event: z.number(),
  state: taskStateSchema,
  /** Whether its state has changed; otherwise something else was told of it. */
  changed: z.boolean(),
});
/** Something has happened to a task; published by the step in which it happened (`lua/task-events.lua`). */
export type ChangeMessage = z.infer<typeof changeMessageSchema>;

/**
 * Lets any number of parts of a process listen to a channel on one connection, which is opened for the first of them.
 * @returns adds a listener; what that returns takes it away again.
 */
export function shared<T>(
  open: (onMessage: (message: T) => void) => Promise<() => void>,
): (onMessage: (message: T) => void) => Promise<() => void> {
  const listeners = new Set<(message: T) => void>();
  let opened: Promise<() => void> | undefined;
  return async (onMessage) => {
    // one function given twice listens twice
    const listener = (message: T): void => onMessage(message);
    listeners.add(listener);
    opened ??= open((message) => {
      for (const listening of listeners) listening(message);
    });
    const connection = opened;
    const stop = (): void => {
      listeners.delete(listener);
      if (listeners.size > 0 || opened !== connection) return;
      opened = undefined;
      void connection.then((close) => close()).catch(() => undefined);
    };
    try {
      await connection;
    } catch (error) {
      stop();
      throw error;
    }
    return stop;
  };
}

/**
 * Listens to a channel on a connection of its own, which is opened again whenever it breaks. What was published
 * meanwhile is lost: a message only saves time, the record is the truth.
 * @param onMessage called for each message that has the form of the schema.
 * @returns stops listening.
 */
export async function listen<S extends z.ZodType>(
  redis: RedisClient,
  channel: string,
  schema: S,
  onMessage: (message: z.output<S>) => void,
  onError: (error: Error) => void,
): Promise<() => void> {
  const subscriber = duplicateOf(redis, { enableOfflineQueue: true, maxRetriesPerRequest: null });
  subscriber.on('error', quietErrors(onError));
  subscriber.on('message', (_channel: string, text: string) => {
    const message = schema.safeParse(parseJson(text));
    if (message.success) onMessage(message.data);
  });
  await subscriber.subscribe(channel);
  return () => subscriber.disconnect();
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
