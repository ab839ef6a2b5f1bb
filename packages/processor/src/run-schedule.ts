/** A schedule is due: submits its scan once, however often the job of this run is begun, or notes why not. */
import { checkSubmission } from '@scanmq/access';
import {
  isTerminal,
  ScanmqError,
  type ScheduleOutcome,
  type ScheduleRecord,
  type TaskRecord,
  toScanmqError,
} from '@scanmq/contract';
import type { Logger, Tracing } from '@scanmq/observability';
import { type DueRun, dueRun, scheduleRunKey } from '@scanmq/queue';
import { DelayedError, type Job } from 'bullmq';
import { type AcceptDeps, acceptScan } from './accept-scan.js';

export interface ScheduleDeps extends AcceptDeps {
  readonly log: Logger;
  readonly tracing: Tracing;
  readonly now: () => Date;
}

/** What the job answers, for the dashboard. */
export type ScheduleRunReport = ScheduleOutcome | { readonly outcome: 'not_run'; readonly reason: string };

/** How soon a run is tried again whose schedule is busy with another. */
const BUSY_MS = 1_000;
/**
 * How long the key of a run is remembered: the time for which everything may be down right after a submission, without
 * the scan being submitted again.
 */
const REMEMBERED_MS = 30 * 86_400_000;

/** Processes a job of the queue of schedules. */
export async function runScheduleJob(
  deps: ScheduleDeps,
  job: Job,
  token: string | undefined,
): Promise<ScheduleRunReport> {
  const run = dueRun(job);
  if (!run) return { outcome: 'not_run', reason: 'not made by a schedule' };
  const lastAttempt = job.attemptsMade + 1 >= (job.opts.attempts ?? 1);
  const report = await runSchedule(deps, run, lastAttempt);
  if (report !== 'busy') return report;
  await job.moveToDelayed(deps.now().getTime() + BUSY_MS, token);
  throw new DelayedError();
}

/**
 * @param lastAttempt notes an unexpected error as a refusal, instead of throwing it to be tried again.
 * @returns `busy` while another run of the same schedule is being decided.
 */
export async function runSchedule(
  deps: ScheduleDeps,
  run: DueRun,
  lastAttempt: boolean,
): Promise<ScheduleRunReport | 'busy'> {
  const { queue, log } = deps;
  const { scheduleId } = run;
  const found = await queue.schedules.find(scheduleId);
  const about = { schedule_id: scheduleId, due: new Date(run.dueMs).toISOString() };
  const notRun = (reason: string): ScheduleRunReport => {
    log.info({ event: 'schedule.not_run', ...about, reason }, 'a run of a schedule is left out');
    return { outcome: 'not_run', reason };
  };
  if (!found) {
    await queue.schedules.disarm(scheduleId);
    return notRun('the schedule is gone');
  }

  // whoever began this run before may have crashed after the submission
  const submitted = await queue.scheduleRuns.taskOf(run, found.principal);
  const begun = await queue.scheduleRuns.begin(run);
  switch (begun) {
    case 'busy':
      return 'busy';
    case 'noted':
      return notRun('its outcome was noted before');
    case 'missing':
      await queue.schedules.disarm(scheduleId);
      return notRun('the schedule is gone');
    case 'superseded':
      if (submitted !== undefined) await queue.scheduleRuns.noteSuperseded(run);
      return notRun('a later run was due already');
    case 'paused':
    case 'begun': {
      if (submitted !== undefined) {
        const task = await queue.tasks.get(submitted);
        return await noteSubmitted(deps, run, task);
      }
      if (begun === 'begun') return await decide(deps, run, lastAttempt);
      await queue.schedules.disarm(scheduleId);
      return notRun('the schedule is paused');
    }
  }
}

async function decide(deps: ScheduleDeps, run: DueRun, lastAttempt: boolean): Promise<ScheduleRunReport> {
  const { queue } = deps;
  const at = deps.now().toISOString();
  // read now, when no other run of this schedule can be noted any more
  const schedule = await queue.schedules.find(run.scheduleId);
  if (!schedule) return { outcome: 'not_run', reason: 'the schedule is gone' };
  const before = await unendedTask(deps, schedule);
  if (before && schedule.overlap === 'skip') {
    const reason = `the scan before (${before.task_id}) has not ended: it is ${before.state}`;
    return await note(deps, run, { outcome: 'skipped', at, reason });
  }
  try {
    const { task } = await deps.tracing.span(
      'schedule.run',
      { 'scanmq.schedule_id': run.scheduleId },
      () =>
        acceptScan(
          deps,
          { ...schedule.request, idempotency_key: scheduleRunKey(run) },
          {
            principal: schedule.principal,
            scheduleId: schedule.schedule_id,
            idempotencyTtlMs: REMEMBERED_MS,
            targetScope: schedule.scopes?.targets ?? null,
          },
          async ({ pool }) => {
            // what the key might do that made the schedule, its runs may, and no more
            if (schedule.scopes)
              checkSubmission({ scopes: schedule.scopes }, { ...schedule, pool }, deps.now());
            if (before && schedule.overlap === 'replace') await replace(deps, before, schedule);
          },
        ),
      { kind: 'consumer' },
    );
    return await noteSubmitted(deps, run, task);
  } catch (error) {
    if (!lastAttempt && !isDecision(error)) throw error;
    const { code, message } = toScanmqError(error);
    return await note(deps, run, { outcome: 'refused', at, code, message }, { error });
  }
}

/** True when the same request would be refused again; false for an accident, which may be over in a moment. */
function isDecision(error: unknown): boolean {
  if (!(error instanceof ScanmqError)) return false;
  return !(error.code === 'internal' || (error.code === 'unavailable' && error.retryable === 'yes'));
}

async function unendedTask(
  { queue }: ScheduleDeps,
  schedule: ScheduleRecord,
): Promise<TaskRecord | undefined> {
  if (schedule.last_task_id === null) return undefined;
  const task = await queue.tasks.find(schedule.last_task_id);
  return task && !isTerminal(task.state) ? task : undefined;
}

async function replace({ queue }: ScheduleDeps, before: TaskRecord, schedule: ScheduleRecord): Promise<void> {
  try {
    await queue.cancel(before.task_id, {
      reason: `the next run of schedule ${schedule.schedule_id} was due`,
      by: schedule.principal,
      keepResults: false,
    });
  } catch (error) {
    // it has ended in this very moment
    if (!(error instanceof ScanmqError && error.code === 'invalid_state')) throw error;
  }
}

async function noteSubmitted(deps: ScheduleDeps, run: DueRun, task: TaskRecord): Promise<ScheduleOutcome> {
  return await note(
    deps,
    run,
    { outcome: 'submitted', at: task.created_at, task_id: task.task_id },
    { traceId: task.trace_id },
  );
}

async function note(
  { queue, log }: ScheduleDeps,
  run: DueRun,
  outcome: ScheduleOutcome,
  { error, traceId }: { readonly error?: unknown; readonly traceId?: string } = {},
): Promise<ScheduleOutcome> {
  await queue.scheduleRuns.note(run, outcome);
  const about = { schedule_id: run.scheduleId, due: new Date(run.dueMs).toISOString() };
  switch (outcome.outcome) {
    case 'submitted':
      log.info(
        { event: 'schedule.submitted', ...about, task_id: outcome.task_id, trace_id: traceId },
        'a scan of a schedule is submitted',
      );
      break;
    case 'skipped':
      log.info(
        { event: 'schedule.skipped', ...about, reason: outcome.reason },
        'a run of a schedule is skipped',
      );
      break;
    case 'refused':
      log.warn(
        { event: 'schedule.refused', ...about, code: outcome.code, err: error },
        'a scan of a schedule is refused',
      );
  }
  return outcome;
}
