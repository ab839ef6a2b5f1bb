import { access, constants, mkdir } from 'node:fs/promises';
import { type DependencyHealth, healthSchema, livenessSchema, readinessSchema } from '@scanmq/contract';
import type { QueueSystem } from '@scanmq/queue';
import type { FastifyInstance } from 'fastify';
import type { ZodTypeProvider } from 'fastify-type-provider-zod';
import * as examples from '../openapi/examples/service.js';
import { operation } from '../openapi/operation.js';

export interface HealthDeps {
  readonly queue: QueueSystem;
  readonly dataDir: string;
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
      const { healthy } = await look(deps);
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
        description: 'Each dependency by name.',
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
    async (_request, reply) => {
      const { healthy, dependencies } = await look(deps);
      return await reply.code(healthy ? 200 : 503).send({
        status: healthy ? 'healthy' : 'unhealthy',
        version: deps.version,
        redis_healthy: dependencies.redis.status === 'healthy',
        filesystem_healthy: dependencies.filesystem.status === 'healthy',
        dependencies,
      });
    },
  );
}

async function look(
  deps: HealthDeps,
): Promise<{ healthy: boolean; dependencies: { redis: DependencyHealth; filesystem: DependencyHealth } }> {
  const redis = await ask(async () => {
    await deps.queue.redis.ping();
  }, 'does not answer');
  const filesystem = await ask(async () => {
    await mkdir(deps.dataDir, { recursive: true });
    await access(deps.dataDir, constants.W_OK);
  }, 'the data directory cannot be written');
  return {
    healthy: redis.status === 'healthy' && filesystem.status === 'healthy',
    dependencies: { redis, filesystem },
  };
}

async function ask(question: () => Promise<void>, otherwise: string): Promise<DependencyHealth> {
  try {
    await question();
    return { status: 'healthy' };
  } catch {
    return { status: 'unhealthy', detail: otherwise };
  }
}
