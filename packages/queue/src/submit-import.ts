import { type Checkpoint, type Imported, newTraceId, type TaskId, type TaskRecord } from '@scanmq/contract';
import { type Created, createTask, newTask } from './create-task.js';
import { hashRequest } from './credentials.js';
import type { SubmitContext, SubmitDeps } from './submit.js';

/** Results to bring in. */
export interface ImportRequest {
  /** Of an upload the file lies in the directory of this task already. */
  readonly taskId: TaskId;
  readonly imported: Imported;
  readonly scannerType: string;
  readonly pool: string;
  /** Where the results are on the scanner; null for an upload. */
  readonly checkpoint: Checkpoint | null;
  readonly name: string;
  readonly description: string;
  readonly schemaProfile: TaskRecord['schema_profile'];
  readonly idempotencyKey: string | undefined;
  /** What a repeated request must have in common with the first, beside the fields above: the hash of a file. */
  readonly content: string;
  /** How long the key is remembered; as for scans when left out. */
  readonly idempotencyTtlMs?: number;
}

/** Accepts an import: a task like any other, in a queue of its own. @throws ScanmqError `idempotency_conflict`, `rate_limited`. */
export async function submitImport(
  deps: Omit<SubmitDeps, 'credentialsKey' | 'stored'>,
  request: ImportRequest,
  context: SubmitContext,
): Promise<Created> {
  const { imported, name, description, schemaProfile, content } = request;
  const fresh = newTask({
    task_id: request.taskId,
    trace_id: context.traceId ?? newTraceId(),
    // what was asked of the scan is known when its export was read
    scan_type: 'untrusted',
    targets: '',
    scanner_type: request.scannerType,
    scanner_pool: request.pool,
    pinned_instance: null,
    name,
    description,
    schema_profile: schemaProfile,
    template: 'imported',
    priority: 'normal',
    timeout_ms: deps.scanTimeoutMs,
    has_credentials: false,
    principal: context.principal,
    idempotency_key: request.idempotencyKey ?? null,
    request_hash: hashRequest({ imported, name, description, schemaProfile, content }, undefined),
    created_at: deps.now().toISOString(),
    checkpoint: request.checkpoint,
    imported,
  });
  const task = { ...fresh, trace_parent: context.traceParent ?? null };
  return await createTask(deps, task, {
    idempotencyTtlMs: request.idempotencyTtlMs ?? deps.idempotencyTtlMs,
    sealedCredentials: undefined,
    share: context.share ?? 1,
    maxQueued: deps.maxQueued ?? 0,
    maxQueuedPerPrincipal: deps.maxQueuedPerPrincipal ?? 0,
    coalesce: false,
  });
}
