import { hkdfSync, randomBytes } from 'node:crypto';
import type { Settings } from '@scanmq/config';
import type {
  CancelAnswer,
  ControlAnswer,
  ListTasksParams,
  QueueStatus,
  RestoreReport,
  ScanCredentials,
  ScanRequest,
  TaskRecord,
  TaskState,
} from '@scanmq/contract';
import type { ResultStore } from '@scanmq/store';
import type { Telemetry } from 'bullmq';
import { type Bindings, createBindings } from './binding.js';
import { type ConnectionRole, checkRedisSettings, connectRedis } from './connection.js';
import {
  type ChangeMessage,
  type ControlMessage,
  changeMessageSchema,
  controlMessageSchema,
  listen,
  shared,
} from './control.js';
import type { Created } from './create-task.js';
import { type CredentialBox, createCredentialBox } from './credentials.js';
import { createDeadLetters, type DeadLetters } from './dead-letters.js';
import { createFollowedScans, type FollowedScans } from './followed.js';
import { createHealthStore, type HealthStore } from './health-store.js';
import { createKeys, type Keys } from './keys.js';
import { listTasks, type TaskPage } from './list-tasks.js';
import { createOperatorStates, type OperatorStates } from './operator-states.js';
import { purgeTask } from './purge.js';
import { type PoolPace, poolPace, queuePosition, queueStatus, waitMinutes } from './queue-status.js';
import { createQueues, type PoolShape, type Queues } from './queues.js';
import type { RedisClient } from './redis-client.js';
import { createReplication } from './replication.js';
import { type ResealReport, resealAll } from './reseal.js';
import { restoreTasks } from './restore.js';
import { createScannerCleanup, type ScannerCleanup } from './scanner-cleanup.js';
import { createScheduleRuns, type ScheduleRuns } from './schedule-runs.js';
import { createScheduleStore, type ScheduleStore } from './schedules.js';
import {
  createStoredCredentials,
  type LocalCredentials,
  type StoredCredentials,
} from './stored-credentials.js';
import { type Placement, type SubmitContext, submitScan } from './submit.js';
import { type ImportRequest, submitImport } from './submit-import.js';
import { type SweepReport, sweep } from './sweep.js';
import {
  type CancelOptions,
  type ControlDeps,
  cancelScan,
  pauseTask,
  resumeTask,
  retryTask,
} from './task-control.js';
import { createTaskEvents, type TaskEvents } from './task-events.js';
import { createTaskIndex } from './task-index.js';
import { createTaskLog, type TaskLog } from './task-log.js';
import { createTaskStore, type TaskStore } from './task-store.js';
import { rememberDuration } from './wait-estimate.js';
import { createWaitingRoom, type WaitingRoom } from './waiting-room.js';
import { createWebhookDeliveries, type WebhookDeliveries } from './webhook-deliveries.js';
import { startWebhookReader, type WebhookReader, type WebhookReaderReports } from './webhook-reader.js';
import { createWebhookStore, type WebhookStore } from './webhooks.js';

export type QueueSettings = Pick<
  Settings,
  | 'redis'
  | 'redisWaitReplicas'
  | 'queuePrefix'
  | 'maxAttempts'
  | 'idempotencyTtlMs'
  | 'scanTimeoutMs'
  | 'credentialsKey'
  | 'priorityAgeingMs'
> &
  Partial<Pick<Settings, 'credentialsKeysPrevious' | 'maxQueued' | 'maxQueuedPerPrincipal'>>;

export interface QueueSystemOptions {
  readonly settings: QueueSettings;
  /** Where the files of tasks are. */
  readonly store: ResultStore;
  readonly role: ConnectionRole;
  /** Told of connection troubles and failed copies; nothing is lost by them. */
  readonly onError: (what: string, error: unknown) => void;
  readonly onWarning: (message: string) => void;
  /** Told now and then what the start waits for. */
  readonly onWaiting?: (message: string) => void;
  /** How long to wait for Redis at the start, milliseconds. */
  readonly connectWaitMs: number;
  /** Credentials that this process has itself; of workers only. */
  readonly localCredentials?: LocalCredentials;
  /** Spans of the queues, and which one runs now; nothing is traced when left out. */
  readonly tracing?: { readonly on: boolean; current(): string | undefined };
  readonly now?: () => Date;
}

const PLAN_SECRET_BYTES = 32;
/**
 * A gateway asks for the state of the fleet with every submission and status. A worker, which assigns tasks by it, asks
 * anew each time: a submission that came through in this moment is held back there.
 */
const FLEET_LIFE_MS = 200;

/** Everything that lives in Redis, behind one door. */
export interface QueueSystem {
  readonly redis: RedisClient;
  readonly prefix: string;
  readonly keys: Keys;
  readonly tasks: TaskStore;
  readonly queues: Queues;
  readonly bindings: Bindings;
  readonly waitingRoom: WaitingRoom;
  readonly credentials: CredentialBox;
  readonly storedCredentials: StoredCredentials;
  readonly deadLetters: DeadLetters;
  readonly operatorStates: OperatorStates;
  readonly scannerCleanup: ScannerCleanup;
  readonly health: HealthStore;
  readonly followed: FollowedScans;
  readonly schedules: ScheduleStore;
  readonly scheduleRuns: ScheduleRuns;
  readonly webhooks: WebhookStore;
  readonly webhookDeliveries: WebhookDeliveries;
  /** Tells webhooks of the change log, as long as no other process does. */
  readWebhooks(reports: WebhookReaderReports): WebhookReader;
  submit(request: ScanRequest, placement: Placement, context: SubmitContext): Promise<Created>;
  submitImport(request: ImportRequest, context: SubmitContext): Promise<Created>;
  /** The credentials of a task: its own, or the stored ones that it names. @returns undefined when they are gone. */
  credentialsOf(task: TaskRecord): Promise<ScanCredentials | undefined>;
  cancel(taskId: string, options: CancelOptions): Promise<CancelAnswer>;
  pause(taskId: string, by: string): Promise<ControlAnswer>;
  resume(taskId: string): Promise<ControlAnswer>;
  retry(taskId: string): Promise<ControlAnswer>;
  /** Removes an ended task with everything that belongs to it. @throws ScanmqError `not_found`, `invalid_state`. */
  purge(taskId: string, states?: readonly TaskState[]): Promise<TaskRecord>;
  /** Puts records back that Redis has lost, from the store of the results. Throws as `restoreTasks`. */
  restore(apply: boolean): Promise<RestoreReport>;
  /** Every change of state, of all processes. */
  readonly log: TaskLog;
  list(params: ListTasksParams): Promise<TaskPage>;
  /** Seals with the CREDENTIALS_KEY of today whatever is sealed with one of before. */
  reseal(): Promise<ResealReport>;
  /** 32 bytes that all gateways share, for plan tokens: from CREDENTIALS_KEY, or random and kept in Redis. */
  planSecret(): Promise<Buffer>;
  /** @param capacity scans that the pool runs at once. */
  status(pool: string, capacity: number): Promise<QueueStatus>;
  /** Place of a waiting task (1 = next, null = not waiting), and minutes until it begins (null = not known). */
  waitOf(
    task: TaskRecord,
    capacity: number,
  ): Promise<{ position: number | null; minutes: number | null; pace: PoolPace }>;
  rememberDuration(pool: string, durationMs: number): Promise<void>;
  /** How long scans of the pool take. */
  pace(pool: string): Promise<PoolPace>;
  /** Tells all workers that somebody who waits may be served now. */
  requestAdmission(): Promise<void>;
  sweep(): Promise<SweepReport>;
  /** When the last sweep of any worker ended; undefined when there was none. */
  lastSweep(): Promise<Date | undefined>;
  applyLimits(pools: readonly PoolShape[]): Promise<void>;
  /** @returns stops listening. */
  listenControl(onMessage: (message: ControlMessage) => void): Promise<() => void>;
  /** What happened to each task, for whoever follows it. */
  readonly events: TaskEvents;
  /** Told of every change of state. @returns stops listening. */
  listenChanges(onMessage: (message: ChangeMessage) => void): Promise<() => void>;
  /** Told of every event of every task, on the same connection. @returns stops listening. */
  listenEvents(onMessage: (message: ChangeMessage) => void): Promise<() => void>;
  close(): Promise<void>;
}

/**
 * Connects to Redis, checks its settings and opens records and queues.
 * @throws ScanmqError `unavailable` when Redis does not answer, or would lose jobs.
 */
export async function openQueueSystem(options: QueueSystemOptions): Promise<QueueSystem> {
  const { settings, store, role, onError } = options;
  const now = options.now ?? (() => new Date());
  const redis = await connectRedis({
    settings: settings.redis,
    role,
    onError: (error) => onError('redis', error),
    waitMs: options.connectWaitMs,
    onWaiting: options.onWaiting ?? (() => undefined),
  });
  try {
    for (const warning of await checkRedisSettings(redis)) options.onWarning(warning);
  } catch (error) {
    redis.disconnect();
    throw error;
  }
  const keys = createKeys(settings.queuePrefix);
  const recentMs = role === 'gateway' ? FLEET_LIFE_MS : 0;
  const tasks = createTaskStore({
    redis,
    keys,
    store,
    now,
    onFileError: (taskId, error) => onError(`task.json of ${taskId}`, error),
  });
  const queues = createQueues({
    telemetry: options.tracing?.on ? await openTelemetry() : undefined,
    redis,
    prefix: settings.queuePrefix,
    maxAttempts: settings.maxAttempts,
    onError: (queue, error) => onError(`queue ${queue}`, error),
  });
  const log = createTaskLog(redis, keys);
  const index = createTaskIndex({ redis, keys, log });
  const { credentialsKeysPrevious = [] } = settings;
  const ring = settings.credentialsKey ? [settings.credentialsKey, ...credentialsKeysPrevious] : [];
  const credentials = createCredentialBox(redis, keys, ring);
  const tell = async (message: ControlMessage): Promise<void> => {
    await redis.publish(keys.control, JSON.stringify(message));
  };
  const bindings = createBindings(redis, keys);
  const waitingRoom = createWaitingRoom(redis, keys, tasks, queues);
  const stored = createStoredCredentials(redis, keys, ring, now, options.localCredentials);
  const controlDeps: ControlDeps = { tasks, queues, bindings, waitingRoom, credentials, tell, now };
  const purgeDeps = { redis, keys, tasks, queues, store };
  const replication = createReplication(redis, keys, settings.redisWaitReplicas);
  const submitDeps = { tasks, queues, replication, stored, now, ...settings, credentialsKeysPrevious };
  const statusDeps = { redis, keys, queues, tasks, waitingRoom, now };
  const webhooks = createWebhookStore({ redis, keys, log, ring, now });
  const deliveries = createWebhookDeliveries({ redis, keys, queue: queues.webhooks, webhooks, now });
  const listenEvents = shared<ChangeMessage>((onMessage) =>
    listen(redis, keys.changes, changeMessageSchema, onMessage, (error) => onError('redis', error)),
  );
  const traced = (context: SubmitContext): SubmitContext => {
    const traceParent = options.tracing?.current();
    if (traceParent === undefined) return context;
    // what nobody asked for, such as the run of a schedule, has the id of the span that it is made in
    return { ...context, traceParent, traceId: context.traceId ?? traceParent.slice(3, 35) };
  };
  const pace = recentlyKnown((pool) => poolPace(statusDeps, pool));

  return {
    redis,
    prefix: settings.queuePrefix,
    keys,
    tasks,
    queues,
    credentials,
    bindings,
    waitingRoom,
    storedCredentials: stored,
    deadLetters: createDeadLetters(redis, keys, controlDeps, purgeDeps),
    operatorStates: createOperatorStates(redis, keys, recentMs),
    scannerCleanup: createScannerCleanup(redis, keys),
    health: createHealthStore(redis, keys, recentMs),
    followed: createFollowedScans(redis, keys),
    schedules: createScheduleStore({ redis, keys, queue: queues.schedules, now }),
    scheduleRuns: createScheduleRuns({ redis, keys, queue: queues.schedules, now }),
    webhooks,
    webhookDeliveries: deliveries,
    readWebhooks: (reports) => startWebhookReader({ redis, keys, log, tasks, webhooks, deliveries }, reports),
    planSecret: async () => {
      if (settings.credentialsKey)
        return Buffer.from(hkdfSync('sha256', settings.credentialsKey, '', 'scanmq plan', PLAN_SECRET_BYTES));
      // whoever can read it could as well write tasks: it keeps clients of the gateway apart, not those of Redis
      const made = randomBytes(PLAN_SECRET_BYTES).toString('base64');
      await redis.set(keys.planSecret, made, 'NX');
      return Buffer.from((await redis.get(keys.planSecret)) ?? made, 'base64');
    },
    reseal: () => resealAll(redis, keys, ring),
    submit: (request, placement, context) => submitScan(submitDeps, request, placement, traced(context)),
    submitImport: (request, context) => submitImport(submitDeps, request, traced(context)),
    credentialsOf: async (task) =>
      task.credential_ref === null
        ? await credentials.open(task.task_id)
        : await stored.open(task.credential_ref),
    cancel: (taskId, options) => cancelScan(controlDeps, taskId, options),
    pause: (taskId, by) => pauseTask(controlDeps, taskId, by),
    resume: (taskId) => resumeTask(controlDeps, taskId),
    retry: (taskId) => retryTask(controlDeps, taskId),
    restore: (apply) =>
      restoreTasks(
        { redis, keys, tasks, queues, store, now, idempotencyTtlMs: settings.idempotencyTtlMs },
        apply,
      ),
    purge: (taskId, states) => purgeTask(purgeDeps, taskId, states),
    log,
    list: (params) => listTasks({ tasks, index }, params),
    status: (pool, capacity) => queueStatus(statusDeps, pool, capacity),
    async waitOf(task, capacity) {
      const [position, known] = await Promise.all([queuePosition(statusDeps, task), pace(task.scanner_pool)]);
      return {
        position,
        minutes: position === null ? null : waitMinutes(position, capacity, known),
        pace: known,
      };
    },
    rememberDuration: (pool, durationMs) => rememberDuration(redis, keys, pool, durationMs),
    pace,
    requestAdmission: () => tell({ action: 'admit' }),
    async sweep() {
      const report = await sweep({
        tasks,
        queues,
        now,
        publishLook: (id) => tell({ action: 'look', task_id: id }),
        ageingMs: settings.priorityAgeingMs,
        resetRounds: async (name) => void (await redis.del(keys.fair(name))),
      });
      await redis.set(keys.sweptAt, now().getTime());
      return report;
    },
    async lastSweep() {
      const at = await redis.get(keys.sweptAt);
      return at === null ? undefined : new Date(Number(at));
    },
    applyLimits: (pools) => queues.applyLimits(pools),
    listenControl: (onMessage) =>
      listen(redis, keys.control, controlMessageSchema, onMessage, (error) => onError('redis', error)),
    events: createTaskEvents(redis, keys),
    listenChanges: (onMessage) =>
      listenEvents((message) => {
        if (message.changed) onMessage(message);
      }),
    listenEvents,
    async close() {
      await tasks.close();
      await queues.close();
      redis.disconnect();
    },
  };
}

/** Loaded where something is traced only. */
async function openTelemetry(): Promise<Telemetry> {
  const { BullMQOtel } = await import('bullmq-otel');
  return new BullMQOtel({ tracerName: 'scanmq' });
}

/** A list of a hundred tasks asks the same question a hundred times: the answer of this second is good enough for all. */
const PACE_LIFE_MS = 1_000;

function recentlyKnown(ask: (pool: string) => Promise<PoolPace>): (pool: string) => Promise<PoolPace> {
  const known = new Map<string, { readonly untilMs: number; readonly pace: Promise<PoolPace> }>();
  return async (pool) => {
    const last = known.get(pool);
    if (last && Date.now() < last.untilMs) return await last.pace;
    const pace = ask(pool);
    known.set(pool, { untilMs: Date.now() + PACE_LIFE_MS, pace });
    // a failure is nobody's answer a moment later
    pace.catch(() => known.delete(pool));
    return await pace;
  };
}
