/**
 * What is past its retention goes: record, job, indexes and files together, and the scan on the scanner where that is
 * configured. Every step may be repeated; a pass that is broken off is finished by the next.
 */
import type { Settings } from '@scanmq/config';
import {
  type HousekeepingReport,
  isTerminal,
  TASK_STATES,
  type TaskRecord,
  type TaskState,
  taskRecordSchema,
  toScanmqError,
} from '@scanmq/contract';
import type { Logger } from '@scanmq/observability';
import type { QueueSystem } from '@scanmq/queue';
import type { ScannerRegistry } from '@scanmq/scanners';
import type { ResultStore } from '@scanmq/store';
import { deleteScanOf } from './clean-scanner.js';

export interface HousekeepingDeps {
  readonly queue: QueueSystem;
  readonly files: ResultStore;
  readonly registry: ScannerRegistry;
  readonly settings: Pick<
    Settings,
    'retentionCompletedMs' | 'retentionFailedMs' | 'idempotencyTtlMs' | 'scannerCleanup'
  >;
  readonly log: Logger;
  readonly now: () => Date;
}

/** One pass does no more, so that it ends; the next goes on. */
const TASKS_PER_PASS = 1_000;
const DIRECTORIES_PER_READ = 500;
const BATCH = 500;
/** An upload that is under way has a directory and no record. */
const UPLOAD_MS = 24 * 3_600_000;
const LISTED_UNKNOWN = 100;

const ENDED: readonly TaskState[] = TASK_STATES.filter(isTerminal);

export async function keepHouse(deps: HousekeepingDeps, dryRun: boolean): Promise<HousekeepingReport> {
  const report: HousekeepingReport = {
    dry_run: dryRun,
    tasks: [],
    directories: [],
    unknown_directories: [],
    scans: [],
    problems: [],
  };
  await cleanScanners(deps, report);
  await removeTasks(deps, report);
  try {
    await removeDirectories(deps, report);
  } catch (error) {
    // what could be done without the store is done; the next pass goes on
    report.problems.push(`the store of the results: ${toScanmqError(error).message}`);
  }
  if (
    !dryRun &&
    report.tasks.length + report.directories.length + report.scans.length + report.problems.length > 0
  )
    deps.log.info(
      {
        event: 'housekeeping',
        tasks: report.tasks.length,
        directories: report.directories.length,
        scans: report.scans.length,
        problems: report.problems,
      },
      'removed what was past its retention',
    );
  return report;
}

function retentionMs({ settings }: HousekeepingDeps, state: TaskState): number {
  return state === 'failed' || state === 'timeout'
    ? settings.retentionFailedMs
    : settings.retentionCompletedMs;
}

/** Scans whose deletion did not work when their task ended. */
async function cleanScanners(deps: HousekeepingDeps, report: HousekeepingReport): Promise<void> {
  if (deps.settings.scannerCleanup !== 'delete') return;
  for (const taskId of await deps.queue.scannerCleanup.pending()) {
    const task = await deps.queue.tasks.find(taskId);
    // retried meanwhile: its new end decides
    if (task && !isTerminal(task.state)) continue;
    if (task && !(await deleteScan(deps, task, report))) continue;
    if (!report.dry_run) await deps.queue.scannerCleanup.done(taskId);
  }
}

async function deleteScan(
  deps: HousekeepingDeps,
  task: TaskRecord,
  report: HousekeepingReport,
): Promise<boolean> {
  try {
    const deleted = await deleteScanOf(deps, task, report.dry_run);
    if (deleted) report.scans.push(deleted);
    return true;
  } catch (error) {
    report.problems.push(`${task.task_id}: its scan could not be deleted: ${toScanmqError(error).message}`);
    return false;
  }
}

async function removeTasks(deps: HousekeepingDeps, report: HousekeepingReport): Promise<void> {
  const { queue, now } = deps;
  for (const state of ENDED) {
    const before = new Date(now().getTime() - retentionMs(deps, state));
    // those that stay are passed over; those that go leave the index
    let staying = 0;
    for (;;) {
      const ids = await queue.tasks.idsChangedBefore(state, before, staying, BATCH);
      for (const task of await queue.tasks.getMany(ids)) {
        if (report.tasks.length >= TASKS_PER_PASS) return;
        if (!task || report.dry_run || !isDue(deps, task, state)) staying += 1;
        if (task && isDue(deps, task, state) && !(await removeTask(deps, task, report))) staying += 1;
      }
      if (ids.length < BATCH) break;
    }
  }
}

function isDue({ settings, now, ...deps }: HousekeepingDeps, task: TaskRecord, state: TaskState): boolean {
  const nowMs = now().getTime();
  if (task.state !== state) return false;
  if (
    nowMs - Date.parse(task.completed_at ?? task.created_at) <
    retentionMs({ ...deps, settings, now }, state)
  )
    return false;
  // as long as its key is remembered, a repeated request must find the task, and not start a second scan
  const keyMs = Date.parse(task.created_at) + settings.idempotencyTtlMs;
  return task.idempotency_key === null || keyMs <= nowMs;
}

/** @returns false when it could not be removed. */
async function removeTask(
  deps: HousekeepingDeps,
  task: TaskRecord,
  report: HousekeepingReport,
): Promise<boolean> {
  if (!report.dry_run) {
    try {
      // first, as long as it is known which scan it is; one that cannot be deleted stays, as with every other tool
      if (deps.settings.scannerCleanup === 'delete') await deleteScan(deps, task, report);
      await deps.queue.purge(task.task_id, [task.state]);
      await deps.queue.scannerCleanup.done(task.task_id);
    } catch (error) {
      report.problems.push(`${task.task_id}: ${toScanmqError(error).message}`);
      return false;
    }
  }
  report.tasks.push({
    task_id: task.task_id,
    state: task.state,
    ended_at: task.completed_at ?? task.created_at,
    reason: `${task.state}, kept for ${days(retentionMs(deps, task.state))}`,
  });
  return true;
}

function days(ms: number): string {
  return `${Number((ms / 86_400_000).toFixed(3))} days`;
}

/** Directories of ours without a record: uploads whose gateway was killed, and what a wiped Redis has left. */
async function removeDirectories(deps: HousekeepingDeps, report: HousekeepingReport): Promise<void> {
  const names: string[] = [];
  for await (const name of deps.files.taskIds()) names.push(name);
  for (let from = 0; from < names.length; from += DIRECTORIES_PER_READ) {
    const batch = names.slice(from, from + DIRECTORIES_PER_READ);
    const records = await deps.queue.tasks.getMany(batch);
    for (const [index, name] of batch.entries()) {
      if (records[index]) continue;
      const verdict = await judgeDirectory(deps, name);
      if (!verdict) continue;
      if (verdict.goes) {
        if (!report.dry_run) await deps.files.remove(name);
        report.directories.push({ name, reason: verdict.reason });
      } else if (report.unknown_directories.length < LISTED_UNKNOWN) {
        report.unknown_directories.push({ name, reason: verdict.reason });
      }
    }
  }
}

/** Of a file that another version may have written, only what is needed. */
const taskFileSchema = taskRecordSchema.pick({ task_id: true, state: true, completed_at: true });

async function judgeDirectory(
  deps: HousekeepingDeps,
  name: string,
): Promise<{ readonly goes: boolean; readonly reason: string } | undefined> {
  const nowMs = deps.now().getTime();
  const found = await deps.files.readRecord(name);
  if (found === undefined) {
    const modifiedAt = await deps.files.modifiedAt(name);
    // another process keeps house at the same time, and was faster
    if (modifiedAt === undefined) return undefined;
    return nowMs - modifiedAt.getTime() > UPLOAD_MS
      ? { goes: true, reason: 'an upload that never became a task' }
      : { goes: false, reason: 'without a task, but younger than a day: perhaps an upload under way' };
  }
  const task = taskFileSchema.safeParse(found.text === undefined ? undefined : parseJson(found.text));
  if (!task.success || task.data.task_id !== name)
    return { goes: false, reason: 'its task.json is not one of ours' };
  if (!isTerminal(task.data.state) || task.data.completed_at === null)
    return { goes: false, reason: 'its task is not known to this Redis, and had not ended' };
  const keptMs = retentionMs(deps, task.data.state);
  return nowMs - Date.parse(task.data.completed_at) > keptMs
    ? { goes: true, reason: `of a task that ended ${task.data.state} and is kept for ${days(keptMs)}` }
    : { goes: false, reason: 'its task is not known to this Redis; it goes when it is past its retention' };
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
