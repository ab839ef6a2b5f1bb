/** The runs of schedules: which may be decided now, and what came of them, each noted once. */
import type { ScheduleOutcome, ScheduleRecord } from '@scanmq/contract';
import type { Job, Queue } from 'bullmq';
import type { Keys } from './keys.js';
import type { RedisClient } from './redis-client.js';
import { beginScheduleRunScript, changeScheduleScript } from './scripts.js';

/** One run of a schedule. */
export interface ScheduleRun {
  readonly scheduleId: string;
  /** Tells it from every other run of its schedule. */
  readonly run: string;
  /** When it was due; a run that somebody asked for has no such time. */
  readonly dueMs?: number;
}

/** A run whose time has come. */
export interface DueRun extends ScheduleRun {
  /** It may be taken much later. */
  readonly dueMs: number;
}

/**
 * - `begun`: decide it now, and note the outcome.
 * - `busy`: another run of the schedule is being decided.
 * - `superseded`: a later run of the schedule is due or noted; this one came too late.
 * - `noted`: its outcome is known; whoever decided it crashed right after.
 */
export type BeginAnswer = 'begun' | 'busy' | 'superseded' | 'noted' | 'paused' | 'missing';

export interface ScheduleRuns {
  begin(run: DueRun): Promise<BeginAnswer>;
  /** Notes what came of a run, and gives the schedule free for the next. A second time does nothing. */
  note(run: ScheduleRun, outcome: ScheduleOutcome): Promise<void>;
  /** Counts a scan that was submitted by a run which was superseded since: what is known of the later one stays. */
  noteSuperseded(run: ScheduleRun): Promise<void>;
  /** The task that a run made already, if it did. */
  taskOf(run: ScheduleRun, principal: string): Promise<string | undefined>;
}

/** How long one run may be decided before the next does not wait any more. */
const LEASE_MS = 60_000;
/** Runs of a schedule of which it is remembered that they were noted. */
const REMEMBERED_RUNS = 50;

const COUNTER: Readonly<Record<ScheduleOutcome['outcome'], 'runs' | 'skips' | 'refusals'>> = {
  submitted: 'runs',
  skipped: 'skips',
  refused: 'refusals',
};

/** The idempotency key of the scan that a run submits. */
export function scheduleRunKey({ scheduleId, run }: ScheduleRun): string {
  return `schedule:${scheduleId}:${run}`;
}

/**
 * Reads a job that a job scheduler made. Its id is `repeat:<scheduler>:<time>`: the only place where BullMQ keeps the
 * time that the run was meant for; `delay` counts from the moment at which the job was made, and a retry changes it.
 */
export function dueRun(job: Pick<Job, 'id'>): DueRun | undefined {
  const [, scheduleId, time] = /^repeat:([^:]+):(\d+)$/.exec(job.id ?? '') ?? [];
  if (scheduleId === undefined || time === undefined) return undefined;
  const dueMs = Number(time);
  return { scheduleId, dueMs, run: new Date(dueMs).toISOString() };
}

export function createScheduleRuns(options: {
  readonly redis: RedisClient;
  readonly keys: Keys;
  readonly queue: Queue;
  readonly now: () => Date;
}): ScheduleRuns {
  const { redis, keys, queue, now } = options;
  const keysOf = (scheduleId: string): readonly string[] => [
    keys.schedule(scheduleId),
    keys.scheduleNoted(scheduleId),
    keys.scheduleLease(scheduleId),
  ];

  async function change(
    { scheduleId, run }: ScheduleRun,
    counter: 'runs' | 'skips' | 'refusals',
    fields: Partial<ScheduleRecord> & { last_due?: number },
  ): Promise<void> {
    await changeScheduleScript(redis, keysOf(scheduleId), [
      run,
      counter,
      REMEMBERED_RUNS,
      ...Object.entries(fields).flatMap(([field, value]) => [field, JSON.stringify(value)]),
    ]);
  }

  return {
    async begin({ scheduleId, run, dueMs }) {
      // The next run is due as well: this one waited for a worker to come back, and both would start at once.
      const next = (await queue.getJobScheduler(scheduleId))?.next;
      if (next !== undefined && next > dueMs && next <= now().getTime()) return 'superseded';
      return (await beginScheduleRunScript(redis, keysOf(scheduleId), [run, dueMs, LEASE_MS])) as BeginAnswer;
    },

    async note(run, outcome) {
      await change(run, COUNTER[outcome.outcome], {
        last_outcome: outcome,
        ...(run.dueMs === undefined ? {} : { last_due: run.dueMs }),
        ...(outcome.outcome === 'submitted'
          ? { last_task_id: outcome.task_id, last_run_at: outcome.at }
          : {}),
      });
    },

    async noteSuperseded(run) {
      await change(run, 'runs', {});
    },

    async taskOf(run, principal) {
      const taskId = await redis.hget(keys.idempotency(principal, scheduleRunKey(run)), 'task_id');
      return taskId ?? undefined;
    },
  };
}
