/**
 * Cancel from any process. BullMQ has no cross-process cancel: a flag in the record covers tasks that wait
 * and the moment of a hand-over, and a message reaches the process that runs the task now.
 */
import type { Redis } from 'ioredis';
import { z } from 'zod';
import type { Keys } from './keys.js';

const messageSchema = z.object({ task_id: z.string(), action: z.enum(['cancel', 'look']) });

/** `cancel`: stop it. `look`: read the record again (the sweep found the task overdue). */
export type ControlMessage = z.infer<typeof messageSchema>;

export async function publishControl(redis: Redis, keys: Keys, message: ControlMessage): Promise<void> {
  await redis.publish(keys.control, JSON.stringify(message));
}

/**
 * Listens on a connection of its own.
 * @param onMessage called for each message; messages that do not parse are dropped.
 * @returns stops listening.
 */
export async function listenControl(
  redis: Redis,
  keys: Keys,
  onMessage: (message: ControlMessage) => void,
  onError: (error: Error) => void,
): Promise<() => Promise<void>> {
  const subscriber = redis.duplicate({ enableOfflineQueue: true, maxRetriesPerRequest: null });
  subscriber.on('error', onError);
  subscriber.on('message', (_channel: string, text: string) => {
    try {
      const message = messageSchema.safeParse(JSON.parse(text));
      if (message.success) onMessage(message.data);
    } catch {
      // not ours
    }
  });
  await subscriber.subscribe(keys.control);
  return async () => {
    subscriber.disconnect();
  };
}
