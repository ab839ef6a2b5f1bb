/** What the list of tasks is filtered by, of every task, in memory and in order. Knows nothing of Redis. */
import type { ScanType, Target, TaskState } from '@scanmq/contract';
import { type CompactTargets, overlapsWith } from './compact-targets.js';

export interface TaskRow {
  readonly taskId: string;
  readonly createdMs: number;
  state: TaskState;
  readonly pool: string;
  readonly principal: string;
  readonly scanType: ScanType;
  readonly targets: CompactTargets;
}

/** A place in the order of tasks. */
export type RowPlace = Pick<TaskRow, 'createdMs' | 'taskId'>;

export interface TaskQuery {
  readonly state?: TaskState | undefined;
  readonly pool?: string | undefined;
  readonly principal?: string | undefined;
  readonly target?: Target | undefined;
  /** Created at or after. */
  readonly fromMs?: number | undefined;
  /** Created before. */
  readonly beforeMs?: number | undefined;
  /** Only older tasks than this place; the total counts the others, too. */
  readonly olderThan?: RowPlace | undefined;
  readonly limit: number;
}

export interface TaskMatches {
  /** Newest first. */
  readonly rows: readonly RowPlace[];
  /** Matches on all pages. */
  readonly total: number;
  /** More follow after these. */
  readonly more: boolean;
}

export interface TaskTable {
  readonly size: number;
  get(taskId: string): TaskRow | undefined;
  /** Adds a task; one that is known takes these facts. */
  put(row: TaskRow): void;
  remove(taskIds: ReadonlySet<string>): void;
  query(query: TaskQuery): TaskMatches;
}

/** Below zero: a is older. Tasks of one millisecond are ordered by id, as in Redis. */
function compare(a: RowPlace, b: RowPlace): number {
  return a.createdMs - b.createdMs || (a.taskId < b.taskId ? -1 : a.taskId > b.taskId ? 1 : 0);
}

export function createTaskTable(): TaskTable {
  const byId = new Map<string, TaskRow>();
  /** Oldest first. */
  let rows: TaskRow[] = [];
  /** Rows come in bulk in any order, and one by one nearly always as the newest: sorted when somebody asks. */
  let sorted = true;
  /** Equal texts once: pools and principals are few, tasks are many. */
  const texts = new Map<string, string>();
  const once = <T extends string>(text: T): T => {
    const known = texts.get(text);
    if (known !== undefined) return known as T;
    texts.set(text, text);
    return text;
  };

  /** How many rows are older than a place. */
  function older(place: RowPlace): number {
    let [low, high] = [0, rows.length];
    while (low < high) {
      const middle = (low + high) >>> 1;
      const row = rows[middle];
      if (row && compare(row, place) < 0) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  return {
    get size() {
      return byId.size;
    },
    get: (taskId) => byId.get(taskId),
    put({ taskId, createdMs, state, pool, principal, scanType, targets }) {
      const facts = {
        state: once(state),
        pool: once(pool),
        principal: once(principal),
        scanType: once(scanType),
        targets,
      };
      const known = byId.get(taskId);
      if (known) {
        Object.assign(known, facts);
        return;
      }
      const row = { taskId, createdMs, ...facts };
      byId.set(taskId, row);
      const newest = rows.at(-1);
      if (newest && compare(newest, row) > 0) sorted = false;
      rows.push(row);
    },
    remove(taskIds) {
      let known = false;
      for (const taskId of taskIds) known = byId.delete(taskId) || known;
      if (known) rows = rows.filter((row) => !taskIds.has(row.taskId));
    },
    query({ state, pool, principal, target, fromMs, beforeMs, olderThan, limit }) {
      if (!sorted) rows.sort(compare);
      sorted = true;
      const overlaps = target && overlapsWith(target);
      const end = beforeMs === undefined ? rows.length : older({ createdMs: beforeMs, taskId: '' });
      const begin = fromMs === undefined ? 0 : older({ createdMs: fromMs, taskId: '' });
      const pageFrom = olderThan === undefined ? end : older(olderThan);
      const page: RowPlace[] = [];
      let total = 0;
      let more = false;
      for (let at = end - 1; at >= begin; at -= 1) {
        const row = rows[at];
        if (!row || (state !== undefined && row.state !== state)) continue;
        if (pool !== undefined && row.pool !== pool) continue;
        if (principal !== undefined && row.principal !== principal) continue;
        if (overlaps && !overlaps(row.targets)) continue;
        total += 1;
        if (at >= pageFrom) continue;
        if (page.length < limit) page.push({ createdMs: row.createdMs, taskId: row.taskId });
        else more = true;
      }
      return { rows: page, total, more };
    },
  };
}
