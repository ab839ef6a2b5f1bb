import {
  CONTROL_ACTIONS,
  type ControlAction,
  cancelAnswerSchema,
  cancelBodySchema,
  controlAnswerSchema,
  InvalidRequestError,
  listTasksParamsSchema,
  type ScanRequest,
  scanRequestSchema,
  scanStatusSchema,
  submittedScanSchema,
  taskListSchema,
  waitQuerySchema,
} from '@scanmq/contract';
import type { FastifyInstance, FastifyRequest } from 'fastify';
import type { ZodTypeProvider } from 'fastify-type-provider-zod';
import { principalOf } from '../access/install-access.js';
import type { Services } from '../access/services.js';
import * as examples from '../openapi/examples/scans.js';
import { conditionalHeaders, idempotencyHeaders } from '../openapi/headers.js';
import { operation } from '../openapi/operation.js';
import { byTaskId } from '../openapi/params.js';

const CONTROL: Readonly<
  Record<ControlAction, { readonly summary: string; readonly description: string; readonly example: unknown }>
> = {
  pause: {
    summary: 'Hold a scan',
    description:
      'A waiting task is passed over until it is resumed; a running scan is paused on the scanner.',
    example: examples.PAUSED_SCAN,
  },
  resume: {
    summary: 'Let a held scan go on',
    description: 'The task waits for its turn again, or its scan goes on where it was paused.',
    example: examples.RESUMED_SCAN,
  },
  retry: {
    summary: 'Run a scan again that failed, timed out or was cancelled',
    description: 'The same task is queued once more; its id stays.',
    example: examples.RETRIED_SCAN,
  },
};

/** `/api/v1/scans` (contract section 5). */
export function scanRoutes(
  app: FastifyInstance,
  servicesOf: (request: FastifyRequest) => Pick<Services, 'scans'>,
): void {
  const api = app.withTypeProvider<ZodTypeProvider>();

  api.post(
    '/scans',
    {
      schema: operation({
        operationId: 'submitScan',
        tag: 'scans',
        summary: 'Submit a scan',
        description:
          'Queues a scan and answers at once. Follow it at the path in `Location`. With an `Idempotency-Key` a request whose answer was lost can be sent again; with another request the same key is refused.',
        headers: idempotencyHeaders,
        body: scanRequestSchema,
        examples: {
          untrusted: { summary: 'From outside', value: examples.UNTRUSTED_SCAN },
          authenticated: {
            summary: 'Logged in, with a stored credential',
            value: examples.AUTHENTICATED_SCAN,
          },
        },
        answers: {
          202: {
            description: 'The scan is queued, or was before with this key',
            schema: submittedScanSchema,
            examples: { queued: { value: examples.SUBMITTED_SCAN } },
            headers: ['Location', 'Idempotency-Replayed'],
          },
        },
        problems: [
          'target_refused',
          'idempotency_conflict',
          'no_scanner',
          'scanner_export_only',
          'not_found',
        ],
      }),
    },
    async (request, reply) => {
      const { submission, task } = await servicesOf(request).scans.submit(
        withKey(request.body, request.headers['idempotency-key']),
        { traceId: request.traceId },
      );
      reply.code(202).header('location', `/api/v1/scans/${submission.task_id}`);
      if (submission.idempotent_replay) reply.header('idempotency-replayed', 'true');
      return { ...task, ...submission };
    },
  );

  api.get(
    '/scans',
    {
      schema: operation({
        operationId: 'listScans',
        tag: 'scans',
        summary: 'List scans',
        description: 'The newest first.',
        querystring: listTasksParamsSchema,
        headers: conditionalHeaders,
        answers: {
          200: {
            description: 'One page',
            schema: taskListSchema,
            examples: { page: { value: examples.SCANS } },
            headers: ['ETag'],
          },
          304: { description: 'Nothing changed', headers: ['ETag'] },
        },
      }),
    },
    async (request) => await servicesOf(request).scans.list(request.query),
  );

  api.get(
    '/scans/:id',
    {
      schema: operation({
        operationId: 'getScan',
        tag: 'scans',
        summary: 'Look at a scan, or wait for its end',
        description:
          'With `wait` the answer is held until the scan has ended or the seconds have passed, whatever comes first; then it is the scan as it is. With `If-None-Match` it is 304 when the scan is then as it was: a change before the end does not end the waiting, that is what `/events` is for.',
        params: byTaskId,
        querystring: waitQuerySchema,
        headers: conditionalHeaders,
        answers: {
          200: {
            description: 'The scan',
            schema: scanStatusSchema,
            examples: {
              completed: { value: examples.COMPLETED_SCAN },
              timeout: { value: examples.TIMED_OUT_SCAN },
            },
            headers: ['ETag'],
          },
          304: { description: 'Nothing changed', headers: ['ETag'] },
        },
        problems: ['not_found'],
      }),
    },
    async (request, reply) => {
      const { scans } = servicesOf(request);
      const { wait } = request.query;
      if (wait === 0) return await scans.status(request.params.id);
      const gone = new AbortController();
      reply.raw.once('close', () => gone.abort());
      return await scans.waitForEnd(request.params.id, wait * 1_000, gone.signal);
    },
  );

  api.post(
    '/scans/:id/cancel',
    {
      schema: operation({
        operationId: 'cancelScan',
        tag: 'scans',
        summary: 'Cancel a scan',
        description:
          'A waiting scan is cancelled at once; one that runs is stopped on the scanner first, which takes a moment.',
        params: byTaskId,
        body: cancelBodySchema,
        bodyOptional: true,
        examples: { reason: { value: { reason: 'Wrong network' } } },
        answers: {
          200: {
            description: 'It is cancelled, or being stopped',
            schema: cancelAnswerSchema,
            examples: { running: { value: examples.CANCELLED_SCAN } },
          },
        },
        problems: ['not_found', 'invalid_state'],
      }),
    },
    async (request) => {
      const { reason, keep_results } = request.body;
      return await servicesOf(request).scans.cancel(request.params.id, {
        reason,
        keepResults: keep_results,
        by: principalOf(request).name,
      });
    },
  );

  for (const action of CONTROL_ACTIONS) {
    const { summary, description, example } = CONTROL[action];
    api.post(
      `/scans/:id/${action}`,
      {
        schema: operation({
          operationId: `${action}Scan`,
          tag: 'scans',
          summary,
          description,
          params: byTaskId,
          answers: {
            200: {
              description: 'Done, or under way',
              schema: controlAnswerSchema,
              examples: { done: { value: example } },
            },
          },
          problems: ['not_found', 'invalid_state'],
        }),
      },
      async (request) =>
        await servicesOf(request).scans.control(request.params.id, action, principalOf(request).name),
    );
  }
}

/** The submission, with its idempotency key from the header or the body. */
function withKey(body: ScanRequest, header: string | undefined): ScanRequest {
  if (header === undefined) return body;
  if (body.idempotency_key !== undefined && body.idempotency_key !== header) {
    throw new InvalidRequestError('The Idempotency-Key header and idempotency_key in the body differ.', [
      { path: 'idempotency_key', message: 'expected the same as the header, or nothing' },
    ]);
  }
  return { ...body, idempotency_key: header };
}
