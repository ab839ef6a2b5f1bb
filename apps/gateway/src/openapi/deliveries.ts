/** What the service asks of receivers: the part `webhooks` of the document, which OpenAPI has since 3.1. */
import { DELIVERY, PING } from './examples/webhooks.js';
import type { Tag } from './tags.js';

const TAG: Tag = 'webhooks';

const HEADERS = {
  'webhook-id': {
    description: 'Of the message: the same when it is sent again, so that a receiver can leave out repeats',
    schema: { type: 'string', examples: [DELIVERY.message_id] },
  },
  'webhook-timestamp': {
    description: 'When this attempt was sent; seconds since 1970. Refuse what is older than some minutes',
    schema: { type: 'string', pattern: '^[0-9]+$', examples: ['1764100217'] },
  },
  'webhook-signature': {
    description:
      'HMAC-SHA256 of `id.timestamp.body` with the secret, after Standard Webhooks (https://www.standardwebhooks.com); several are separated by spaces, and one that fits is enough',
    schema: { type: 'string', examples: ['v1,K5oZfzN95Z9UVu1EsfQmfVNQhnkZ2pj9o9NDN/H/pI4='] },
  },
} as const;

/** By the name of the message; receivers answer as they like, and these answers mean something to the service. */
export const DOCUMENTED_DELIVERIES = {
  event: {
    post: {
      operationId: 'receiveEvent',
      tags: [TAG],
      summary: 'What a receiver is sent',
      description:
        'A message for each event that the webhook asked for, and `ping` for a test. It may come more than once, and later than another that happened after it.',
      security: [],
      parameters: Object.entries(HEADERS).map(([name, header]) => ({
        name,
        in: 'header',
        required: true,
        ...header,
      })),
      requestBody: {
        required: true,
        content: {
          'application/json': {
            schema: { $ref: '#/components/schemas/WebhookPayload' },
            examples: { completed: { value: DELIVERY.payload }, ping: { value: PING.payload } },
          },
        },
      },
      responses: {
        '2XX': { description: 'It was taken' },
        '410': { description: 'Nobody is here any more: the webhook is disabled at once' },
        default: { description: 'It is sent again, later and later, until it is given up' },
      },
    },
  },
} as const;
