/** Findings by their place: the own part from one table, the part of their plugin from the other, joined again. */
import { setImmediate as breathe } from 'node:timers/promises';
import { LRUCache } from 'lru-cache';
import type { FindingsEngine, Row } from './engine.js';
import type { ResultFacts } from './facts.js';
import { FIELD_BY_NAME, FIELDS, type FieldPlace, placeOf } from './fields.js';
import { type Fields, type Finding, joinFinding } from './finding.js';
import type { Selection } from './selection.js';
import { fromRow, identifier } from './tables.js';

export interface TableFiles {
  readonly findings: string;
  readonly plugins: string;
  readonly hosts: string;
}

/** Fields to read: all that the export has, or these. */
export type WantedFields = readonly string[] | 'all';

/** Findings read at once while an answer is streamed. */
const BATCH = 1_000;
/** Findings handed over before other work gets its turn: writing one out takes some ten microseconds. */
const SLICE = 100;
/** Plugin parts remembered while an answer is streamed. */
const PLUGIN_PARTS = 4_000;

/** Columns of one table that hold the wanted fields; empty when none does. */
function columnsOf(place: FieldPlace, wanted: WantedFields, facts: ResultFacts): string[] {
  const occurring = new Set(facts.fields);
  const extra = new Set(facts.extra_fields);
  const asked = wanted === 'all' ? facts.fields : wanted.filter((name) => occurring.has(name));
  const columns = FIELDS.filter(({ name }) => asked.includes(name) && placeOf(name) === place).map(
    ({ name }) => name,
  );
  if (asked.some((name) => extra.has(name) && (placeOf(name) === place || !FIELD_BY_NAME.has(name))))
    columns.push('extra');
  return columns;
}

export interface FindingReader {
  /** The findings at these places, in this order. */
  at(places: Selection): Promise<Finding[]>;
  /** The same for many, a batch at a time. Fast where places ascend; use `inOrder` for many in another order. */
  stream(places: Selection): AsyncGenerator<Finding>;
  /** Reads rows that a query of one's own gives; they must have the columns of `select`. */
  inOrder(batches: AsyncIterable<Row[]>): AsyncGenerator<Finding>;
  /** Columns of the table of findings that the reader needs. */
  readonly select: string;
}

export function createFindingReader(
  engine: FindingsEngine,
  files: TableFiles,
  facts: ResultFacts,
  wanted: WantedFields,
): FindingReader {
  const own = columnsOf('finding', wanted, facts);
  const shared = columnsOf('plugin', wanted, facts);
  const select = ['ord', 'plugin_ref', ...own].map((name) => `f.${identifier(name)}`).join(', ');
  const parts = new LRUCache<number, Fields>({ max: PLUGIN_PARTS });

  async function pluginParts(refs: readonly number[]): Promise<ReadonlyMap<number, Fields>> {
    const found = new Map<number, Fields>();
    if (shared.length === 0) return found;
    const missing: number[] = [];
    for (const ref of new Set(refs)) {
      const known = parts.get(ref);
      if (known) found.set(ref, known);
      else missing.push(ref);
    }
    if (missing.length === 0) return found;
    const rows = await engine.rows(
      `SELECT plugin_ref, ${shared.map(identifier).join(', ')} FROM read_parquet($plugins) WHERE plugin_ref IN (${missing.join(', ')})`,
      { plugins: files.plugins },
    );
    for (const { plugin_ref: ref, ...row } of rows) {
      const fields = fromRow(row);
      parts.set(Number(ref), fields);
      found.set(Number(ref), fields);
    }
    return found;
  }

  async function join(rows: readonly Row[]): Promise<Finding[]> {
    const plugins = await pluginParts(rows.map((row) => Number(row.plugin_ref)));
    return rows.map(({ ord: _, plugin_ref: ref, ...row }) =>
      joinFinding(fromRow(row), plugins.get(Number(ref)) ?? {}),
    );
  }

  async function at(places: Selection): Promise<Finding[]> {
    if (places.length === 0) return [];
    const rows: Row[] = await engine.rows(
      `SELECT ${select} FROM read_parquet($findings) f WHERE ${placesSql(places)}`,
      { findings: files.findings },
    );
    const byPlace = new Map(rows.map((row) => [Number(row.ord), row]));
    const ordered: Row[] = [];
    for (const place of places) {
      const row = byPlace.get(place);
      if (row) ordered.push(row);
    }
    return await join(ordered);
  }

  return {
    select,
    at,
    async *stream(places) {
      for (let from = 0; from < places.length; from += BATCH)
        yield* inSlices(await at(places.subarray(from, from + BATCH)));
    },
    async *inOrder(batches) {
      for await (const rows of batches) yield* inSlices(await join(rows));
    },
  };
}

async function* inSlices(findings: readonly Finding[]): AsyncGenerator<Finding> {
  for (const [index, finding] of findings.entries()) {
    if (index % SLICE === 0) await breathe();
    yield finding;
  }
}

/** Whole numbers of ours: they stand in the text, so that DuckDB can skip what it need not read. */
function placesSql(places: Selection): string {
  let [first, last] = [places[0] ?? 0, places[0] ?? 0];
  for (const place of places) {
    if (place < first) first = place;
    if (place > last) last = place;
  }
  const range = `f.ord BETWEEN ${first} AND ${last}`;
  return last - first + 1 === places.length ? range : `${range} AND f.ord IN (${places.join(', ')})`;
}
