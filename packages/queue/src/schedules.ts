/**
 * Recurring scans. The record in Redis is the truth; a BullMQ job scheduler, which makes the job of the next run, is
 * derived from it: made after the record, removed after the record says so, and put right by `reconcile`.
 */
import {
  type CreateSchedule,
  isScheduleId,
  LIMITS,
  newScheduleId,
  nextDue,
  type Recurrence,
  ScanmqError,
  type Schedule,
  type ScheduleRecord,
  scheduleRecordSchema,
} from '@scanmq/contract';
import type { Queue, RepeatOptions } from 'bullmq';
import type { Keys } from './keys.js';
import type { RedisClient } from './redis-client.js';
import { changeScheduleScript, createScheduleScript } from './scripts.js';

export interface ScheduleStoreOptions {
  readonly redis: RedisClient;
  readonly keys: Keys;
  /** The queue of the runs. */
  readonly queue: Queue;
  readonly now: () => Date;
}

export type NewSchedule = CreateSchedule & {
  readonly principal: string;
  readonly scopes?: ScheduleRecord['scopes'];
};

/** What `reconcile` put right. */
export interface ScheduleRepairs {
  /** Schedules that were not going to be due again. */
  readonly armed: readonly string[];
  /** Job schedulers whose schedule is paused or gone. */
  readonly disarmed: readonly string[];
}

export interface ScheduleStore {
  /** @throws ScanmqError `invalid_state` when there are too many. */
  create(schedule: NewSchedule): Promise<Schedule>;
  find(scheduleId: string): Promise<ScheduleRecord | undefined>;
  /** @throws ScanmqError `not_found`. */
  get(scheduleId: string): Promise<Schedule>;
  /** All of them, the oldest first. */
  list(): Promise<readonly Schedule[]>;
  /** Doing it again is no error. @throws ScanmqError `not_found`. */
  setPaused(scheduleId: string, paused: boolean): Promise<Schedule>;
  /** @throws ScanmqError `not_found`. */
  remove(scheduleId: string): Promise<void>;
  /** Lets no further job be made for a schedule that is paused or gone. */
  disarm(scheduleId: string): Promise<void>;
  /** Puts right whatever a crash left between record and job scheduler. */
  reconcile(): Promise<ScheduleRepairs>;
}

const MS_PER_MINUTE = 60_000;
/** Records read in one go: each may hold a long list of targets. */
const BATCH = 50;
/** Runs of all schedules that stay visible on the dashboard. */
const KEPT_JOBS = 500;
/** A worker takes a due run at once; one that is due for so long has no job any more, or no worker runs. */
const OVERDUE_MS = 30_000;
/** For errors that are nobody's decision; a refusal is not tried again. */
const ATTEMPTS = 5;
const BACKOFF_MS = 1_000;

/** Also for whoever may not know of it: both have to read the same. */
export function unknownSchedule(scheduleId: string): ScanmqError {
  return new ScanmqError('not_found', `There is no schedule ${scheduleId.slice(0, 80)}.`);
}

export function createScheduleStore(options: ScheduleStoreOptions): ScheduleStore {
  const { redis, keys, queue, now } = options;

  async function find(scheduleId: string): Promise<ScheduleRecord | undefined> {
    return isScheduleId(scheduleId) ? decode(await redis.hgetall(keys.schedule(scheduleId))) : undefined;
  }

  async function view(record: ScheduleRecord, next?: number): Promise<Schedule> {
    const dueMs = record.paused
      ? undefined
      : (next ?? (await queue.getJobScheduler(record.schedule_id))?.next ?? undefined);
    // a schedule that lost its job scheduler gets it back soon
    const nextRun = dueMs === undefined ? nextDue(recurrenceOf(record), now()) : new Date(dueMs);
    const { scopes: _, ...shown } = record;
    return { ...shown, next_run_at: record.paused ? null : nextRun.toISOString() };
  }

  /** Makes the job scheduler of a schedule that has none. One that exists may have a run that is overdue: it stays. */
  async function arm(record: ScheduleRecord): Promise<void> {
    await queue.upsertJobScheduler(record.schedule_id, repeatOptions(record, now()), {
      name: 'run',
      data: { schedule_id: record.schedule_id, name: record.name, principal: record.principal },
      opts: {
        attempts: ATTEMPTS,
        backoff: { type: 'exponential', delay: BACKOFF_MS },
        removeOnComplete: { count: KEPT_JOBS },
        removeOnFail: { count: KEPT_JOBS },
        stackTraceLimit: 0,
      },
    });
  }

  async function readMany(scheduleIds: readonly string[]): Promise<readonly ScheduleRecord[]> {
    const records: ScheduleRecord[] = [];
    for (let from = 0; from < scheduleIds.length; from += BATCH) {
      const pipeline = redis.pipeline();
      for (const id of scheduleIds.slice(from, from + BATCH)) pipeline.hgetall(keys.schedule(id));
      for (const [error, fields] of (await pipeline.exec()) ?? []) {
        if (error) throw error;
        const record = decode(fields as Record<string, string>);
        if (record) records.push(record);
      }
    }
    return records;
  }

  async function get(scheduleId: string): Promise<ScheduleRecord> {
    const record = await find(scheduleId);
    if (!record) throw unknownSchedule(scheduleId);
    return record;
  }

  /** A scheduler lives by the job of its next run: without it, it would never fire again. */
  async function isStuck(scheduleId: string, nextMs: number): Promise<boolean> {
    if (nextMs > now().getTime() - OVERDUE_MS) return false;
    const job = await queue.getJob(`repeat:${scheduleId}:${nextMs}`);
    const state = await job?.getState();
    return state === undefined || state === 'unknown' || state === 'completed' || state === 'failed';
  }

  return {
    find,

    async create({ principal, scopes, ...wanted }) {
      for (;;) {
        const record: ScheduleRecord = {
          schedule_id: newScheduleId(),
          name: wanted.name ?? wanted.request.name,
          request: wanted.request,
          cron: wanted.cron ?? null,
          time_zone: wanted.cron === undefined ? null : (wanted.time_zone ?? 'UTC'),
          every_minutes: wanted.every_minutes ?? null,
          overlap: wanted.overlap,
          paused: false,
          principal,
          scopes: scopes ?? null,
          created_at: now().toISOString(),
          last_task_id: null,
          last_run_at: null,
          last_outcome: null,
          runs: 0,
          skips: 0,
          refusals: 0,
        };
        const answer = await createScheduleScript(
          redis,
          [keys.schedule(record.schedule_id), keys.schedules],
          [
            record.schedule_id,
            LIMITS.schedules,
            Date.parse(record.created_at),
            ...Object.entries(record).flatMap(([field, value]) => [field, JSON.stringify(value)]),
          ],
        );
        if (answer === 'full')
          throw new ScanmqError(
            'invalid_state',
            `There are ${LIMITS.schedules} schedules already, as many as there may be. Remove one first.`,
          );
        if (answer === 'taken') continue;
        await arm(record);
        return await view(record);
      }
    },

    get: async (scheduleId) => await view(await get(scheduleId)),

    async list() {
      const [records, schedulers] = await Promise.all([
        redis.zrange(keys.schedules, 0, '-1').then(readMany),
        queue.getJobSchedulers(0, -1, true),
      ]);
      const next = new Map(schedulers.map((scheduler) => [scheduler.key, scheduler.next]));
      return await Promise.all(records.map((record) => view(record, next.get(record.schedule_id))));
    },

    async setPaused(scheduleId, paused) {
      const record = await get(scheduleId);
      const answer = await changeScheduleScript(
        redis,
        [keys.schedule(scheduleId), keys.scheduleNoted(scheduleId), keys.scheduleLease(scheduleId)],
        ['', '', 0, 'paused', JSON.stringify(paused)],
      );
      // removed in between
      if (answer === 'missing') return await view(await get(scheduleId));
      const changed = { ...record, paused };
      if (paused) await queue.removeJobScheduler(scheduleId);
      else if (!(await queue.getJobScheduler(scheduleId))) await arm(changed);
      return await view(changed);
    },

    async remove(scheduleId) {
      await get(scheduleId);
      await redis
        .multi()
        .del(keys.schedule(scheduleId), keys.scheduleNoted(scheduleId), keys.scheduleLease(scheduleId))
        .zrem(keys.schedules, scheduleId)
        .exec();
      await queue.removeJobScheduler(scheduleId);
    },

    async disarm(scheduleId) {
      await queue.removeJobScheduler(scheduleId);
    },

    async reconcile() {
      const armed: string[] = [];
      const disarmed: string[] = [];
      // schedulers first: a schedule that is made in between has its record before its scheduler
      const schedulers = new Map(
        (await queue.getJobSchedulers(0, -1, true)).map((scheduler) => [scheduler.key, scheduler.next]),
      );
      const records = await readMany(await redis.zrange(keys.schedules, 0, '-1'));
      const active = new Set(records.filter((record) => !record.paused).map((record) => record.schedule_id));
      for (const record of records) {
        if (record.paused) continue;
        const next = schedulers.get(record.schedule_id);
        if (schedulers.has(record.schedule_id) && !(await isStuck(record.schedule_id, next ?? 0))) continue;
        await arm(record);
        armed.push(record.schedule_id);
      }
      for (const id of schedulers.keys()) {
        if (active.has(id as ScheduleRecord['schedule_id'])) continue;
        // resumed in between
        if ((await find(id))?.paused === false) continue;
        await queue.removeJobScheduler(id);
        disarmed.push(id);
      }
      return { armed, disarmed };
    },
  };
}

function decode(fields: Record<string, string>): ScheduleRecord | undefined {
  if (fields.schedule_id === undefined) return undefined;
  const record: Record<string, unknown> = {};
  for (const [field, value] of Object.entries(fields)) record[field] = JSON.parse(value);
  return scheduleRecordSchema.parse(record);
}

/** When a schedule is due. The grid of an interval begins one interval after the creation, whatever happens later. */
export function recurrenceOf(
  schedule: Pick<ScheduleRecord, 'cron' | 'time_zone' | 'every_minutes' | 'created_at'>,
): Recurrence {
  if (schedule.cron !== null) return { cron: schedule.cron, timeZone: schedule.time_zone ?? 'UTC' };
  const everyMs = Math.round((schedule.every_minutes ?? 0) * MS_PER_MINUTE);
  return { everyMs, firstAt: new Date(Date.parse(schedule.created_at) + everyMs) };
}

function repeatOptions(record: ScheduleRecord, now: Date): Omit<RepeatOptions, 'key'> {
  const recurrence = recurrenceOf(record);
  return 'cron' in recurrence
    ? { pattern: recurrence.cron, tz: recurrence.timeZone }
    : // without a start BullMQ would fire at once, after each resumption as well
      { every: recurrence.everyMs, startDate: nextDue(recurrence, now).getTime() };
}
