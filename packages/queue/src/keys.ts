/**
 * Every key of ours in Redis. BullMQ's own keys are `<prefix>:<queue>:…`; ours begin with `<prefix>:tasks.`,
 * and no queue can be called so: names of pools have no dot (contract, `poolNameSchema`).
 */
import { createHash } from 'node:crypto';
import type { TaskState } from '@scanmq/contract';

export interface Keys {
  /** Prefix of all record keys; append the task id. */
  readonly recordPrefix: string;
  readonly byCreation: string;
  /** Task id → instance key. */
  readonly bindings: string;
  /** Instance key → health, JSON. */
  readonly health: string;
  /** Channel for cancel requests to whichever process runs the task. */
  readonly control: string;
  /** Channel that tells of each change of state. */
  readonly changes: string;
  record(taskId: string): string;
  byState(state: TaskState): string;
  idempotency(principal: string, key: string): string;
  credentials(taskId: string): string;
  /** Durations of the last scans of a pool, milliseconds. */
  durations(pool: string): string;
  /** Scan id → how far it was collected, of the folder that an instance follows. */
  followed(instanceKey: string): string;
  /** Held by the process that polls the health of an instance now. */
  healthLease(instanceKey: string): string;
  /** Ids of all schedules by creation. */
  readonly schedules: string;
  schedule(scheduleId: string): string;
  /** The last runs of a schedule whose outcome was noted. */
  scheduleNoted(scheduleId: string): string;
  /** The run of a schedule that is being decided now. */
  scheduleLease(scheduleId: string): string;
}

/** @param prefix `QUEUE_PREFIX`; for Redis Cluster with a hash tag, for example `{scanmq}`. */
export function createKeys(prefix: string): Keys {
  const own = `${prefix}:tasks.`;
  return {
    recordPrefix: `${own}record:`,
    byCreation: `${own}created`,
    bindings: `${own}bindings`,
    health: `${own}health`,
    control: `${own}control`,
    changes: `${own}changes`,
    record: (taskId) => `${own}record:${taskId}`,
    byState: (state) => `${own}state:${state}`,
    // hashed: a key of any length and content, of any principal, cannot collide with another
    idempotency: (principal, key) =>
      `${own}idempotency:${createHash('sha256')
        .update(JSON.stringify([principal, key]))
        .digest('hex')}`,
    credentials: (taskId) => `${own}credentials:${taskId}`,
    durations: (pool) => `${own}durations:${pool}`,
    followed: (instanceKey) => `${own}followed:${instanceKey}`,
    healthLease: (instanceKey) => `${own}health-lease:${instanceKey}`,
    schedules: `${own}schedules`,
    schedule: (scheduleId) => `${own}schedule:${scheduleId}`,
    scheduleNoted: (scheduleId) => `${own}schedule-noted:${scheduleId}`,
    scheduleLease: (scheduleId) => `${own}schedule-lease:${scheduleId}`,
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

/** Queue of the periodic sweep. The dot keeps it apart from any pool. */
export const MAINTENANCE_QUEUE = 'scanmq.maintenance';
