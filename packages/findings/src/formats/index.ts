/** Formats for other programs that the findings of a scan can be had in; our own answers are lines of JSON (`results.ts`). */
import type { SeverityName } from '@scanmq/contract';
import type { RenderInput } from '../render-input.js';
import { writeCodeQuality } from './code-quality.js';
import { writeCsv } from './csv.js';
import { writeDefectDojo } from './defectdojo.js';
import { writeJunit } from './junit.js';
import { writeSarif } from './sarif.js';

export const FORMAT_NAMES = ['csv', 'sarif', 'junit', 'code-quality', 'defectdojo'] as const;
export type FormatName = (typeof FORMAT_NAMES)[number];

/** What formats can be told; each takes what it knows. */
export interface FormatOptions {
  /** Columns of `csv`; `CSV_FIELDS` when left out. The other formats decide themselves. */
  readonly fields?: readonly string[];
  /** Severity from which on a finding is a failure in `junit`; high when left out. */
  readonly failOn?: SeverityName;
  /** Version of scanmq, for `sarif`. */
  readonly version: string;
}

export interface Format {
  /** For `Content-Type`. */
  readonly mediaType: string;
  /** Of a file's name, without the dot in front. */
  readonly extension: string;
  /** Writes all findings in chunks of text, to be sent as UTF-8; throws what reading the findings throws. */
  write(input: RenderInput, options: FormatOptions): AsyncIterable<string>;
}

/** Columns of a table that nobody has said more about: what it is, where, how bad, what to do. */
export const CSV_FIELDS: readonly string[] = [
  'finding_id',
  'host',
  'protocol',
  'port',
  'svc_name',
  'severity',
  'cvss_score',
  'plugin_id',
  'plugin_name',
  'plugin_family',
  'cve',
  'exploit_available',
  'synopsis',
  'description',
  'solution',
  'see_also',
];

export const FORMATS: Readonly<Record<FormatName, Format>> = {
  csv: {
    mediaType: 'text/csv; charset=utf-8',
    extension: 'csv',
    // who names the columns gets these and no other
    write: (input, { fields }) =>
      writeCsv(input, fields ?? CSV_FIELDS, { markSimulator: fields === undefined }),
  },
  sarif: {
    mediaType: 'application/sarif+json',
    extension: 'sarif',
    write: (input, { version }) => writeSarif(input, { version }),
  },
  junit: {
    mediaType: 'application/xml',
    extension: 'xml',
    write: (input, { failOn = 'high' }) => writeJunit(input, { failOn }),
  },
  'code-quality': {
    mediaType: 'application/json',
    extension: 'code-quality.json',
    write: writeCodeQuality,
  },
  defectdojo: { mediaType: 'application/json', extension: 'defectdojo.json', write: writeDefectDojo },
};
