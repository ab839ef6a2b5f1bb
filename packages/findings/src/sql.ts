/** Questions about findings in SQL. Values are parameters always; what stands in the text comes from our own tables. */
import type { Params } from './engine.js';
import { FIELD_BY_NAME, type FieldPlace, formOf, placeOf } from './fields.js';
import type { Condition } from './filters.js';
import { identifier } from './tables.js';

/** Collects the values of one statement under names of our own. */
export interface ParamList {
  /** @returns how it is named in the SQL. */
  add(value: string | number | boolean): string;
  readonly values: Params;
}

export function createParams(): ParamList {
  const values: Record<string, string | number | boolean> = {};
  let count = 0;
  return {
    values,
    add(value) {
      const name = `v${count}`;
      count += 1;
      values[name] = value;
      return `$${name}`;
    },
  };
}

/** Letters under which the two tables of a task stand in every statement. */
const ALIAS: Readonly<Record<FieldPlace, string>> = { finding: 'f', plugin: 'p' };

/** How the value of a field is found: in a column of its own, or (also) in the JSON of `extra`. */
type Source =
  | { readonly kind: 'text' | 'number' | 'switch' | 'list'; readonly sql: string }
  | { readonly kind: 'json'; readonly sql: string };

/** What of a field is outside of its column differs between exports. */
export interface Storage {
  /** Fields with values in `extra`. */
  readonly extraFields: ReadonlySet<string>;
}

function sourceOf(field: string, storage: Storage, params: ParamList): Source {
  const alias = ALIAS[placeOf(field)];
  const column = FIELD_BY_NAME.has(field) ? `${alias}.${identifier(field)}` : undefined;
  if (column !== undefined && !storage.extraFields.has(field)) return { kind: formOf(field), sql: column };
  // a JSON pointer (RFC 6901)
  const pointer = params.add(`/${field.replaceAll('~', '~0').replaceAll('/', '~1')}`);
  const extra = `json_extract(${alias}.extra, ${pointer})`;
  return {
    kind: 'json',
    sql: column === undefined ? extra : `coalesce(${extra}, to_json(${column}))`,
  };
}

/** A condition as an expression that is true or false, never NULL, so that NOT means the opposite. */
export function conditionSql(condition: Condition, storage: Storage, params: ParamList): string {
  switch (condition.kind) {
    case 'all':
    case 'any': {
      if (condition.parts.length === 0) return condition.kind === 'all' ? 'true' : 'false';
      const parts = condition.parts.map((part) => conditionSql(part, storage, params));
      return `(${parts.join(condition.kind === 'all' ? ' AND ' : ' OR ')})`;
    }
    case 'not':
      return `(NOT ${conditionSql(condition.part, storage, params)})`;
    case 'severity':
      return known(`f.level ${condition.operator} ${params.add(condition.level)}`);
    case 'hosts': {
      const [first, last] = [params.add(condition.first), params.add(condition.last)];
      return known(
        `f.host_key BETWEEN ${first} AND ${last} OR coalesce(f.ip_key BETWEEN ${first} AND ${last}, false)`,
      );
    }
    case 'missing': {
      const { sql } = sourceOf(condition.field, storage, params);
      return `(${sql} IS NULL)`;
    }
    case 'given': {
      const { kind, sql } = sourceOf(condition.field, storage, params);
      if (kind === 'json') return known(`len(list_filter(${elements(sql)}, lambda one: one <> '')) > 0`);
      return kind === 'text' ? known(`trim(${sql}) <> ''`) : `(${sql} IS NOT NULL)`;
    }
    case 'is': {
      const source = sourceOf(condition.field, storage, params);
      if (source.kind === 'switch') return known(`${source.sql} = ${params.add(condition.value)}`);
      return source.kind === 'json'
        ? known(`CAST(${source.sql} AS VARCHAR) = ${params.add(String(condition.value))}`)
        : 'false';
    }
    case 'number':
      return numberSql(condition, storage, params);
    case 'text':
      return textSql(condition, storage, params);
  }
}

/** Fields of text that hold whole numbers, with the columns where they stand as numbers. */
const NUMBER_COLUMNS: Readonly<Record<string, string>> = { port: 'f.port_no', plugin_id: 'f.plugin_no' };

function numberSql(
  { field, operator, value }: Extract<Condition, { kind: 'number' }>,
  storage: Storage,
  params: ParamList,
): string {
  const own = NUMBER_COLUMNS[field];
  const source =
    own === undefined ? sourceOf(field, storage, params) : ({ kind: 'number', sql: own } as const);
  // DuckDB refuses a parameter that stands nowhere
  if (source.kind === 'switch') return 'false';
  const operand = params.add(value);
  const one = (sql: string): string => `${asNumber(sql)} ${operator} ${operand}`;
  switch (source.kind) {
    case 'number':
      return known(`${source.sql} ${operator} ${operand}`);
    case 'text':
      return known(one(source.sql));
    case 'list':
      return anyElement(source.sql, one);
    case 'json':
      return anyElement(elements(source.sql), one);
  }
}

function textSql(
  { field, text }: Extract<Condition, { kind: 'text' }>,
  storage: Storage,
  params: ParamList,
): string {
  const source = sourceOf(field, storage, params);
  const wanted = `lower(${params.add(text)})`;
  const one = (sql: string): string => `contains(lower(${sql}), ${wanted})`;
  switch (source.kind) {
    case 'text':
      return known(one(source.sql));
    case 'number':
      return known(one(numberText(source.sql)));
    case 'switch':
      return known(one(`CAST(${source.sql} AS VARCHAR)`));
    case 'list':
      return anyElement(source.sql, one);
    case 'json':
      return anyElement(elements(source.sql), one);
  }
}

/** NULL counts as false. */
function known(sql: string): string {
  return `coalesce(${sql}, false)`;
}

function anyElement(list: string, test: (sql: string) => string): string {
  return known(`len(list_filter(${list}, lambda one: coalesce(${test('one')}, false))) > 0`);
}

/** The texts of a JSON value: of each element of a list, or of the one that it is. */
function elements(json: string): string {
  return `CASE json_type(${json}) WHEN 'ARRAY' THEN json_extract_string(${json}, '$[*]') ELSE [json_extract_string(${json}, '$')] END`;
}

/** As `numberIn` reads it. */
function asNumber(sql: string): string {
  return `CASE WHEN regexp_full_match(trim(${sql}, ' \t\r\n'), '[+-]?([0-9]+([.][0-9]*)?|[.][0-9]+)([eE][+-]?[0-9]{1,3})?') THEN TRY_CAST(trim(${sql}, ' \t\r\n') AS DOUBLE) END`;
}

/** A number as JavaScript and the export write it: 7 and not 7.0. */
function numberText(sql: string): string {
  return `CASE WHEN ${sql} = trunc(${sql}) AND abs(${sql}) < 1e15 THEN CAST(CAST(${sql} AS BIGINT) AS VARCHAR) ELSE CAST(${sql} AS VARCHAR) END`;
}

/** Texts longer than this are equal for sorting. */
const SORTED_CHARS = 200;

/** Expressions by which a field sorts, one after the other; a missing value is NULL. */
export function sortSql(field: string, storage: Storage, params: ParamList): readonly string[] {
  if (field === 'severity') return ['f.level'];
  if (field === 'host') return ['f.host_key'];
  if (field === 'host_ip') return ['f.ip_key'];
  const text = (sql: string): string => `nullif(left(lower(${sql}), ${SORTED_CHARS}), '')`;
  const source = sourceOf(field, storage, params);
  const own = NUMBER_COLUMNS[field];
  if (own !== undefined) return [own, text(source.sql)];
  switch (source.kind) {
    case 'number':
    case 'switch':
      return [source.sql];
    case 'text':
      return [text(source.sql)];
    case 'list':
      return [text(`${source.sql}[1]`)];
    case 'json': {
      // numbers before texts, as in a column of numbers
      const first = `(${elements(source.sql)})[1]`;
      return formOf(field) === 'number' ? [asNumber(first), text(first)] : [text(first)];
    }
  }
}
