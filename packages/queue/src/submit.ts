import {
  newTaskId,
  newTraceId,
  ScanmqError,
  type ScanRequest,
  type ScheduleId,
  splitCredentials,
  type TargetScope,
} from '@scanmq/contract';
import { type Created, createTask, newTask } from './create-task.js';
import { hashRequest, sealCredentials } from './credentials.js';
import type { Queues } from './queues.js';
import type { Replication } from './replication.js';
import type { StoredCredentials } from './stored-credentials.js';
import type { TaskStore } from './task-store.js';

/** Where a request is to run; decided by who knows the fleet. */
export interface Placement {
  readonly scannerType: string;
  readonly pool: string;
  /** Instance that the request asked for; null = any of the pool. */
  readonly pinnedInstance: string | null;
}

export interface SubmitDeps {
  readonly tasks: TaskStore;
  readonly queues: Queues;
  readonly replication: Replication;
  readonly stored: StoredCredentials;
  readonly credentialsKey: Buffer | undefined;
  readonly credentialsKeysPrevious: readonly Buffer[];
  readonly idempotencyTtlMs: number;
  /** Tasks that may wait; 0 or left out = no limit. */
  readonly maxQueued?: number;
  readonly maxQueuedPerPrincipal?: number;
  /** Time limit of a scan; also the longest that a request may ask for. */
  readonly scanTimeoutMs: number;
  readonly now: () => Date;
}

export interface SubmitContext {
  readonly principal: string;
  /** Share of the principal where several wait; 1 when left out. */
  readonly share?: number;
  /** What the principal may scan; whatever the service allows when null or left out. */
  readonly targetScope?: TargetScope | null;
  /** Trace id of the request, when it brought one. */
  readonly traceId?: string;
  /** W3C `traceparent` of the span that submits, where it is traced. */
  readonly traceParent?: string | undefined;
  /** The recurring scan that it is a run of. */
  readonly scheduleId?: ScheduleId;
  /** How long the idempotency key is remembered, where that is not up to the service. */
  readonly idempotencyTtlMs?: number;
}

const MS_PER_HOUR = 3_600_000;

/**
 * Accepts a scan: record first, then the job. Whoever crashes in between leaves a record that the sweep
 * gives its job; repeating the request with its idempotency key does so at once.
 * @throws ScanmqError `idempotency_conflict`; `rate_limited` when too many tasks wait; `not_found` for an unknown stored credential; `invalid_request` for a limit above that of the service;
 *   `unavailable` when credentials came but no key is configured to seal them with.
 */
export async function submitScan(
  deps: SubmitDeps,
  request: ScanRequest,
  placement: Placement,
  context: SubmitContext,
): Promise<Created> {
  const { request: kept, credentials } = splitCredentials(request);
  const timeoutMs = (kept.timeout_hours ?? deps.scanTimeoutMs / MS_PER_HOUR) * MS_PER_HOUR;
  if (timeoutMs > deps.scanTimeoutMs) {
    throw new ScanmqError(
      'invalid_request',
      `timeout_hours may be at most ${deps.scanTimeoutMs / MS_PER_HOUR}, the limit of this service.`,
      {
        issues: [{ path: 'timeout_hours', message: `expected at most ${deps.scanTimeoutMs / MS_PER_HOUR}` }],
      },
    );
  }
  const reference = credentials?.credential_ref;
  const inline = reference === undefined ? credentials : undefined;
  if (reference !== undefined) await deps.stored.check(reference, kept.scan_type);
  if (inline && !deps.credentialsKey) {
    throw new ScanmqError(
      'unavailable',
      'This service cannot take credentials: no CREDENTIALS_KEY is configured to seal them with.',
      { retryable: 'no' },
    );
  }

  const now = deps.now();
  const taskId = newTaskId(placement.pinnedInstance ?? placement.pool, now);
  const { idempotency_key: idempotencyKey, coalesce, ...hashed } = request;
  const same = { ...hashed, pool: placement.pool };
  const fresh = newTask({
    task_id: taskId,
    trace_id: context.traceId ?? newTraceId(),
    scan_type: kept.scan_type,
    scanner_type: placement.scannerType,
    scanner_pool: placement.pool,
    pinned_instance: placement.pinnedInstance,
    targets: kept.targets,
    name: kept.name,
    description: kept.description,
    schema_profile: kept.schema_profile,
    template: kept.template,
    priority: kept.priority,
    timeout_ms: timeoutMs,
    has_credentials: credentials !== undefined,
    principal: context.principal,
    idempotency_key: idempotencyKey ?? null,
    request_hash: hashRequest(same, deps.credentialsKey),
    created_at: now.toISOString(),
    checkpoint: null,
    imported: null,
  });
  const task = {
    ...fresh,
    credential_ref: reference ?? null,
    schedule_id: context.scheduleId ?? null,
    target_scope: context.targetScope ?? null,
    trace_parent: context.traceParent ?? null,
  };
  return await createTask(deps, task, {
    idempotencyTtlMs: context.idempotencyTtlMs ?? deps.idempotencyTtlMs,
    share: context.share ?? 1,
    maxQueued: deps.maxQueued ?? 0,
    maxQueuedPerPrincipal: deps.maxQueuedPerPrincipal ?? 0,
    coalesce: coalesce ?? false,
    formerHashes: deps.credentialsKeysPrevious.map((key) => hashRequest(same, key)),
    sealedCredentials:
      inline && deps.credentialsKey ? sealCredentials(inline, taskId, deps.credentialsKey) : undefined,
  });
}
