import {
  InvalidRequestError,
  isTaskId,
  type ListTasksParams,
  parseTarget,
  type Target,
  type TaskRecord,
} from '@scanmq/contract';
import type { TaskIndex } from './task-index.js';
import type { TaskStore } from './task-store.js';
import type { RowPlace } from './task-table.js';

export interface TaskPage {
  readonly tasks: readonly TaskRecord[];
  /** Tasks that match, on all pages. */
  readonly total: number;
  /** Null when there are no more. */
  readonly nextCursor: string | null;
}

/**
 * Tasks, newest first.
 * @throws InvalidRequestError for a cursor or a target filter that is none.
 */
export async function listTasks(
  { tasks, index }: { readonly tasks: TaskStore; readonly index: TaskIndex },
  params: ListTasksParams,
): Promise<TaskPage> {
  const { rows, total, more } = await index.query({
    state: params.status_filter,
    pool: params.scanner_pool,
    principal: params.principal,
    target: params.target_filter === undefined ? undefined : parseFilter(params.target_filter),
    fromMs: params.created_after === undefined ? undefined : Date.parse(params.created_after),
    beforeMs: params.created_before === undefined ? undefined : Date.parse(params.created_before),
    olderThan: params.cursor === undefined ? undefined : decodeCursor(params.cursor),
    limit: params.limit,
  });
  const found = await tasks.getMany(rows.map(({ taskId }) => taskId));
  // a record is newer than the index: what has just gone, or changed, does not match any more
  const page = found.filter(
    (task): task is TaskRecord =>
      task !== undefined && (params.status_filter === undefined || task.state === params.status_filter),
  );
  const last = rows.at(-1);
  return {
    tasks: page,
    total: total - (found.length - page.length),
    nextCursor: more && last ? encodeCursor(last) : null,
  };
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

/** A place, not a number of tasks to skip: what comes or goes before it moves nothing. */
function encodeCursor({ createdMs, taskId }: RowPlace): string {
  return Buffer.from(`${createdMs} ${taskId}`).toString('base64url');
}

function decodeCursor(cursor: string): RowPlace {
  const [created = '', taskId = '', ...rest] = Buffer.from(cursor, 'base64url').toString().split(' ');
  if (/^\d{1,16}$/.test(created) && isTaskId(taskId) && rest.length === 0)
    return { createdMs: Number(created), taskId };
  throw new InvalidRequestError('The cursor is not one of ours.', [
    { path: 'cursor', message: 'expected the next_cursor of an earlier answer' },
  ]);
}
