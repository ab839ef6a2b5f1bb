/** Asking the results of one task (contract section 4): filters, then sorting and paging, then the fields. */
import { open, stat } from 'node:fs/promises';
import { join } from 'node:path';
import {
  InvalidRequestError,
  PROFILE_FIELDS,
  type ResultProfile,
  type ResultsAnswer,
  type ResultsQuery,
  ScanmqError,
} from '@scanmq/contract';
import { FILES, knownFields, type ResultFacts, readFacts } from './facts.js';
import { compileFilters, type Predicate } from './filters.js';
import type { Finding } from './finding.js';
import { storeFindings } from './ingest.js';
import { readLines } from './lines.js';
import { compileSort, type Sort, type SortKey } from './sort.js';

export interface ResultsOptions {
  /** Used when a question names none. */
  readonly defaultProfile: ResultProfile;
  /** Facts about the task for the `scan_metadata` line. */
  readonly extraMetadata: Readonly<Record<string, unknown>>;
}

export interface Results {
  readonly facts: ResultFacts;
  /** @throws InvalidRequestError for unknown fields, filters or sort keys, with the known ones. */
  query(query: ResultsQuery): Promise<ResultsAnswer>;
  /** The lines of an answer with every matching finding, read as they are asked for. */
  stream(query: ResultsQuery): AsyncIterable<string>;
}

/**
 * Opens the results of a task; derived files that are missing or of another version are rebuilt from the raw export.
 * @throws ScanmqError `not_found` when there is no export; InvalidExportError when it is not usable.
 */
export async function openResults(taskDir: string, options: ResultsOptions): Promise<Results> {
  const facts = (await readFacts(taskDir)) ?? (await rebuild(taskDir));
  const known = knownFields(facts);
  const path = join(taskDir, FILES.findings);

  function plan(query: ResultsQuery): Plan {
    const profile = query.custom_fields ? 'custom' : (query.schema_profile ?? options.defaultProfile);
    if (query.custom_fields && query.schema_profile !== undefined && query.schema_profile !== 'brief') {
      throw new InvalidRequestError('custom_fields and schema_profile cannot both be given.', [
        { path: 'custom_fields', message: `expected without schema_profile '${query.schema_profile}'` },
      ]);
    }
    const unknown = query.custom_fields?.filter((field) => !known.has(field)) ?? [];
    if (unknown.length > 0) {
      throw new InvalidRequestError(
        `Unknown fields: ${unknown.join(', ').slice(0, 200)}. Known fields: ${[...known].sort().join(', ')}.`,
        unknown.map((field) => ({ path: 'custom_fields', message: `unknown field '${field}'` })),
      );
    }
    const fields = query.custom_fields ?? (profile === 'custom' ? [] : PROFILE_FIELDS[profile]);
    return {
      profile,
      fields,
      matches: compileFilters(query.filters, known),
      sort: query.sort === undefined ? undefined : compileSort(query.sort, known),
    };
  }

  const metadata: ResultsAnswer['scan_metadata'] = {
    type: 'scan_metadata',
    scan_name: facts.report_name,
    ...options.extraMetadata,
    ...(Object.keys(facts.scanner_facts).length > 0 ? { scanner_facts: facts.scanner_facts } : {}),
  };

  function schemaLine(
    { profile, fields }: Plan,
    query: ResultsQuery,
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

  return {
    facts,

    async query(query) {
      const asked = plan(query);
      const everything = query.page === 0;
      const from = everything ? 0 : (query.page - 1) * query.page_size;
      const to = everything ? Number.POSITIVE_INFINITY : from + query.page_size;
      const { findings, total } = asked.sort
        ? await sortedPage(path, asked.matches, asked.sort, from, to)
        : await page(path, asked.matches, from, to);
      const pages = everything ? 1 : Math.max(1, Math.ceil(total / query.page_size));
      return {
        schema: schemaLine(asked, query, total, pages),
        scan_metadata: metadata,
        vulnerabilities: findings.map((finding) => project(finding, asked.fields)),
        pagination: everything
          ? null
          : {
              type: 'pagination',
              page: query.page,
              page_size: query.page_size,
              total_pages: pages,
              has_next: query.page < pages,
              next_page: query.page < pages ? query.page + 1 : null,
            },
      };
    },

    stream(query) {
      // checked now, so that a mistake is an answer and not a broken stream
      const asked = plan(query);
      return streamLines(asked, query);
    },
  };

  async function* streamLines(asked: Plan, query: ResultsQuery): AsyncGenerator<string> {
    const { sort } = asked;
    const places = sort ? await sortedPlaces(path, asked.matches, sort) : undefined;
    const total = places?.length ?? (await page(path, asked.matches, 0, 0)).total;
    yield JSON.stringify(schemaLine(asked, query, total, 1));
    yield JSON.stringify(metadata);
    const found = places ? readPlaces(path, places) : matching(path, asked.matches);
    for await (const finding of found) yield JSON.stringify(project(finding, asked.fields));
  }
}

interface Plan {
  readonly profile: ResultProfile | 'custom';
  readonly fields: readonly string[] | 'all';
  readonly matches: Predicate;
  readonly sort: Sort | undefined;
}

async function rebuild(taskDir: string): Promise<ResultFacts> {
  const raw = await stat(join(taskDir, FILES.raw)).catch(() => undefined);
  if (raw === undefined) throw new ScanmqError('not_found', 'The results of this task are no longer stored.');
  return (await storeFindings(taskDir)).facts;
}

/** The fields asked for, in their order; one that the finding lacks is left out. */
function project(finding: Finding, fields: readonly string[] | 'all'): Finding {
  if (fields === 'all') return finding;
  const projected: Record<string, unknown> = {};
  for (const field of fields) if (finding[field] !== undefined) projected[field] = finding[field];
  return { ...projected, type: 'vulnerability' };
}

/** Findings that match, in the order of the export. */
async function* matching(path: string, matches: Predicate): AsyncGenerator<Finding> {
  for await (const { text } of readLines(path)) {
    const finding = JSON.parse(text) as Finding;
    if (matches(finding)) yield finding;
  }
}

interface Page {
  readonly findings: readonly Finding[];
  /** All that match, on this page or not. */
  readonly total: number;
}

async function page(path: string, matches: Predicate, from: number, to: number): Promise<Page> {
  const findings: Finding[] = [];
  let total = 0;
  for await (const finding of matching(path, matches)) {
    if (total >= from && total < to) findings.push(finding);
    total += 1;
  }
  return { findings, total };
}

async function sortedPage(
  path: string,
  matches: Predicate,
  sort: Sort,
  from: number,
  to: number,
): Promise<Page> {
  const places = await sortedPlaces(path, matches, sort);
  const findings: Finding[] = [];
  for await (const finding of readPlaces(path, places.slice(from, to))) findings.push(finding);
  return { findings, total: places.length };
}

/** Where a finding stands, and what it is sorted by: all that sorting holds in memory. */
interface Place {
  readonly offset: number;
  readonly length: number;
  readonly key: SortKey;
}

async function sortedPlaces(path: string, matches: Predicate, sort: Sort): Promise<Place[]> {
  const places: Place[] = [];
  for await (const { offset, length, text } of readLines(path)) {
    const finding = JSON.parse(text) as Finding;
    if (matches(finding)) places.push({ offset, length, key: sort.keyOf(finding) });
  }
  return places.sort(sort.compare);
}

async function* readPlaces(path: string, places: readonly Place[]): AsyncGenerator<Finding> {
  const file = await open(path);
  try {
    for (const { offset, length } of places) {
      const { buffer } = await file.read(Buffer.alloc(length), 0, length, offset);
      yield JSON.parse(buffer.toString('utf8')) as Finding;
    }
  } finally {
    await file.close();
  }
}
