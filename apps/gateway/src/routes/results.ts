import { Readable } from 'node:stream';
import {
  codeQualitySchema,
  comparisonRouteQuerySchema,
  comparisonSchema,
  defectDojoSchema,
  type FindingsFormat,
  findingSchema,
  findingsQuerySchema,
  hostListSchema,
  hostsQuerySchema,
  InvalidRequestError,
  parseOrThrow,
  type ResultsQuery,
  resultsAnswerSchema,
  resultsQuerySchema,
  searchAnswerSchema,
  searchParamsSchema,
} from '@scanmq/contract';
import { REPORT_POLICY } from '@scanmq/findings';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import type { ZodTypeProvider } from 'fastify-type-provider-zod';
import { z } from 'zod';
import type { Services } from '../access/services.js';
import { mediaTypeFor } from '../openapi/accept.js';
import * as examples from '../openapi/examples/results.js';
import { conditionalHeaders } from '../openapi/headers.js';
import { operation } from '../openapi/operation.js';
import { byFindingId, byTaskId, byTwoTasks } from '../openapi/params.js';
import { etagOf, isUnchanged } from '../plugins/unchanged.js';
import type { Download } from '../result-service.js';

const TEXT = { type: 'string' } as const;
const HTML = { 'text/html': { schema: TEXT, examples: { report: { value: examples.REPORT_HTML } } } };
const NOT_CHANGED = { description: 'Nothing changed', headers: ['ETag'] } as const;

/** Findings, reports and comparisons (contract section 5). */
export function resultRoutes(
  app: FastifyInstance,
  servicesOf: (request: FastifyRequest) => Pick<Services, 'results'>,
): void {
  const resultsOf = (request: FastifyRequest): Services['results'] => servicesOf(request).results;
  const api = app.withTypeProvider<ZodTypeProvider>();

  /** True when the client has this answer already. */
  const hasAnswer = async (
    request: FastifyRequest,
    reply: FastifyReply,
    taskIds: readonly string[],
    format: string,
  ): Promise<boolean> => {
    const versions = await Promise.all(taskIds.map((id) => resultsOf(request).version(id)));
    return isUnchanged(request, reply, etagOf(...versions, request.url, format));
  };

  api.get(
    '/scans/:id/findings',
    {
      schema: operation({
        operationId: 'listFindings',
        tag: 'results',
        summary: 'List the findings of a scan',
        description: `Pages of JSON, or with \`page=0\` everything, sent while it is read. \`Accept\` or \`format\` choose another form; without either, or where the client does not mind, it is JSON. A type that there is not is answered 406 with a list of those that there are.

Fields that a finding lacks are left out. Filters are described in the README.`,
        params: byTaskId,
        querystring: findingsQuerySchema,
        headers: conditionalHeaders,
        answers: {
          200: {
            description: 'Findings that match',
            schema: z.union([resultsAnswerSchema, defectDojoSchema, codeQualitySchema]),
            examples: { high: { summary: 'Severity high and above', value: examples.FINDINGS } },
            content: {
              'application/x-ndjson': {
                schema: {
                  ...TEXT,
                  description: 'A line of JSON each for schema, scan_metadata and every finding',
                },
                examples: { high: { value: examples.FINDINGS_NDJSON } },
              },
              'text/csv': { schema: TEXT, examples: { columns: { value: examples.FINDINGS_CSV } } },
              'application/sarif+json': { schema: { type: 'object', description: 'SARIF 2.1.0' } },
              'application/xml': {
                schema: { ...TEXT, description: 'JUnit' },
                examples: { host: { value: examples.FINDINGS_JUNIT } },
              },
            },
            headers: ['ETag', 'Content-Disposition'],
          },
          304: NOT_CHANGED,
        },
        problems: ['not_found', 'invalid_state', 'not_acceptable', 'invalid_export'],
      }),
    },
    async (request, reply) => {
      const { profile, fields, filters, format, fail_on, ...rest } = request.query;
      const custom = fields?.split(',').map((field) => field.trim()) ?? rest.custom_fields;
      const query = parseOrThrow(
        resultsQuerySchema,
        withoutUndefined({
          ...rest,
          schema_profile: profile ?? rest.schema_profile,
          custom_fields: custom,
          filters: filters === undefined ? undefined : parseFilters(filters),
        }),
        'query',
      );
      const { id } = request.params;
      const wanted = format ?? acceptedFormat(request);
      if (await hasAnswer(request, reply, [id], wanted)) return await reply.code(304).send();
      if (wanted !== 'json' && wanted !== 'ndjson')
        return await sendDownload(
          reply,
          await resultsOf(request).document(id, wanted, {
            filters: query.filters,
            sort: query.sort,
            fields: custom,
            failOn: fail_on,
          }),
        );
      if (wanted === 'ndjson') {
        reply.type('application/x-ndjson; charset=utf-8');
        return await send(reply, withLineEnds(await resultsOf(request).streamResults(id, query)));
      }
      if (query.page !== 0 || query.cursor !== undefined) return await resultsOf(request).results(id, query);
      reply.type('application/json; charset=utf-8');
      return await send(reply, asOneDocument(await resultsOf(request).streamResults(id, query)));
    },
  );

  api.get(
    '/scans/:id/findings/:findingId',
    {
      schema: operation({
        operationId: 'getFinding',
        tag: 'results',
        summary: 'Look at a finding',
        description:
          'With every field that the export has. Texts of plugin output were written by the scanned host.',
        params: byFindingId,
        answers: {
          200: {
            description: 'The finding',
            schema: findingSchema,
            examples: { high: { value: examples.FINDING } },
          },
        },
        problems: ['not_found', 'invalid_state', 'invalid_export'],
      }),
    },
    async (request): Promise<z.input<typeof findingSchema>> =>
      (await resultsOf(request).finding(request.params.id, request.params.findingId)) as z.input<
        typeof findingSchema
      >,
  );

  api.get(
    '/scans/:id/hosts',
    {
      schema: operation({
        operationId: 'listHosts',
        tag: 'results',
        summary: 'List the hosts of a scan',
        description: 'With how far the results of each can be trusted.',
        params: byTaskId,
        querystring: hostsQuerySchema,
        headers: conditionalHeaders,
        answers: {
          200: {
            description: 'One page',
            schema: hostListSchema,
            examples: { page: { value: examples.HOSTS } },
            headers: ['ETag'],
          },
          304: NOT_CHANGED,
        },
        problems: ['not_found', 'invalid_state', 'invalid_export'],
      }),
    },
    async (request, reply) => {
      const { id } = request.params;
      if (await hasAnswer(request, reply, [id], 'json')) return await reply.code(304).send();
      const { total, hosts, nextOffset, nextCursor } = await resultsOf(request).hosts(id, request.query);
      return {
        hosts: hosts.map(({ quality, counts: { host: _, ...severities }, properties }) => ({
          ...quality,
          severities,
          properties: properties.map(([name, value]) => ({ name, value })),
        })),
        total,
        next_offset: nextOffset,
        next_cursor: nextCursor,
      };
    },
  );

  api.get(
    '/scans/:id/report',
    {
      schema: operation({
        operationId: 'getReport',
        tag: 'results',
        summary: 'Read the report of a scan',
        description: 'One HTML page with charts, which needs nothing from elsewhere.',
        params: byTaskId,
        headers: conditionalHeaders,
        answers: {
          200: { description: 'The report', content: HTML, headers: ['ETag', 'Content-Disposition'] },
          304: NOT_CHANGED,
        },
        problems: ['not_found', 'invalid_state', 'invalid_export'],
      }),
    },
    async (request, reply) => {
      const { id } = request.params;
      if (await hasAnswer(request, reply, [id], 'html')) return await reply.code(304).send();
      const report = await resultsOf(request).report(id);
      reply.header('content-security-policy', REPORT_POLICY);
      return await sendDownload(reply, report, 'inline');
    },
  );

  api.get(
    '/scans/:id/export',
    {
      schema: operation({
        operationId: 'getExport',
        tag: 'results',
        summary: 'Download the raw export of a scan',
        description: 'The `.nessus` file byte for byte, also one that turned out to be invalid.',
        params: byTaskId,
        headers: conditionalHeaders,
        answers: {
          200: {
            description: 'The file',
            content: {
              'application/octet-stream': {
                schema: { type: 'string', contentMediaType: 'application/xml' },
                examples: { file: { value: examples.RAW_EXPORT } },
              },
            },
            headers: ['ETag', 'Content-Disposition'],
          },
          304: NOT_CHANGED,
        },
        problems: ['not_found'],
      }),
    },
    async (request, reply) => {
      const { open, bytes, fileName, version } = await resultsOf(request).rawExport(request.params.id);
      if (isUnchanged(request, reply, etagOf(request.params.id, version)))
        return await reply.code(304).send();
      const body = await open();
      return await reply
        .type('application/octet-stream')
        .header('content-length', bytes)
        .header('content-disposition', `attachment; filename="${fileName}"`)
        .send(body);
    },
  );

  api.get(
    '/scans/:head/compare/:base',
    {
      schema: operation({
        operationId: 'compareScans',
        tag: 'results',
        summary: 'Compare a scan with an older one',
        description:
          'What is new, fixed, still there or of another severity, and what nobody can say because it was not tested again.',
        params: byTwoTasks,
        querystring: comparisonRouteQuerySchema,
        headers: conditionalHeaders,
        answers: {
          200: {
            description: 'The difference',
            schema: comparisonSchema,
            examples: { page: { value: examples.COMPARISON } },
            content: HTML,
            headers: ['ETag', 'Content-Disposition'],
          },
          304: NOT_CHANGED,
        },
        problems: ['not_found', 'invalid_state', 'invalid_export'],
      }),
    },
    async (request, reply) => {
      const { format, ...query } = request.query;
      const { head, base } = request.params;
      const page = format === 'html' || (format === undefined && asksForPage(request));
      if (await hasAnswer(request, reply, [head, base], page ? 'html' : 'json'))
        return await reply.code(304).send();
      if (page) {
        const report = await resultsOf(request).comparisonReport(base, head);
        reply.header('content-security-policy', REPORT_POLICY);
        return await sendDownload(reply, report, 'inline');
      }
      return await resultsOf(request).compare(base, head, query);
    },
  );

  api.get(
    '/findings',
    {
      schema: operation({
        operationId: 'searchFindings',
        tag: 'results',
        summary: 'Search the findings of all completed scans',
        description: 'The newest scan first. Findings, or with `group_by` counts.',
        querystring: searchParamsSchema,
        answers: {
          200: {
            description: 'What was found until the answer was full, or its time over: `complete` tells',
            schema: searchAnswerSchema,
            examples: {
              findings: { value: examples.FOUND },
              groups: { summary: 'By plugin', value: examples.FOUND_GROUPS },
            },
          },
        },
        problems: ['not_found', 'invalid_state'],
      }),
    },
    async (request) => await resultsOf(request).search(request.query),
  );
}

/** JSON first: it is what those get who do not mind. */
const FORMAT_OF_TYPE = {
  'application/json': 'json',
  'application/x-ndjson': 'ndjson',
  'application/ndjson': 'ndjson',
  'text/csv': 'csv',
  'application/sarif+json': 'sarif',
  'application/xml': 'junit',
  'application/junit+xml': 'junit',
} as const satisfies Record<string, FindingsFormat>;
const TYPES = Object.keys(FORMAT_OF_TYPE) as [string, ...string[]];

function acceptedFormat(request: FastifyRequest): FindingsFormat {
  return FORMAT_OF_TYPE[mediaTypeFor(request, TYPES) as keyof typeof FORMAT_OF_TYPE];
}

function asksForPage(request: FastifyRequest): boolean {
  return (request.headers.accept ?? '').startsWith('text/html');
}

/** A file that is made while it is sent. */
export async function sendDownload(
  reply: FastifyReply,
  { mediaType, fileName, body }: Download,
  disposition: 'inline' | 'attachment' = 'attachment',
): Promise<FastifyReply> {
  reply
    .type(mediaType)
    .header('content-disposition', `${disposition}; filename="${fileName}"`)
    .header('x-content-type-options', 'nosniff');
  return await send(reply, body);
}

/** Waits for the first piece, so that what goes wrong at once is an error answer and not a broken stream. */
async function send(reply: FastifyReply, pieces: AsyncIterable<string>): Promise<FastifyReply> {
  const iterator = pieces[Symbol.asyncIterator]();
  const first = await iterator.next();
  async function* all(): AsyncGenerator<string> {
    try {
      for (let next = first; !next.done; next = await iterator.next()) yield next.value;
    } finally {
      await iterator.return?.();
    }
  }
  return reply.send(Readable.from(all(), { objectMode: false }));
}

function parseFilters(text: string): ResultsQuery['filters'] {
  try {
    return JSON.parse(text) as ResultsQuery['filters'];
  } catch {
    throw new InvalidRequestError('filters is not JSON.', [
      { path: 'filters', message: 'expected a JSON object, for example {"severity":">=high"}' },
    ]);
  }
}

function withoutUndefined(value: Record<string, unknown>): Record<string, unknown> {
  return Object.fromEntries(Object.entries(value).filter(([, inner]) => inner !== undefined));
}

async function* withLineEnds(lines: AsyncIterable<string>): AsyncGenerator<string> {
  for await (const line of lines) yield `${line}\n`;
}

/** The lines of an answer as the document that a page of it would be. */
async function* asOneDocument(lines: AsyncIterable<string>): AsyncGenerator<string> {
  let count = 0;
  for await (const line of lines) {
    if (count === 0) yield `{"schema":${line}`;
    else if (count === 1) yield `,"scan_metadata":${line},"vulnerabilities":[`;
    else yield count === 2 ? line : `,${line}`;
    count += 1;
  }
  yield '],"pagination":null}';
}
