import type { Meter } from '@scanmq/observability';
import type { FastifyInstance } from 'fastify';

const METHODS: ReadonlySet<string> = new Set(['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS']);

/** Counts requests and how long they took, by the pattern of their route: nothing that a client wrote becomes a label. */
export function installRequestMetrics(app: FastifyInstance, meter: Meter): void {
  app.addHook('onResponse', async ({ method, routeOptions }, reply) => {
    meter.observe(
      'scanmq_http_request_duration_seconds',
      {
        method: METHODS.has(method) ? method : 'other',
        route: routeOptions.url ?? 'none',
        status: String(reply.statusCode),
      },
      reply.elapsedTime / 1_000,
    );
  });
}
