import {
  createdWebhookSchema,
  type Delivery,
  deliveryListSchema,
  deliverySchema,
  type Webhook,
  webhookListSchema,
  webhookSchema,
} from '@scanmq/contract';
import { z } from 'zod';
import type { Client } from '../client.js';
import { EXIT } from '../exit-codes.js';
import type { ProgramIo } from '../program-io.js';
import { deliveriesTable, webhooksTable } from '../tables.js';
import { secretFrom } from './credentials.js';

interface Output {
  readonly json?: boolean;
}

export interface CreateWebhookOptions extends Output {
  readonly events: readonly string[];
  readonly description?: string;
  readonly secretFile?: string;
}

const pathOf = (webhookId: string): string => `webhooks/${encodeURIComponent(webhookId)}`;

function print(io: ProgramIo, answer: unknown, text: string, options: Output): number {
  io.stdout.write(options.json ? `${JSON.stringify(answer)}\n` : `${text}\n`);
  return EXIT.passed;
}

/** `scanmq webhooks list`. */
export async function listWebhooks(io: ProgramIo, client: Client, options: Output): Promise<number> {
  const answer = await client.call('get', 'webhooks', webhookListSchema);
  const text = answer.total === 0 ? 'There are no webhooks.' : webhooksTable(answer.webhooks);
  return print(io, answer, text, options);
}

/** `scanmq webhooks create`. A secret comes from a file: on a command line every user of the machine could read it. */
export async function createWebhook(
  io: ProgramIo,
  client: Client,
  url: string,
  options: CreateWebhookOptions,
): Promise<number> {
  const webhook = await client.call('post', 'webhooks', createdWebhookSchema, {
    json: {
      url,
      events: options.events,
      description: options.description,
      secret: secretFrom(options.secretFile),
    },
  });
  const secret =
    options.secretFile === undefined
      ? `\n  secret     ${webhook.secret}\nKeep the secret: it is not shown again.`
      : '';
  return print(io, webhook, `${describe(webhook)}${secret}`, options);
}

/** `scanmq webhooks show`. */
export async function showWebhook(
  io: ProgramIo,
  client: Client,
  webhookId: string,
  options: Output,
): Promise<number> {
  const webhook = await client.call('get', pathOf(webhookId), webhookSchema);
  return print(io, webhook, describe(webhook), options);
}

/** `scanmq webhooks enable`. */
export async function enableWebhook(
  io: ProgramIo,
  client: Client,
  webhookId: string,
  options: Output,
): Promise<number> {
  const webhook = await client.call('post', `${pathOf(webhookId)}/enable`, webhookSchema);
  return print(io, webhook, describe(webhook), options);
}

/** `scanmq webhooks remove`. */
export async function removeWebhook(
  io: ProgramIo,
  client: Client,
  webhookId: string,
  options: Output,
): Promise<number> {
  await client.call('delete', pathOf(webhookId), z.unknown());
  return print(io, { webhook_id: webhookId, removed: true }, `${webhookId} is removed.`, options);
}

/** `scanmq webhooks test`. */
export async function testWebhook(
  io: ProgramIo,
  client: Client,
  webhookId: string,
  options: Output,
): Promise<number> {
  const delivery = await client.call('post', `${pathOf(webhookId)}/test`, deliverySchema);
  return print(io, delivery, begun(delivery), options);
}

/** `scanmq webhooks deliveries`. */
export async function listDeliveries(
  io: ProgramIo,
  client: Client,
  webhookId: string,
  options: Output & { readonly limit: string; readonly cursor?: string },
): Promise<number> {
  const query = {
    limit: options.limit,
    ...(options.cursor === undefined ? {} : { cursor: options.cursor }),
  };
  const answer = await client.call('get', `${pathOf(webhookId)}/deliveries`, deliveryListSchema, { query });
  const more = answer.next_cursor === null ? '' : `\nmore: --cursor ${answer.next_cursor}`;
  const text = answer.total === 0 ? 'Nothing was sent yet.' : `${deliveriesTable(answer.deliveries)}${more}`;
  return print(io, answer, text, options);
}

/** `scanmq webhooks replay`. */
export async function replayDelivery(
  io: ProgramIo,
  client: Client,
  webhookId: string,
  deliveryId: string,
  options: Output,
): Promise<number> {
  const path = `${pathOf(webhookId)}/deliveries/${encodeURIComponent(deliveryId)}/replay`;
  const delivery = await client.call('post', path, deliverySchema);
  return print(io, delivery, begun(delivery), options);
}

function begun({ delivery_id, webhook_id }: Delivery): string {
  return `${delivery_id} is on its way.\nWhat becomes of it: scanmq webhooks deliveries ${webhook_id}`;
}

function describe(webhook: Webhook): string {
  const lines = [
    webhook.webhook_id,
    `  url        ${webhook.url}`,
    `  events     ${webhook.events.join(', ')}`,
    ...(webhook.description === '' ? [] : [`  for        ${webhook.description}`]),
    `  state      ${webhook.disabled ? `disabled at ${webhook.disabled.at}: ${webhook.disabled.message}` : 'enabled'}`,
    `  delivered  ${webhook.last_success_at ?? 'nothing yet'}`,
  ];
  if (webhook.failing_since !== null)
    lines.push(
      `  failing    since ${webhook.failing_since}; given up since: ${webhook.consecutive_failures}`,
    );
  return lines.join('\n');
}
