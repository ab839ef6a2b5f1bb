/**
 * Deliveries: each is noted in the log of its webhook first, and is a job of the same id then. Whoever crashes in
 * between does both again, and neither is doubled.
 */
import { randomBytes } from 'node:crypto';
import {
  type DeliveriesQuery,
  type Delivery,
  type DeliveryAttempt,
  type DeliveryId,
  type DeliveryList,
  deliverySchema,
  InvalidRequestError,
  isDeliveryId,
  isWebhookId,
  LIMITS,
  ScanmqError,
  WEBHOOK_DISABLED_REASONS,
  WEBHOOK_PAYLOAD_VERSION,
  type WebhookDisabledReason,
  type WebhookPayload,
} from '@scanmq/contract';
import type { Queue } from 'bullmq';
import { z } from 'zod';
import type { Keys } from './keys.js';
import type { RedisClient } from './redis-client.js';
import { noteAttemptScript, noteDeliveryScript } from './scripts.js';
import type { WebhookStore, WebhookViewer } from './webhooks.js';

/** As it is kept: the body is a text, so that every attempt and every replay sends the same bytes. */
const entrySchema = deliverySchema
  .omit({ payload: true })
  // of the task, for the log; those of before had none
  .extend({ body: z.string(), trace_id: z.string().nullable().default(null) });
type Entry = z.infer<typeof entrySchema>;

/** Data of a job; what the dashboard shows. Neither the secret nor the URL are part of it. */
export const webhookJobSchema = entrySchema.pick({
  delivery_id: true,
  webhook_id: true,
  message_id: true,
  type: true,
  task_id: true,
  trace_id: true,
  replay_of: true,
  created_at: true,
  body: true,
});
export type WebhookJob = z.infer<typeof webhookJobSchema>;

/** What comes after an attempt. `gone`: given up, and no other delivery makes sense. */
export type AttemptOutcome =
  | { readonly outcome: 'delivered' | 'failed' | 'gone' }
  | { readonly outcome: 'retry'; readonly nextAt: Date };

export interface WebhookDeliveries {
  /**
   * Tells a webhook of an event, once for each place in the change log.
   * @param traceId of the task.
   */
  tell(webhookId: string, position: string, payload: WebhookPayload, traceId: string): Promise<void>;
  /** @throws ScanmqError `not_found`; `invalid_state` when it is disabled; `rate_limited` when too many wait. */
  ping(webhookId: string, by: WebhookViewer): Promise<Delivery>;
  /** Sends the same again, under the same message id. Throws as `ping`. */
  replay(webhookId: string, deliveryId: string, by: WebhookViewer): Promise<Delivery>;
  /** @throws ScanmqError `not_found`, InvalidRequestError for a cursor that is none. */
  list(webhookId: string, query: DeliveriesQuery, by: WebhookViewer): Promise<DeliveryList>;
  /**
   * Notes an attempt, and disables the webhook when it has failed for too long.
   * @returns `missing` when the webhook is gone.
   */
  noteAttempt(
    job: WebhookJob,
    attempt: DeliveryAttempt,
    outcome: AttemptOutcome,
    disableAfterMs: number,
  ): Promise<'noted' | 'disabled' | 'missing'>;
  /** Notes that a delivery is not made because its webhook is disabled. */
  noteSkipped(job: WebhookJob): Promise<void>;
  /** Removes the webhook with everything that belongs to it. @throws ScanmqError `not_found`. */
  removeWebhook(webhookId: string, by: WebhookViewer): Promise<void>;
}

/** Finished jobs that the dashboard shows; the log of deliveries is kept apart. */
const KEPT_JOBS = { age: 86_400, count: 1_000 };

export function createWebhookDeliveries(options: {
  readonly redis: RedisClient;
  readonly keys: Keys;
  readonly queue: Queue;
  readonly webhooks: WebhookStore;
  readonly now: () => Date;
}): WebhookDeliveries {
  const { redis, keys, queue, webhooks, now } = options;

  async function findEntry(webhookId: string, deliveryId: string): Promise<Entry | undefined> {
    const text = await redis.hget(keys.deliveryLog(webhookId), deliveryId);
    return text === null ? undefined : entrySchema.parse(JSON.parse(text));
  }

  /** Notes a delivery and makes its job. @returns true when it is going to be sent. */
  async function begin(entry: Entry): Promise<boolean> {
    const skipped = (because: Entry['skipped_because']): string =>
      JSON.stringify({ ...entry, status: 'skipped', skipped_because: because, next_attempt_at: null });
    const { webhook_id, delivery_id } = entry;
    const answer = await noteDeliveryScript(
      redis,
      [
        keys.webhook(webhook_id),
        keys.deliveries(webhook_id),
        keys.deliveryLog(webhook_id),
        keys.deliveriesWaiting(webhook_id),
      ],
      [
        delivery_id,
        Date.parse(entry.created_at),
        JSON.stringify(entry),
        skipped('disabled'),
        skipped('too_many_waiting'),
        LIMITS.webhookWaiting,
        LIMITS.webhookLog,
        LIMITS.webhookLogSeconds,
      ],
    );
    if (answer !== 'noted' && answer !== 'waiting') return false;
    await queue.add(entry.type, webhookJobSchema.parse(entry), {
      jobId: delivery_id,
      attempts: LIMITS.webhookAttempts,
      backoff: { type: 'by-error' },
      removeOnComplete: KEPT_JOBS,
      removeOnFail: KEPT_JOBS,
      stackTraceLimit: 0,
    });
    return true;
  }

  function newEntry(
    ids: Pick<Entry, 'delivery_id' | 'webhook_id' | 'message_id'>,
    message: Pick<Entry, 'type' | 'task_id' | 'trace_id' | 'body'>,
    replayOf: DeliveryId | null,
  ): Entry {
    const at = now().toISOString();
    return {
      ...ids,
      ...message,
      status: 'pending',
      skipped_because: null,
      created_at: at,
      replay_of: replayOf,
      next_attempt_at: at,
      attempts: [],
    };
  }

  async function beginNow(entry: Entry): Promise<Delivery> {
    if (await begin(entry)) return toDelivery(entry);
    throw new ScanmqError(
      'rate_limited',
      `${LIMITS.webhookWaiting} deliveries of this webhook wait already; nothing was sent.`,
    );
  }

  async function getEnabled(webhookId: string, by: WebhookViewer) {
    const webhook = await webhooks.get(webhookId, by);
    if (webhook.disabled)
      throw new ScanmqError(
        'invalid_state',
        `The webhook is disabled: ${webhook.disabled.message} Enable it first.`,
      );
    return webhook;
  }

  const disabled = (reason: WebhookDisabledReason): string =>
    JSON.stringify({
      at: now().toISOString(),
      reason,
      message: WEBHOOK_DISABLED_REASONS[reason],
    });

  async function note(
    job: WebhookJob,
    change: Pick<Entry, 'status' | 'skipped_because' | 'next_attempt_at'>,
    attempt: DeliveryAttempt | undefined,
    outcome: AttemptOutcome['outcome'] | 'skipped',
    disableAfterMs: number,
  ): Promise<'noted' | 'disabled' | 'missing'> {
    const before = await findEntry(job.webhook_id, job.delivery_id);
    const entry: Entry = {
      ...job,
      ...change,
      attempts: [...(before?.attempts ?? []), ...(attempt ? [attempt] : [])].slice(
        -2 * LIMITS.webhookAttempts,
      ),
    };
    const at = now();
    return (await noteAttemptScript(
      redis,
      [
        keys.webhook(job.webhook_id),
        keys.deliveryLog(job.webhook_id),
        keys.deliveriesWaiting(job.webhook_id),
      ],
      [
        job.delivery_id,
        JSON.stringify(entry),
        outcome,
        JSON.stringify(at.toISOString()),
        at.getTime(),
        Math.ceil(disableAfterMs),
        LIMITS.webhookFailedDeliveries,
        disabled('gone'),
        disabled('deliveries_failed'),
        disabled('failing_too_long'),
      ],
    )) as 'noted' | 'disabled' | 'missing';
  }

  return {
    async tell(webhookId, position, payload, traceId) {
      if (!isWebhookId(webhookId)) return;
      const ids = idsOf(webhookId, position.replace('-', '_'));
      const taskId = payload.type === 'ping' ? null : payload.data.task_id;
      await begin(
        newEntry(
          { ...ids, webhook_id: webhookId },
          { type: payload.type, task_id: taskId, trace_id: traceId, body: JSON.stringify(payload) },
          null,
        ),
      );
    },

    async ping(webhookId, by) {
      const { webhook_id } = await getEnabled(webhookId, by);
      const payload: WebhookPayload = {
        type: 'ping',
        version: WEBHOOK_PAYLOAD_VERSION,
        timestamp: now().toISOString(),
        data: { webhook_id },
      };
      const ids = idsOf(webhook_id, `ping_${randomBytes(8).toString('hex')}`);
      const message = { type: payload.type, task_id: null, trace_id: null, body: JSON.stringify(payload) };
      return await beginNow(newEntry({ ...ids, webhook_id }, message, null));
    },

    async replay(webhookId, deliveryId, by) {
      const { webhook_id } = await getEnabled(webhookId, by);
      const first = isDeliveryId(deliveryId) ? await findEntry(webhook_id, deliveryId) : undefined;
      if (!first)
        throw new ScanmqError('not_found', `The webhook has no delivery ${deliveryId.slice(0, 120)}.`);
      if (first.status === 'pending')
        throw new ScanmqError('invalid_state', 'The delivery is on its way; there is nothing to replay yet.');
      const { message_id, type, task_id, trace_id, body } = first;
      const { delivery_id } = idsOf(webhook_id, `replay_${randomBytes(8).toString('hex')}`);
      return await beginNow(
        newEntry(
          { delivery_id, webhook_id, message_id },
          { type, task_id, trace_id, body },
          first.delivery_id,
        ),
      );
    },

    async list(webhookId, { limit, cursor }, by) {
      const { webhook_id } = await webhooks.get(webhookId, by);
      const index = keys.deliveries(webhook_id);
      const after = cursor === undefined ? undefined : decodeCursor(cursor);
      const rank = after === undefined ? -1 : await redis.zrevrank(index, after);
      // the oldest go first: where this one is gone, nothing is left behind it
      const ids = rank === null ? [] : await redis.zrevrange(index, rank + 1, rank + limit + 1);
      const total = await redis.zcard(index);
      const page = ids.slice(0, limit);
      const texts = page.length === 0 ? [] : await redis.hmget(keys.deliveryLog(webhook_id), ...page);
      const last = page.at(-1);
      return {
        deliveries: texts.flatMap((text) =>
          text === null ? [] : toDelivery(entrySchema.parse(JSON.parse(text))),
        ),
        total,
        next_cursor: ids.length > limit && last ? Buffer.from(last).toString('base64url') : null,
      };
    },

    noteAttempt: (job, attempt, next, disableAfterMs) =>
      note(
        job,
        {
          status:
            next.outcome === 'delivered' ? 'delivered' : next.outcome === 'retry' ? 'pending' : 'failed',
          skipped_because: null,
          next_attempt_at: next.outcome === 'retry' ? next.nextAt.toISOString() : null,
        },
        attempt,
        next.outcome,
        disableAfterMs,
      ),

    async noteSkipped(job) {
      await note(
        job,
        { status: 'skipped', skipped_because: 'disabled', next_attempt_at: null },
        undefined,
        'skipped',
        0,
      );
    },

    async removeWebhook(webhookId, by) {
      await webhooks.get(webhookId, by);
      const waiting = await redis.smembers(keys.deliveriesWaiting(webhookId));
      await webhooks.remove(webhookId, by);
      // one that is being sent now ends by itself, and leaves nothing behind
      for (const deliveryId of waiting) await queue.remove(deliveryId);
    },
  };
}

/** Ids of a message to one webhook. @param place tells it from all its other messages. */
function idsOf(webhookId: string, place: string): Pick<Entry, 'delivery_id' | 'message_id'> {
  const id = `${webhookId.slice('wh_'.length)}_${place}`;
  return { delivery_id: deliverySchema.shape.delivery_id.parse(`dlv_${id}`), message_id: `msg_${id}` };
}

function toDelivery({ body, ...entry }: Entry): Delivery {
  return deliverySchema.parse({ ...entry, payload: JSON.parse(body) });
}

function decodeCursor(cursor: string): DeliveryId {
  const text = Buffer.from(cursor, 'base64url').toString();
  if (isDeliveryId(text)) return text;
  throw new InvalidRequestError('The cursor is not one of ours.', [
    { path: 'cursor', message: 'expected the next_cursor of an earlier answer' },
  ]);
}
