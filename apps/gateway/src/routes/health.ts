import { healthSchema, livenessSchema, may, readinessSchema } from '@scanmq/contract';
import {
  canWork,
  type DependenciesDeps,
  lookAtDependencies,
  lookAtNeeds,
  wordsOnly,
} from '@scanmq/processor';
import type { FastifyInstance } from 'fastify';
import type { ZodTypeProvider } from 'fastify-type-provider-zod';
import * as examples from '../openapi/examples/service.js';
import { operation } from '../openapi/operation.js';

export interface HealthDeps extends DependenciesDeps {
  readonly version: string;
}

/** `/health/live`, `/health/ready` and `/health` (contract section 5). Names no address: anybody may ask. */
export function healthRoutes(app: FastifyInstance, deps: HealthDeps): void {
  const api = app.withTypeProvider<ZodTypeProvider>();

  api.get(
    '/health/live',
    {
      schema: operation({
        operationId: 'isAlive',
        tag: 'service',
        summary: 'Ask whether the program runs',
        description: 'For whoever would restart it. Looks at nothing else.',
        open: true,
        answers: {
          200: {
            description: 'It runs',
            schema: livenessSchema,
            examples: { alive: { value: { status: 'alive' } } },
          },
        },
      }),
    },
    async () => ({ status: 'alive' as const }),
  );

  api.get(
    '/health/ready',
    {
      schema: operation({
        operationId: 'isReady',
        tag: 'service',
        summary: 'Ask whether requests can be served',
        description: 'For whoever would send requests here.',
        open: true,
        answers: {
          200: {
            description: 'They can',
            schema: readinessSchema,
            examples: { ready: { value: { status: 'ready' } } },
          },
          503: {
            description: 'Something is away that is needed',
            schema: readinessSchema,
            examples: { away: { value: { status: 'not_ready' } } },
          },
        },
      }),
    },
    async (_request, reply) => {
      const healthy = canWork(await lookAtNeeds(deps));
      return await reply.code(healthy ? 200 : 503).send({ status: healthy ? 'ready' : 'not_ready' });
    },
  );

  api.get(
    '/health',
    {
      schema: operation({
        operationId: 'getHealth',
        tag: 'service',
        summary: 'Look at what the service depends on',
        description:
          'Each dependency by name. With ages and figures for those who may read the metrics; where there are keys, everybody else is told the words only.',
        open: true,
        answers: {
          200: {
            description: 'All is well',
            schema: healthSchema,
            examples: { healthy: { value: examples.HEALTHY } },
          },
          503: {
            description: 'Something is away that is needed',
            schema: healthSchema,
            examples: { away: { value: examples.REDIS_AWAY } },
          },
        },
      }),
    },
    async ({ principal }, reply) => {
      const dependencies = await lookAtDependencies(deps);
      const healthy = canWork(dependencies);
      const told = principal !== null && may(principal, 'metrics:read');
      return await reply.code(healthy ? 200 : 503).send({
        status: healthy ? 'healthy' : 'unhealthy',
        ...(told ? { version: deps.version } : {}),
        redis_healthy: dependencies.redis.status === 'healthy',
        filesystem_healthy: dependencies.filesystem.status !== 'unhealthy',
        dependencies: told ? dependencies : wordsOnly(dependencies),
      });
    },
  );
}
