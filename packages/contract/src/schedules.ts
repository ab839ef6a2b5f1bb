/** Recurring scans: what can be asked, what is kept, and what is answered (contract sections 3 and 5). */
import { z } from 'zod';
import { keyScopesSchema } from './access.js';
import { ERROR_CODE_NAMES } from './errors.js';
import { scheduleIdSchema } from './ids.js';
import { LIMITS } from './limits.js';
import { parseOrThrow } from './problem.js';
import { cronMistake, isTimeZone } from './recurrence.js';
import { checkScanRequest, scanRequestObject } from './requests.js';

const isoTime = z.iso.datetime();
const MS_PER_MINUTE = 60_000;

/**
 * What happens when a run is due while the task of the run before has not ended:
 * - `skip`: nothing; it is counted.
 * - `queue`: it is submitted all the same.
 * - `replace`: the task before is cancelled.
 */
export const OVERLAPS = ['skip', 'queue', 'replace'] as const;
export const overlapSchema = z.enum(OVERLAPS);
export type Overlap = z.infer<typeof overlapSchema>;

/** Credentials that a schedule would have to keep for as long as it exists. */
const INLINE_CREDENTIALS = [
  'ssh_username',
  'ssh_password',
  'ssh_private_key',
  'ssh_key_passphrase',
  'escalation_password',
  'windows_username',
  'windows_password',
  'windows_domain',
] as const satisfies readonly (keyof typeof scanRequestObject.shape)[];

/** Parameters of a submission; each run gets an idempotency key of its own. */
export const scheduledScanSchema = scanRequestObject
  // a joined task would not remember the key of the run, which keeps it from being made twice
  .omit({ idempotency_key: true, coalesce: true })
  .superRefine((request, ctx) => {
    const inline = INLINE_CREDENTIALS.filter((field) => request[field] !== undefined);
    for (const field of inline)
      ctx.addIssue({
        code: 'custom',
        path: [field],
        message: 'a schedule keeps no credentials: have them stored, and name them in credential_ref',
      });
    if (inline.length === 0) checkScanRequest(request, ctx);
  });
export type ScheduledScan = z.infer<typeof scheduledScanSchema>;

const timing = {
  cron: z
    .string()
    .trim()
    .min(1)
    .max(LIMITS.cronChars)
    .optional()
    .meta({
      description:
        'When: a cron expression of five fields, or six with seconds in front. Give this or every_minutes',
      examples: ['30 2 * * 1-5'],
    }),
  time_zone: z
    .string()
    .max(64)
    .refine(isTimeZone, 'expected a time zone such as Europe/Berlin or UTC')
    .optional()
    .meta({ description: 'Time zone of the cron expression (IANA name); UTC when left out' }),
  every_minutes: z
    .number()
    .min(LIMITS.scheduleIntervalMsMin / MS_PER_MINUTE)
    .max(LIMITS.scheduleIntervalMsMax / MS_PER_MINUTE)
    .optional()
    .meta({
      description:
        'How often, in minutes; the first run is one interval after the creation. Give this or cron',
    }),
} as const;

/** Body of `POST /api/v1/schedules`. */
export const createScheduleSchema = z
  .strictObject({
    name: z
      .string()
      .trim()
      .min(1)
      .max(LIMITS.nameChars)
      .optional()
      .meta({ description: 'Name of the schedule, for people; that of the scan when left out' }),
    request: scheduledScanSchema.meta({ description: 'The scan, as in a submission' }),
    ...timing,
    overlap: overlapSchema.default('skip').meta({
      description:
        'When the scan before has not ended: skip this run, queue it all the same, or replace (cancel) the one before',
    }),
  })
  .superRefine((schedule, ctx) => {
    const issue = (path: string, message: string): void => {
      ctx.addIssue({ code: 'custom', path: [path], message });
    };
    if ((schedule.cron === undefined) === (schedule.every_minutes === undefined))
      issue('cron', 'expected exactly one of cron and every_minutes');
    if (schedule.cron === undefined) {
      if (schedule.time_zone !== undefined) issue('time_zone', 'expected together with cron only');
      return;
    }
    const mistake = cronMistake(schedule.cron);
    if (mistake !== undefined) issue('cron', mistake);
  });
export type CreateSchedule = z.infer<typeof createScheduleSchema>;

/** What came of the last run that was due, or asked for. */
export const scheduleOutcomeSchema = z.discriminatedUnion('outcome', [
  z.object({ outcome: z.literal('submitted'), at: isoTime, task_id: z.string() }),
  z.object({ outcome: z.literal('skipped'), at: isoTime, reason: z.string() }),
  z.object({
    outcome: z.literal('refused'),
    at: isoTime,
    code: z.enum(ERROR_CODE_NAMES),
    message: z.string(),
  }),
]);
export type ScheduleOutcome = z.infer<typeof scheduleOutcomeSchema>;

/** A schedule as it is kept. */
export const scheduleRecordSchema = z.object({
  schedule_id: scheduleIdSchema,
  name: z.string(),
  request: scheduledScanSchema,
  cron: z.string().nullable(),
  /** Of the cron expression; null for an interval. */
  time_zone: z.string().nullable(),
  every_minutes: z.number().nullable(),
  overlap: overlapSchema,
  paused: z.boolean(),
  /** Who made it: its scans are submitted in this name. */
  principal: z.string(),
  /** What the key that made it might do then: each of its runs is held to it. null = a schedule from before there were keys. */
  scopes: keyScopesSchema.nullable().default(null),
  created_at: isoTime,
  last_task_id: z.string().nullable(),
  /** When a scan was last submitted. */
  last_run_at: isoTime.nullable(),
  last_outcome: scheduleOutcomeSchema.nullable(),
  /** Scans submitted. */
  runs: z.number().int(),
  /** Runs that were due, but skipped because the one before had not ended. */
  skips: z.number().int(),
  /** Runs that were due, but refused. */
  refusals: z.number().int(),
});
export type ScheduleRecord = z.infer<typeof scheduleRecordSchema>;

/** A schedule as it is answered. */
export const scheduleSchema = scheduleRecordSchema.omit({ scopes: true }).extend({
  next_run_at: isoTime
    .nullable()
    .meta({ description: 'When it is due next; null while it is paused, in the past while no worker runs' }),
});
export type Schedule = z.infer<typeof scheduleSchema>;

/** Answer of `GET /api/v1/schedules`, the oldest first. */
export const scheduleListSchema = z.object({ schedules: z.array(scheduleSchema), total: z.number().int() });
export type ScheduleList = z.infer<typeof scheduleListSchema>;

export const SCHEDULE_ACTIONS = ['create', 'list', 'pause', 'resume', 'remove'] as const;

/** Parameters of the tool `manage_schedules`. */
export const manageSchedulesParamsSchema = z
  .strictObject({
    action: z.enum(SCHEDULE_ACTIONS),
    schedule_id: scheduleIdSchema
      .optional()
      .meta({ description: 'Of pause, resume and remove', examples: ['sch_0a1b2c3d'] }),
    name: z.string().max(LIMITS.nameChars).optional(),
    request: z
      .record(z.string(), z.unknown())
      .optional()
      .meta({ description: 'Of create: the arguments of run_*, with scan_type' }),
    ...timing,
    overlap: overlapSchema
      .optional()
      .meta({ description: 'When the scan before has not ended; skip when left out' }),
    plan_token: z.string().max(2_000).optional(),
  })
  .superRefine(({ action, schedule_id, request }, ctx) => {
    const needsId = action !== 'create' && action !== 'list';
    if (needsId && schedule_id === undefined)
      ctx.addIssue({ code: 'custom', path: ['schedule_id'], message: `expected with ${action}` });
    if (action === 'create' && request === undefined)
      ctx.addIssue({ code: 'custom', path: ['request'], message: 'expected with create' });
  });
export type ManageSchedules = z.infer<typeof manageSchedulesParamsSchema>;

/** What `create` asks for, checked as in REST. @throws InvalidRequestError */
export function toCreateSchedule(params: ManageSchedules): CreateSchedule {
  const { action: _, schedule_id: __, plan_token: ___, ...schedule } = params;
  return parseOrThrow(createScheduleSchema, schedule, 'call');
}

/** Answer of `manage_schedules`. */
export const manageSchedulesAnswerSchema = z.object({
  schedules: z.array(
    scheduleSchema.omit({ request: true }).extend({
      request: z.object({ name: z.string(), targets: z.string(), scan_type: z.string() }),
    }),
  ),
  total: z.number().int(),
  message: z.string().nullable(),
});
