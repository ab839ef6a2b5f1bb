/** Sends one delivery, and decides what comes after: it is done, tried again later, given up, or never made. */
import type { Settings } from '@scanmq/config';
import { type DeliveryAttempt, LIMITS, ScanmqError, type Webhook } from '@scanmq/contract';
import type { Logger, Meter } from '@scanmq/observability';
import { type AttemptOutcome, type QueueSystem, type WebhookJob, webhookJobSchema } from '@scanmq/queue';
import type { WebhookSender } from '@scanmq/webhooks';
import { DelayedError, type Job, UnrecoverableError } from 'bullmq';

export interface DeliverDeps {
  readonly queue: Pick<QueueSystem, 'webhooks' | 'webhookDeliveries'>;
  readonly sender: WebhookSender;
  readonly settings: Pick<Settings, 'webhookRetryMs' | 'webhookDisableMs'>;
  readonly log: Logger;
  readonly meter: Meter;
  readonly now: () => Date;
  readonly random: () => number;
}

/** What a finished job answers, for the dashboard. */
export type DeliveryReport =
  | { readonly outcome: 'delivered'; readonly status_code: number | null }
  | { readonly outcome: 'skipped'; readonly reason: string };

/** An attempt failed, and another follows. */
export class DeliveryFailedError extends Error {
  readonly delayMs: number;
  constructor(attempt: DeliveryAttempt, delayMs: number) {
    super(describe(attempt));
    this.name = 'DeliveryFailedError';
    this.delayMs = delayMs;
  }
}

export interface WebhookDeliverer {
  process(job: Job, token: string | undefined): Promise<DeliveryReport>;
  /** Ends what is being sent; it is sent again by another worker, with the same message id. */
  shutdown(): void;
}

/** Each wait is so many times the one before. */
const BACKOFF_FACTOR = 4;
const LONGEST_BACKOFF_MS = 24 * 3_600_000;
/** How long a delivery waits at least whose webhook has enough under way. */
const BUSY_MS = 20;

/** Wait before the next attempt, with some jitter. @param failed attempts so far, from 1. */
export function deliveryBackoffMs(baseMs: number, failed: number, random: () => number): number {
  const wait = Math.min(LONGEST_BACKOFF_MS, baseMs * BACKOFF_FACTOR ** (failed - 1));
  return Math.ceil(wait * (0.8 + 0.4 * random()));
}

export function createWebhookDeliverer(deps: DeliverDeps): WebhookDeliverer {
  const { queue, sender, settings, log, meter, now, random } = deps;
  const lanes = createLanes(now);
  const stopping = new AbortController();

  async function later(job: Job, token: string | undefined, atMs: number): Promise<never> {
    await job.moveToDelayed(atMs, token);
    throw new DelayedError();
  }

  async function attempt(delivery: WebhookJob, webhook: Webhook): Promise<DeliveryAttempt | 'gone'> {
    const at = now().toISOString();
    try {
      const secret = await queue.webhooks.openSecret(webhook.webhook_id);
      if (secret === undefined) return 'gone';
      const message = { id: delivery.message_id, body: delivery.body };
      return await sender.send(webhook.url, secret, message, stopping.signal);
    } catch (error) {
      if (!(error instanceof ScanmqError)) throw error;
      log.error({ event: 'webhook.secret', webhook_id: webhook.webhook_id, err: error }, error.message);
      return { at, status_code: null, error: 'secret_unavailable', duration_ms: 0, answer_bytes: 0 };
    }
  }

  async function note(
    delivery: WebhookJob,
    result: DeliveryAttempt,
    outcome: AttemptOutcome,
  ): Promise<'noted' | 'disabled' | 'missing'> {
    const answer = await queue.webhookDeliveries.noteAttempt(
      delivery,
      result,
      outcome,
      settings.webhookDisableMs,
    );
    meter.count('scanmq_webhook_deliveries_total', { outcome: outcome.outcome });
    const about = {
      webhook_id: delivery.webhook_id,
      delivery_id: delivery.delivery_id,
      ...(delivery.task_id === null ? {} : { task_id: delivery.task_id, trace_id: delivery.trace_id }),
      status_code: result.status_code,
      error: result.error,
    };
    if (outcome.outcome === 'delivered') log.debug({ event: 'webhook.delivered', ...about }, 'delivered');
    else if (outcome.outcome === 'retry') log.info({ event: 'webhook.retry', ...about }, 'tried again later');
    else log.warn({ event: 'webhook.given_up', ...about }, 'a delivery is given up');
    if (answer === 'disabled')
      log.error({ event: 'webhook.disabled', ...about }, 'a webhook is disabled after long failure');
    return answer;
  }

  return {
    shutdown: () => stopping.abort(),

    async process(job, token) {
      const delivery = webhookJobSchema.parse(job.data);
      const webhook = await queue.webhooks.find(delivery.webhook_id);
      if (!webhook) return { outcome: 'skipped', reason: 'the webhook was removed' };
      if (webhook.disabled) {
        await queue.webhookDeliveries.noteSkipped(delivery);
        return { outcome: 'skipped', reason: 'the webhook is disabled' };
      }
      const lane = lanes.enter(webhook.webhook_id);
      if (lane.waitUntilMs !== undefined) return await later(job, token, lane.waitUntilMs);
      let result: DeliveryAttempt | 'gone';
      try {
        result = await attempt(delivery, webhook);
      } catch (error) {
        if (stopping.signal.aborted) return await later(job, token, now().getTime());
        throw error;
      } finally {
        lane.leave();
      }
      if (result === 'gone') return { outcome: 'skipped', reason: 'the webhook was removed' };
      if (result.error === null) {
        await note(delivery, result, { outcome: 'delivered' });
        return { outcome: 'delivered', status_code: result.status_code };
      }
      const failed = job.attemptsMade + 1;
      if (result.status_code === 410 || failed >= (job.opts.attempts ?? LIMITS.webhookAttempts)) {
        await note(delivery, result, { outcome: result.status_code === 410 ? 'gone' : 'failed' });
        throw new UnrecoverableError(describe(result));
      }
      const delayMs = deliveryBackoffMs(settings.webhookRetryMs, failed, random);
      await note(delivery, result, { outcome: 'retry', nextAt: new Date(now().getTime() + delayMs) });
      throw new DeliveryFailedError(result, delayMs);
    },
  };
}

function describe({ error, status_code }: DeliveryAttempt): string {
  return status_code === null ? `not delivered: ${error}` : `not delivered: answered ${status_code}`;
}

interface Lane {
  /** Set when enough deliveries of this webhook are under way: when to come again. */
  readonly waitUntilMs: number | undefined;
  leave(): void;
}

/**
 * Keeps a receiver that is slow from taking all places: each webhook has a few at once. Deliveries beyond get a time of
 * their own each, as far apart as the receiver needs, so that a long line costs no more than a short one.
 */
function createLanes(now: () => Date): { enter(webhookId: string): Lane } {
  const lanes = new Map<
    string,
    { readonly underWay: Set<{ readonly begunMs: number }>; nextMs: number; tookMs: number }
  >();
  return {
    enter(webhookId) {
      const delivery = { begunMs: now().getTime() };
      const lane = lanes.get(webhookId) ?? { underWay: new Set(), nextMs: 0, tookMs: 0 };
      lanes.set(webhookId, lane);
      if (lane.underWay.size >= LIMITS.webhookDeliveriesAtOnceEach) {
        // the oldest under way takes at least as long as it took until now
        const [oldest = delivery] = lane.underWay;
        const needsMs = Math.max(lane.tookMs, delivery.begunMs - oldest.begunMs);
        lane.nextMs =
          Math.max(lane.nextMs, delivery.begunMs + BUSY_MS) +
          Math.ceil(needsMs / LIMITS.webhookDeliveriesAtOnceEach);
        return { waitUntilMs: lane.nextMs, leave: () => undefined };
      }
      lane.underWay.add(delivery);
      return {
        waitUntilMs: undefined,
        leave: () => {
          const endedMs = now().getTime();
          lane.underWay.delete(delivery);
          lane.tookMs = endedMs - delivery.begunMs;
          // those that were told a time come by themselves
          if (lane.underWay.size === 0 && lane.nextMs < endedMs) lanes.delete(webhookId);
        },
      };
    },
  };
}
