import { Readable } from 'node:stream';
import {
  cancelParamsSchema,
  InvalidRequestError,
  LIMITS,
  listTasksParamsSchema,
  parseOrThrow,
  resultsQuerySchema,
  scanRequestSchema,
} from '@scanmq/contract';
import type { FastifyInstance, FastifyRequest } from 'fastify';
import { z } from 'zod';
import { queryOf } from '../plugins/errors.js';
import type { ScanService } from '../scan-service.js';

interface ById {
  Params: { id: string };
}

const waitQuerySchema = z.strictObject({
  wait: z.coerce.number().min(0).max(LIMITS.waitSecondsMax).default(0),
});

const findingsQuerySchema = z.strictObject({
  ...resultsQuerySchema.shape,
  profile: resultsQuerySchema.shape.schema_profile,
  fields: z.string().max(4_000).optional(),
  filters: z.string().max(16_000).optional(),
  format: z.enum(['json', 'ndjson']).optional(),
});

/** `/api/v1/scans` (contract section 5). */
export function scanRoutes(
  app: FastifyInstance,
  service: ScanService,
  principal: (request: FastifyRequest) => string,
): void {
  app.post('/scans', async (request, reply) => {
    const { submission, task } = await service.submit(requestWithKey(request), {
      principal: principal(request),
      traceId: request.traceId,
    });
    reply.code(202).header('location', `/api/v1/scans/${submission.task_id}`);
    if (submission.idempotent_replay) reply.header('idempotency-replayed', 'true');
    return { ...task, ...submission };
  });

  app.get('/scans', async (request) => await service.list(queryOf(listTasksParamsSchema, request)));

  app.get<ById>('/scans/:id', async (request, reply) => {
    const { wait } = queryOf(waitQuerySchema, request);
    if (wait === 0) return await service.status(request.params.id);
    const gone = new AbortController();
    reply.raw.once('close', () => gone.abort());
    return await service.waitForEnd(request.params.id, wait * 1_000, gone.signal);
  });

  app.post<ById>('/scans/:id/cancel', async (request) => {
    const { task_id, reason } = parseOrThrow(cancelParamsSchema, {
      ...asObject(request.body),
      task_id: request.params.id,
    });
    return await service.cancel(task_id, reason, principal(request));
  });

  app.get<ById>('/scans/:id/findings', async (request, reply) => {
    const { profile, fields, filters, format, ...rest } = queryOf(findingsQuerySchema, request);
    const query = parseOrThrow(
      resultsQuerySchema,
      withoutUndefined({
        ...rest,
        schema_profile: profile ?? rest.schema_profile,
        custom_fields: fields?.split(',').map((field) => field.trim()) ?? rest.custom_fields,
        filters: filters === undefined ? undefined : parseFilters(filters),
      }),
      'query',
    );
    const lines = format === 'ndjson' || (format === undefined && request.headers.accept?.includes('ndjson'));
    if (!lines) return await service.results(request.params.id, query);
    reply.type('application/x-ndjson; charset=utf-8');
    return reply.send(Readable.from(withLineEnds(await service.streamResults(request.params.id, query))));
  });

  app.get<ById>('/scans/:id/export', async (request, reply) => {
    const { stream, bytes, fileName } = await service.rawExport(request.params.id);
    return reply
      .type('application/octet-stream')
      .header('content-length', bytes)
      .header('content-disposition', `attachment; filename="${fileName}"`)
      .send(stream);
  });
}

/** The submission, with its idempotency key from the header or the body. */
function requestWithKey(request: FastifyRequest): z.output<typeof scanRequestSchema> {
  const header = request.headers['idempotency-key'];
  const body = parseOrThrow(scanRequestSchema, request.body);
  if (header === undefined) return body;
  if (body.idempotency_key !== undefined && body.idempotency_key !== header) {
    throw new InvalidRequestError('The Idempotency-Key header and idempotency_key in the body differ.', [
      { path: 'idempotency_key', message: 'expected the same as the header, or nothing' },
    ]);
  }
  return parseOrThrow(scanRequestSchema, { ...body, idempotency_key: header });
}

function parseFilters(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    throw new InvalidRequestError('filters is not JSON.', [
      { path: 'filters', message: 'expected a JSON object, for example {"severity":">=high"}' },
    ]);
  }
}

function asObject(value: unknown): object {
  return value !== null && typeof value === 'object' ? value : {};
}

function withoutUndefined(value: Record<string, unknown>): Record<string, unknown> {
  return Object.fromEntries(Object.entries(value).filter(([, inner]) => inner !== undefined));
}

async function* withLineEnds(lines: AsyncIterable<string>): AsyncGenerator<string> {
  for await (const line of lines) yield `${line}\n`;
}
