/**
 * The services as one principal sees them. Here, and nowhere else, it is decided what exists for whom: fronts are given
 * what this returns and nothing below it. What belongs to others answers like what does not exist.
 */
import { type Access, checkSubmission, targetScopeOf } from '@scanmq/access';
import {
  type CreateSchedule,
  type DeadLetter,
  type DeadLettersQuery,
  type GateRequest,
  may,
  type Principal,
  type RetryMany,
  type ScanImportRequest,
  ScanmqError,
  type ScanPlan,
  type ScanRequest,
  type Schedule,
  type SearchAnswer,
  type SearchParams,
  seesAllTasks,
  seesTask,
} from '@scanmq/contract';
import {
  type DeadLetterPage,
  type DeadLetters,
  type Placement,
  type QueueSystem,
  type SubmitContext,
  unknownSchedule,
  unknownTask,
} from '@scanmq/queue';
import type { EventHub } from '../event-hub.js';
import type { GateService } from '../gate-service.js';
import type { ImportAnswer, ImportService } from '../import-service.js';
import type { PlanService } from '../plan-service.js';
import type { ResultService } from '../result-service.js';
import type { ScanService } from '../scan-service.js';
import type { ScheduleService } from '../schedule-service.js';

/** What every principal shares. */
export interface ServicesDeps {
  readonly service: ScanService;
  readonly results: ResultService;
  readonly gate: GateService;
  readonly events: EventHub;
  readonly imports: ImportService;
  readonly schedules: ScheduleService;
  readonly plans: PlanService;
  readonly queue: QueueSystem;
  readonly access: Pick<Access, 'limits'>;
  readonly now: () => Date;
}

/** Of what a submission is made of, the part that is not up to the principal. */
type Origin = Pick<SubmitContext, 'traceId'>;

export interface Services {
  readonly scans: Omit<ScanService, 'submit'> & {
    submit(request: ScanRequest, origin: Origin): ReturnType<ScanService['submit']>;
  };
  readonly results: Omit<ResultService, 'search'> & { search(params: SearchParams): Promise<SearchAnswer> };
  readonly gate: GateService;
  readonly events: Pick<EventHub, 'hasMore' | 'follow'>;
  readonly imports: {
    upload(
      body: Parameters<ImportService['upload']>[0],
      params: Parameters<ImportService['upload']>[1],
      origin: Origin,
    ): Promise<ImportAnswer>;
    fromScanner(request: ScanImportRequest, origin: Origin): Promise<ImportAnswer>;
  };
  readonly schedules: Omit<ScheduleService, 'create' | 'run'> & {
    create(request: CreateSchedule): Promise<Schedule>;
    run(
      scheduleId: string,
      context: Parameters<ScheduleService['run']>[1],
    ): ReturnType<ScheduleService['run']>;
  };
  readonly plans: {
    plan(request: ScanRequest): Promise<ScanPlan>;
    confirm(request: ScanRequest, planToken: string | undefined): Promise<void>;
  };
  readonly deadLetters: {
    list(query: DeadLettersQuery): Promise<DeadLetterPage>;
    inspect(taskId: string): Promise<DeadLetter>;
    /** @throws ScanmqError `not_found` for what is no dead letter. */
    retry(taskId: string): ReturnType<QueueSystem['retry']>;
    retryMany(wanted: RetryMany): ReturnType<DeadLetters['retryMany']>;
    discard(taskId: string): Promise<void>;
    discardMany(wanted: RetryMany): ReturnType<DeadLetters['discardMany']>;
  };
}

export type ServicesFor = (principal: Principal) => Services;

export function createServices(deps: ServicesDeps): ServicesFor {
  return (principal) => servicesOf(deps, principal);
}

function servicesOf(deps: ServicesDeps, principal: Principal): Services {
  const { service, results, gate, events, imports, schedules, plans, queue, access } = deps;
  const owner = seesAllTasks(principal) ? undefined : principal.name;

  /** @throws ScanmqError `not_found` */
  async function see(...taskIds: string[]): Promise<void> {
    if (owner === undefined) return;
    for (const taskId of taskIds)
      if (!seesTask(principal, await queue.tasks.get(taskId))) throw unknownTask(taskId);
  }

  async function seeSchedule(scheduleId: string): Promise<void> {
    if (!seesTask(principal, await schedules.get(scheduleId))) throw unknownSchedule(scheduleId);
  }

  type Lookup<A extends unknown[], R> = (id: string, ...rest: A) => Promise<R>;
  const after =
    (check: (id: string) => Promise<void>) =>
    <A extends unknown[], R>(act: Lookup<A, R>): Lookup<A, R> =>
    async (id, ...rest) => {
      await check(id);
      return await act(id, ...rest);
    };
  const ofTask = after(see);
  const ofSchedule = after(seeSchedule);

  const ownedBy = (origin: Origin): SubmitContext => ({
    ...origin,
    principal: principal.name,
    targetScope: targetScopeOf(principal),
  });

  return {
    scans: {
      ...service,
      status: ofTask(service.status),
      waitForEnd: ofTask(service.waitForEnd),
      cancel: ofTask(service.cancel),
      control: ofTask(service.control),
      submit: async (request, origin) =>
        await service.submit(request, ownedBy(origin), async ({ pool }: Placement) => {
          checkSubmission(principal, { request, pool }, deps.now());
          await access.limits.scan(principal);
        }),
      async list(params) {
        if (owner === undefined) return await service.list(params);
        if (params.principal !== undefined && params.principal !== owner)
          return { tasks: [], total: 0, next_cursor: null };
        return await service.list({ ...params, principal: owner });
      },
      async queueStatus(pool) {
        const status = await service.queueStatus(pool);
        if (owner === undefined) return status;
        const next = await queue.tasks.getMany(status.next_tasks.map(({ task_id }) => task_id));
        // how many wait is everybody's business, what they are is not
        return {
          ...status,
          next_tasks: status.next_tasks.filter((_, index) => {
            const task = next[index];
            return task !== undefined && seesTask(principal, task);
          }),
        };
      },
    },

    results: {
      ...results,
      results: ofTask(results.results),
      streamResults: ofTask(results.streamResults),
      document: ofTask(results.document),
      finding: ofTask(results.finding),
      hosts: ofTask(results.hosts),
      report: ofTask(results.report),
      rawExport: ofTask(results.rawExport),
      version: ofTask(results.version),
      async compare(base, head, query) {
        await see(base, head);
        return await results.compare(base, head, query);
      },
      async comparisonReport(base, head) {
        await see(base, head);
        return await results.comparisonReport(base, head);
      },
      async search(params) {
        if (params.task_id !== undefined) await see(params.task_id);
        return await results.search(params, owner);
      },
    },

    gate: {
      async judge(taskId, request) {
        await see(taskId, ...namedBaseline(request));
        return await gate.judge(taskId, request);
      },
      async document(taskId, request, format) {
        await see(taskId, ...namedBaseline(request));
        return await gate.document(taskId, request, format);
      },
    },

    events: {
      hasMore: ofTask(events.hasMore),
      // whoever follows has asked `hasMore` before
      follow: events.follow,
    },

    imports: {
      upload: async (body, params, origin) => await imports.upload(body, params, ownedBy(origin)),
      async fromScanner(request, origin) {
        if (!may(principal, 'imports:from-scanner') || principal.scopes.targets !== null)
          throw new ScanmqError(
            'forbidden',
            'This key may not import scans from a scanner: among them are those of everybody, of whatever targets. It may upload a file.',
          );
        return await imports.fromScanner(request, ownedBy(origin), (pool) => {
          if (principal.scopes.pools !== null && !principal.scopes.pools.includes(pool))
            throw new ScanmqError('forbidden', `This key may not import from pool '${pool}' (scope pools).`);
        });
      },
    },

    schedules: {
      async list() {
        const all = (await schedules.list()).schedules.filter((schedule) => seesTask(principal, schedule));
        return { schedules: all, total: all.length };
      },
      create: async (request) => await schedules.create(request, principal),
      get: ofSchedule(schedules.get),
      remove: ofSchedule(schedules.remove),
      pause: ofSchedule(schedules.pause),
      resume: ofSchedule(schedules.resume),
      run: ofSchedule(async (scheduleId, context: Parameters<ScheduleService['run']>[1]) => {
        await access.limits.scan(principal);
        return await schedules.run(scheduleId, context, principal);
      }),
    },

    plans: {
      plan: async (request) => await plans.plan(request, principal),
      confirm: async (request, planToken) => await plans.confirm(request, principal, planToken),
    },

    deadLetters: {
      list: async (query) => await queue.deadLetters.list(query, owner),
      inspect: ofTask(queue.deadLetters.inspect),
      retry: ofTask(async (taskId) => {
        // a cancelled task is retried by its own route: here only what is a dead letter
        await queue.deadLetters.inspect(taskId);
        return await queue.retry(taskId);
      }),
      retryMany: async (wanted) => await queue.deadLetters.retryMany(wanted, owner),
      discard: ofTask(queue.deadLetters.discard),
      discardMany: async (wanted) => await queue.deadLetters.discardMany(wanted, owner),
    },
  };
}

function namedBaseline({ baseline }: GateRequest): string[] {
  return baseline === undefined || baseline === 'previous' ? [] : [baseline];
}
