/**
 * Every key of ours in Redis. BullMQ's own keys are `<prefix>:<queue>:…`; ours begin with `<prefix>:tasks.`,
 * and no queue can be called so: names of pools have no dot (contract, `poolNameSchema`).
 */
import { createHash } from 'node:crypto';
import type { TaskRecord, TaskState } from '@scanmq/contract';

export interface Keys {
  /** Prefix of all record keys; append the task id. */
  readonly recordPrefix: string;
  readonly byCreation: string;
  /** Task id → instance key. */
  readonly bindings: string;
  /** Task id and generation → a scan that was given up, and occupies its slot until the scanner says that it has ended. */
  readonly abandoned: string;
  /** Ids of tasks whose scans are to be deleted on their scanner. */
  readonly scannerCleanup: string;
  /** Instance key → what an operator decided about it, JSON. */
  readonly operatorStates: string;
  /** Name → sealed credential with its facts, JSON. */
  readonly storedCredentials: string;
  /** Worker → names of the credentials that it has itself, JSON. */
  readonly offeredCredentials: string;
  /** Instance key → health, JSON. */
  readonly health: string;
  /** Written to wait for the replicas. */
  readonly replicated: string;
  /** Random key of the installation, for plan tokens. */
  readonly planSecret: string;
  /** Written and deleted by `scanmq doctor`, to see whether Redis takes writes. */
  readonly doctor: string;
  /** Channel for cancel requests to whichever process runs the task. */
  readonly control: string;
  /** Channel that tells of each event of each task. */
  readonly changes: string;
  /** Stream of every change of state, and of removals. */
  readonly log: string;
  /** Principal → how many of its tasks wait (state queued). */
  readonly waiting: string;
  record(taskId: string): string;
  /** What happened to a task, the oldest first; see `lua/task-events.lua`. */
  events(taskId: string): string;
  byState(state: TaskState): string;
  idempotency(principal: string, key: string): string;
  /** Task that waits and was submitted with `coalesce`; @param what principal, request and what it may scan, as one text. */
  coalesce(what: string): string;
  /** Rounds of fairness of one queue: `v` the round served last, `f:<principal>` where its next task goes. */
  fair(queue: string): string;
  /** Tasks of a pool that wait for something other than their turn, in the order in which they are served. */
  parked(pool: string): string;
  /** Of those, the ones that wait for the same slot, principal's limit or target network's limit. */
  parkedFor(pool: string, blocker: string): string;
  /** Task id → what it waits for there. */
  parkedBlockers(pool: string): string;
  credentials(taskId: string): string;
  /** Durations of the last scans of a pool, milliseconds. */
  durations(pool: string): string;
  /** Scan id → how far it was collected, of the folder that an instance follows. */
  followed(instanceKey: string): string;
  /** Held by the process that polls the health of an instance now. */
  healthLease(instanceKey: string, purpose: string): string;
  /** Ids of all schedules by creation. */
  readonly schedules: string;
  schedule(scheduleId: string): string;
  /** The last runs of a schedule whose outcome was noted. */
  scheduleNoted(scheduleId: string): string;
  /** The run of a schedule that is being decided now. */
  scheduleLease(scheduleId: string): string;
  /** Ids of all webhooks by creation. */
  readonly webhooks: string;
  /** Of those that are told of everybody's tasks. */
  readonly webhooksOfAll: string;
  webhooksOf(principal: string): string;
  webhook(webhookId: string): string;
  /** Sealed. */
  webhookSecret(webhookId: string): string;
  /** Ids of the last deliveries by time. */
  deliveries(webhookId: string): string;
  /** Delivery id → delivery, JSON. */
  deliveryLog(webhookId: string): string;
  /** Ids of deliveries that have not ended. */
  deliveriesWaiting(webhookId: string): string;
  /** When the last sweep ended, milliseconds. */
  readonly sweptAt: string;
  /** Held by the process that tells webhooks of the change log now. */
  readonly webhookTurn: string;
  /** How far the change log was told to webhooks. */
  readonly webhookPosition: string;
  /** Task id → the state that the change log named last, of tasks that may come into another. */
  readonly webhookStates: string;
}

/** @param prefix `QUEUE_PREFIX`; for Redis Cluster with a hash tag, for example `{scanmq}`. */
export function createKeys(prefix: string): Keys {
  const own = `${prefix}:tasks.`;
  return {
    recordPrefix: `${own}record:`,
    byCreation: `${own}created`,
    bindings: `${own}bindings`,
    abandoned: `${own}abandoned`,
    scannerCleanup: `${own}scanner-cleanup`,
    operatorStates: `${own}operator-states`,
    storedCredentials: `${own}stored-credentials`,
    offeredCredentials: `${own}offered-credentials`,
    health: `${own}health`,
    replicated: `${own}replicated`,
    planSecret: `${own}plan-secret`,
    doctor: `${own}doctor`,
    control: `${own}control`,
    changes: `${own}changes`,
    log: `${own}log`,
    waiting: `${own}waiting`,
    record: (taskId) => `${own}record:${taskId}`,
    events: (taskId) => `${own}events:${taskId}`,
    byState: (state) => `${own}state:${state}`,
    // hashed: a key of any length and content, of any principal, cannot collide with another
    idempotency: (principal, key) =>
      `${own}idempotency:${createHash('sha256')
        .update(JSON.stringify([principal, key]))
        .digest('hex')}`,
    coalesce: (what) => `${own}coalesce:${createHash('sha256').update(what).digest('hex')}`,
    fair: (queue) => `${own}fair:${queue}`,
    parked: (pool) => `${own}parked:${pool}`,
    parkedFor: (pool, blocker) => `${own}parked-for:${pool}:${blocker}`,
    parkedBlockers: (pool) => `${own}parked-blockers:${pool}`,
    credentials: (taskId) => `${own}credentials:${taskId}`,
    durations: (pool) => `${own}durations:${pool}`,
    followed: (instanceKey) => `${own}followed:${instanceKey}`,
    healthLease: (instanceKey, purpose) => `${own}health-lease:${purpose}:${instanceKey}`,
    schedules: `${own}schedules`,
    schedule: (scheduleId) => `${own}schedule:${scheduleId}`,
    scheduleNoted: (scheduleId) => `${own}schedule-noted:${scheduleId}`,
    scheduleLease: (scheduleId) => `${own}schedule-lease:${scheduleId}`,
    webhooks: `${own}webhooks`,
    webhooksOfAll: `${own}webhooks-of-all`,
    webhooksOf: (principal) => `${own}webhooks-of:${principal}`,
    webhook: (webhookId) => `${own}webhook:${webhookId}`,
    webhookSecret: (webhookId) => `${own}webhook-secret:${webhookId}`,
    deliveries: (webhookId) => `${own}deliveries:${webhookId}`,
    deliveryLog: (webhookId) => `${own}delivery-log:${webhookId}`,
    deliveriesWaiting: (webhookId) => `${own}deliveries-waiting:${webhookId}`,
    sweptAt: `${own}swept-at`,
    webhookTurn: `${own}webhook-turn`,
    webhookPosition: `${own}webhook-position`,
    webhookStates: `${own}webhook-states`,
  };
}

/** Name of the BullMQ queue of a pool: the pool's own name, so that operators recognise it. */
export function poolQueueName(pool: string): string {
  return pool;
}

/** Name of the small queue for tasks that asked for one instance. */
export function instanceQueueName(pool: string, instanceId: string): string {
  return `${pool}.${instanceId}`;
}

/** Queue of results that are brought in; they take no scanner's slot. */
export const IMPORT_QUEUE = 'scanmq.imports';
/** Stands for a pool where a task has none: an uploaded file. */
export const IMPORT_POOL = 'imports';

/** Queue of the runs of schedules: never full of scans, or none would fire. */
export const SCHEDULE_QUEUE = 'scanmq.schedules';

/** Queue of deliveries to webhooks: receivers that are slow or away hold up nothing else. */
export const WEBHOOK_QUEUE = 'scanmq.webhooks';

/** Queue of the periodic sweep. The dot keeps it apart from any pool. */
export const MAINTENANCE_QUEUE = 'scanmq.maintenance';

/** What decides in which queue a task waits. */
export type QueuedTask = Pick<TaskRecord, 'scanner_pool' | 'pinned_instance' | 'imported'>;

/** The queue that a task belongs to: of its pool, of the instance that it asked for, or of imports. */
export function queueNameOf(task: QueuedTask): string {
  if (task.imported !== null) return IMPORT_QUEUE;
  return task.pinned_instance === null
    ? poolQueueName(task.scanner_pool)
    : instanceQueueName(task.scanner_pool, task.pinned_instance);
}
