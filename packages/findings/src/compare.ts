/**
 * What changed between two scans. A finding that is gone counts as fixed only if its host answered and the same kind of
 * check ran again; otherwise nobody can say, and it is `not_retested`.
 */
import {
  type Comparison,
  type ComparisonCounts,
  type ComparisonItem,
  type ComparisonQuery,
  type ComparisonStatus,
  NOT_RETESTED_REASONS,
  type NotRetestedReason,
  SEVERITY_NAMES,
} from '@scanmq/contract';
import { decodeCursor, encodeCursor } from './cursor.js';
import type { FindingsEngine, Params } from './engine.js';
import { readSeverity } from './filters.js';
import type { Finding } from './finding.js';
import { portsOf } from './port-range.js';
import type { Results } from './results.js';
import { createFindingReader, type FindingReader } from './rows.js';
import type { SelectionCache } from './selection.js';

/** In the order in which items are listed: what calls for action first. */
const ORDER: readonly ComparisonStatus[] = ['new', 'changed_severity', 'fixed', 'not_retested', 'persisting'];

/** One compared finding takes these many numbers: status, reason, place in base and in head, level in base and in head. */
const WIDTH = 6;
const NONE = -1;

export interface ComparedTask {
  readonly taskId: string;
  readonly results: Results;
}

export interface ComparisonTools {
  readonly engine: FindingsEngine;
  readonly selections: SelectionCache;
}

/** @throws InvalidRequestError for a severity or cursor that is none. */
export async function compareResults(
  tools: ComparisonTools,
  base: ComparedTask,
  head: ComparedTask,
  query: ComparisonQuery,
): Promise<Comparison> {
  const compared = await difference(tools, base, head);
  const matches = matcher(query);
  const identity = JSON.stringify([
    base.taskId,
    head.taskId,
    query.severity ?? '',
    query.status ?? '',
    query.limit,
  ]);
  const from = query.cursor === undefined ? 0 : decodeCursor(query.cursor, identity);
  const places: number[] = [];
  let seen = 0;
  for (let at = 0; at < compared.length; at += WIDTH) {
    if (!matches(compared, at)) continue;
    if (seen >= from && places.length < query.limit) places.push(at);
    seen += 1;
  }
  return {
    base_task_id: base.taskId,
    head_task_id: head.taskId,
    ...count(compared, matches),
    items: await describe(tools.engine, base, head, compared, places),
    next_cursor: from + places.length < seen ? encodeCursor(from + places.length, identity) : null,
    base_quality: base.results.facts.quality,
    head_quality: head.results.facts.quality,
  };
}

/** The items of a comparison in their order, as they are needed. @param most how many at most. Throws as `compareResults`. */
export async function* comparisonItems(
  tools: ComparisonTools,
  base: ComparedTask,
  head: ComparedTask,
  query: Pick<ComparisonQuery, 'severity' | 'status'>,
  most = Number.POSITIVE_INFINITY,
): AsyncGenerator<ComparisonItem> {
  const compared = await difference(tools, base, head);
  const matches = matcher(query);
  let places: number[] = [];
  let seen = 0;
  for (let at = 0; at < compared.length; at += WIDTH) {
    if (!matches(compared, at)) continue;
    places.push(at);
    seen += 1;
    if (seen >= most) break;
    if (places.length < BATCH) continue;
    yield* await describe(tools.engine, base, head, compared, places);
    places = [];
  }
  yield* await describe(tools.engine, base, head, compared, places);
}

/** A finding of the newer scan that the older one lacks, or has with a lower severity. */
export interface FreshFinding {
  readonly place: number;
  readonly raised: boolean;
}

/** What is new to somebody who knows the older scan. What was not tested again is not. */
export async function freshFindings(
  tools: ComparisonTools,
  base: ComparedTask,
  head: ComparedTask,
): Promise<FreshFinding[]> {
  const compared = await difference(tools, base, head);
  const [isNew, changed] = [statusNumber('new'), statusNumber('changed_severity')];
  const fresh: FreshFinding[] = [];
  for (let at = 0; at < compared.length; at += WIDTH) {
    const raised =
      compared[at] === changed && Math.max(0, compared[at + 5] ?? 0) > Math.max(0, compared[at + 4] ?? 0);
    if (compared[at] === isNew || raised) fresh.push({ place: compared[at + 3] ?? NONE, raised });
  }
  return fresh;
}

/** Items described at once. */
const BATCH = 1_000;

function matcher(
  query: Pick<ComparisonQuery, 'severity' | 'status'>,
): (compared: Int32Array, at: number) => boolean {
  const severity = query.severity === undefined ? undefined : readSeverity(query.severity, 'severity');
  const status = query.status === undefined ? undefined : ORDER.indexOf(query.status);
  return (compared, at) => {
    if (status !== undefined && compared[at] !== status) return false;
    if (severity?.kind !== 'severity') return true;
    const level = levelAt(compared, at);
    switch (severity.operator) {
      case '>':
        return level > severity.level;
      case '>=':
        return level >= severity.level;
      case '<':
        return level < severity.level;
      case '<=':
        return level <= severity.level;
      case '=':
        return level === severity.level;
    }
  };
}

/** In the newer scan where it is there; an unknown severity counts as info. */
function levelAt(compared: Int32Array, at: number): number {
  const inHead = (compared[at + 3] ?? NONE) >= 0;
  return Math.max(0, compared[at + (inHead ? 5 : 4)] ?? 0);
}

function noCounts(): ComparisonCounts {
  return { new: 0, fixed: 0, persisting: 0, changed_severity: 0, not_retested: 0 };
}

/** Counts of what matches, so that they belong to the items. */
function count(
  compared: Int32Array,
  matches: (compared: Int32Array, at: number) => boolean,
): Pick<Comparison, 'counts' | 'by_severity'> {
  const counts = noCounts();
  const bySeverity = Object.fromEntries(SEVERITY_NAMES.map((name) => [name, noCounts()])) as Record<
    (typeof SEVERITY_NAMES)[number],
    ComparisonCounts
  >;
  for (let at = 0; at < compared.length; at += WIDTH) {
    if (!matches(compared, at)) continue;
    const status = ORDER[compared[at] ?? 0] ?? 'new';
    counts[status] += 1;
    bySeverity[SEVERITY_NAMES[levelAt(compared, at)] ?? 'info'][status] += 1;
  }
  return { counts, by_severity: bySeverity };
}

const ITEM_FIELDS = [
  'finding_id',
  'host',
  'plugin_id',
  'plugin_name',
  'plugin_family',
  'port',
  'protocol',
  'severity',
  'cvss_score',
] as const;

async function describe(
  engine: FindingsEngine,
  base: ComparedTask,
  head: ComparedTask,
  compared: Int32Array,
  places: readonly number[],
): Promise<ComparisonItem[]> {
  const readers = [base, head].map(({ results }) =>
    createFindingReader(engine, results.files, results.facts, ITEM_FIELDS),
  );
  const [inBase, inHead] = await Promise.all(
    readers.map((reader, side) => findingsAt(reader, compared, places, side === 0 ? 2 : 3)),
  );
  return places.map((at) => {
    const before = inBase?.get(compared[at + 2] ?? NONE);
    const after = inHead?.get(compared[at + 3] ?? NONE);
    const shown: Finding = after ?? before ?? { type: 'vulnerability' };
    const reason = compared[at + 1] ?? NONE;
    return {
      status: ORDER[compared[at] ?? 0] ?? 'new',
      reason: reason < 0 ? null : (NOT_RETESTED_REASONS[reason] ?? null),
      finding_id: String(shown.finding_id),
      host: String(shown.host ?? ''),
      plugin_id: String(shown.plugin_id ?? ''),
      plugin_name: String(shown.plugin_name ?? ''),
      plugin_family: String(shown.plugin_family ?? ''),
      port: Number(shown.port) || 0,
      protocol: String(shown.protocol ?? ''),
      severity: String(shown.severity ?? ''),
      base_severity: before ? String(before.severity ?? '') : null,
      head_severity: after ? String(after.severity ?? '') : null,
      cvss_score: typeof shown.cvss_score === 'number' ? shown.cvss_score : null,
    };
  });
}

async function findingsAt(
  reader: FindingReader,
  compared: Int32Array,
  places: readonly number[],
  column: number,
): Promise<ReadonlyMap<number, Finding>> {
  const ords = places.map((at) => compared[at + column] ?? NONE).filter((ord) => ord >= 0);
  const findings = await reader.at(Int32Array.from(ords));
  return new Map(ords.map((ord, index) => [ord, findings[index] ?? { type: 'vulnerability' }]));
}

const reasonNumber = (reason: NotRetestedReason): number => NOT_RETESTED_REASONS.indexOf(reason);
const statusNumber = (status: ComparisonStatus): number => ORDER.indexOf(status);

/**
 * Compares two tasks; remembered for the next page.
 *
 * Hosts are the same when both exports tell their `host-uuid` and it is equal, or when their names are equal and not
 * both tell one. Findings are the same when host, plugin, port, protocol and compliance check are, and the count of
 * the repeat (`check_key`).
 */
async function difference(
  { engine, selections }: ComparisonTools,
  base: ComparedTask,
  head: ComparedTask,
): Promise<Int32Array> {
  const version = ({ results: { facts } }: ComparedTask): string =>
    `${facts.export_bytes}:${facts.table_bytes.findings}`;
  const key = JSON.stringify(['compare', base.taskId, version(base), head.taskId, version(head)]);
  return await selections.get(key, () =>
    engine.session(async (session) => {
      const run = async (sql: string, params?: Params): Promise<void> =>
        void (await session.rows(sql, params));
      const baseFiles = base.results.files;
      const headFiles = head.results.files;
      await run(hostsSql('base_hosts'), { hosts: baseFiles.hosts });
      await run(hostsSql('head_hosts'), { hosts: headFiles.hosts });
      await run(PAIRS_SQL);
      await run('CREATE TEMP TABLE covered (range VARCHAR, first INTEGER, last INTEGER)');
      const ranges = await session.rows(
        'SELECT DISTINCT port_range FROM head_hosts WHERE port_range IS NOT NULL',
      );
      for (const { port_range: range } of ranges)
        for (const [first, last] of portsOf(String(range)) ?? [])
          await run('INSERT INTO covered VALUES ($range, $first, $last)', {
            range: String(range),
            first,
            last,
          });
      await run('CREATE TEMP TABLE families (name VARCHAR, status VARCHAR)');
      for (const [name, status] of Object.entries(head.results.facts.families))
        await run('INSERT INTO families VALUES ($name, $status)', { name, status });
      await run(
        `CREATE TEMP TABLE ran AS
           SELECT DISTINCT plugin_id, plugin_family FROM (
             SELECT DISTINCT plugin_id, plugin_ref FROM read_parquet($findings)
           ) JOIN read_parquet($plugins) USING (plugin_ref)`,
        { findings: headFiles.findings, plugins: headFiles.plugins },
      );
      await run("CREATE TEMP TABLE enabled AS SELECT unnest(string_split($plugins, ',')) AS plugin_id", {
        plugins: head.results.facts.enabled_plugins.join(','),
      });
      const findings = { base_findings: baseFiles.findings, head_findings: headFiles.findings };
      await run(MATCHED_SQL, findings);
      await run(RERUN_SQL, {
        base_findings: baseFiles.findings,
        base_plugins: baseFiles.plugins,
        knows_families: Object.keys(head.results.facts.families).length > 0,
      });
      await run(PORTS_SQL, { head_findings: headFiles.findings });
      return await session.integers(DIFFERENCE_SQL, {
        stopped_early: head.results.facts.quality.stopped_early,
      });
    }),
  );
}

/** One row per host, over all its blocks. */
function hostsSql(table: string): string {
  return `CREATE TEMP TABLE ${table} AS
    SELECT host_no, min(lower(host)) AS name, min(uuid) AS uuid, bool_or(alive) AS alive,
      bool_or(incomplete) AS incomplete, bool_or(finished) AS finished, min(port_range) AS port_range,
      max(CASE credentials WHEN 'success' THEN 2 WHEN 'partial' THEN 1 ELSE 0 END) AS login
    FROM read_parquet($hosts) GROUP BY host_no`;
}

const PAIRS_SQL = `CREATE TEMP TABLE pairs AS
  WITH by_uuid AS (
    SELECT b.host_no AS base_no, min(h.host_no) AS head_no
    FROM base_hosts b JOIN head_hosts h ON b.uuid = h.uuid GROUP BY b.host_no
  ), by_name AS (
    SELECT b.host_no AS base_no, min(h.host_no) AS head_no
    FROM base_hosts b JOIN head_hosts h ON b.name = h.name
    WHERE (b.uuid IS NULL OR h.uuid IS NULL)
      AND b.host_no NOT IN (SELECT base_no FROM by_uuid) AND h.host_no NOT IN (SELECT head_no FROM by_uuid)
    GROUP BY b.host_no
  )
  SELECT * FROM by_uuid UNION ALL
  -- several hosts of one name cannot all be the same one
  SELECT min(base_no), head_no FROM by_name GROUP BY head_no`;

const MATCHED_SQL = `CREATE TEMP TABLE matched AS
  WITH old AS (
    SELECT f.ord, f.level, f.check_key, f.port_no, f.plugin_ref, f.host_no, p.head_no
    FROM read_parquet($base_findings) f LEFT JOIN pairs p ON f.host_no = p.base_no
  )
  SELECT o.ord AS base_ord, h.ord AS head_ord, o.level AS base_level, h.level AS head_level,
    o.host_no AS base_no, o.head_no, o.port_no, o.plugin_ref
  FROM old o FULL JOIN (SELECT ord, level, check_key, host_no FROM read_parquet($head_findings)) h
    ON o.head_no = h.host_no AND o.check_key = h.check_key`;

/** Whether the checks of a plugin ran in the newer scan; by plugin, because findings are many and plugins few. */
const RERUN_SQL = `CREATE TEMP TABLE rerun AS
  SELECT p.plugin_ref,
    CASE
      WHEN NOT $knows_families THEN p.plugin_family IN (SELECT plugin_family FROM ran)
      WHEN f.status = 'enabled' THEN true
      WHEN f.status IN ('mixed', 'partial') THEN
        b.plugin_id IN (SELECT plugin_id FROM enabled) OR b.plugin_id IN (SELECT plugin_id FROM ran)
      ELSE false
    END AS ran
  FROM (SELECT plugin_ref, min(plugin_id) AS plugin_id FROM read_parquet($base_findings) GROUP BY plugin_ref) b
  JOIN read_parquet($base_plugins) p USING (plugin_ref)
  LEFT JOIN families f ON f.name = p.plugin_family`;

/** Whether a port of a host was looked at in the newer scan: named by its range, or something was found on it. */
const PORTS_SQL = `CREATE TEMP TABLE looked_at AS
  WITH wanted AS (
    SELECT DISTINCT m.head_no, m.port_no, h.port_range
    FROM matched m JOIN head_hosts h ON h.host_no = m.head_no
    WHERE m.head_ord IS NULL AND m.port_no > 0
  ), named AS (
    SELECT DISTINCT w.port_range, w.port_no
    FROM (SELECT DISTINCT port_range, port_no FROM wanted) w
    JOIN covered c ON c.range = w.port_range AND w.port_no BETWEEN c.first AND c.last
  )
  SELECT head_no, port_no FROM wanted SEMI JOIN named USING (port_range, port_no)
  UNION
  SELECT DISTINCT host_no, port_no FROM read_parquet($head_findings)`;

/** Status and reason as numbers of ORDER and NOT_RETESTED_REASONS; rows in the order in which they are listed. */
const DIFFERENCE_SQL = `
  WITH judged AS (
    SELECT m.base_ord, m.head_ord, m.base_level, m.head_level,
      CASE
        WHEN m.base_ord IS NULL OR m.head_ord IS NOT NULL THEN NULL
        WHEN m.head_no IS NULL THEN ${reasonNumber('host_absent')}
        WHEN NOT h.alive THEN ${reasonNumber('host_silent')}
        WHEN h.incomplete THEN ${reasonNumber('host_incomplete')}
        WHEN $stopped_early AND NOT h.finished THEN ${reasonNumber('scan_stopped_early')}
        WHEN h.login < b.login THEN ${reasonNumber('credentials_lower')}
        WHEN NOT coalesce(r.ran, false) THEN ${reasonNumber('family_not_enabled')}
        WHEN coalesce(m.port_no, 0) > 0 AND h.port_range IS DISTINCT FROM b.port_range AND l.head_no IS NULL
          THEN ${reasonNumber('port_not_covered')}
      END AS reason
    FROM matched m
    LEFT JOIN base_hosts b ON b.host_no = m.base_no
    LEFT JOIN head_hosts h ON h.host_no = m.head_no
    LEFT JOIN rerun r ON r.plugin_ref = m.plugin_ref
    LEFT JOIN looked_at l ON l.head_no = m.head_no AND l.port_no = m.port_no
  )
  SELECT CASE
      WHEN base_ord IS NULL THEN ${statusNumber('new')}
      WHEN head_ord IS NULL THEN
        CASE WHEN reason IS NULL THEN ${statusNumber('fixed')} ELSE ${statusNumber('not_retested')} END
      WHEN base_level IS DISTINCT FROM head_level THEN ${statusNumber('changed_severity')}
      ELSE ${statusNumber('persisting')}
    END AS status, reason, base_ord, head_ord, base_level, head_level
  FROM judged
  ORDER BY status, coalesce(head_level, base_level) DESC NULLS LAST, head_ord NULLS LAST, base_ord`;
