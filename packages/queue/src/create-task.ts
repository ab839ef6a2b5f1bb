import { ScanmqError, type TaskRecord } from '@scanmq/contract';
import type { Queues } from './queues.js';
import type { Replication } from './replication.js';
import type { CreateOptions, TaskStore } from './task-store.js';

/** What a new task is told apart by; everything else is the same for all. */
export type NewTask = Pick<
  TaskRecord,
  | 'task_id'
  | 'trace_id'
  | 'scan_type'
  | 'scanner_type'
  | 'scanner_pool'
  | 'pinned_instance'
  | 'targets'
  | 'name'
  | 'description'
  | 'schema_profile'
  | 'template'
  | 'priority'
  | 'timeout_ms'
  | 'has_credentials'
  | 'principal'
  | 'idempotency_key'
  | 'request_hash'
  | 'created_at'
  | 'checkpoint'
  | 'imported'
>;

/** The record of a task of which nothing has been done yet. */
export function newTask(facts: NewTask): TaskRecord {
  return {
    ...facts,
    revision: 1,
    state: 'queued',
    scanner_instance: null,
    credential_ref: null,
    schedule_id: null,
    started_at: null,
    completed_at: null,
    deadline_at: null,
    attempts: 0,
    crashes: 0,
    run_token: null,
    progress: 0,
    scanner_status: null,
    cancel_requested: null,
    error: null,
    authentication_status: null,
    validation_warnings: [],
    results_summary: null,
    troubleshooting: null,
    quality: null,
    pause_requested: null,
    waiting_for: null,
    failures: [],
    abandoned_scans: [],
    partial_results: false,
    trace_parent: null,
    // decided in the moment of creation
    fair_round: 0,
    effective_priority: null,
    target_limits: [],
    target_scope: null,
    simulator: false,
  };
}

export interface Created {
  readonly task: TaskRecord;
  /** The idempotency key was used before for the same request. */
  readonly replay: boolean;
  /** An identical task waited already. */
  readonly joined: boolean;
}

const FULL_RETRY_SECONDS = 30;

/**
 * Record first, then the job. Whoever crashes in between leaves a record that the sweep gives its job; repeating the
 * request with its idempotency key does so at once.
 * @throws ScanmqError `idempotency_conflict`; `rate_limited` when too many wait already; `unavailable` when it is not on
 *   enough replicas of Redis.
 */
export async function createTask(
  {
    tasks,
    queues,
    replication,
  }: { readonly tasks: TaskStore; readonly queues: Queues; readonly replication: Replication },
  task: TaskRecord,
  options: CreateOptions,
): Promise<Created> {
  const created = await tasks.create(task, options);
  if (created.how === 'created') {
    const placed = { ...task, fair_round: created.fairRound };
    await queues.add(placed);
    await replication.confirm(`Task ${task.task_id}`);
    return { task: placed, replay: false, joined: false };
  }
  if (created.how === 'full') {
    const [whose, setting] =
      created.of === 'principal' ? [' of yours', 'MAX_QUEUED_PER_PRINCIPAL'] : ['', 'MAX_QUEUED'];
    throw new ScanmqError(
      'rate_limited',
      `There are ${created.limit} tasks${whose} that wait already, the limit (${setting}).`,
      { retryAfterSeconds: FULL_RETRY_SECONDS, next: 'Wait until some have ended, or cancel some.' },
    );
  }
  if (![task.request_hash, ...(options.formerHashes ?? [])].includes(created.requestHash)) {
    throw new ScanmqError(
      'idempotency_conflict',
      `The idempotency key was used for another request: task ${created.taskId}. Use a new key for a new task.`,
    );
  }
  const first = await tasks.get(created.taskId);
  if (first.state === 'queued') await queues.add(first);
  await replication.confirm(`Task ${first.task_id}`);
  return { task: first, replay: created.how === 'replayed', joined: created.how === 'joined' };
}
