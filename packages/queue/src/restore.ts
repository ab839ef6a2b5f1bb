/**
 * Records again after Redis was lost, from the copies (`task.json`) in the store of the results. A copy is written at each
 * change of state: what a run has done since is not in it, and is found out on the scanner, by the marker of the scan.
 */
import {
  type Checkpoint,
  isTerminal,
  LIMITS,
  type RestoreReport,
  type TaskRecord,
  taskRecordSchema,
} from '@scanmq/contract';
import type { ResultStore } from '@scanmq/store';
import type { Keys } from './keys.js';
import type { Queues } from './queues.js';
import type { RedisClient } from './redis-client.js';
import { restoreTaskScript } from './scripts.js';
import type { TaskStore } from './task-store.js';

export interface RestoreDeps {
  readonly redis: RedisClient;
  readonly keys: Keys;
  readonly tasks: TaskStore;
  readonly queues: Queues;
  readonly store: Pick<ResultStore, 'taskIds' | 'readRecord'>;
  readonly idempotencyTtlMs: number;
  readonly now: () => Date;
}

const BATCH = 200;

// the file has no run token: whoever ran the task is gone with Redis, or finds that it owns nothing
const taskFileSchema = taskRecordSchema.omit({ run_token: true });

/**
 * Restores every task that Redis does not know. Records that it knows stay as they are. May be repeated, and broken off.
 * @param apply writes; otherwise only tells what would be done.
 * @throws ScanmqError `unavailable` when the store is away.
 */
export async function restoreTasks(deps: RestoreDeps, apply: boolean): Promise<RestoreReport> {
  const report: RestoreReport = { dry_run: !apply, restored: [], known: 0, problems: [] };
  const waiting: TaskRecord[] = [];
  let batch: string[] = [];
  const look = async (): Promise<void> => {
    const records = await deps.tasks.getMany(batch);
    for (const [index, taskId] of batch.entries()) {
      if (records[index]) {
        report.known += 1;
        continue;
      }
      const copy = await readCopy(deps, taskId, report);
      if (!copy) continue;
      const task = restored(copy);
      if (!apply || (await restoreRecord(deps, task))) noteRestored(report, task);
      else report.known += 1;
      if (!isTerminal(task.state)) waiting.push(task);
    }
    batch = [];
  };
  for await (const taskId of deps.store.taskIds()) {
    batch.push(taskId);
    if (batch.length >= BATCH) await look();
  }
  await look();
  // those that had begun first, then as they came; whoever dies here leaves records that the sweep gives their jobs
  waiting.sort(
    (a, b) =>
      Number(b.state === 'running') - Number(a.state === 'running') ||
      Date.parse(a.created_at) - Date.parse(b.created_at),
  );
  if (apply) for (const task of waiting) await deps.queues.add(task);
  return report;
}

async function readCopy(
  { store }: RestoreDeps,
  taskId: string,
  report: RestoreReport,
): Promise<TaskRecord | undefined> {
  const problem = (message: string): undefined => void report.problems.push(`${taskId}: ${message}`);
  const found = await store.readRecord(taskId);
  if (!found) return problem('it has no task.json: an upload that never became a task');
  const copy = taskFileSchema.safeParse(found.text === undefined ? undefined : parseJson(found.text));
  if (!copy.success || copy.data.task_id !== taskId) return problem('its task.json is not one of ours');
  return { ...copy.data, run_token: null };
}

/** The record as it has to be for a task to go on. */
function restored(task: TaskRecord): TaskRecord {
  if (isTerminal(task.state)) return task;
  return {
    ...task,
    // all others are new to those who decide the order: it begins anew for these too
    fair_round: 0,
    waiting_for: null,
    checkpoint:
      task.checkpoint && task.imported === null ? lookFirst(task, task.checkpoint) : task.checkpoint,
  };
}

/**
 * Of a task that ran: its scan may have been made and launched after the copy was written. The checkpoint says that
 * both were about to be done, so that the run looks for scan and launch before it does either; our marker is on one scan, and
 * whatever run that scan has is ours.
 */
function lookFirst(task: TaskRecord, checkpoint: Checkpoint): Checkpoint {
  if (task.state !== 'running') return checkpoint;
  const at = task.started_at ?? task.created_at;
  return { create_intent_at: at, launch_intent: { at, known_runs: [] }, ...checkpoint };
}

async function restoreRecord(deps: RestoreDeps, task: TaskRecord): Promise<boolean> {
  const { redis, keys, now } = deps;
  const createdMs = Date.parse(task.created_at);
  const recordKey = keys.record(task.task_id);
  const hasScan = !isTerminal(task.state) && task.checkpoint?.create_intent_at !== undefined;
  const keyMs =
    task.idempotency_key === null ? 0 : Math.max(0, createdMs + deps.idempotencyTtlMs - now().getTime());
  const answer = await restoreTaskScript(
    redis,
    [
      recordKey,
      task.idempotency_key === null ? recordKey : keys.idempotency(task.principal, task.idempotency_key),
      keys.byCreation,
      keys.byState(task.state),
      keys.bindings,
      keys.log,
      keys.events(task.task_id),
      keys.waiting,
    ],
    [
      task.task_id,
      task.state,
      createdMs,
      Date.parse(task.completed_at ?? task.started_at ?? task.created_at),
      hasScan ? (task.checkpoint?.instance_key ?? '') : '',
      Math.ceil(keyMs),
      task.request_hash,
      task.principal,
      keys.changes,
      JSON.stringify(now().toISOString()),
      isTerminal(task.state) ? LIMITS.endedTaskEventsMs : 0,
      ...Object.entries(task).flatMap(([field, value]) => [field, JSON.stringify(value)]),
    ],
  );
  return answer === 'restored';
}

function noteRestored(report: RestoreReport, task: TaskRecord): void {
  const inline = task.has_credentials && task.credential_ref === null;
  report.restored.push({
    task_id: task.task_id,
    state: task.state,
    name: task.name,
    credentials_lost: inline && !isTerminal(task.state),
  });
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
