import {
  listScannersParamsSchema,
  OPERATOR_ACTIONS,
  type OperatorAction,
  operatorBodySchema,
  poolListSchema,
  poolStatusSchema,
  queueStatusSchema,
  scannerListSchema,
  scannerViewSchema,
} from '@scanmq/contract';
import type { FastifyInstance, FastifyRequest } from 'fastify';
import type { ZodTypeProvider } from 'fastify-type-provider-zod';
import { principalOf } from '../access/install-access.js';
import type { Services } from '../access/services.js';
import * as examples from '../openapi/examples/fleet.js';
import { conditionalHeaders } from '../openapi/headers.js';
import { operation } from '../openapi/operation.js';
import { byInstance, byPool } from '../openapi/params.js';
import { etagOf } from '../plugins/unchanged.js';

const OPERATE: Readonly<
  Record<
    OperatorAction,
    { readonly summary: string; readonly description: string; readonly example: unknown }
  >
> = {
  enable: {
    summary: 'Let a scanner take tasks again',
    description: 'Undoes disable and drain, and `enabled: false` of scanners.yaml.',
    example: examples.ENABLED_SCANNER,
  },
  disable: {
    summary: 'Let a scanner take no more tasks',
    description: 'Tasks that ask for it are refused. The scans that run on it go on to their end.',
    example: { ...examples.DRAINED_SCANNER, enabled: false, draining: false },
  },
  drain: {
    summary: 'Let a scanner finish what it has, for now',
    description: 'Tasks that ask for it wait. It is drained when `active_scans` is 0.',
    example: examples.DRAINED_SCANNER,
  },
};

/** `/api/v1/scanners`, `/pools`, `/queues` (contract section 5). */
export function fleetRoutes(
  app: FastifyInstance,
  servicesOf: (request: FastifyRequest) => Pick<Services, 'scans'>,
): void {
  const api = app.withTypeProvider<ZodTypeProvider>();

  api.get(
    '/scanners',
    {
      schema: operation({
        operationId: 'listScanners',
        tag: 'fleet',
        summary: 'List scanners',
        description: 'With their load and health.',
        querystring: listScannersParamsSchema,
        headers: conditionalHeaders,
        answers: {
          200: {
            description: 'All scanners, or those of the pool',
            schema: scannerListSchema,
            examples: { two: { value: examples.SCANNERS } },
            headers: ['ETag'],
          },
          304: { description: 'Nothing changed', headers: ['ETag'] },
        },
      }),
    },
    async (request) => await servicesOf(request).scans.scanners(request.query.scanner_pool),
  );

  for (const action of OPERATOR_ACTIONS) {
    const { summary, description, example } = OPERATE[action];
    api.post(
      `/scanners/:instance/${action}`,
      {
        schema: operation({
          operationId: `${action}Scanner`,
          tag: 'fleet',
          summary,
          description,
          params: byInstance,
          body: operatorBodySchema,
          bodyOptional: true,
          examples: { reason: { value: { reason: 'New certificate' } } },
          answers: {
            200: {
              description: 'The scanner, as it is now',
              schema: scannerViewSchema,
              examples: { done: { value: example } },
            },
          },
          problems: ['no_scanner'],
        }),
      },
      async (request) =>
        await servicesOf(request).scans.operate(request.params.instance, action, {
          reason: request.body.reason,
          by: principalOf(request).name,
        }),
    );
  }

  api.get(
    '/pools',
    {
      schema: operation({
        operationId: 'listPools',
        tag: 'fleet',
        summary: 'List pools',
        description: 'And which is taken where a scan names none.',
        answers: {
          200: { description: 'Names', schema: poolListSchema, examples: { two: { value: examples.POOLS } } },
        },
      }),
    },
    async (request) => servicesOf(request).scans.pools(),
  );

  api.get(
    '/pools/:pool',
    {
      schema: operation({
        operationId: 'getPool',
        tag: 'fleet',
        summary: 'Look at a pool',
        description:
          'Its capacity, its load and its scanners. The error for an unknown pool names the known ones.',
        params: byPool,
        headers: conditionalHeaders,
        answers: {
          200: {
            description: 'The pool',
            schema: poolStatusSchema,
            examples: { idle: { value: examples.POOL } },
            headers: ['ETag'],
          },
          304: { description: 'Nothing changed', headers: ['ETag'] },
        },
      }),
    },
    async (request) => await servicesOf(request).scans.poolStatus(request.params.pool),
  );

  api.get(
    '/queues/:pool',
    {
      schema: operation({
        operationId: 'getQueue',
        tag: 'fleet',
        summary: 'Look at the queue of a pool',
        description: 'Who waits, how long, and who is next. `timestamp` alone does not make a new `ETag`.',
        params: byPool,
        headers: conditionalHeaders,
        answers: {
          200: {
            description: 'The queue',
            schema: queueStatusSchema,
            examples: { idle: { value: examples.QUEUE } },
            headers: ['ETag'],
          },
          304: { description: 'Nothing changed but the time', headers: ['ETag'] },
        },
      }),
    },
    async (request, reply) => {
      const { timestamp, ...status } = await servicesOf(request).scans.queueStatus(request.params.pool);
      reply.header('etag', etagOf(JSON.stringify(status)));
      return { ...status, timestamp };
    },
  );
}
