import { TASK_STATES } from '@scanmq/contract';
import type { QueueSystem } from '@scanmq/queue';
import type { FastifyInstance } from 'fastify';
import type { ZodTypeProvider } from 'fastify-type-provider-zod';
import { Gauge, Registry } from 'prom-client';
import type { EventHub } from '../event-hub.js';
import * as examples from '../openapi/examples/service.js';
import { operation } from '../openapi/operation.js';
import type { ScanService } from '../scan-service.js';

export interface MetricsDeps {
  readonly queue: QueueSystem;
  readonly service: ScanService;
  readonly events: Pick<EventHub, 'streams'>;
}

/**
 * `/metrics` (Prometheus): what is asked of the records and the fleet in the moment of the scrape, so that it cannot tell
 * another story than they do.
 */
export function metricsRoutes(app: FastifyInstance, { queue, service, events }: MetricsDeps): void {
  const registry = new Registry();
  const gauge = <L extends string>(name: string, help: string, labelNames: readonly L[]): Gauge<L> =>
    new Gauge({ name, help, labelNames, registers: [registry] });
  const tasks = gauge('scanmq_tasks', 'Tasks by state', ['state']);
  const waiting = gauge('scanmq_queue_depth', 'Tasks that wait for a scanner', ['pool']);
  const heldBack = gauge(
    'scanmq_queue_held_back',
    'Of these, those that wait for a limit, a window or somebody',
    ['pool'],
  );
  const delayed = gauge('scanmq_queue_delayed', 'Tasks that wait for their next attempt', ['pool']);
  const deadLetters = gauge('scanmq_dead_letters', 'Dead letters', ['pool']);
  const oldest = gauge('scanmq_oldest_waiting_seconds', 'How long the oldest waiting task has waited', [
    'pool',
  ]);
  const active = gauge('scanmq_active_scans', 'Slots in use', ['instance']);
  const limit = gauge('scanmq_scan_limit', 'Scans at once', ['instance']);
  const healthy = gauge('scanmq_scanner_healthy', '1 = healthy', ['instance']);
  const open = gauge('scanmq_scanner_circuit_open', '1 = its circuit is open or half open', ['instance']);
  const drains = gauge('scanmq_scanner_draining', '1 = it is drained', ['instance']);

  const streams = gauge('scanmq_event_streams', 'Clients of this gateway that follow a task', []);

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
      // a scanner or pool that is configured no more has no figures any more
      registry.resetMetrics();
      for (const state of TASK_STATES) tasks.set({ state }, await queue.tasks.countByState(state));
      for (const pool of service.pools().pools) {
        const status = await service.queueStatus(pool);
        waiting.set({ pool }, status.queue_depth);
        heldBack.set({ pool }, status.held_back);
        delayed.set({ pool }, status.delayed);
        deadLetters.set({ pool }, status.dlq_size);
        oldest.set({ pool }, status.oldest_waiting_seconds);
      }
      for (const scanner of (await service.scanners(undefined)).scanners) {
        const instance = scanner.instance_key;
        active.set({ instance }, scanner.active_scans);
        limit.set({ instance }, scanner.enabled ? scanner.max_concurrent_scans : 0);
        if (scanner.healthy !== null) healthy.set({ instance }, scanner.healthy ? 1 : 0);
        open.set({ instance }, scanner.circuit === 'closed' ? 0 : 1);
        drains.set({ instance }, scanner.draining ? 1 : 0);
      }
      streams.set(events.streams);
      return await reply.type(registry.contentType).send(await registry.metrics());
    },
  );
}
