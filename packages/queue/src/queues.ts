import type { TaskId, TaskRecord } from '@scanmq/contract';
import { Queue, type Telemetry } from 'bullmq';
import {
  IMPORT_QUEUE,
  instanceQueueName,
  MAINTENANCE_QUEUE,
  poolQueueName,
  type QueuedTask,
  queueNameOf,
  SCHEDULE_QUEUE,
  WEBHOOK_QUEUE,
} from './keys.js';
import { jobPriority } from './priority.js';
import { quietErrors } from './quiet-errors.js';
import type { RedisClient } from './redis-client.js';

/** Data of a job: what the dashboard shows. The truth about the task is its record. */
export interface ScanJobData {
  readonly task_id: TaskId;
  readonly trace_id: string;
  readonly name: string;
  readonly targets: string;
  readonly scan_type: string;
  readonly principal: string;
}

/** What a finished job answers; `cancelled` is an outcome, not a failure, so that "retry all failed" never restarts it. */
export type ScanJobOutcome =
  | { readonly outcome: 'completed'; readonly total_findings: number }
  | { readonly outcome: 'cancelled' }
  | { readonly outcome: 'ended_before'; readonly state: string };

export type ScanQueue = Queue<ScanJobData, ScanJobOutcome, 'scan'>;

/** Targets shown on the dashboard, characters. */
const SHOWN_TARGETS_CHARS = 500;

export interface PoolShape {
  readonly pool: string;
  /** Slots taken by tasks of the instances' own queues: the queue of the pool has so many less. */
  readonly elsewhere: number;
  readonly instances: readonly { readonly instanceId: string; readonly limit: number }[];
}

export interface QueuesOptions {
  readonly redis: RedisClient;
  readonly prefix: string;
  readonly maxAttempts: number;
  /** Of the queues of scans; the workers have none, whose spans would last as long as a job. */
  readonly telemetry?: Telemetry | undefined;
  readonly onError: (queue: string, error: Error) => void;
}

export interface Queues {
  /** The queue that a task belongs to: of its pool, of the instance that it asked for, or of imports. */
  forTask(task: QueuedTask): ScanQueue;
  byName(name: string): ScanQueue;
  /** All queues of a pool: its own first, then one for each instance. */
  ofPool(pool: string): readonly ScanQueue[];
  all(): readonly ScanQueue[];
  readonly maintenance: Queue;
  /** Runs of schedules. */
  readonly schedules: Queue;
  /** Deliveries to webhooks. */
  readonly webhooks: Queue;
  /** Adds the job of a task; does nothing when it exists, in whatever state. */
  add(task: TaskRecord): Promise<void>;
  /** Applies the limits of the fleet to all processes. */
  applyLimits(pools: readonly PoolShape[]): Promise<void>;
  close(): Promise<void>;
}

/**
 * Sets how many jobs of a queue all processes together may have. Workers that found a limit reached sleep until there is
 * news, and a raised limit is none to BullMQ: resuming wakes them.
 */
async function limit(queue: ScanQueue, scans: number): Promise<void> {
  // 0 would mean "no limit": a queue without a scanner is served by nobody, so 1 is as good
  const wanted = Math.max(1, scans);
  const before = await queue.getGlobalConcurrency();
  if (before === wanted) return;
  await queue.setGlobalConcurrency(wanted);
  if (before !== null && before < wanted && !(await queue.isPaused())) await queue.resume();
}

/** Opens the BullMQ queues of the fleet. */
export function createQueues(options: QueuesOptions): Queues {
  const queues = new Map<string, ScanQueue>();
  const shapes = new Map<string, PoolShape>();
  const open = <Q extends Queue>(name: string, telemetry?: Telemetry): Q => {
    const queue = new Queue(name, {
      ...(telemetry && { telemetry }),
      connection: options.redis,
      prefix: options.prefix,
      streams: { events: { maxLen: 10_000 } },
    });
    queue.on(
      'error',
      quietErrors((error) => options.onError(name, error)),
    );
    return queue as Q;
  };
  const queue = (name: string): ScanQueue => {
    const existing = queues.get(name);
    if (existing) return existing;
    const opened = open<ScanQueue>(name, options.telemetry);
    queues.set(name, opened);
    return opened;
  };
  const maintenance = open<Queue>(MAINTENANCE_QUEUE);
  const schedules = open<Queue>(SCHEDULE_QUEUE);
  const webhooks = open<Queue>(WEBHOOK_QUEUE);

  const forTask: Queues['forTask'] = (task) => queue(queueNameOf(task));

  return {
    forTask,
    byName: queue,
    maintenance,
    schedules,
    webhooks,
    ofPool: (pool) => [
      queue(poolQueueName(pool)),
      ...(shapes.get(pool)?.instances ?? []).map(({ instanceId }) =>
        queue(instanceQueueName(pool, instanceId)),
      ),
    ],
    all: () => [...queues.values()],

    async add(task) {
      await forTask(task).add(
        'scan',
        {
          task_id: task.task_id,
          trace_id: task.trace_id,
          name: task.name,
          targets: task.targets.slice(0, SHOWN_TARGETS_CHARS),
          scan_type: task.scan_type,
          principal: task.principal,
        },
        {
          jobId: task.task_id,
          priority: jobPriority(task),
          attempts: options.maxAttempts,
          backoff: { type: 'by-error' },
          // kept until housekeeping removes the whole task: a job that went before its record could not be retried
          removeOnComplete: false,
          removeOnFail: false,
          keepLogs: 500,
          // the reason is kept; a stack trace helps nobody on a dashboard, and the log has it
          stackTraceLimit: 0,
        },
      );
    },

    async applyLimits(pools) {
      // opened here, so that the dashboard shows it before the first import
      queue(IMPORT_QUEUE);
      for (const shape of pools) {
        shapes.set(shape.pool, shape);
        const total = shape.instances.reduce((sum, instance) => sum + instance.limit, 0) - shape.elsewhere;
        await limit(queue(poolQueueName(shape.pool)), total);
        for (const instance of shape.instances)
          await limit(queue(instanceQueueName(shape.pool, instance.instanceId)), instance.limit);
      }
    },

    async close() {
      await Promise.all([maintenance, schedules, webhooks, ...queues.values()].map((open) => open.close()));
    },
  };
}
