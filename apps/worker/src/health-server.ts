import type { WorkerHealth } from '@scanmq/contract';
import type { Metrics } from '@scanmq/observability';
import {
  canWork,
  type DependenciesDeps,
  inTime,
  lookAtDependencies,
  lookAtRedisInTime,
  secondsSince,
  wordsOnly,
} from '@scanmq/processor';
import Fastify from 'fastify';

export interface HealthServerOptions extends DependenciesDeps {
  readonly host: string;
  /** 0 = any free. */
  readonly port: number;
  readonly version: string;
  readonly runningScans: () => number;
  /** When Redis last answered a question for jobs. */
  readonly askedAt: () => Date;
  /** True where the gateways want a key: nobody shows one here, so that everybody is told words only. */
  readonly wordsOnly: () => Promise<boolean>;
  readonly metrics: Metrics;
}

/** A worker asks at least every few seconds; one that has not been answered for so long takes no jobs. */
const ASKING_LATE_MS = 60_000;

/** A worker's `/health/live`, `/health/ready`, `/health` and `/metrics`. */
export async function startHealthServer(
  options: HealthServerOptions,
): Promise<{ url: string; close(): Promise<void> }> {
  const app = Fastify({ forceCloseConnections: true });
  app.get('/health/live', async () => ({ status: 'alive' }));
  app.get('/health/ready', async (_request, reply) => {
    const ready = (await lookAtRedisInTime(options)).status === 'healthy';
    return reply.code(ready ? 200 : 503).send({ status: ready ? 'ready' : 'not_ready' });
  });
  app.get('/health', async (_request, reply) => {
    const all = { ...(await lookAtDependencies(options)), jobs: lookAtJobs(options) };
    const healthy = canWork(all) && all.jobs.status === 'healthy';
    // where Redis cannot be asked, nobody knows whether there are keys
    const words = await inTime(options.wordsOnly, true);
    const answer: WorkerHealth = {
      status: healthy ? 'healthy' : 'unhealthy',
      ...(words ? {} : { version: options.version }),
      redis_healthy: all.redis.status === 'healthy',
      filesystem_healthy: all.filesystem.status !== 'unhealthy',
      dependencies: words ? wordsOnly(all) : all,
    };
    return reply.code(healthy ? 200 : 503).send(answer);
  });
  app.get('/metrics', async (_request, reply) => {
    const swept = await inTime(() => options.queue.lastSweep(), undefined);
    const text = await options.metrics.text((set) => {
      if (swept) set('scanmq_last_sweep_timestamp_seconds', {}, swept.getTime() / 1_000);
      set('scanmq_last_job_fetch_timestamp_seconds', {}, options.askedAt().getTime() / 1_000);
    });
    return await reply.type(options.metrics.contentType).send(text);
  });
  const url = await app.listen({ host: options.host, port: options.port });
  return { url, close: () => app.close() };
}

function lookAtJobs({
  askedAt,
  runningScans,
  now,
}: HealthServerOptions): WorkerHealth['dependencies']['jobs'] {
  const ageMs = now().getTime() - askedAt().getTime();
  const figures = {
    asked_seconds_ago: secondsSince(askedAt(), now()),
    running_scans: runningScans(),
  };
  return ageMs <= ASKING_LATE_MS
    ? { status: 'healthy', ...figures }
    : { status: 'unhealthy', detail: 'Redis has not answered a question for jobs for too long', ...figures };
}
