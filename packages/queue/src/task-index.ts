/**
 * An index of all tasks in the memory of this process. Built from the records when it is first asked, afterwards kept
 * current by the change log, read before every question: a task that any process accepted a moment ago is found.
 */
import type { ScanType, TaskState } from '@scanmq/contract';
import { compactTargets } from './compact-targets.js';
import type { Keys } from './keys.js';
import { oneAtATime } from './one-at-a-time.js';
import type { RedisClient } from './redis-client.js';
import type { TaskLog, TaskLogEntry } from './task-log.js';
import { createTaskTable, type TaskMatches, type TaskQuery, type TaskTable } from './task-table.js';

export interface TaskIndexDeps {
  readonly redis: RedisClient;
  readonly keys: Keys;
  readonly log: TaskLog;
}

export interface TaskIndex {
  /** As of a moment after the call. */
  query(query: TaskQuery): Promise<TaskMatches>;
  /** Tasks known now, without a look at Redis. */
  readonly size: number;
  /** How often the index was built. */
  readonly builds: number;
}

/** Records asked for at once: neither Redis nor this process stands still for long. */
const BATCH = 250;
const LOG_BATCH = 1_000;
/** A task can have thousands of targets: others get their turn after so long. */
const TURN_MS = 10;
const FIELDS = ['state', 'scanner_pool', 'principal', 'scan_type', 'targets'] as const;

interface Built {
  readonly table: TaskTable;
  /** Of the log: everything before is in the table. */
  position: string;
}

export function createTaskIndex(deps: TaskIndexDeps): TaskIndex {
  const { log } = deps;
  let built: Built | undefined;
  let builds = 0;

  /** @returns false when the log no longer reaches back to where we were. */
  async function readLog(index: Built): Promise<boolean> {
    for (;;) {
      const entries = await log.after(index.position, LOG_BATCH);
      if (entries === undefined) return false;
      await apply(deps, index.table, entries);
      index.position = entries.at(-1)?.position ?? index.position;
      if (entries.length < LOG_BATCH) return true;
    }
  }

  const current = oneAtATime(async (): Promise<TaskTable> => {
    while (!built || !(await readLog(built))) {
      built = undefined;
      builds += 1;
      built = await build(deps);
    }
    return built.table;
  });

  return {
    get size() {
      return built?.table.size ?? 0;
    },
    get builds() {
      return builds;
    },
    query: async (query) => (await current()).query(query),
  };
}

/** Every record there is. What changes meanwhile is in the log after the position. */
async function build({ redis, keys, log }: TaskIndexDeps): Promise<Built> {
  const position = await log.end();
  const table = createTaskTable();
  // a scan of the set returns whatever is in it all the time, however much comes and goes meanwhile
  for (let cursor = '0'; ; ) {
    const [next, found] = await redis.zscan(keys.byCreation, cursor, 'COUNT', BATCH);
    const tasks: NewRow[] = [];
    for (let at = 0; at + 1 < found.length; at += 2)
      tasks.push({ taskId: found[at] ?? '', createdMs: Number(found[at + 1]) });
    for (let at = 0; at < tasks.length; at += BATCH)
      await readRows(redis, keys, table, tasks.slice(at, at + BATCH));
    cursor = next;
    if (cursor === '0') return { table, position };
  }
}

async function apply(
  { redis, keys }: TaskIndexDeps,
  table: TaskTable,
  entries: readonly TaskLogEntry[],
): Promise<void> {
  const latest = new Map<string, TaskLogEntry['state']>();
  for (const { taskId, state } of entries) latest.set(taskId, state);
  const removed = new Set<string>();
  const unknown: string[] = [];
  for (const [taskId, state] of latest) {
    const row = table.get(taskId);
    if (state === 'removed') removed.add(taskId);
    // results that are brought in have no targets before they were read
    else if (!row || isEmpty(row)) unknown.push(taskId);
    else row.state = state;
  }
  table.remove(removed);
  for (let at = 0; at < unknown.length; at += BATCH) {
    const taskIds = unknown.slice(at, at + BATCH);
    const scores = await redis.zmscore(keys.byCreation, ...taskIds);
    const tasks = taskIds.flatMap((taskId, index): NewRow[] => {
      const score = scores[index];
      return score === null || score === undefined ? [] : [{ taskId, createdMs: Number(score) }];
    });
    await readRows(redis, keys, table, tasks);
  }
}

interface NewRow {
  readonly taskId: string;
  readonly createdMs: number;
}

function isEmpty({ targets: { v4, v6, names } }: { targets: ReturnType<typeof compactTargets> }): boolean {
  return v4.length + v6.length + names.length === 0;
}

async function readRows(
  redis: RedisClient,
  keys: Keys,
  table: TaskTable,
  tasks: readonly NewRow[],
): Promise<void> {
  if (tasks.length === 0) return;
  const pipeline = redis.pipeline();
  for (const { taskId } of tasks) pipeline.hmget(keys.record(taskId), ...FIELDS);
  const answers = (await pipeline.exec()) ?? [];
  let turnEndsAt = Date.now() + TURN_MS;
  for (const [index, [error, answer]] of answers.entries()) {
    if (error) throw error;
    const task = tasks[index];
    const [state, pool, principal, scanType, targets] = (answer as (string | null)[]).map(parseText);
    // without a state there is no record: it went in this moment
    if (task && state !== undefined)
      table.put({
        ...task,
        state: state as TaskState,
        pool: pool ?? '',
        principal: principal ?? '',
        scanType: (scanType ?? 'untrusted') as ScanType,
        targets: compactTargets(targets ?? ''),
      });
    if (Date.now() < turnEndsAt) continue;
    await new Promise((resolve) => setImmediate(resolve));
    turnEndsAt = Date.now() + TURN_MS;
  }
}

function parseText(json: string | null): string | undefined {
  const value: unknown = json === null ? undefined : JSON.parse(json);
  return typeof value === 'string' ? value : undefined;
}
