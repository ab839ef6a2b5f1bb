import {
  CONTROL_ACTIONS,
  cancelParamsSchema,
  controlParamsSchema,
  InvalidRequestError,
  LIMITS,
  listTasksParamsSchema,
  parseOrThrow,
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
    const { task_id, reason, keep_results } = parseOrThrow(cancelParamsSchema, {
      ...asObject(request.body),
      task_id: request.params.id,
    });
    return await service.cancel(task_id, { reason, keepResults: keep_results, by: principal(request) });
  });

  for (const action of CONTROL_ACTIONS) {
    app.post<ById>(`/scans/:id/${action}`, async (request) => {
      const { task_id } = parseOrThrow(controlParamsSchema, { task_id: request.params.id, action });
      return await service.control(task_id, action, principal(request));
    });
  }
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

function asObject(value: unknown): object {
  return value !== null && typeof value === 'object' ? value : {};
}
