import { createBullBoard } from '@bull-board/api';
import { BullMQAdapter } from '@bull-board/api/bullMQAdapter';
import { FastifyAdapter } from '@bull-board/fastify';
import { ScanmqError } from '@scanmq/contract';
import { MAINTENANCE_QUEUE, type QueueSystem, type ScanJobData } from '@scanmq/queue';
import type { FastifyInstance } from 'fastify';
import { LOGIN_PATH } from '../access/login-page.js';
import { sendProblem } from '../plugins/errors.js';

export const DASHBOARD_PATH = '/dashboard';

/**
 * Everything of the page comes from here. It sets styles by script, which `style-src` does not stop; no style or script in
 * the page itself runs, whatever a job is called. `data:`: icons in its style sheet.
 */
const CONTENT_POLICY =
  "default-src 'none'; base-uri 'self'; connect-src 'self'; font-src 'self'; form-action 'self'; frame-ancestors 'none'; img-src 'self' data:; script-src 'self'; style-src 'self'";

/** Fonts of a foreign server, which would learn of each visit; without them, those of the system are used. */
const FOREIGN_FONTS = /<link href="https:[^>]*>/g;
/** What is shown until its script runs, with styles in the page: a moment of nothing does as well. */
const LOADING = /(<div id="root">)[\s\S]*(<\/div>\s*<script defer)/;

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
    options: {
      uiConfig: {
        boardTitle: 'scanmq',
        hideRedisDetails: true,
        miscLinks: [{ text: 'Log out', url: LOGIN_PATH }],
      },
    },
  });
  await app.register(async (scope) => {
    scope.addHook('onRequest', async (request, reply) => {
      reply.header('content-security-policy', CONTENT_POLICY);
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
    scope.addHook('onSend', async (_request, reply, payload) =>
      typeof payload === 'string' && String(reply.getHeader('content-type')).startsWith('text/html')
        ? payload.replace(FOREIGN_FONTS, '').replace(LOADING, '$1$2')
        : payload,
    );
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
