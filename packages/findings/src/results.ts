/** Asking the results of one task (contract section 4): filters, then sorting and paging, then the fields. */
import { join } from 'node:path';
import {
  type Filters,
  type HostQuality,
  hostQualitySchema,
  InvalidRequestError,
  PROFILE_FIELDS,
  type ResultProfile,
  type ResultsAnswer,
  type ResultsQuery,
} from '@scanmq/contract';
import { decodeCursor, encodeCursor } from './cursor.js';
import type { FindingsEngine, Row } from './engine.js';
import { knownFields, type ResultFacts, readFacts } from './facts.js';
import { type Condition, readFilters } from './filters.js';
import type { Finding } from './finding.js';
import type { ScanFacts } from './ingest.js';
import { countPlugins } from './plugin-counts.js';
import type { Rebuild, RebuildHooks } from './rebuild.js';
import type { HostCount, PluginCount } from './render-input.js';
import { createFindingReader, type TableFiles, type WantedFields } from './rows.js';
import { type Selection, type SelectionCache, type SelectionSql, select, selectionSql } from './selection.js';
import { readSort, type SortPart } from './sort.js';
import type { Storage } from './sql.js';
import { tableFile } from './tables.js';

const NOTHING: RebuildHooks = { before: async () => undefined, after: async () => undefined };

export interface ResultsOptions {
  /** Used when a question names none. */
  readonly defaultProfile: ResultProfile;
  /** Facts about the task for the `scan_metadata` line. */
  readonly extraMetadata: Readonly<Record<string, unknown>>;
  /** What was asked of the scan, for results that have to be derived anew. */
  readonly scan: ScanFacts;
  /** For those as well, where the directory is not the place where files are kept. */
  readonly rebuilding?: RebuildHooks;
}

/** What results are asked with. */
export interface ResultsTools {
  readonly engine: FindingsEngine;
  readonly selections: SelectionCache;
  /** Derives results anew, once for however many ask at the same time. */
  readonly rebuild: Rebuild;
}

export interface HostRow {
  readonly quality: HostQuality;
  readonly counts: HostCount;
  /** Every tag of HostProperties in document order. */
  readonly properties: readonly (readonly [name: string, text: string])[];
}

export interface HostPage {
  readonly total: number;
  readonly hosts: HostRow[];
  /** Hosts up to the end of this page; null on the last. */
  readonly nextOffset: number | null;
  readonly nextCursor: string | null;
}

export interface QueryOptions {
  /** At most so many findings are read, of a page or of everything; the totals stay exact. */
  readonly most?: number;
  /** Fields that findings have beside those asked for. */
  readonly also?: readonly string[];
}

export interface Results {
  readonly facts: ResultFacts;
  readonly files: TableFiles;
  /** @throws InvalidRequestError for unknown fields, filters or sort keys, with the known ones. */
  query(query: ResultsQuery, options?: QueryOptions): Promise<ResultsAnswer>;
  /** The lines of an answer with every matching finding, read as they are asked for. */
  stream(query: ResultsQuery): Promise<AsyncIterable<string>>;
  /** Every matching finding with the fields asked for, and how many there are. */
  findings(
    query: Pick<ResultsQuery, 'filters' | 'sort'>,
    fields: WantedFields,
  ): Promise<{ total: number; stream(): AsyncIterable<Finding> }>;
  /** @throws InvalidRequestError when the export cannot have one of these fields. */
  checkFields(fields: readonly string[]): void;
  /** The finding with this id. */
  finding(findingId: string): Promise<Finding | undefined>;
  /** Plugins of the findings that match, the worst first. */
  topPlugins(limit: number, filters?: Filters): Promise<PluginCount[]>;
  /** Hosts, those with the worst findings first. @param doubtful only those that something speaks against. */
  hosts(options: {
    limit: number;
    offset?: number;
    /** Of the answer before, instead of an offset. */
    cursor?: string | undefined;
    doubtful?: boolean;
  }): Promise<HostPage>;
}

/**
 * Opens the results of a task; derived files that are missing or of another version are rebuilt from the raw export.
 * @throws ScanmqError `not_found` when there is no export; InvalidExportError when it is not usable.
 */
export async function openResults(
  tools: ResultsTools,
  taskDir: string,
  options: ResultsOptions,
): Promise<Results> {
  const { engine, selections } = tools;
  const facts =
    (await readFacts(taskDir)) ?? (await tools.rebuild(taskDir, options.scan, options.rebuilding ?? NOTHING));
  const known = knownFields(facts);
  const storage: Storage = { extraFields: new Set(facts.extra_fields) };
  const files: TableFiles = {
    findings: join(taskDir, tableFile('findings')),
    plugins: join(taskDir, tableFile('plugins')),
    hosts: join(taskDir, tableFile('hosts')),
  };
  const version = `${facts.export_bytes}:${facts.table_bytes.findings}`;

  function plan(query: Omit<ResultsQuery, 'page' | 'page_size'>): Plan {
    const profile = query.custom_fields ? 'custom' : (query.schema_profile ?? options.defaultProfile);
    if (query.custom_fields && query.schema_profile !== undefined && query.schema_profile !== 'brief') {
      throw new InvalidRequestError('custom_fields and schema_profile cannot both be given.', [
        { path: 'custom_fields', message: `expected without schema_profile '${query.schema_profile}'` },
      ]);
    }
    if (query.custom_fields) checkFields(query.custom_fields);
    const fields = query.custom_fields ?? (profile === 'custom' ? [] : PROFILE_FIELDS[profile]);
    return { profile, fields, ...question(query) };
  }

  function checkFields(fields: readonly string[]): void {
    const unknown = fields.filter((field) => !known.has(field));
    if (unknown.length === 0) return;
    throw new InvalidRequestError(
      `Unknown fields: ${unknown.join(', ').slice(0, 200)}. Known fields: ${[...known].sort().join(', ')}.`,
      unknown.map((field) => ({ path: 'custom_fields', message: `unknown field '${field}'` })),
    );
  }

  function question(query: Pick<ResultsQuery, 'filters' | 'sort'>): Question {
    const condition = readFilters(query.filters, known);
    const sort = readSort(query.sort, known);
    const sql = selectionSql(condition, sort, storage, files);
    return {
      sort,
      sql,
      everything: sort.length === 0 && isEverything(condition),
    };
  }

  async function selectionOf({ sql, everything }: Question): Promise<Selection | 'everything'> {
    if (everything) return 'everything';
    const key = JSON.stringify([files.findings, version, sql.from, sql.orderBy, sql.params.values]);
    return await selections.get(key, () => select(engine, sql));
  }

  const metadata: ResultsAnswer['scan_metadata'] = {
    type: 'scan_metadata',
    scan_name: facts.report_name,
    ...options.extraMetadata,
    quality: facts.quality,
    ...(Object.keys(facts.scanner_facts).length > 0 ? { scanner_facts: facts.scanner_facts } : {}),
  };

  function schemaLine(
    { profile, fields }: Plan,
    query: Pick<ResultsQuery, 'filters'>,
    total: number,
    pages: number,
  ): ResultsAnswer['schema'] {
    return {
      type: 'schema',
      profile,
      fields: fields === 'all' ? 'all' : [...fields],
      filters_applied: { ...query.filters },
      total_vulnerabilities: total,
      total_pages: pages,
    };
  }

  async function* inOrder(asked: Question, fields: WantedFields): AsyncGenerator<Finding> {
    const reader = createFindingReader(engine, files, facts, fields);
    const selection = await selectionOf(asked);
    if (selection === 'everything') yield* reader.stream(upTo(facts.total_findings));
    else if (asked.sort.length === 0) yield* reader.stream(selection);
    else {
      const { from, orderBy, params } = asked.sql;
      yield* reader.inOrder(engine.stream(`SELECT ${reader.select} ${from} ${orderBy}`, params.values));
    }
  }

  return {
    facts,
    files,
    checkFields,

    async query(query, { most = Number.POSITIVE_INFINITY, also = [] } = {}) {
      const asked = plan(query);
      const selection = await selectionOf(asked);
      const total = selection === 'everything' ? facts.total_findings : selection.length;
      const everything = query.page === 0 && query.cursor === undefined;
      // the place is that of a finding: an answer that was cut goes on where it was cut, with any page size
      const identity = JSON.stringify([version, query.filters ?? {}, query.sort ?? '']);
      const from =
        query.cursor === undefined
          ? Math.max(0, query.page - 1) * query.page_size
          : decodeCursor(query.cursor, identity);
      const page = Math.floor(from / query.page_size) + 1;
      const to = Math.min(total, from + (everything ? most : Math.min(most, query.page_size)));
      const isPage = from % query.page_size === 0 && to === Math.min(total, from + query.page_size);
      const places =
        selection === 'everything' ? upTo(to, Math.min(from, to)) : selection.slice(from, Math.max(from, to));
      const fields = asked.fields === 'all' ? 'all' : [...new Set([...asked.fields, ...also])];
      const reader = createFindingReader(engine, files, facts, fields);
      const found = await reader.at(places);
      const pages = everything ? 1 : Math.max(1, Math.ceil(total / query.page_size));
      return {
        schema: schemaLine(asked, query, total, pages),
        scan_metadata: metadata,
        vulnerabilities: found.map((finding) => project(finding, fields)),
        pagination: everything
          ? null
          : {
              type: 'pagination',
              page,
              page_size: query.page_size,
              total_pages: pages,
              has_next: to < total,
              // between pages only a cursor leads on
              next_page: to < total && isPage ? page + 1 : null,
              next_cursor: to < total ? encodeCursor(to, identity) : null,
            },
      };
    },

    async stream(query) {
      // checked and found now, so that a mistake is an answer and not a broken stream
      const asked = plan(query);
      const selection = await selectionOf(asked);
      const total = selection === 'everything' ? facts.total_findings : selection.length;
      return (async function* lines() {
        yield JSON.stringify(schemaLine(asked, query, total, 1));
        yield JSON.stringify(metadata);
        for await (const finding of inOrder(asked, asked.fields))
          yield JSON.stringify(project(finding, asked.fields));
      })();
    },

    async findings(query, fields) {
      const asked = question(query);
      const selection = await selectionOf(asked);
      return {
        total: selection === 'everything' ? facts.total_findings : selection.length,
        stream: () => inOrder(asked, fields),
      };
    },

    async finding(findingId) {
      const [row] = await engine.rows(
        'SELECT ord FROM read_parquet($findings) WHERE finding_id = $id LIMIT 1',
        { findings: files.findings, id: findingId },
      );
      if (!row) return undefined;
      const [finding] = await createFindingReader(engine, files, facts, 'all').at(
        Int32Array.of(Number(row.ord)),
      );
      return finding;
    },

    async topPlugins(limit, filters) {
      const condition = readFilters(filters, known);
      if (isEverything(condition) && limit <= facts.top_plugins.length)
        return facts.top_plugins.slice(0, limit);
      const { from, params } = selectionSql(condition, [], storage, files);
      return await countPlugins(engine, files, limit, { sql: from, params: params.values });
    },

    async hosts({ limit, offset = 0, cursor, doubtful = false }) {
      const identity = JSON.stringify([version, 'hosts', doubtful]);
      const from = cursor === undefined ? Math.trunc(offset) : decodeCursor(cursor, identity);
      // first which, then what is known of them: properties can be most of the file
      const wanted = await engine.rows(
        `SELECT block_no, count(*) OVER () AS total FROM read_parquet($hosts)
         ${doubtful ? `WHERE NOT alive OR incomplete OR credentials IN ('failed', 'partial')` : ''}
         ORDER BY critical DESC, high DESC, medium DESC, low DESC, info DESC, host_key, block_no
         LIMIT ${Math.trunc(limit)} OFFSET ${from}`,
        { hosts: files.hosts },
      );
      const blocks = wanted.map((row) => Number(row.block_no));
      const found: Row[] =
        blocks.length === 0
          ? []
          : await engine.rows(
              `SELECT block_no, host, critical, high, medium, low, info, quality, properties
               FROM read_parquet($hosts) WHERE block_no IN (${blocks.join(', ')})`,
              { hosts: files.hosts },
            );
      const byBlock = new Map(found.map((row) => [Number(row.block_no), row]));
      const rows: Row[] = [];
      for (const block of blocks) {
        const row = byBlock.get(block);
        if (row) rows.push(row);
      }
      const total = Number(wanted[0]?.total ?? 0);
      const to = from + rows.length;
      return {
        total,
        nextOffset: to < total ? to : null,
        nextCursor: to < total ? encodeCursor(to, identity) : null,
        hosts: rows.map((row) => ({
          counts: {
            host: String(row.host),
            critical: Number(row.critical),
            high: Number(row.high),
            medium: Number(row.medium),
            low: Number(row.low),
            info: Number(row.info),
          },
          quality: hostQualitySchema.parse(JSON.parse(String(row.quality))),
          properties: JSON.parse(String(row.properties)) as [string, string][],
        })),
      };
    },
  };
}

function isEverything(condition: Condition): boolean {
  return condition.kind === 'all' && condition.parts.length === 0;
}

interface Question {
  readonly sort: readonly SortPart[];
  readonly sql: SelectionSql;
  /** True for all findings in the order of the export: nothing needs to be found. */
  readonly everything: boolean;
}

interface Plan extends Question {
  readonly profile: ResultProfile | 'custom';
  readonly fields: WantedFields;
}

/** Places from the first to before the last. */
function upTo(end: number, from = 0): Selection {
  const places = new Int32Array(Math.max(0, end - from));
  for (let i = 0; i < places.length; i += 1) places[i] = from + i;
  return places;
}

/** The fields asked for, in their order; one that the finding lacks is left out. */
function project(finding: Finding, fields: WantedFields): Finding {
  if (fields === 'all') return finding;
  const projected: Record<string, unknown> = {};
  for (const field of fields) if (finding[field] !== undefined) projected[field] = finding[field];
  return { ...projected, type: 'vulnerability' };
}
