import { stringify } from 'csv-stringify/sync';
import type { RenderInput } from '../render-input.js';
import { cleanText } from './clean-text.js';
import { inChunks } from './in-chunks.js';

export interface CsvOptions {
  /** Begins with U+FEFF, by which Excel knows UTF-8. Off, because other readers take it for a part of the first header. */
  readonly byteOrderMark?: boolean;
  /** Findings of a simulator get a column more, `simulator`. */
  readonly markSimulator?: boolean;
}

/** Rows are formatted together: one by one costs more than the writing. */
const ROWS = 200;

/**
 * One row per finding under a header row (RFC 4180: CRLF between rows, quotes where needed; inside a cell a line ends with LF).
 * Lists are joined by `; `; a field that a finding lacks is an empty cell. A text that a spreadsheet would run as a formula
 * gets an apostrophe in front (`=`, `+`, `-`, `@`, tab and their full-width forms); numbers stay numbers, negative ones too.
 * @param fields columns, in order.
 */
export function writeCsv(
  input: RenderInput,
  fields: readonly string[],
  options: CsvOptions = {},
): AsyncIterable<string> {
  return inChunks(csvRows(input, fields, options));
}

async function* csvRows(
  input: RenderInput,
  fields: readonly string[],
  options: CsvOptions,
): AsyncGenerator<string> {
  const marked = options.markSimulator === true && input.task.simulator && !fields.includes('simulator');
  const format = (rows: (string | number)[][]): string =>
    stringify(rows, {
      record_delimiter: '\r\n',
      quote_record_delimiter: true,
      escape_formulas: true,
      // a row of one empty cell would be an empty line, which readers skip
      quoted_empty: fields.length + Number(marked) === 1,
    });
  if (options.byteOrderMark) yield '\ufeff';
  let rows: (string | number)[][] = [[...fields, ...(marked ? ['simulator'] : [])].map(csvCell)];
  for await (const finding of input.findings()) {
    rows.push([...fields.map((field) => csvCell(finding[field])), ...(marked ? ['true'] : [])]);
    if (rows.length < ROWS) continue;
    yield format(rows);
    rows = [];
  }
  yield format(rows);
}

function csvCell(value: unknown): string | number {
  if (value === undefined || value === null) return '';
  if (typeof value === 'number') return value;
  if (Array.isArray(value)) return value.map((part) => String(csvCell(part))).join('; ');
  return cleanText(typeof value === 'object' ? JSON.stringify(value) : String(value));
}
