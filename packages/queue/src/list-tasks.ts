import {
  InvalidRequestError,
  isTaskId,
  type ListTasksParams,
  parseTarget,
  parseTargets,
  type Target,
  type TaskRecord,
  targetsOverlap,
} from '@scanmq/contract';
import type { TaskStore } from './task-store.js';

/** Records read for one page at most, so that a filter that matches little cannot hold up Redis or the client. */
const RECORDS_PER_PAGE = 5_000;
const BATCH = 100;

export interface TaskPage {
  readonly tasks: readonly TaskRecord[];
  /** Null when there are no more; a page may be short, or empty, and still have a next one. */
  readonly nextCursor: string | null;
}

/**
 * Tasks, newest first.
 * @throws InvalidRequestError for a cursor or a target filter that is none.
 */
export async function listTasks(tasks: TaskStore, params: ListTasksParams): Promise<TaskPage> {
  const wanted = params.target_filter === undefined ? undefined : parseFilter(params.target_filter);
  let cursor = params.cursor === undefined ? undefined : decodeCursor(params.cursor);
  const page: TaskRecord[] = [];
  for (let read = 0; read < RECORDS_PER_PAGE; read += BATCH) {
    const ids = await tasks.idsByCreation(cursor, BATCH, params.status_filter);
    for (const [index, record] of (await tasks.getMany(ids)).entries()) {
      cursor = ids[index];
      if (!record || !matches(record, params, wanted)) continue;
      page.push(record);
      if (page.length < params.limit) continue;
      const more = (await tasks.idsByCreation(cursor, 1, params.status_filter)).length > 0;
      return { tasks: page, nextCursor: more ? encodeCursor(record.task_id) : null };
    }
    if (ids.length < BATCH) return { tasks: page, nextCursor: null };
  }
  return { tasks: page, nextCursor: cursor === undefined ? null : encodeCursor(cursor) };
}

function matches(record: TaskRecord, params: ListTasksParams, wanted: Target | undefined): boolean {
  if (params.status_filter !== undefined && record.state !== params.status_filter) return false;
  if (params.scanner_pool !== undefined && record.scanner_pool !== params.scanner_pool) return false;
  return (
    wanted === undefined ||
    // an import has none before it was read
    (record.targets !== '' && parseTargets(record.targets).some((target) => targetsOverlap(target, wanted)))
  );
}

function parseFilter(text: string): Target {
  const target = parseTarget(text.trim());
  if (target) return target;
  throw new InvalidRequestError(`target_filter '${text.slice(0, 80)}' is no target.`, [
    {
      path: 'target_filter',
      message: 'expected an IP address, a range, a network in CIDR form or a host name',
    },
  ]);
}

function encodeCursor(taskId: string): string {
  return Buffer.from(taskId).toString('base64url');
}

function decodeCursor(cursor: string): string {
  const taskId = Buffer.from(cursor, 'base64url').toString();
  if (isTaskId(taskId)) return taskId;
  throw new InvalidRequestError('The cursor is not one of ours.', [
    { path: 'cursor', message: 'expected the next_cursor of an earlier answer' },
  ]);
}
