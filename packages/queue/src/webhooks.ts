/** Webhooks of all principals, and their secrets: sealed, in keys of their own, opened only to sign. */
import { randomBytes } from 'node:crypto';
import {
  type CreatedWebhook,
  type CreateWebhook,
  isWebhookId,
  LIMITS,
  newWebhookId,
  ScanmqError,
  toWebhookSecret,
  type Webhook,
  type WebhookId,
  webhookSchema,
} from '@scanmq/contract';
import { z } from 'zod';
import { openText, sealText } from './credentials.js';
import type { Keys } from './keys.js';
import type { RedisClient } from './redis-client.js';
import { changeWebhookScript, createWebhookScript } from './scripts.js';
import type { TaskLog } from './task-log.js';

/** Who asks. A webhook of another principal answers like one that does not exist. */
export interface WebhookViewer {
  readonly principal: string;
  /** Sees the webhooks of everybody, and may be told of everybody's tasks. */
  readonly all: boolean;
}

const recordSchema = webhookSchema.extend({
  /** Where the change log was at its creation: it is told of what came after. */
  since: z.string(),
});
export type WebhookRecord = z.infer<typeof recordSchema>;

export interface WebhookStore {
  /**
   * @param request whose url was checked.
   * @throws ScanmqError `unavailable` without CREDENTIALS_KEY, `forbidden`, `invalid_state` when there are too many.
   */
  create(request: CreateWebhook, by: WebhookViewer): Promise<CreatedWebhook>;
  /** The oldest first. */
  list(by: WebhookViewer): Promise<readonly Webhook[]>;
  /** @throws ScanmqError `not_found`. */
  get(webhookId: string, by: WebhookViewer): Promise<Webhook>;
  find(webhookId: string): Promise<Webhook | undefined>;
  /** Lets a webhook that was disabled go on; of others it forgets the failures. @throws ScanmqError `not_found`. */
  enable(webhookId: string, by: WebhookViewer): Promise<Webhook>;
  /** Removes the webhook with its secret and its log of deliveries. @throws ScanmqError `not_found`. */
  remove(webhookId: string, by: WebhookViewer): Promise<void>;
  /** Those that are told of the tasks of a principal. */
  toldOf(principal: string): Promise<readonly WebhookRecord[]>;
  any(): Promise<boolean>;
  /** @returns undefined when it was removed. @throws ScanmqError `internal` when it cannot be opened. */
  openSecret(webhookId: string): Promise<string | undefined>;
}

const SECRET_BYTES = 32;
export const webhookPlace = (webhookId: string): string => `secret of webhook ${webhookId}`;

export function createWebhookStore(options: {
  readonly redis: RedisClient;
  readonly keys: Keys;
  readonly log: TaskLog;
  /** Keys of sealed secrets: the first seals. */
  readonly ring: readonly Buffer[];
  readonly now: () => Date;
}): WebhookStore {
  const { redis, keys, log, ring, now } = options;
  const [key] = ring;

  async function readMany(webhookIds: readonly string[]): Promise<readonly WebhookRecord[]> {
    if (webhookIds.length === 0) return [];
    const pipeline = redis.pipeline();
    for (const id of webhookIds) pipeline.hgetall(keys.webhook(id));
    return ((await pipeline.exec()) ?? []).flatMap(([error, fields]) => {
      if (error) throw error;
      return decode(fields as Record<string, string>) ?? [];
    });
  }

  async function find(webhookId: string): Promise<WebhookRecord | undefined> {
    return isWebhookId(webhookId) ? (await readMany([webhookId]))[0] : undefined;
  }

  async function get(webhookId: string, by: WebhookViewer): Promise<Webhook> {
    const record = await find(webhookId);
    if (!record || !(by.all || record.principal === by.principal))
      throw new ScanmqError('not_found', `There is no webhook ${webhookId.slice(0, 80)}.`);
    return toView(record);
  }

  return {
    get,
    find: async (webhookId) => {
      const record = await find(webhookId);
      return record && toView(record);
    },

    async create({ secret: given, ...request }, by) {
      if (!key)
        throw new ScanmqError(
          'unavailable',
          'This service cannot keep the secrets of webhooks: no CREDENTIALS_KEY is configured to seal them with.',
          { retryable: 'no' },
        );
      if (request.audience === 'all' && !by.all)
        throw new ScanmqError('forbidden', "Only administrators may be told of everybody's tasks.");
      const webhookId = newWebhookId();
      const secret = given ?? toWebhookSecret(randomBytes(SECRET_BYTES));
      const record: WebhookRecord = {
        webhook_id: webhookId,
        url: request.url,
        events: [...new Set(request.events)],
        description: request.description,
        audience: request.audience,
        principal: by.principal,
        created_at: now().toISOString(),
        disabled: null,
        failing_since: null,
        consecutive_failures: 0,
        last_success_at: null,
        since: await log.end(),
      };
      const answer = await createWebhookScript(
        redis,
        [
          keys.webhook(webhookId),
          keys.webhookSecret(webhookId),
          keys.webhooks,
          keys.webhooksOf(by.principal),
          record.audience === 'all' ? keys.webhooksOfAll : keys.webhooks,
        ],
        [
          webhookId,
          Date.parse(record.created_at),
          LIMITS.webhooksPerPrincipal,
          LIMITS.webhooks,
          sealText(secret, webhookPlace(webhookId), key),
          ...Object.entries(record).flatMap(([field, value]) => [field, JSON.stringify(value)]),
        ],
      );
      if (answer !== 'created')
        throw new ScanmqError(
          'invalid_state',
          answer === 'principal_full'
            ? `You have ${LIMITS.webhooksPerPrincipal} webhooks already, as many as there may be. Remove one first.`
            : `There are ${LIMITS.webhooks} webhooks already, as many as there may be.`,
        );
      return { ...toView(record), secret };
    },

    async list(by) {
      const index = by.all ? keys.webhooks : keys.webhooksOf(by.principal);
      return (await readMany(await redis.zrange(index, 0, '-1'))).map(toView);
    },

    async enable(webhookId, by) {
      await get(webhookId, by);
      const fields = { disabled: null, failing_since: null, failing_since_ms: 0, consecutive_failures: 0 };
      await changeWebhookScript(
        redis,
        [keys.webhook(webhookId)],
        Object.entries(fields).flatMap(([field, value]) => [field, JSON.stringify(value)]),
      );
      return await get(webhookId, by);
    },

    async remove(webhookId, by) {
      const { principal } = await get(webhookId, by);
      await redis
        .multi()
        .del(
          keys.webhook(webhookId),
          keys.webhookSecret(webhookId),
          keys.deliveries(webhookId),
          keys.deliveryLog(webhookId),
          keys.deliveriesWaiting(webhookId),
        )
        .zrem(keys.webhooks, webhookId)
        .zrem(keys.webhooksOf(principal), webhookId)
        .zrem(keys.webhooksOfAll, webhookId)
        .exec();
    },

    async toldOf(principal) {
      const ids = await Promise.all([
        redis.zrange(keys.webhooksOf(principal), 0, '-1'),
        redis.zrange(keys.webhooksOfAll, 0, '-1'),
      ]);
      return await readMany([...new Set(ids.flat())]);
    },

    any: async () => (await redis.zcard(keys.webhooks)) > 0,

    async openSecret(webhookId) {
      const sealed = await redis.get(keys.webhookSecret(webhookId));
      if (sealed === null) return undefined;
      try {
        if (key) return openText(sealed, webhookPlace(webhookId), ring);
      } catch {
        // said below: the library's own words tell no more
      }
      throw new ScanmqError(
        'internal',
        'The secret of a webhook cannot be opened: this worker has another CREDENTIALS_KEY, or none.',
        { retryable: 'no' },
      );
    },
  };
}

function decode(fields: Record<string, string>): WebhookRecord | undefined {
  if (fields.webhook_id === undefined) return undefined;
  const record: Record<string, unknown> = {};
  for (const [field, value] of Object.entries(fields)) record[field] = JSON.parse(value);
  return recordSchema.parse(record);
}

function toView({ since: _, ...webhook }: WebhookRecord): Webhook & { readonly webhook_id: WebhookId } {
  return webhook;
}
