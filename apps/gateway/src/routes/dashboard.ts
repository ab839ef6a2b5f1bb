import { createBullBoard } from '@bull-board/api';
import { BullMQAdapter } from '@bull-board/api/bullMQAdapter';
import { FastifyAdapter } from '@bull-board/fastify';
import { ScanmqError } from '@scanmq/contract';
import { MAINTENANCE_QUEUE, type QueueSystem, type ScanJobData } from '@scanmq/queue';
import type { FastifyInstance } from 'fastify';
import { sendProblem } from '../plugins/errors.js';

export const DASHBOARD_PATH = '/dashboard';

/**
 * What the dashboard may change: retrying dead letters, and letting a waiting attempt start now. Everything else it
 * offers (limits, pausing, emptying, adding jobs) would go around the task records; scanmq's own commands do it right.
 */
const ALLOWED_CHANGES =
  /\/api\/queues\/[^/]+\/(?:[^/]+\/retry(?:\/failed)?|retry\/failed|[^/]+\/promote|promote)$/;

export interface Dashboard {
  /** Shows the queues of pools that have come since. */
  refresh(): void;
}

/** Bull Board at `/dashboard`. */
export async function installDashboard(app: FastifyInstance, queue: QueueSystem): Promise<Dashboard> {
  const adapter = new FastifyAdapter();
  adapter.setBasePath(DASHBOARD_PATH);
  const queues = (): BullMQAdapter[] => [
    ...queue.queues.all().map((scans) => {
      const shown = new BullMQAdapter(scans, {
        description: describe(scans.name),
      });
      shown.setFormatter('name', (job: { data?: ScanJobData }) => job.data?.name ?? 'scan');
      return shown;
    }),
    new BullMQAdapter(queue.queues.schedules, {
      readOnlyMode: true,
      description: 'Runs of recurring scans; each makes a task in the queue of its pool',
    }),
    new BullMQAdapter(queue.queues.webhooks, {
      readOnlyMode: true,
      description: 'Deliveries to webhooks; replayed by the API or scanmq webhooks replay',
    }),
    new BullMQAdapter(queue.queues.maintenance, {
      readOnlyMode: true,
      description: 'Periodic sweep of scanmq itself',
    }),
  ];
  const board = createBullBoard({
    queues: queues(),
    serverAdapter: adapter,
    options: { uiConfig: { boardTitle: 'scanmq', hideRedisDetails: true } },
  });
  await app.register(async (scope) => {
    scope.addHook('onRequest', async (request, reply) => {
      const changes = request.method !== 'GET' && request.method !== 'HEAD';
      if (!changes || ALLOWED_CHANGES.test(request.url.split('?')[0] ?? '')) return;
      // not thrown: Bull Board has an error handler of its own, which would make a 500 of it
      return sendProblem(
        request,
        reply,
        new ScanmqError(
          'forbidden',
          'The dashboard only retries and promotes. For anything else use the API or the scanmq command.',
        ),
      );
    });
    await scope.register(adapter.registerPlugin(), { prefix: DASHBOARD_PATH });
  });
  return { refresh: () => board.replaceQueues(queues()) };
}

function describe(queueName: string): string {
  if (queueName === MAINTENANCE_QUEUE) return '';
  const [pool, instance] = queueName.split('.');
  return instance === undefined
    ? `Scans of pool ${pool}`
    : `Scans of pool ${pool} that asked for ${instance}`;
}
