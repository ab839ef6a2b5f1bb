import type { Settings } from '@scanmq/config';
import type { CancelAnswer, ListTasksParams, QueueStatus, ScanRequest, TaskRecord } from '@scanmq/contract';
import type { Redis } from 'ioredis';
import { type Bindings, createBindings } from './binding.js';
import { cancelScan } from './cancel.js';
import { type ConnectionRole, checkRedisSettings, connectRedis } from './connection.js';
import {
  type ChangeMessage,
  type ControlMessage,
  changeMessageSchema,
  controlMessageSchema,
  listen,
} from './control.js';
import { type CredentialBox, createCredentialBox } from './credentials.js';
import { createFollowedScans, type FollowedScans } from './followed.js';
import { createHealthStore, type HealthStore } from './health-store.js';
import { createKeys, type Keys } from './keys.js';
import { listTasks, type TaskPage } from './list-tasks.js';
import {
  estimateWaitMinutes,
  queuePosition,
  queueStatus,
  rememberDuration,
  typicalDurationMs,
} from './queue-status.js';
import { createQueues, type PoolShape, type Queues } from './queues.js';
import { createScheduleRuns, type ScheduleRuns } from './schedule-runs.js';
import { createScheduleStore, type ScheduleStore } from './schedules.js';
import { type Placement, type SubmitContext, submitScan } from './submit.js';
import { type ImportRequest, submitImport } from './submit-import.js';
import { type SweepReport, sweep } from './sweep.js';
import { createTaskStore, type TaskStore } from './task-store.js';

export type QueueSettings = Pick<
  Settings,
  | 'redis'
  | 'queuePrefix'
  | 'dataDir'
  | 'maxAttempts'
  | 'retentionCompletedMs'
  | 'retentionFailedMs'
  | 'idempotencyTtlMs'
  | 'scanTimeoutMs'
  | 'credentialsKey'
>;

export interface QueueSystemOptions {
  readonly settings: QueueSettings;
  readonly role: ConnectionRole;
  /** Told of connection troubles and failed copies; nothing is lost by them. */
  readonly onError: (what: string, error: unknown) => void;
  readonly onWarning: (message: string) => void;
  /** How long to wait for Redis at the start, milliseconds. */
  readonly connectWaitMs: number;
  readonly now?: () => Date;
}

/** Everything that lives in Redis, behind one door. */
export interface QueueSystem {
  readonly redis: Redis;
  readonly prefix: string;
  readonly keys: Keys;
  readonly tasks: TaskStore;
  readonly queues: Queues;
  readonly bindings: Bindings;
  readonly credentials: CredentialBox;
  readonly health: HealthStore;
  readonly followed: FollowedScans;
  readonly schedules: ScheduleStore;
  readonly scheduleRuns: ScheduleRuns;
  submit(
    request: ScanRequest,
    placement: Placement,
    context: SubmitContext,
  ): Promise<{ task: TaskRecord; replay: boolean }>;
  submitImport(
    request: ImportRequest,
    context: SubmitContext,
  ): Promise<{ task: TaskRecord; replay: boolean }>;
  cancel(taskId: string, reason: string, by: string): Promise<CancelAnswer>;
  list(params: ListTasksParams): Promise<TaskPage>;
  /** @param capacity scans that the pool runs at once. */
  status(pool: string, capacity: number): Promise<QueueStatus>;
  /** Place (1 = next, null = not waiting) and expected wait of a task. */
  waitOf(task: TaskRecord, capacity: number): Promise<{ position: number | null; minutes: number }>;
  rememberDuration(pool: string, durationMs: number): Promise<void>;
  typicalDurationMs(pool: string): Promise<number>;
  sweep(): Promise<SweepReport>;
  applyLimits(pools: readonly PoolShape[]): Promise<void>;
  /** @returns stops listening. */
  listenControl(onMessage: (message: ControlMessage) => void): Promise<() => void>;
  /** @returns stops listening. */
  listenChanges(onMessage: (message: ChangeMessage) => void): Promise<() => void>;
  close(): Promise<void>;
}

/**
 * Connects to Redis, checks its settings and opens records and queues.
 * @throws ScanmqError `unavailable` when Redis does not answer, or would lose jobs.
 */
export async function openQueueSystem(options: QueueSystemOptions): Promise<QueueSystem> {
  const { settings, role, onError } = options;
  const now = options.now ?? (() => new Date());
  const redis = await connectRedis(
    settings.redis,
    role,
    (error) => onError('redis', error),
    options.connectWaitMs,
  );
  try {
    for (const warning of await checkRedisSettings(redis)) options.onWarning(warning);
  } catch (error) {
    redis.disconnect();
    throw error;
  }
  const keys = createKeys(settings.queuePrefix);
  const tasks = createTaskStore({
    redis,
    keys,
    dataDir: settings.dataDir,
    now,
    onFileError: (taskId, error) => onError(`task.json of ${taskId}`, error),
  });
  const queues = createQueues({
    redis,
    prefix: settings.queuePrefix,
    maxAttempts: settings.maxAttempts,
    retentionCompletedMs: settings.retentionCompletedMs,
    retentionFailedMs: settings.retentionFailedMs,
    onError: (queue, error) => onError(`queue ${queue}`, error),
  });
  const credentials = createCredentialBox(redis, keys, settings.credentialsKey);
  const tell = async (taskId: string, action: ControlMessage['action']): Promise<void> => {
    await redis.publish(keys.control, JSON.stringify({ task_id: taskId, action } satisfies ControlMessage));
  };
  const submitDeps = { tasks, queues, now, ...settings };
  const statusDeps = { redis, keys, queues, tasks, now };

  return {
    redis,
    prefix: settings.queuePrefix,
    keys,
    tasks,
    queues,
    credentials,
    bindings: createBindings(redis, keys),
    health: createHealthStore(redis, keys),
    followed: createFollowedScans(redis, keys),
    schedules: createScheduleStore({ redis, keys, queue: queues.schedules, now }),
    scheduleRuns: createScheduleRuns({ redis, keys, queue: queues.schedules, now }),
    submit: (request, placement, context) => submitScan(submitDeps, request, placement, context),
    submitImport: (request, context) => submitImport(submitDeps, request, context),
    cancel: (taskId, reason, by) =>
      cancelScan(
        {
          tasks,
          queues,
          credentials,
          now,
          publish: (id) => tell(id, 'cancel'),
        },
        taskId,
        reason,
        by,
      ),
    list: (params) => listTasks(tasks, params),
    status: (pool, capacity) => queueStatus(statusDeps, pool, capacity),
    async waitOf(task, capacity) {
      const position = await queuePosition(statusDeps, task);
      if (position === null) return { position: null, minutes: 0 };
      const running = await queues.forTask(task).getActiveCount();
      const typicalMs = await typicalDurationMs(redis, keys, task.scanner_pool);
      return { position, minutes: estimateWaitMinutes(position, capacity, running, typicalMs) };
    },
    rememberDuration: (pool, durationMs) => rememberDuration(redis, keys, pool, durationMs),
    typicalDurationMs: (pool) => typicalDurationMs(redis, keys, pool),
    sweep: () =>
      sweep({
        tasks,
        queues,
        now,
        publishLook: (id) => tell(id, 'look'),
      }),
    applyLimits: (pools) => queues.applyLimits(pools),
    listenControl: (onMessage) =>
      listen(redis, keys.control, controlMessageSchema, onMessage, (error) => onError('redis', error)),
    listenChanges: (onMessage) =>
      listen(redis, keys.changes, changeMessageSchema, onMessage, (error) => onError('redis', error)),
    async close() {
      await queues.close();
      redis.disconnect();
    },
  };
}
