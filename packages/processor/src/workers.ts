import type { Settings } from '@scanmq/config';
import { LIMITS, type ScanmqError } from '@scanmq/contract';
import type { Logger, Meter } from '@scanmq/observability';
import {
  IMPORT_QUEUE,
  instanceQueueName,
  MAINTENANCE_QUEUE,
  type PoolShape,
  poolQueueName,
  type QueueSystem,
  quietErrors,
  SCHEDULE_QUEUE,
  type ScanJobData,
  type ScanJobOutcome,
  WEBHOOK_QUEUE,
} from '@scanmq/queue';
import { type Job, Worker, type WorkerOptions } from 'bullmq';
import { AskingWorker } from './asking-worker.js';
import { DeliveryFailedError, type WebhookDeliverer } from './deliver-webhook.js';
import type { FollowReport } from './follow.js';
import type { ScheduleRunReport } from './run-schedule.js';
import type { ScanProcessor } from './scan-job.js';
import type { SettleReport } from './settle-abandoned.js';

export interface ScanWorkersOptions {
  readonly queue: QueueSystem;
  readonly processor: ScanProcessor;
  readonly settings: Pick<Settings, 'workerLockMs' | 'stalledCheckMs' | 'retryBackoffMs' | 'shutdownGraceMs'>;
  readonly log: Logger;
  readonly meter: Meter;
  /** How often the sweep looks for what a crash left behind. */
  readonly sweepIntervalMs: number;
  /** Stops scans that nobody follows any more; part of the sweep. */
  readonly settle: () => Promise<SettleReport>;
  /** Looks at the folders that are followed. */
  readonly follow: () => Promise<FollowReport>;
  readonly followIntervalMs: number;
  /** Removes what is past its retention. */
  readonly keepHouse: () => Promise<unknown>;
  readonly housekeepingIntervalMs: number;
  /** Processes a job of the queue of schedules. */
  readonly runSchedule: (job: Job, token: string | undefined) => Promise<ScheduleRunReport>;
  readonly deliverer: WebhookDeliverer;
}

export interface ScanWorkers {
  /** When Redis last answered a question for jobs, of the queue where that is the longest time ago. */
  askedAt(): Date;
  /** Takes jobs of these pools from now on; limits and pools may change while scans run. */
  serve(pools: readonly PoolShape[]): void;
  /**
   * Stops taking jobs and hands the running ones to other workers; the scans go on.
   * @returns false when the grace time passed first.
   */
  close(): Promise<boolean>;
}

/**
 * Scans at once in one process and queue. The limit over all processes is in Redis (`Queues.applyLimits`) and may be raised
 * at any time; one of BullMQ's own workers that is at its limit would notice only when one of its scans ends.
 */
const SCANS = 1_000;
/** Imports at once in one process: reading a large export keeps a core busy. */
const IMPORTS = 2;
/** Runs of schedules that one process decides at once: each takes a moment, but names may have to be looked up. */
const SCHEDULE_RUNS = 4;
/** A run that kills its worker again and again is given up; the next ones of its schedule go on. */
const SCHEDULE_STALLS = 10;
const LONGEST_BACKOFF_MS = 10 * 60_000;

/**
 * Wait before the next attempt: doubled each time, with some jitter so that many tasks do not come back at once.
 * @param attemptsMade attempts that have failed, from 1.
 */
export function backoffMs(
  baseMs: number,
  attemptsMade: number,
  error: Error | undefined,
  random: () => number,
): number {
  const doubled = Math.min(LONGEST_BACKOFF_MS, baseMs * 2 ** (attemptsMade - 1));
  const asked = ((error as Partial<ScanmqError> | undefined)?.retryAfterSeconds ?? 0) * 1_000;
  return Math.max(asked, Math.round(doubled * (0.8 + 0.4 * random())));
}

/** Starts one BullMQ worker per queue, one for imports, one for schedules, one for webhooks, and the one that sweeps and follows folders. */
export async function startScanWorkers(options: ScanWorkersOptions): Promise<ScanWorkers> {
  const { queue, processor, settings, log, meter } = options;
  const workers = new Map<string, AskingWorker<ScanJobData, ScanJobOutcome, 'scan'>>();
  const common: WorkerOptions = {
    connection: queue.redis,
    prefix: queue.prefix,
    // long lock, short check: Redis may be away for half a minute without a job running twice, and a dead worker is
    // still noticed soon. Crashes are counted in our own record: the default of one stall would fail the job.
    lockDuration: settings.workerLockMs,
    stalledInterval: settings.stalledCheckMs,
    maxStalledCount: 1_000_000,
  };

  const reportErrors = (name: string) =>
    quietErrors((error: Error) =>
      log.warn({ event: 'worker.error', queue: name, err: error }, 'worker error'),
    );

  function startWorker(name: string, concurrency: number): void {
    if (workers.has(name)) return;
    const worker = new AskingWorker<ScanJobData, ScanJobOutcome, 'scan'>(
      name,
      // three plain parameters: with fewer BullMQ passes no signal
      (job, token, signal) => processor.process(job, token, signal),
      {
        ...common,
        concurrency,
        settings: {
          backoffStrategy: (attemptsMade, _type, error) =>
            backoffMs(settings.retryBackoffMs, attemptsMade, error, Math.random),
        },
      },
    );
    worker.on('error', reportErrors(name));
    worker.on('lockRenewalFailed', (taskIds: string[]) => {
      for (const taskId of taskIds) processor.interrupt(taskId, 'lock_lost');
    });
    worker.on('stalled', (taskId) => {
      meter.count('scanmq_stalls_total', {});
      void queue.tasks
        .find(taskId)
        .catch(() => undefined)
        .then((task) =>
          log.warn(
            { event: 'job.stalled', task_id: taskId, trace_id: task?.trace_id },
            'a worker died with this job; it goes on here or elsewhere',
          ),
        );
    });
    workers.set(name, worker);
  }

  await queue.queues.maintenance.setGlobalConcurrency(1);
  await queue.queues.maintenance.upsertJobScheduler(
    'sweep',
    { every: options.sweepIntervalMs },
    { name: 'sweep', opts: { removeOnComplete: { count: 20 }, removeOnFail: { count: 100 } } },
  );
  await queue.queues.maintenance.upsertJobScheduler(
    'follow',
    { every: options.followIntervalMs },
    { name: 'follow', opts: { removeOnComplete: { count: 20 }, removeOnFail: { count: 100 } } },
  );
  await reconcileSchedules();
  await queue.queues.maintenance.upsertJobScheduler(
    'housekeeping',
    { every: options.housekeepingIntervalMs },
    { name: 'housekeeping', opts: { removeOnComplete: { count: 20 }, removeOnFail: { count: 100 } } },
  );
  startWorker(IMPORT_QUEUE, IMPORTS);
  const maintenance = new Worker(
    MAINTENANCE_QUEUE,
    async ({ name }) => {
      if (name === 'follow') return await options.follow();
      if (name === 'housekeeping') return await options.keepHouse();
      await reconcileSchedules();
      const report = await queue.sweep();
      if (report.requeued.length + report.overdue.length > 0)
        log.warn({ event: 'sweep', ...report }, 'the sweep put something right');
      return { ...report, ...(await options.settle()) };
    },
    { ...common, concurrency: 1 },
  );
  maintenance.on('error', reportErrors(MAINTENANCE_QUEUE));
  const schedules = new Worker(SCHEDULE_QUEUE, (job, token) => options.runSchedule(job, token), {
    ...common,
    concurrency: SCHEDULE_RUNS,
    maxStalledCount: SCHEDULE_STALLS,
  });
  schedules.on('error', reportErrors(SCHEDULE_QUEUE));
  const webhooks = new Worker(WEBHOOK_QUEUE, (job, token) => options.deliverer.process(job, token), {
    ...common,
    concurrency: LIMITS.webhookDeliveriesAtOnce,
    // how long was decided, and noted, when the attempt failed
    settings: {
      backoffStrategy: (_made, _type, error) => (error instanceof DeliveryFailedError ? error.delayMs : 0),
    },
  });
  webhooks.on('error', reportErrors(WEBHOOK_QUEUE));

  async function reconcileSchedules(): Promise<void> {
    const repairs = await queue.schedules.reconcile();
    if (repairs.armed.length + repairs.disarmed.length > 0)
      log.warn({ event: 'schedules.reconciled', ...repairs }, 'schedules were put right');
  }

  return {
    askedAt: () => new Date(Math.min(...[...workers.values()].map(({ askedAtMs }) => askedAtMs))),

    serve(pools) {
      for (const { pool, instances } of pools) {
        startWorker(poolQueueName(pool), SCANS);
        for (const { instanceId } of instances) startWorker(instanceQueueName(pool, instanceId), SCANS);
      }
    },

    async close() {
      const closing = Promise.all(
        [...workers.values(), maintenance, schedules, webhooks].map((worker) => worker.close()),
      );
      processor.shutdown();
      options.deliverer.shutdown();
      let timer: NodeJS.Timeout | undefined;
      const late = new Promise<false>((resolve) => {
        timer = setTimeout(() => resolve(false), settings.shutdownGraceMs);
      });
      const intime = await Promise.race([closing.then(() => true), late]);
      clearTimeout(timer);
      return intime;
    },
  };
}
