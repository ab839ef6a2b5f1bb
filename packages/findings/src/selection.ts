/** Which findings answer a question, and in which order: found once, then every page of it is a slice. */
import { LRUCache } from 'lru-cache';
import type { FindingsEngine } from './engine.js';
import { placeOf } from './fields.js';
import type { Condition } from './filters.js';
import type { SortPart } from './sort.js';
import { conditionSql, createParams, type ParamList, type Storage, sortSql } from './sql.js';

/** Places (`ord`) of findings in their order; or whatever else was found once, as numbers. */
export type Selection = Int32Array;

/** Remembers selections of files that do not change, within a bound. */
export interface SelectionCache {
  /** @param key names the files, their version and the question. */
  get(key: string, find: () => Promise<Selection>): Promise<Selection>;
}

export function createSelectionCache(maxBytes: number): SelectionCache {
  const kept = new LRUCache<string, Selection>({
    maxSize: maxBytes,
    sizeCalculation: (selection, key) => selection.byteLength + 2 * key.length + 1,
  });
  const running = new Map<string, Promise<Selection>>();
  return {
    async get(key, find) {
      const known = kept.get(key);
      if (known) return known;
      const begun = running.get(key);
      if (begun) return await begun;
      const finding = find();
      running.set(key, finding);
      try {
        const selection = await finding;
        kept.set(key, selection);
        return selection;
      } finally {
        running.delete(key);
      }
    },
  };
}

/** What to find, compiled: everything after `SELECT …`. */
export interface SelectionSql {
  readonly from: string;
  readonly orderBy: string;
  readonly params: ParamList;
}

/** @param files paths of the tables of the task. */
export function selectionSql(
  condition: Condition,
  sort: readonly SortPart[],
  storage: Storage,
  files: { readonly findings: string; readonly plugins: string },
): SelectionSql {
  const params = createParams();
  const where = conditionSql(condition, storage, params);
  const keys = sort.flatMap(({ field, descending }) =>
    sortSql(field, storage, params).map((sql) => `${sql} ${descending ? 'DESC' : 'ASC'} NULLS LAST`),
  );
  const ofPlugins = usesPlugins(condition) || sort.some(({ field }) => placeOf(field) === 'plugin');
  const plugins = ofPlugins
    ? ` JOIN read_parquet(${params.add(files.plugins)}) p ON f.plugin_ref = p.plugin_ref`
    : '';
  return {
    from: `FROM read_parquet(${params.add(files.findings)}) f${plugins} WHERE ${where}`,
    orderBy: `ORDER BY ${[...keys, 'f.ord'].join(', ')}`,
    params,
  };
}

function usesPlugins(condition: Condition): boolean {
  switch (condition.kind) {
    case 'all':
    case 'any':
      return condition.parts.some(usesPlugins);
    case 'not':
      return usesPlugins(condition.part);
    case 'severity':
    case 'hosts':
      return false;
    default:
      return placeOf(condition.field) === 'plugin';
  }
}

export async function select(engine: FindingsEngine, sql: SelectionSql): Promise<Selection> {
  return await engine.integers(`SELECT f.ord ${sql.from} ${sql.orderBy}`, sql.params.values);
}
