/** Looking for findings over many tasks, the newest first: of each host, what its newest task found comes first. */
import {
  type FindingGroup,
  type FoundFinding,
  InvalidRequestError,
  LIMITS,
  SEVERITY_NAMES,
  type SearchAnswer,
  type SearchParams,
} from '@scanmq/contract';
import { decodeCursor, encodeCursor } from './cursor.js';
import type { FindingsEngine } from './engine.js';
import { COMMON_FIELDS } from './fields.js';
import { type Condition, readFilters, readSeverity } from './filters.js';
import type { Finding } from './finding.js';
import type { Results } from './results.js';
import { createFindingReader } from './rows.js';
import { type SelectionCache, select, selectionSql } from './selection.js';

export interface SearchedTask {
  readonly taskId: string;
  readonly completedAt: string | null;
  /** Undefined when the results of the task are no longer stored, or no longer usable. */
  open(): Promise<Results | undefined>;
}

export interface SearchTools {
  readonly engine: FindingsEngine;
  readonly selections: SelectionCache;
  /** Milliseconds, for the time that one answer may take. */
  readonly now?: () => number;
}

/** Groups kept while counting; plugins are some hundred thousand at most. */
const GROUPS = 200_000;
/** Hosts that a group names; it counts them all. */
const GROUP_HOSTS = 5;
const TEXT_FIELDS = ['plugin_name', 'plugin_family', 'synopsis', 'description', 'solution'];
const FOUND_FIELDS = [
  'finding_id',
  'host',
  'port',
  'protocol',
  'plugin_id',
  'plugin_name',
  'plugin_family',
  'severity',
  'cvss_score',
  'cve',
  'exploit_available',
  'synopsis',
];

/**
 * Searches tasks in the order given, the newest first, until the answer is full, or its time is over: then it says
 * so, and how to go on.
 * @throws InvalidRequestError for a severity or cursor that is none.
 */
export async function searchFindings(
  tools: SearchTools,
  tasks: AsyncIterable<SearchedTask>,
  params: SearchParams,
): Promise<SearchAnswer> {
  const condition = conditionOf(params);
  return params.group_by === undefined
    ? await listFindings(tools, tasks, params, condition)
    : await countGroups(tools, tasks, params, condition, params.group_by);
}

function conditionOf(params: SearchParams): Condition {
  const parts: Condition[] = [];
  if (params.host !== undefined) parts.push(readFilters({ host: params.host }, new Set(COMMON_FIELDS)));
  if (params.cve !== undefined) parts.push({ kind: 'text', field: 'cve', text: params.cve });
  if (params.plugin_id !== undefined)
    parts.push({ kind: 'number', field: 'plugin_id', operator: '=', value: Number(params.plugin_id) });
  if (params.text !== undefined) {
    const { text } = params;
    parts.push({ kind: 'any', parts: TEXT_FIELDS.map((field) => ({ kind: 'text', field, text })) });
  }
  if (params.severity !== undefined) parts.push(readSeverity(params.severity, 'severity'));
  if (params.min_cvss !== undefined)
    parts.push({ kind: 'number', field: 'cvss_score', operator: '>=', value: params.min_cvss });
  if (params.exploit_available !== undefined)
    parts.push({ kind: 'is', field: 'exploit_available', value: params.exploit_available });
  return { kind: 'all', parts };
}

/** Which hosts newer tasks have answered for; filled task by task. */
interface Superseded {
  /** Numbers of the hosts of a task that a newer one answers for; then this task counts as newer too. */
  next(results: Results): Promise<ReadonlySet<number>>;
}

function createSuperseded(engine: FindingsEngine): Superseded {
  const answered = new Set<string>();
  return {
    async next(results) {
      const hosts = await engine.rows(
        'SELECT host_no, min(coalesce(uuid, host_key)) AS identity FROM read_parquet($hosts) WHERE alive GROUP BY host_no',
        { hosts: results.files.hosts },
      );
      const superseded = new Set<number>();
      for (const { host_no: no, identity } of hosts) {
        if (answered.has(String(identity))) superseded.add(Number(no));
        else answered.add(String(identity));
      }
      return superseded;
    },
  };
}

async function listFindings(
  tools: SearchTools,
  tasks: AsyncIterable<SearchedTask>,
  params: SearchParams,
  condition: Condition,
): Promise<SearchAnswer> {
  const { engine } = tools;
  const now = tools.now ?? Date.now;
  const giveUpAt = now() + LIMITS.searchMs;
  const { cursor, limit, ...asked } = params;
  const identity = JSON.stringify(asked);
  const start = cursor === undefined ? undefined : readCursor(cursor, identity);
  const superseded = createSuperseded(engine);
  const found: FoundFinding[] = [];
  let reached = start === undefined;
  let searched = 0;
  const answer = (complete: boolean, next: string | null): SearchAnswer => ({
    findings: found,
    groups: [],
    tasks_searched: searched,
    complete,
    next_cursor: next,
  });

  for await (const task of tasks) {
    const results = await task.open();
    if (!results) continue;
    const old = await superseded.next(results);
    reached ||= task.taskId === start?.taskId;
    if (!reached) continue;
    let from = task.taskId === start?.taskId ? start.offset : 0;
    if (searched >= LIMITS.searchTasks || now() > giveUpAt)
      return answer(false, writeCursor(task.taskId, from, identity));
    searched += 1;
    const storage = { extraFields: new Set(results.facts.extra_fields) };
    const sql = selectionSql(condition, [{ field: 'severity', descending: true }], storage, results.files);
    const key = JSON.stringify([
      results.files.findings,
      results.facts.export_bytes,
      sql.from,
      sql.orderBy,
      sql.params.values,
    ]);
    const selection = await tools.selections.get(key, () => select(engine, sql));
    const reader = createFindingReader(engine, results.files, results.facts, FOUND_FIELDS);
    while (from < selection.length) {
      if (found.length >= limit) return answer(false, writeCursor(task.taskId, from, identity));
      const places = selection.slice(from, from + limit - found.length);
      const numbers = await hostNumbers(engine, results, places);
      for (const [index, finding] of (await reader.at(places)).entries()) {
        const isLatest = !old.has(numbers.get(places[index] ?? -1) ?? -1);
        if (isLatest || params.latest !== true) found.push(toFound(task, finding, isLatest));
      }
      from += places.length;
    }
  }
  return answer(true, null);
}

async function hostNumbers(
  engine: FindingsEngine,
  results: Results,
  places: Int32Array,
): Promise<ReadonlyMap<number, number>> {
  const rows = await engine.rows(
    `SELECT ord, host_no FROM read_parquet($findings) WHERE ord IN (${places.join(', ')})`,
    { findings: results.files.findings },
  );
  return new Map(rows.map((row) => [Number(row.ord), Number(row.host_no)]));
}

function toFound(task: SearchedTask, finding: Finding, isLatest: boolean): FoundFinding {
  const text = (name: string): string => String(finding[name] ?? '');
  return {
    task_id: task.taskId,
    completed_at: task.completedAt,
    is_latest: isLatest,
    finding_id: text('finding_id'),
    host: text('host'),
    port: text('port'),
    protocol: text('protocol'),
    plugin_id: text('plugin_id'),
    plugin_name: text('plugin_name'),
    plugin_family: text('plugin_family'),
    severity: text('severity'),
    cvss_score: typeof finding.cvss_score === 'number' ? finding.cvss_score : null,
    cve: Array.isArray(finding.cve) ? finding.cve.map(String) : [],
    exploit_available: typeof finding.exploit_available === 'boolean' ? finding.exploit_available : null,
    synopsis: text('synopsis'),
  };
}

type GroupBy = NonNullable<SearchParams['group_by']>;

const GROUP_KEYS: Readonly<Record<GroupBy, string>> = {
  plugin: 'f.plugin_id',
  host: 'f.host',
  severity: 'CAST(coalesce(f.level, 0) AS VARCHAR)',
};

/** Counts what is true now: each host counts with its newest task only, so that nothing counts twice. */
async function countGroups(
  tools: SearchTools,
  tasks: AsyncIterable<SearchedTask>,
  params: SearchParams,
  condition: Condition,
  groupBy: GroupBy,
): Promise<SearchAnswer> {
  const { engine } = tools;
  const now = tools.now ?? Date.now;
  const giveUpAt = now() + LIMITS.searchMs;
  const superseded = createSuperseded(engine);
  const groups = new Map<string, FindingGroup>();
  let searched = 0;
  let complete = true;
  for await (const task of tasks) {
    const results = await task.open();
    if (!results) continue;
    if (searched >= LIMITS.searchTasks || now() > giveUpAt || groups.size >= GROUPS) {
      complete = false;
      break;
    }
    searched += 1;
    const old = [...(await superseded.next(results))];
    const storage = { extraFields: new Set(results.facts.extra_fields) };
    const { from, params: values } = selectionSql(condition, [], storage, results.files);
    const rows = await engine.rows(
      `SELECT ${GROUP_KEYS[groupBy]} AS key, coalesce(max(f.level), 0) AS level, min(f.plugin_ref) AS plugin_ref,
         count(*) AS findings, count(DISTINCT f.host_no) AS hosts,
         ${groupBy === 'plugin' ? `CAST(to_json(list_slice(list_sort(list(DISTINCT f.host)), 1, ${GROUP_HOSTS})) AS VARCHAR)` : "'[]'"} AS examples
       ${from}${old.length > 0 ? ` AND f.host_no NOT IN (${old.join(', ')})` : ''} GROUP BY ALL`,
      values.values,
    );
    const names =
      groupBy === 'plugin'
        ? await pluginNames(
            engine,
            results,
            rows.map((row) => Number(row.plugin_ref)),
          )
        : undefined;
    for (const row of rows) {
      const key = String(row.key ?? '');
      const known = groups.get(key);
      groups.set(key, {
        key,
        name:
          groupBy === 'severity'
            ? (SEVERITY_NAMES[Number(key)] ?? null)
            : (known?.name ?? names?.get(Number(row.plugin_ref)) ?? null),
        severity: String(Math.max(Number(known?.severity ?? 0), Number(row.level))),
        findings: (known?.findings ?? 0) + Number(row.findings),
        hosts: (known?.hosts ?? 0) + Number(row.hosts),
        host_examples: [
          ...new Set([...(known?.host_examples ?? []), ...(JSON.parse(String(row.examples)) as string[])]),
        ].slice(0, GROUP_HOSTS),
      });
    }
  }
  const { cursor, limit, ...asked } = params;
  const identity = JSON.stringify(asked);
  const from = cursor === undefined ? 0 : decodeCursor(cursor, identity);
  const sorted = [...groups.values()].sort(
    (a, b) =>
      Number(b.severity) - Number(a.severity) ||
      b.findings - a.findings ||
      (a.key < b.key ? -1 : a.key > b.key ? 1 : 0),
  );
  return {
    findings: [],
    groups: sorted.slice(from, from + limit),
    tasks_searched: searched,
    complete: complete && from + limit >= sorted.length,
    next_cursor: from + limit < sorted.length ? encodeCursor(from + limit, identity) : null,
  };
}

async function pluginNames(
  engine: FindingsEngine,
  results: Results,
  refs: readonly number[],
): Promise<ReadonlyMap<number, string>> {
  if (refs.length === 0) return new Map();
  const rows = await engine.rows(
    `SELECT plugin_ref, plugin_name FROM read_parquet($plugins) WHERE plugin_ref IN (${refs.join(', ')})`,
    { plugins: results.files.plugins },
  );
  return new Map(rows.map((row) => [Number(row.plugin_ref), String(row.plugin_name ?? '')]));
}

/** A cursor of a search names a task and a place in it. */
function writeCursor(taskId: string, offset: number, identity: string): string {
  return `${taskId}.${encodeCursor(offset, `${taskId} ${identity}`)}`;
}

function readCursor(cursor: string, identity: string): { taskId: string; offset: number } {
  const [taskId = '', rest = ''] = cursor.split('.');
  if (rest === '')
    throw new InvalidRequestError('The cursor is not one of ours.', [
      { path: 'cursor', message: 'expected the next_cursor of an earlier answer' },
    ]);
  return { taskId, offset: decodeCursor(rest, `${taskId} ${identity}`) };
}
