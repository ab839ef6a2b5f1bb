import {
  createdWebhookSchema,
  createWebhookSchema,
  deliveriesQuerySchema,
  deliveryListSchema,
  deliverySchema,
  webhookListSchema,
  webhookSchema,
} from '@scanmq/contract';
import type { WebhookViewer } from '@scanmq/queue';
import type { FastifyInstance, FastifyRequest } from 'fastify';
import type { ZodTypeProvider } from 'fastify-type-provider-zod';
import * as examples from '../openapi/examples/webhooks.js';
import { conditionalHeaders } from '../openapi/headers.js';
import { operation } from '../openapi/operation.js';
import { byDeliveryId, byWebhookId } from '../openapi/params.js';
import type { WebhookService } from '../webhook-service.js';

const NEW_DELIVERY = 'The delivery as it is now; it is sent by a worker, and found in the log of deliveries';

/** `/api/v1/webhooks` (contract section 5). */
export function webhookRoutes(
  app: FastifyInstance,
  service: WebhookService,
  viewer: (request: FastifyRequest) => WebhookViewer,
): void {
  const api = app.withTypeProvider<ZodTypeProvider>();

  api.get(
    '/webhooks',
    {
      schema: operation({
        operationId: 'listWebhooks',
        tag: 'webhooks',
        summary: 'List your webhooks',
        description: 'The oldest first, without their secrets.',
        headers: conditionalHeaders,
        answers: {
          200: {
            description: 'All of them',
            schema: webhookListSchema,
            examples: { one: { value: examples.WEBHOOKS } },
            headers: ['ETag'],
          },
          304: { description: 'Nothing changed', headers: ['ETag'] },
        },
      }),
    },
    async (request) => await service.list(viewer(request)),
  );

  api.post(
    '/webhooks',
    {
      schema: operation({
        operationId: 'createWebhook',
        tag: 'webhooks',
        summary: 'Be told of your scans',
        description:
          'From now on each chosen event is posted to the URL (`WebhookPayload`), signed as [Standard Webhooks](https://www.standardwebhooks.com) has it: `webhook-id`, `webhook-timestamp` and `webhook-signature` (`v1,` and the HMAC-SHA-256 of `id.timestamp.body`, base64). Answer 2xx within seconds. Anything else, redirects too, is tried again with growing waits for about a day; 410 ends it. What comes twice has the same `webhook-id`; the order may differ from that of the timestamps. The secret is in this answer only.',
        body: createWebhookSchema,
        examples: { ends: { summary: 'The ends of scans', value: examples.WEBHOOK_REQUEST } },
        answers: {
          201: {
            description: 'The webhook, with its secret',
            schema: createdWebhookSchema,
            examples: { created: { value: examples.CREATED_WEBHOOK } },
            headers: ['Location'],
          },
        },
        problems: ['invalid_state'],
      }),
    },
    async (request, reply) => {
      const created = await service.create(request.body, viewer(request));
      reply
        .code(201)
        .header('location', `/api/v1/webhooks/${created.webhook_id}`)
        // shown once also means: kept by nobody on the way
        .header('cache-control', 'no-store');
      return created;
    },
  );

  api.get(
    '/webhooks/:id',
    {
      schema: operation({
        operationId: 'getWebhook',
        tag: 'webhooks',
        summary: 'Look at a webhook',
        description: 'Whether it is disabled, and since when it fails.',
        params: byWebhookId,
        headers: conditionalHeaders,
        answers: {
          200: {
            description: 'The webhook',
            schema: webhookSchema,
            examples: {
              healthy: { value: examples.WEBHOOK },
              disabled: { value: examples.DISABLED_WEBHOOK },
            },
            headers: ['ETag'],
          },
          304: { description: 'Nothing changed', headers: ['ETag'] },
        },
        problems: ['not_found'],
      }),
    },
    async (request) => await service.get(request.params.id, viewer(request)),
  );

  api.delete(
    '/webhooks/:id',
    {
      schema: operation({
        operationId: 'removeWebhook',
        tag: 'webhooks',
        summary: 'Remove a webhook',
        description: 'With its secret, its log of deliveries, and those that wait.',
        params: byWebhookId,
        answers: { 204: { description: 'It is gone' } },
        problems: ['not_found'],
      }),
    },
    async (request, reply) => {
      await service.remove(request.params.id, viewer(request));
      return await reply.code(204).send();
    },
  );

  api.post(
    '/webhooks/:id/enable',
    {
      schema: operation({
        operationId: 'enableWebhook',
        tag: 'webhooks',
        summary: 'Let a disabled webhook go on',
        description:
          'Its count of failures begins anew. What was skipped meanwhile is in its log of deliveries, and can be replayed.',
        params: byWebhookId,
        answers: {
          200: {
            description: 'The webhook',
            schema: webhookSchema,
            examples: { enabled: { value: examples.WEBHOOK } },
          },
        },
        problems: ['not_found'],
      }),
    },
    async (request) => await service.enable(request.params.id, viewer(request)),
  );

  api.post(
    '/webhooks/:id/test',
    {
      schema: operation({
        operationId: 'testWebhook',
        tag: 'webhooks',
        summary: 'Send a ping',
        description: 'Whatever events were chosen. It is signed and tried again like any other.',
        params: byWebhookId,
        answers: {
          202: {
            description: NEW_DELIVERY,
            schema: deliverySchema,
            examples: { ping: { value: examples.PING } },
          },
        },
        problems: ['not_found', 'invalid_state'],
      }),
    },
    async (request, reply) => {
      const delivery = await service.ping(request.params.id, viewer(request));
      reply.code(202);
      return delivery;
    },
  );

  api.get(
    '/webhooks/:id/deliveries',
    {
      schema: operation({
        operationId: 'listDeliveries',
        tag: 'webhooks',
        summary: 'What was sent, and what came of it',
        description:
          'The last deliveries, the newest first, with every attempt. Of answers only status and size are kept.',
        params: byWebhookId,
        querystring: deliveriesQuerySchema,
        headers: conditionalHeaders,
        answers: {
          200: {
            description: 'One page',
            schema: deliveryListSchema,
            examples: { page: { value: examples.DELIVERIES } },
            headers: ['ETag'],
          },
          304: { description: 'Nothing changed', headers: ['ETag'] },
        },
        problems: ['not_found'],
      }),
    },
    async (request) => await service.deliveries(request.params.id, request.query, viewer(request)),
  );

  api.post(
    '/webhooks/:id/deliveries/:delivery_id/replay',
    {
      schema: operation({
        operationId: 'replayDelivery',
        tag: 'webhooks',
        summary: 'Send a delivery again',
        description:
          'The same bytes under the same `webhook-id`, as a delivery of its own: a receiver that remembers ids drops what it has.',
        params: byDeliveryId,
        answers: {
          202: {
            description: NEW_DELIVERY,
            schema: deliverySchema,
            examples: { replay: { value: examples.REPLAY } },
          },
        },
        problems: ['not_found', 'invalid_state'],
      }),
    },
    async (request, reply) => {
      const { id, delivery_id } = request.params;
      const delivery = await service.replay(id, delivery_id, viewer(request));
      reply.code(202);
      return delivery;
    },
  );
}
