/**
 * How findings are stored: three Parquet files beside the raw export. `findings` has a row per finding, `plugins` what
 * the findings of a plugin have in common, `hosts` a row per ReportHost with its properties and its verdict.
 */
import { rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { FindingsEngine } from './engine.js';
import { FIELD_BY_NAME, FIELDS, type FieldForm, type FieldPlace, fits, formOf } from './fields.js';
import type { Fields } from './finding.js';

export const TABLES = ['findings', 'plugins', 'hosts'] as const;
export type TableName = (typeof TABLES)[number];

/** File of a table in the directory of a task. */
export function tableFile(table: TableName): string {
  return `${table}.parquet`;
}

const TYPES: Readonly<Record<FieldForm, string>> = {
  text: 'VARCHAR',
  number: 'DOUBLE',
  switch: 'BOOLEAN',
  list: 'VARCHAR[]',
};

const fieldColumns = (place: FieldPlace): [string, string][] =>
  FIELDS.filter((field) => field.place === place).map(({ name, form }) => [name, TYPES[form]]);

/** Columns with their types. `extra` holds, as JSON, fields that nobody knows yet and values that do not fit their column. */
const COLUMNS: Readonly<Record<TableName, readonly (readonly [name: string, type: string])[]>> = {
  findings: [
    // place in the export, from 0
    ['ord', 'INTEGER'],
    ['plugin_ref', 'INTEGER'],
    ['host_no', 'INTEGER'],
    ['host_key', 'VARCHAR'],
    ['ip_key', 'VARCHAR'],
    // severity, port and plugin as numbers; NULL where they are none
    ['level', 'TINYINT'],
    ['port_no', 'INTEGER'],
    ['plugin_no', 'BIGINT'],
    // identifies the check on its host
    ['check_key', 'BIGINT'],
    ...fieldColumns('finding'),
    ['extra', 'JSON'],
  ],
  plugins: [['plugin_ref', 'INTEGER'], ...fieldColumns('plugin'), ['extra', 'JSON']],
  hosts: [
    ['block_no', 'INTEGER'],
    // the same for all blocks of one host
    ['host_no', 'INTEGER'],
    ['host', 'VARCHAR'],
    ['host_key', 'VARCHAR'],
    ['uuid', 'VARCHAR'],
    // what comparisons and lists need of the verdict
    ['alive', 'BOOLEAN'],
    ['incomplete', 'BOOLEAN'],
    ['finished', 'BOOLEAN'],
    ['credentials', 'VARCHAR'],
    ['port_range', 'VARCHAR'],
    ['critical', 'INTEGER'],
    ['high', 'INTEGER'],
    ['medium', 'INTEGER'],
    ['low', 'INTEGER'],
    ['info', 'INTEGER'],
    // the verdict, and every tag of HostProperties as [name, text] in document order
    ['quality', 'JSON'],
    ['properties', 'JSON'],
  ],
};

/** Names in SQL; ours only, a field that somebody asks for is looked up in the table of fields first. */
export function identifier(name: string): string {
  return `"${name.replaceAll('"', '""')}"`;
}

/** Adds fields to a row: what fits goes to its column, everything else to `extra`. */
export function addFields(row: Fields, fields: Readonly<Fields>, onExtra: (field: string) => void): Fields {
  let extra: Fields | undefined;
  for (const name in fields) {
    const value = fields[name];
    if (FIELD_BY_NAME.has(name) && fits(formOf(name), value)) {
      row[name] = value;
    } else {
      extra ??= Object.create(null) as Fields;
      extra[name] = value;
      onExtra(name);
    }
  }
  if (extra) row.extra = extra;
  return row;
}

/** The other way round. */
export function fromRow(row: Readonly<Fields>): Fields {
  const fields: Fields = Object.create(null);
  for (const name in row) {
    const value = row[name];
    if (value !== null && value !== undefined && name !== 'extra') fields[name] = value;
  }
  if (typeof row.extra === 'string') Object.assign(fields, JSON.parse(row.extra) as object);
  return fields;
}

/**
 * Rows that are compressed together. Few, so that little is read for one page and little is held while writing:
 * with 8,192 a million findings are written in 140 MB, with DuckDB's own 122,880 it took over 1 GB.
 */
const ROW_GROUP_ROWS = 8_192;

/**
 * Makes the Parquet file of a table from staged lines of JSON, under a temporary name.
 * @param longestLine bytes of the longest line: the reader reserves memory for it.
 */
export async function writeTable(
  engine: FindingsEngine,
  table: TableName,
  staged: string,
  longestLine: number,
  target: string,
): Promise<void> {
  const columns = COLUMNS[table]
    .map(([name, type]) => `'${name.replaceAll("'", "''")}': '${type}'`)
    .join(', ');
  // a file name cannot be a parameter of COPY; it is a path of ours, quoted all the same
  await engine.rows(
    `COPY (SELECT * FROM read_json($staged, format = 'newline_delimited', auto_detect = false,
       maximum_object_size = ${Math.max(1024 * 1024, longestLine + 1024)}, columns = {${columns}}))
     TO '${target.replaceAll("'", "''")}' (FORMAT parquet, COMPRESSION zstd, ROW_GROUP_SIZE ${ROW_GROUP_ROWS})`,
    { staged },
  );
}

/** Puts finished tables in place of older ones. */
export async function publishTables(taskDir: string, staged: ReadonlyMap<TableName, string>): Promise<void> {
  for (const [table, path] of staged) await rename(path, join(taskDir, tableFile(table)));
}

export async function removeTables(taskDir: string): Promise<void> {
  for (const table of TABLES) await rm(join(taskDir, tableFile(table)), { force: true });
}
