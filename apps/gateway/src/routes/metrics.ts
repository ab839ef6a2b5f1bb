import { TASK_STATES } from '@scanmq/contract';
import type { Metrics, SetGauge } from '@scanmq/observability';
import type { QueueSystem } from '@scanmq/queue';
import type { FastifyInstance } from 'fastify';
import type { ZodTypeProvider } from 'fastify-type-provider-zod';
import type { EventHub } from '../event-hub.js';
import * as examples from '../openapi/examples/service.js';
import { operation } from '../openapi/operation.js';
import type { ScanService } from '../scan-service.js';

export interface MetricsDeps {
  readonly queue: QueueSystem;
  readonly service: ScanService;
  readonly events: Pick<EventHub, 'streams'>;
  readonly metrics: Metrics;
}

/**
 * `/metrics` (Prometheus): what this process has counted, and what is asked of the records and the fleet in the moment of
 * the scrape, so that it cannot tell another story than they do.
 */
export function metricsRoutes(app: FastifyInstance, deps: MetricsDeps): void {
  app.withTypeProvider<ZodTypeProvider>().get(
    '/metrics',
    {
      schema: operation({
        operationId: 'getMetrics',
        tag: 'service',
        summary: 'Figures for Prometheus',
        description: 'In its text format, of the moment in which they are asked for.',
        answers: {
          200: {
            description: 'The figures',
            content: {
              'text/plain': { schema: { type: 'string' }, examples: { tasks: { value: examples.METRICS } } },
            },
          },
        },
      }),
    },
    async (_request, reply) => {
      const tell = await lookAround(deps);
      return await reply.type(deps.metrics.contentType).send(await deps.metrics.text(tell));
    },
  );
}

/** Asks for everything first: two scrapes at once must not mix. */
async function lookAround({ queue, service, events }: MetricsDeps): Promise<(set: SetGauge) => void> {
  const [{ scanners }, swept, states, pools] = await Promise.all([
    service.scanners(undefined),
    queue.lastSweep(),
    Promise.all(TASK_STATES.map(async (state) => ({ state, count: await queue.tasks.countByState(state) }))),
    Promise.all(service.pools().pools.map((pool) => service.queueStatus(pool))),
  ]);
  const sum = (count: (pool: (typeof pools)[number]) => number): number =>
    pools.reduce((total, pool) => total + count(pool), 0);
  return (set) => {
    for (const { state, count } of states) set('scanmq_tasks', { state }, count);
    for (const { pool, ...status } of pools) {
      set('scanmq_queue_depth', { pool }, status.queue_depth);
      set('scanmq_queue_held_back', { pool }, status.held_back);
      set('scanmq_queue_delayed', { pool }, status.delayed);
      set('scanmq_dead_letters', { pool }, status.dlq_size);
      set('scanmq_oldest_waiting_seconds', { pool }, status.oldest_waiting_seconds);
      set('nessus_pool_queue_depth', { pool }, status.queue_depth);
      set('nessus_pool_dlq_depth', { pool }, status.dlq_size);
    }
    let capacity = 0;
    let active = 0;
    const kinds = new Map<string, { scanner_type: string; enabled: string; count: number }>();
    for (const one of scanners) {
      const scanner = one.instance_key;
      set('scanmq_active_scans', { scanner }, one.active_scans);
      const limit = one.enabled ? one.max_concurrent_scans : 0;
      set('scanmq_scan_limit', { scanner }, limit);
      set('nessus_scanner_active_scans', { scanner_instance: scanner }, one.active_scans);
      set('nessus_scanner_capacity', { scanner_instance: scanner }, limit);
      set('nessus_scanner_utilization_pct', { scanner_instance: scanner }, one.utilization_pct);
      capacity += limit;
      active += one.active_scans;
      if (one.healthy !== null) set('scanmq_scanner_healthy', { scanner }, one.healthy ? 1 : 0);
      set('scanmq_scanner_circuit_open', { scanner }, one.circuit === 'closed' ? 0 : 1);
      set('scanmq_scanner_draining', { scanner }, one.draining ? 1 : 0);
      const kind = { scanner_type: one.scanner_type, enabled: String(one.enabled), count: 0 };
      const key = `${kind.scanner_type} ${kind.enabled}`;
      kinds.set(key, { ...kind, count: (kinds.get(key)?.count ?? 0) + 1 });
    }
    set('scanmq_event_streams', {}, events.streams);
    if (swept) set('scanmq_last_sweep_timestamp_seconds', {}, swept.getTime() / 1_000);
    for (const { count, ...labels } of kinds.values()) set('nessus_scanner_instances', labels, count);
    set('nessus_active_scans', {}, active);
    set('nessus_pool_total_active', {}, active);
    set('nessus_pool_total_capacity', {}, capacity);
    const dead = sum((pool) => pool.dlq_size);
    set(
      'nessus_queue_depth',
      { queue: 'main' },
      sum((pool) => pool.queue_depth),
    );
    set('nessus_queue_depth', { queue: 'dead' }, dead);
    set('nessus_dlq_size', {}, dead);
  };
}
