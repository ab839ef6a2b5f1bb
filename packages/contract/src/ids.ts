import { randomBytes, randomUUID } from 'node:crypto';
import { z } from 'zod';

const TASK_ID = /^ne_[a-z0-9_-]{1,4}_\d{8}_\d{6}_[0-9a-f]{8}$/;

/**
 * `ne_<first 4 characters of the pool or instance>_<YYYYMMDD>_<HHMMSS>_<8 hex>`, UTC. Valid as a file
 * name and as a BullMQ job id (contract section 2).
 */
export const taskIdSchema = z
  .string()
  .regex(TASK_ID, 'a task id such as ne_ness_20261123_152923_0a1b2c3d')
  .brand<'TaskId'>()
  .meta({
    description: 'Id of a task, as returned by a submission',
    examples: ['ne_ness_20261123_152923_0a1b2c3d'],
  });
export type TaskId = z.infer<typeof taskIdSchema>;

/** True when the text has the form of a task id; says nothing about existence. */
export function isTaskId(text: string): text is TaskId {
  return TASK_ID.test(text);
}

/**
 * A new task id.
 * @param place name of the pool, or of the instance that was asked for.
 * @param now moment of submission.
 * @param random 4 bytes; given by tests only.
 */
export function newTaskId(place: string, now: Date, random: Buffer = randomBytes(4)): TaskId {
  const [date = '', time = ''] = now.toISOString().split('T');
  const prefix =
    place
      .toLowerCase()
      .replace(/[^a-z0-9_-]/g, '')
      .slice(0, 4) || 'pool';
  return taskIdSchema.parse(
    `ne_${prefix}_${date.replaceAll('-', '')}_${time.slice(0, 8).replaceAll(':', '')}_${random.toString('hex')}`,
  );
}

const SCHEDULE_ID = /^sch_[0-9a-f]{8}$/;

/** `sch_<8 hex>`. Without a colon, which BullMQ gives a meaning in the ids of job schedulers. */
export const scheduleIdSchema = z
  .string()
  .regex(SCHEDULE_ID, 'a schedule id such as sch_0a1b2c3d')
  .brand<'ScheduleId'>()
  .meta({ description: 'Id of a recurring scan', examples: ['sch_0a1b2c3d'] });
export type ScheduleId = z.infer<typeof scheduleIdSchema>;

/** True when the text has the form of a schedule id; says nothing about existence. */
export function isScheduleId(text: string): text is ScheduleId {
  return SCHEDULE_ID.test(text);
}

/** A new schedule id. @param random 4 bytes; given by tests only. */
export function newScheduleId(random: Buffer = randomBytes(4)): ScheduleId {
  return scheduleIdSchema.parse(`sch_${random.toString('hex')}`);
}

const WEBHOOK_ID = /^wh_[0-9a-f]{16}$/;

/** `wh_<16 hex>`; never given twice, or the deliveries of one that was removed would be those of another. */
export const webhookIdSchema = z
  .string()
  .regex(WEBHOOK_ID, 'a webhook id such as wh_0a1b2c3d4e5f6071')
  .brand<'WebhookId'>()
  .meta({ description: 'Id of a webhook', examples: ['wh_0a1b2c3d4e5f6071'] });
export type WebhookId = z.infer<typeof webhookIdSchema>;

/** True when the text has the form of a webhook id; says nothing about existence. */
export function isWebhookId(text: string): text is WebhookId {
  return WEBHOOK_ID.test(text);
}

export function newWebhookId(): WebhookId {
  return webhookIdSchema.parse(`wh_${randomBytes(8).toString('hex')}`);
}

const DELIVERY_ID = /^dlv_[0-9a-f]{16}_[0-9a-z_]{1,60}$/;

/** `dlv_<of its webhook>_<place of the event in the log of changes>`, with more for a replay or a ping; also the id of its job. */
export const deliveryIdSchema = z
  .string()
  .regex(DELIVERY_ID, 'a delivery id such as dlv_0a1b2c3d4e5f6071_1764000000000_0')
  .brand<'DeliveryId'>()
  .meta({ description: 'Id of a delivery', examples: ['dlv_0a1b2c3d4e5f6071_1764000000000_0'] });
export type DeliveryId = z.infer<typeof deliveryIdSchema>;

/** True when the text has the form of a delivery id; says nothing about existence. */
export function isDeliveryId(text: string): text is DeliveryId {
  return DELIVERY_ID.test(text);
}

/** A new W3C trace id: 32 lower-case hex digits. Every request makes one; Node keeps random bytes ready for UUIDs. */
export function newTraceId(): string {
  return randomUUID().replaceAll('-', '');
}

/** Name of a pool: also the name of its BullMQ queue, therefore without a colon. */
export const poolNameSchema = z
  .string()
  .regex(/^[a-z][a-z0-9_-]{0,62}$/, 'a pool name: a lower-case letter, then letters, digits, _ or -');

/** Id of an instance within its pool. */
export const instanceIdSchema = z
  .string()
  .regex(/^[A-Za-z0-9][A-Za-z0-9_-]{0,62}$/, 'an instance id: letters, digits, _ or -');

/** `pool:instance_id`, unique over all pools. */
export type InstanceKey = `${string}:${string}`;

export function instanceKey(pool: string, instanceId: string): InstanceKey {
  return `${pool}:${instanceId}`;
}
