import type { Metrics } from '@scanmq/observability';
import Fastify from 'fastify';

export interface HealthServerOptions {
  readonly host: string;
  /** 0 = any free. */
  readonly port: number;
  readonly isReady: () => Promise<boolean>;
  readonly runningScans: () => number;
  readonly metrics: Metrics;
  readonly lastSweep: () => Promise<Date | undefined>;
}

/** A worker's `/health/live`, `/health/ready`, `/health` and `/metrics`. */
export async function startHealthServer(
  options: HealthServerOptions,
): Promise<{ url: string; close(): Promise<void> }> {
  const app = Fastify({ forceCloseConnections: true });
  const ready = async (): Promise<boolean> => {
    try {
      return (await inTime(options.isReady())) ?? false;
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
  app.get('/metrics', async (_request, reply) => {
    const swept = await inTime(options.lastSweep()).catch(() => undefined);
    const text = await options.metrics.text((set) => {
      if (swept) set('scanmq_last_sweep_timestamp_seconds', {}, swept.getTime() / 1_000);
    });
    return await reply.type(options.metrics.contentType).send(text);
  });
  const url = await app.listen({ host: options.host, port: options.port });
  return { url, close: () => app.close() };
}

const PATIENCE_MS = 2_000;

/** A worker waits for Redis for ever; whoever asks how it is does not. */
async function inTime<T>(answer: Promise<T>): Promise<T | undefined> {
  return await Promise.race([
    answer,
    new Promise<undefined>((resolve) => setTimeout(resolve, PATIENCE_MS, undefined).unref()),
  ]);
}
