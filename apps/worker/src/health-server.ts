import Fastify from 'fastify';

export interface HealthServerOptions {
  readonly host: string;
  /** 0 = any free. */
  readonly port: number;
  readonly isReady: () => Promise<boolean>;
  readonly runningScans: () => number;
}

/** A worker's `/health/live`, `/health/ready` and `/health`. */
export async function startHealthServer(
  options: HealthServerOptions,
): Promise<{ url: string; close(): Promise<void> }> {
  const app = Fastify({ forceCloseConnections: true });
  const ready = async (): Promise<boolean> => {
    try {
      // a worker waits for Redis for ever; whoever asks for its health does not
      return await Promise.race([
        options.isReady(),
        new Promise<false>((resolve) => setTimeout(resolve, 2_000, false).unref()),
      ]);
    } catch {
      return false;
    }
  };
  app.get('/health/live', async () => ({ status: 'alive' }));
  app.get('/health/ready', async (_request, reply) => {
    const healthy = await ready();
    return reply.code(healthy ? 200 : 503).send({ status: healthy ? 'ready' : 'not_ready' });
  });
  app.get('/health', async (_request, reply) => {
    const healthy = await ready();
    return reply.code(healthy ? 200 : 503).send({
      status: healthy ? 'healthy' : 'unhealthy',
      redis_healthy: healthy,
      running_scans: options.runningScans(),
    });
  });
  const url = await app.listen({ host: options.host, port: options.port });
  return { url, close: () => app.close() };
}
