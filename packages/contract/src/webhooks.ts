/**
 * Signed notifications (contract section 5): what can be asked, what is kept, and what a receiver gets.
 * Headers and signature are those of Standard Webhooks (https://www.standardwebhooks.com).
 */
import { z } from 'zod';
import { deliveryIdSchema, webhookIdSchema } from './ids.js';
import { LIMITS } from './limits.js';
import { QUALITY_REASONS, qualitySchema } from './quality.js';
import { scanTypeSchema } from './requests.js';
import { resultsSummarySchema } from './results.js';
import { isTerminal, type TaskState, taskStateSchema } from './states.js';
import { type TaskRecord, taskErrorSchema } from './tasks.js';

const isoTime = z.iso.datetime();

/**
 * What can be told of a task:
 * - `scan.queued`: submitted · `scan.started`: an attempt begins.
 * - `scan.requeued`: the attempt ended with an error that may pass, or its worker handed it over; it goes on by itself.
 * - `scan.completed`, `scan.failed`, `scan.timeout`, `scan.cancelled`: the end.
 * - `scan.retried`: somebody had an ended task run again.
 */
export const SCAN_EVENTS = [
  'scan.queued',
  'scan.started',
  'scan.requeued',
  'scan.completed',
  'scan.failed',
  'scan.timeout',
  'scan.cancelled',
  'scan.retried',
] as const;
export type ScanEventName = (typeof SCAN_EVENTS)[number];

/** `ping` is sent when somebody asks for it, whatever a webhook has chosen. */
export const WEBHOOK_EVENTS = [...SCAN_EVENTS, 'ping'] as const;
export const webhookEventSchema = z.enum(WEBHOOK_EVENTS);
export type WebhookEvent = z.infer<typeof webhookEventSchema>;

/** The event of a state that a task came into. @param previous undefined when it is not known, or there was none. */
export function scanEventOf(state: TaskState, previous: TaskState | undefined): ScanEventName {
  switch (state) {
    case 'queued':
      if (previous === 'running') return 'scan.requeued';
      return previous !== undefined && isTerminal(previous) ? 'scan.retried' : 'scan.queued';
    case 'running':
      return 'scan.started';
    default:
      return `scan.${state}`;
  }
}

/** What a webhook is told of; `*` stands for all, also for those that come with later versions. */
export const webhookChoiceSchema = z
  .array(z.enum(['*', ...SCAN_EVENTS]))
  .min(1)
  .max(SCAN_EVENTS.length + 1)
  .meta({
    description: 'Events that are sent; * stands for all',
    examples: [['scan.completed', 'scan.failed', 'scan.timeout']],
  });

export function isChosen(chosen: z.infer<typeof webhookChoiceSchema>, event: ScanEventName): boolean {
  return chosen.some((choice) => choice === '*' || choice === event);
}

const SECRET = /^whsec_(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/;
const SECRET_PREFIX = 'whsec_';

/** `whsec_` and 24 to 64 bytes as base64, as Standard Webhooks has it. */
export const webhookSecretSchema = z
  .string()
  .max(200)
  .refine((text) => {
    const bytes = SECRET.test(text) ? Buffer.byteLength(text.slice(SECRET_PREFIX.length), 'base64') : 0;
    return bytes >= 24 && bytes <= 64;
  }, 'expected whsec_ followed by 24 to 64 bytes as base64');

/** The key inside a secret. */
export function webhookSecretKey(secret: string): Buffer {
  return Buffer.from(secret.slice(SECRET_PREFIX.length), 'base64');
}

/** The secret that holds a key. */
export function toWebhookSecret(key: Buffer): string {
  return `${SECRET_PREFIX}${key.toString('base64')}`;
}

/** Whose tasks a webhook is told of. */
export const webhookAudienceSchema = z.enum(['own', 'all']);

/** Body of `POST /api/v1/webhooks`. */
export const createWebhookSchema = z.strictObject({
  url: z
    .string()
    .trim()
    .min(1)
    .max(LIMITS.webhookUrlChars)
    .meta({
      description:
        'Where to send to. https; http only where WEBHOOK_ALLOW_NETWORKS has the address. It is shown in lists: secrets do not belong into it',
      examples: ['https://ci.example.com/hooks/scanmq'],
    }),
  events: webhookChoiceSchema,
  description: z
    .string()
    .trim()
    .max(LIMITS.webhookDescriptionChars)
    .default('')
    .meta({ description: 'What it is for, for people' }),
  secret: webhookSecretSchema.optional().meta({
    description: 'To sign with: whsec_ and 24 to 64 bytes as base64. One is made when it is left out',
  }),
  audience: webhookAudienceSchema.default('own').meta({
    description: "own: only of one's own tasks; all: of everybody's, for those who may see them",
  }),
});
export type CreateWebhook = z.output<typeof createWebhookSchema>;

/** Why a webhook was switched off by itself. */
export const WEBHOOK_DISABLED_REASONS = {
  gone: 'The receiver answered 410 (gone).',
  deliveries_failed: `${LIMITS.webhookFailedDeliveries} deliveries in a row were given up.`,
  failing_too_long: 'No attempt succeeded for longer than WEBHOOK_DISABLE_HOURS.',
} as const;
const disabledReasonSchema = z.enum(
  Object.keys(WEBHOOK_DISABLED_REASONS) as [keyof typeof WEBHOOK_DISABLED_REASONS],
);
export type WebhookDisabledReason = z.infer<typeof disabledReasonSchema>;

/** A webhook as it is kept and answered. Its secret is kept apart, sealed, and shown once. */
export const webhookSchema = z.object({
  webhook_id: webhookIdSchema,
  url: z.string(),
  events: webhookChoiceSchema,
  description: z.string(),
  audience: webhookAudienceSchema,
  principal: z.string().meta({ description: 'Who made it: it is told of the tasks of this one' }),
  created_at: isoTime,
  disabled: z
    .object({ at: isoTime, reason: disabledReasonSchema, message: z.string() })
    .nullable()
    .meta({ description: 'Set when it was switched off after long failure; enable lets it go on' }),
  failing_since: isoTime.nullable().meta({ description: 'First attempt that failed since the last success' }),
  consecutive_failures: z.number().int().meta({ description: 'Deliveries given up since the last success' }),
  last_success_at: isoTime.nullable(),
});
export type Webhook = z.infer<typeof webhookSchema>;

/** Answer of `POST /api/v1/webhooks`: the only one that has the secret. */
export const createdWebhookSchema = webhookSchema.extend({
  secret: z.string().meta({ description: 'To check signatures with; it is not shown again' }),
});
export type CreatedWebhook = z.infer<typeof createdWebhookSchema>;

/** Answer of `GET /api/v1/webhooks`, the oldest first. */
export const webhookListSchema = z.object({ webhooks: z.array(webhookSchema), total: z.number().int() });
export type WebhookList = z.infer<typeof webhookListSchema>;

/** Of the payload; a field may be added without a new one. */
export const WEBHOOK_PAYLOAD_VERSION = 1;

/** What a receiver is told of a task: our own words, ids, counts, and the name that the submitter gave it. */
export const scanEventDataSchema = z.object({
  task_id: z.string(),
  status: taskStateSchema.meta({ description: 'The state that the task came into' }),
  previous_status: taskStateSchema
    .nullable()
    .meta({ description: 'Null when there was none, or it is not known any more' }),
  current_status: taskStateSchema.meta({
    description: 'When this was written: the task may have gone on since the event',
  }),
  name: z.string(),
  scan_type: scanTypeSchema,
  scanner_pool: z.string(),
  principal: z.string(),
  attempts: z.number().int(),
  created_at: isoTime,
  started_at: isoTime.nullable(),
  completed_at: isoTime.nullable(),
  results_summary: resultsSummarySchema.nullable(),
  quality: z
    .object({ verdict: qualitySchema.shape.verdict, reasons: z.array(z.enum(QUALITY_REASONS)) })
    .nullable(),
  partial_results: z.boolean(),
  error: taskErrorSchema.nullable(),
  links: z
    .object({ task: z.string(), findings: z.string().nullable(), report: z.string().nullable() })
    .meta({ description: 'Paths below the address of the gateway' }),
});

const envelope = { version: z.literal(WEBHOOK_PAYLOAD_VERSION), timestamp: isoTime } as const;

/** Body of a delivery. */
export const webhookPayloadSchema = z.union([
  z.object({ type: z.enum(SCAN_EVENTS), ...envelope, data: scanEventDataSchema }),
  z.object({ type: z.literal('ping'), ...envelope, data: z.object({ webhook_id: z.string() }) }),
]);
export type WebhookPayload = z.infer<typeof webhookPayloadSchema>;

export interface ScanChange {
  readonly state: TaskState;
  readonly previous: TaskState | undefined;
  readonly at: Date;
}

/**
 * What is told of a change of state.
 * @param task as it is now; what belongs to a state that it has left since is not told.
 */
export function scanPayload(task: TaskRecord, { state, previous, at }: ScanChange): WebhookPayload {
  const still = task.state === state;
  const path = `/api/v1/scans/${task.task_id}`;
  const results = still && task.results_summary !== null;
  return {
    type: scanEventOf(state, previous),
    version: WEBHOOK_PAYLOAD_VERSION,
    timestamp: at.toISOString(),
    data: {
      task_id: task.task_id,
      status: state,
      previous_status: previous ?? null,
      current_status: task.state,
      name: task.name,
      scan_type: task.scan_type,
      scanner_pool: task.scanner_pool,
      principal: task.principal,
      attempts: task.attempts,
      created_at: task.created_at,
      started_at: task.started_at,
      completed_at: task.completed_at,
      results_summary: results ? task.results_summary : null,
      quality:
        results && task.quality ? { verdict: task.quality.verdict, reasons: task.quality.reasons } : null,
      partial_results: results && task.partial_results,
      error: still ? task.error : null,
      links: {
        task: path,
        findings: results ? `${path}/findings` : null,
        report: results ? `${path}/report` : null,
      },
    },
  };
}

/**
 * Why an attempt failed, where there was no answer with a status:
 * `address_refused`: its host leads to an address that must not be called; `https_required`: http is for addresses of
 * WEBHOOK_ALLOW_NETWORKS only; `secret_unavailable`: this worker cannot open the secret (CREDENTIALS_KEY).
 */
export const DELIVERY_ERRORS = [
  'address_refused',
  'https_required',
  'name_not_found',
  'refused',
  'unreachable',
  'reset',
  'timeout',
  'tls',
  'not_http',
  'redirect',
  'status',
  'secret_unavailable',
  'failed',
] as const;
export const deliveryErrorSchema = z.enum(DELIVERY_ERRORS);
export type DeliveryError = z.infer<typeof deliveryErrorSchema>;

/** One attempt. Of the answer only its status and size are kept: what a receiver writes is nobody's to show. */
export const deliveryAttemptSchema = z.object({
  at: isoTime,
  status_code: z.number().int().nullable(),
  error: deliveryErrorSchema.nullable().meta({ description: 'Null when it succeeded (2xx)' }),
  duration_ms: z.number().int(),
  answer_bytes: z.number().int().meta({ description: 'Bytes of the answer that were read, at most 1,024' }),
});
export type DeliveryAttempt = z.infer<typeof deliveryAttemptSchema>;

/** `skipped`: not sent, see `skipped_because`; it can be replayed. */
export const DELIVERY_STATUSES = ['pending', 'delivered', 'failed', 'skipped'] as const;
export const deliveryStatusSchema = z.enum(DELIVERY_STATUSES);
export type DeliveryStatus = z.infer<typeof deliveryStatusSchema>;

/** One message on its way to one webhook, with its attempts. */
export const deliverySchema = z.object({
  delivery_id: deliveryIdSchema,
  webhook_id: webhookIdSchema,
  message_id: z.string().meta({
    description: 'The header webhook-id: the same in all attempts and replays, to recognise what came twice',
  }),
  type: webhookEventSchema,
  task_id: z.string().nullable(),
  status: deliveryStatusSchema,
  skipped_because: z.enum(['disabled', 'too_many_waiting']).nullable(),
  created_at: isoTime,
  replay_of: deliveryIdSchema.nullable(),
  next_attempt_at: isoTime.nullable(),
  attempts: z.array(deliveryAttemptSchema),
  payload: webhookPayloadSchema,
});
export type Delivery = z.infer<typeof deliverySchema>;

export const deliveriesQuerySchema = z.strictObject({
  limit: z.coerce.number().int().min(1).max(LIMITS.listLimitMax).default(LIMITS.listLimitDefault),
  cursor: z.string().min(1).max(512).optional(),
});
export type DeliveriesQuery = z.output<typeof deliveriesQuerySchema>;

/** Answer of `GET /api/v1/webhooks/{id}/deliveries`, the newest first. */
export const deliveryListSchema = z.object({
  deliveries: z.array(deliverySchema),
  total: z.number().int().meta({ description: 'Deliveries that are remembered' }),
  next_cursor: z.string().nullable(),
});
export type DeliveryList = z.infer<typeof deliveryListSchema>;
