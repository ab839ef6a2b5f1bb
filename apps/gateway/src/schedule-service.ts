/** Recurring scans, as users manage them; `processor/run-schedule.ts` is what happens when one is due. */
import { randomUUID } from 'node:crypto';
import { checkSubmission } from '@scanmq/access';
import {
  type CreateSchedule,
  type Principal,
  ScanmqError,
  type ScanStatus,
  type Schedule,
  type ScheduleList,
  type Submission,
  toScanmqError,
} from '@scanmq/contract';
import type { AcceptDeps } from '@scanmq/processor';
import { type ScheduleRun, type SubmitContext, scheduleRunKey, unknownSchedule } from '@scanmq/queue';
import { admitFor } from './access/admit-for.js';
import type { ScanService } from './scan-service.js';

export interface ScheduleServiceDeps extends AcceptDeps {
  readonly scans: ScanService;
  readonly now: () => Date;
}

export interface ScheduleService {
  list(): Promise<ScheduleList>;
  /** @throws as `admitFor`: what would be refused now is not worth a schedule; `invalid_state` when there are too many. */
  create(request: CreateSchedule, principal: Principal): Promise<Schedule>;
  get(scheduleId: string): Promise<Schedule>;
  remove(scheduleId: string): Promise<void>;
  pause(scheduleId: string): Promise<Schedule>;
  resume(scheduleId: string): Promise<Schedule>;
  /**
   * Submits the scan of a schedule now, whatever became of the scan before, and even while it is paused. Its next run
   * stays as it is.
   * @param idempotencyKey repeating the call with the same key starts no second scan.
   * @throws as a submission; a refusal is noted in the schedule as well.
   */
  run(
    scheduleId: string,
    context: Pick<SubmitContext, 'traceId'> & { readonly idempotencyKey?: string },
    by: Principal,
  ): Promise<{ submission: Submission; task: ScanStatus }>;
}

export function createScheduleService(deps: ScheduleServiceDeps): ScheduleService {
  const { schedules, scheduleRuns } = deps.queue;
  return {
    async list() {
      const all = await schedules.list();
      return { schedules: [...all], total: all.length };
    },

    async create(request, principal) {
      await admitFor(deps, principal, request.request);
      return await schedules.create({ ...request, principal: principal.name, scopes: principal.scopes });
    },

    get: (scheduleId) => schedules.get(scheduleId),
    remove: (scheduleId) => schedules.remove(scheduleId),
    pause: (scheduleId) => schedules.setPaused(scheduleId, true),
    resume: (scheduleId) => schedules.setPaused(scheduleId, false),

    async run(scheduleId, { idempotencyKey, ...context }, by) {
      const found = await schedules.find(scheduleId);
      if (!found) throw unknownSchedule(scheduleId);
      const { request, principal, schedule_id, scopes } = found;
      // nobody scans by somebody else's schedule what they may not scan themselves
      await admitFor(deps, by, request);
      const run: ScheduleRun = { scheduleId, run: `now:${idempotencyKey ?? randomUUID()}` };
      try {
        const accepted = await deps.scans.submit(
          { ...request, idempotency_key: scheduleRunKey(run) },
          { ...context, principal, scheduleId: schedule_id, targetScope: scopes?.targets ?? null },
          async ({ pool }) => {
            // nor more than the key might that made the schedule
            if (scopes) checkSubmission({ scopes }, { request, pool }, deps.now());
          },
        );
        const { task_id, created_at } = accepted.task;
        await scheduleRuns.note(run, { outcome: 'submitted', at: created_at, task_id });
        return accepted;
      } catch (error) {
        if (error instanceof ScanmqError) {
          const { code, message } = toScanmqError(error);
          await scheduleRuns.note(run, { outcome: 'refused', at: deps.now().toISOString(), code, message });
        }
        throw error;
      }
    },
  };
}
