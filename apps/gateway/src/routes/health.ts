import { access, constants, mkdir } from 'node:fs/promises';
import type { QueueSystem } from '@scanmq/queue';
import type { FastifyInstance } from 'fastify';

export interface HealthDeps {
  readonly queue: QueueSystem;
  readonly dataDir: string;
}

interface Dependency {
  readonly status: 'healthy' | 'unhealthy';
  readonly detail?: string;
}

/** `/health/live`, `/health/ready` and `/health` (contract section 5). Names no address: anybody may ask. */
export function healthRoutes(app: FastifyInstance, deps: HealthDeps): void {
  app.get('/health/live', async () => ({ status: 'alive' }));
  app.get('/health/ready', async (_request, reply) => {
    const { healthy } = await look(deps);
    return reply.code(healthy ? 200 : 503).send({ status: healthy ? 'ready' : 'not_ready' });
  });
  app.get('/health', async (_request, reply) => {
    const { healthy, dependencies } = await look(deps);
    return reply.code(healthy ? 200 : 503).send({
      status: healthy ? 'healthy' : 'unhealthy',
      redis_healthy: dependencies.redis.status === 'healthy',
      filesystem_healthy: dependencies.filesystem.status === 'healthy',
      dependencies,
    });
  });
}

async function look(
  deps: HealthDeps,
): Promise<{ healthy: boolean; dependencies: { redis: Dependency; filesystem: Dependency } }> {
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

async function ask(question: () => Promise<void>, otherwise: string): Promise<Dependency> {
  try {
    await question();
    return { status: 'healthy' };
  } catch {
    return { status: 'unhealthy', detail: otherwise };
  }
}
