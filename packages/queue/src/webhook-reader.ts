/**
 * Tells webhooks of the change log. One process has the turn at a time; how far it came is kept in Redis, in one step
 * with the proof that the turn is still its own. The log is written in the same step as each change of state: what
 * is in it is told, whoever crashes.
 */
import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import {
  isChosen,
  scanEventOf,
  scanPayload,
  TASK_STATES,
  type TaskRecord,
  type TaskState,
} from '@scanmq/contract';
import { ZodError } from 'zod';
import type { Keys } from './keys.js';
import { quietErrors } from './quiet-errors.js';
import { duplicateOf, type RedisClient } from './redis-client.js';
import { advanceWebhooksScript } from './scripts.js';
import { LOG_BEGINNING, type TaskLog, type TaskLogEntry } from './task-log.js';
import type { TaskStore } from './task-store.js';
import type { WebhookDeliveries } from './webhook-deliveries.js';
import type { WebhookRecord, WebhookStore } from './webhooks.js';

export interface WebhookReaderDeps {
  readonly redis: RedisClient;
  readonly keys: Keys;
  readonly log: TaskLog;
  readonly tasks: TaskStore;
  readonly webhooks: WebhookStore;
  readonly deliveries: WebhookDeliveries;
}

export interface WebhookReaderReports {
  /** The log was cut where nobody had read it yet: events of that time are not told. */
  readonly onGap: (position: string) => void;
  readonly onError: (error: unknown) => void;
}

export interface WebhookReader {
  /** Gives up the turn. */
  close(): Promise<void>;
}

/** Whoever is not heard of for so long has lost the turn. */
const TURN_MS = 10_000;
/** How long one look for news lasts, and how often those without the turn look whether it is free. */
const LOOK_MS = 2_000;
/** An answer that is so late will not come: the connection is dead. */
const LATE_MS = 5_000;
const RETRY_MS = 1_000;
const BATCH = 50;

export function startWebhookReader(deps: WebhookReaderDeps, reports: WebhookReaderReports): WebhookReader {
  const { redis, keys, log } = deps;
  const token = randomUUID();
  const closing = new AbortController();
  const onError = quietErrors((error: Error) => reports.onError(error));
  // waits for news; commands of others must not wait behind it
  const blocking = duplicateOf(redis, { maxRetriesPerRequest: null, enableOfflineQueue: true });
  blocking.on('error', onError);
  let hasTurn = false;

  const pause = (ms: number): Promise<void> =>
    sleep(ms, undefined, { signal: closing.signal }).catch(() => undefined);

  async function advance(
    position: string,
    turnMs: number,
    states: readonly string[] = [],
    forget = false,
  ): Promise<void> {
    const answer = await advanceWebhooksScript(
      redis,
      [keys.webhookTurn, keys.webhookPosition, keys.webhookStates],
      [token, turnMs, position, forget ? 'forget' : '', ...states],
    );
    hasTurn = answer === 'advanced' && turnMs > 0;
  }

  /** Waits until something comes after a position, or a while. */
  async function untilNews(position: string): Promise<void> {
    const news = blocking.xread('COUNT', 1, 'BLOCK', LOOK_MS, 'STREAMS', keys.log, position).then(() => true);
    // it may fail after the race is over
    news.catch(() => undefined);
    const inTime = await Promise.race([news, pause(LOOK_MS + LATE_MS).then(() => false)]);
    if (!inTime && !closing.signal.aborted) blocking.disconnect(true);
  }

  /** @returns whether there was something to tell. */
  async function tellNext(lookAgain: boolean): Promise<boolean> {
    const position = (await redis.get(keys.webhookPosition)) ?? LOG_BEGINNING;
    let entries = await log.after(position, BATCH);
    const gap = entries === undefined;
    if (entries === undefined) {
      reports.onGap(position);
      entries = await log.oldest(BATCH);
      if (entries.length === 0) await advance(LOG_BEGINNING, TURN_MS, [], true);
    }
    const last = entries.at(-1);
    if (!last) {
      await untilNews(position);
      if (!closing.signal.aborted) await advance('', TURN_MS);
      // something is there that this version cannot read
      if (lookAgain) await pause(RETRY_MS);
      return false;
    }
    const states = await tell(deps, entries, gap ? new Map() : await statesBefore(deps, entries));
    await advance(last.position, TURN_MS, states, gap);
    return true;
  }

  async function run(): Promise<void> {
    let told = true;
    while (!closing.signal.aborted) {
      try {
        hasTurn ||= (await redis.set(keys.webhookTurn, token, 'PX', TURN_MS, 'NX')) === 'OK';
        if (hasTurn) told = await tellNext(!told);
        else await pause(LOOK_MS);
        onError.recovered();
      } catch (error) {
        if (closing.signal.aborted) break;
        onError(error instanceof Error ? error : new Error(String(error)));
        await pause(RETRY_MS);
      }
    }
    if (hasTurn) await advance('', 0).catch(() => undefined);
  }

  const running = run();
  return {
    async close() {
      closing.abort();
      blocking.disconnect();
      await running;
    },
  };
}

const KNOWN: ReadonlySet<string> = new Set(TASK_STATES);

async function statesBefore(
  { redis, keys }: WebhookReaderDeps,
  entries: readonly TaskLogEntry[],
): Promise<Map<string, TaskState>> {
  const taskIds = [...new Set(entries.map(({ taskId }) => taskId))];
  const states = await redis.hmget(keys.webhookStates, ...taskIds);
  return new Map(
    taskIds.flatMap((taskId, index) => {
      const state = states[index] ?? '';
      return KNOWN.has(state) ? [[taskId, state as TaskState]] : [];
    }),
  );
}

/**
 * Tells webhooks of some entries. A second time it does nothing.
 * @param states the last known state of each task; changed as the entries say.
 * @returns task ids and their states, for the script; an empty state for those that change no more.
 */
async function tell(
  deps: WebhookReaderDeps,
  entries: readonly TaskLogEntry[],
  states: Map<string, TaskState>,
): Promise<readonly string[]> {
  const anybody = await deps.webhooks.any();
  const records = new Map<string, Promise<TaskRecord | undefined>>();
  const listeners = new Map<string, Promise<readonly WebhookRecord[]>>();
  const touched = new Set<string>();
  for (const { taskId, state, position } of entries) {
    touched.add(taskId);
    const previous = states.get(taskId);
    if (state === 'removed') {
      states.delete(taskId);
      continue;
    }
    states.set(taskId, state);
    if (!anybody) continue;
    const task = await known(records, taskId, () => readable(deps.tasks, taskId));
    // removed since: nobody knows any more whose it was
    if (!task) continue;
    const at = new Date(timeOf(position));
    for (const webhook of await known(listeners, task.principal, () => deps.webhooks.toldOf(task.principal)))
      if (isLater(position, webhook.since) && isChosen(webhook.events, scanEventOf(state, previous)))
        await deps.deliveries.tell(
          webhook.webhook_id,
          position,
          scanPayload(task, { state, previous, at }),
          task.trace_id,
        );
  }
  return [...touched].flatMap((taskId) => {
    const state = states.get(taskId);
    // completed is final
    return [taskId, state === undefined || state === 'completed' ? '' : state];
  });
}

/** A record that cannot be read must not hold up all others for ever. */
async function readable(tasks: TaskStore, taskId: string): Promise<TaskRecord | undefined> {
  try {
    return await tasks.find(taskId);
  } catch (error) {
    if (error instanceof ZodError || error instanceof SyntaxError) return undefined;
    throw error;
  }
}

function known<K, V>(found: Map<K, Promise<V>>, key: K, find: () => Promise<V>): Promise<V> {
  const existing = found.get(key);
  if (existing) return existing;
  const promise = find();
  found.set(key, promise);
  return promise;
}

/** Positions are ids of the stream: milliseconds and a number. */
function timeOf(position: string): number {
  return Number(position.split('-')[0]);
}

function isLater(position: string, than: string): boolean {
  const [a, b] = [timeOf(position), timeOf(than)];
  return a === b ? Number(position.split('-')[1]) > Number(than.split('-')[1]) : a > b;
}
