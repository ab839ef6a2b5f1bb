/** The few Lua scripts: what must be atomic in Redis. Each file in `lua/` has its keys, arguments and answers at its head. */
import { readFileSync } from 'node:fs';
import type { RedisClient } from './redis-client.js';

type Script = (
  redis: RedisClient,
  keys: readonly string[],
  args: readonly (string | number)[],
) => Promise<unknown>;

const textOf = (file: string): string => readFileSync(new URL(`../lua/${file}.lua`, import.meta.url), 'utf8');

/**
 * A script by file name, sent once by text and afterwards by its SHA-1 (ioredis `defineCommand`).
 * @param shared file with functions that it uses.
 */
function script(file: string, shared?: string): Script {
  const lua = `${shared === undefined ? '' : textOf(shared)}${textOf(file)}`;
  const command = `scanmq:${file}`;
  const defined = new WeakSet<RedisClient>();
  return async (redis, keys, args) => {
    if (!defined.has(redis)) {
      redis.defineCommand(command, { lua });
      defined.add(redis);
    }
    const run: unknown = Reflect.get(redis, command);
    if (typeof run !== 'function') throw new TypeError(`ioredis did not define ${command}`);
    return await run.call(redis, keys.length, ...keys, ...args);
  };
}

export const createTaskScript = script('create-task', 'task-events');
export const changeTaskScript = script('change-task', 'task-events');
export const beginRunScript = script('begin-run');
export const restoreTaskScript = script('restore-task', 'task-events');
export const beginPurgeScript = script('purge-begin');
export const endPurgeScript = script('purge-end');
export const bindScript = script('bind');
export const giveBackScript = script('give-back');
export const createScheduleScript = script('create-schedule');
export const changeScheduleScript = script('change-schedule');
export const beginScheduleRunScript = script('begin-schedule-run');
export const createWebhookScript = script('create-webhook');
export const changeWebhookScript = script('change-webhook');
export const noteDeliveryScript = script('note-delivery');
export const noteAttemptScript = script('note-attempt');
export const advanceWebhooksScript = script('advance-webhooks');
export const resealScript = script('reseal');

/** The answer of a script as a list of texts. */
export function asTexts(answer: unknown): readonly string[] {
  return Array.isArray(answer) ? answer.map(String) : [];
}
