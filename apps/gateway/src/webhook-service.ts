/** Webhooks as users manage them; `processor/deliver-webhook.ts` is what sends to them. */
import type {
  CreatedWebhook,
  CreateWebhook,
  DeliveriesQuery,
  Delivery,
  DeliveryList,
  TargetSet,
  Webhook,
  WebhookList,
} from '@scanmq/contract';
import type { QueueSystem, WebhookViewer } from '@scanmq/queue';
import { checkWebhookUrl } from '@scanmq/webhooks';

export interface WebhookService {
  list(by: WebhookViewer): Promise<WebhookList>;
  /** @throws InvalidRequestError for a URL that must not be called; as `WebhookStore.create`. */
  create(request: CreateWebhook, by: WebhookViewer): Promise<CreatedWebhook>;
  get(webhookId: string, by: WebhookViewer): Promise<Webhook>;
  enable(webhookId: string, by: WebhookViewer): Promise<Webhook>;
  remove(webhookId: string, by: WebhookViewer): Promise<void>;
  ping(webhookId: string, by: WebhookViewer): Promise<Delivery>;
  deliveries(webhookId: string, query: DeliveriesQuery, by: WebhookViewer): Promise<DeliveryList>;
  replay(webhookId: string, deliveryId: string, by: WebhookViewer): Promise<Delivery>;
}

export function createWebhookService(deps: {
  readonly queue: Pick<QueueSystem, 'webhooks' | 'webhookDeliveries'>;
  /** WEBHOOK_ALLOW_NETWORKS. */
  readonly allow: TargetSet;
}): WebhookService {
  const { webhooks, webhookDeliveries } = deps.queue;
  return {
    async list(by) {
      const all = await webhooks.list(by);
      return { webhooks: [...all], total: all.length };
    },
    create: async (request, by) =>
      await webhooks.create({ ...request, url: checkWebhookUrl(request.url, deps.allow) }, by),
    get: (webhookId, by) => webhooks.get(webhookId, by),
    enable: (webhookId, by) => webhooks.enable(webhookId, by),
    remove: (webhookId, by) => webhookDeliveries.removeWebhook(webhookId, by),
    ping: (webhookId, by) => webhookDeliveries.ping(webhookId, by),
    deliveries: (webhookId, query, by) => webhookDeliveries.list(webhookId, query, by),
    replay: (webhookId, deliveryId, by) => webhookDeliveries.replay(webhookId, deliveryId, by),
  };
}
