import {
  newTaskId,
  newTraceId,
  ScanmqError,
  type ScanRequest,
  splitCredentials,
  type TaskRecord,
} from '@scanmq/contract';
import { createTask, newTask } from './create-task.js';
import { hashRequest, sealCredentials } from './credentials.js';
import type { Queues } from './queues.js';
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
  readonly credentialsKey: Buffer | undefined;
  readonly idempotencyTtlMs: number;
  /** Time limit of a scan; also the longest that a request may ask for. */
  readonly scanTimeoutMs: number;
  readonly now: () => Date;
}

export interface SubmitContext {
  readonly principal: string;
  /** Trace id of the request, when it brought one. */
  readonly traceId?: string;
  /** How long the idempotency key is remembered, where that is not up to the service. */
  readonly idempotencyTtlMs?: number;
}

const MS_PER_HOUR = 3_600_000;

/**
 * Accepts a scan: record first, then the job. Whoever crashes in between leaves a record that the sweep
 * gives its job; repeating the request with its idempotency key does so at once.
 * @throws ScanmqError `idempotency_conflict`; `invalid_request` for a limit above that of the service;
 *   `unavailable` when credentials came but no key is configured to seal them with.
 */
export async function submitScan(
  deps: SubmitDeps,
  request: ScanRequest,
  placement: Placement,
  context: SubmitContext,
): Promise<{ task: TaskRecord; replay: boolean }> {
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
  const inline = credentials && credentials.credential_ref === undefined ? credentials : undefined;
  if (credentials?.credential_ref !== undefined) {
    throw new ScanmqError('not_found', `There is no stored credential '${credentials.credential_ref}'.`);
  }
  if (inline && !deps.credentialsKey) {
    throw new ScanmqError(
      'unavailable',
      'This service cannot take credentials: no CREDENTIALS_KEY is configured to seal them with.',
      { retryable: 'no' },
    );
  }

  const now = deps.now();
  const taskId = newTaskId(placement.pinnedInstance ?? placement.pool, now);
  const { idempotency_key: idempotencyKey, ...hashed } = request;
  const task = newTask({
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
    has_credentials: inline !== undefined,
    principal: context.principal,
    idempotency_key: idempotencyKey ?? null,
    request_hash: hashRequest({ ...hashed, pool: placement.pool }, deps.credentialsKey),
    created_at: now.toISOString(),
    checkpoint: null,
    imported: null,
  });
  return await createTask(deps, task, {
    idempotencyTtlMs: context.idempotencyTtlMs ?? deps.idempotencyTtlMs,
    sealedCredentials:
      inline && deps.credentialsKey ? sealCredentials(inline, taskId, deps.credentialsKey) : undefined,
  });
}
