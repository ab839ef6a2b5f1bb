import { Readable } from 'node:stream';
import {
  comparisonQuerySchema,
  InvalidRequestError,
  LIMITS,
  parseOrThrow,
  type ResultsQuery,
  resultsQuerySchema,
  SEVERITY_NAMES,
  searchParamsSchema,
} from '@scanmq/contract';
import type { FormatName } from '@scanmq/findings';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { z } from 'zod';
import { queryOf } from '../plugins/errors.js';
import type { Download, ResultService } from '../result-service.js';

interface ById {
  Params: { id: string };
}

/** `json` and `ndjson` are the answers of this service, the others are made for other programs. */
const ANSWER_FORMATS = ['json', 'ndjson'] as const;
const DOCUMENT_FORMATS = ['csv', 'sarif', 'junit', 'defectdojo'] as const satisfies readonly FormatName[];

const findingsQuerySchema = z.strictObject({
  ...resultsQuerySchema.shape,
  profile: resultsQuerySchema.shape.schema_profile,
  fields: z.string().max(4_000).optional(),
  filters: z.string().max(16_000).optional(),
  format: z.enum([...ANSWER_FORMATS, ...DOCUMENT_FORMATS]).optional(),
  fail_on: z
    .enum(SEVERITY_NAMES)
    .optional()
    .meta({ description: 'Of junit: the severity from which on a finding is a failure; high when left out' }),
});

const hostsQuerySchema = z.strictObject({
  limit: z.coerce.number().int().min(1).max(LIMITS.hostsLimitMax).default(LIMITS.hostsLimitDefault),
  offset: z.coerce.number().int().min(0).default(0),
});

const comparisonRouteSchema = comparisonQuerySchema.extend({
  format: z.enum(['json', 'html']).default('json'),
});

/** Findings, reports and comparisons (contract section 5). */
export function resultRoutes(app: FastifyInstance, service: ResultService): void {
  app.get<ById>('/scans/:id/findings', async (request, reply) => {
    const { profile, fields, filters, format, fail_on, ...rest } = queryOf(findingsQuerySchema, request);
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
    if (wanted !== 'json' && wanted !== 'ndjson')
      return await sendDownload(
        reply,
        await service.document(id, wanted, {
          filters: query.filters,
          sort: query.sort,
          fields: custom,
          failOn: fail_on,
        }),
      );
    if (wanted === 'ndjson') {
      reply.type('application/x-ndjson; charset=utf-8');
      return await send(reply, withLineEnds(await service.streamResults(id, query)));
    }
    if (query.page !== 0 || query.cursor !== undefined) return await service.results(id, query);
    reply.type('application/json; charset=utf-8');
    return await send(reply, asOneDocument(await service.streamResults(id, query)));
  });

  app.get<{ Params: { id: string; findingId: string } }>('/scans/:id/findings/:findingId', async (request) =>
    service.finding(request.params.id, request.params.findingId),
  );

  app.get<ById>('/scans/:id/hosts', async (request) => {
    const { limit, offset } = queryOf(hostsQuerySchema, request);
    const { total, hosts } = await service.hosts(request.params.id, limit, offset);
    return {
      hosts: hosts.map(({ quality, counts: { host: _, ...severities }, properties }) => ({
        ...quality,
        severities,
        properties: properties.map(([name, value]) => ({ name, value })),
      })),
      total,
      next_offset: offset + hosts.length < total ? offset + hosts.length : null,
    };
  });

  app.get<ById>('/scans/:id/report', async (request, reply) =>
    sendDownload(reply, await service.report(request.params.id), 'inline'),
  );

  app.get<ById>('/scans/:id/export', async (request, reply) => {
    const { stream, bytes, fileName } = await service.rawExport(request.params.id);
    return reply
      .type('application/octet-stream')
      .header('content-length', bytes)
      .header('content-disposition', `attachment; filename="${fileName}"`)
      .send(stream);
  });

  app.get<{ Params: { head: string; base: string } }>(
    '/scans/:head/compare/:base',
    async (request, reply) => {
      const { format, ...query } = queryOf(comparisonRouteSchema, request);
      const { head, base } = request.params;
      if (format === 'html' || (request.headers.accept ?? '').startsWith('text/html'))
        return await sendDownload(reply, await service.comparisonReport(base, head), 'inline');
      return await service.compare(base, head, query);
    },
  );

  app.get('/findings', async (request) => await service.search(queryOf(searchParamsSchema, request)));
}

/** The first type of `Accept` that is one of ours; JSON otherwise. */
function acceptedFormat(
  request: FastifyRequest,
): NonNullable<z.output<typeof findingsQuerySchema>['format']> {
  for (const part of (request.headers.accept ?? '').split(',')) {
    const type = part.split(';')[0]?.trim().toLowerCase() ?? '';
    const format = FORMAT_OF_TYPE[type];
    if (format) return format;
  }
  return 'json';
}

const FORMAT_OF_TYPE: Readonly<Record<string, z.output<typeof findingsQuerySchema>['format']>> = {
  'application/json': 'json',
  'application/x-ndjson': 'ndjson',
  'application/ndjson': 'ndjson',
  'text/csv': 'csv',
  'application/sarif+json': 'sarif',
  'application/xml': 'junit',
  'application/junit+xml': 'junit',
};

async function sendDownload(
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
