/** Signature of a message as Standard Webhooks has it: HMAC-SHA-256 over id, time and body. */
import { createHmac } from 'node:crypto';
import { webhookSecretKey } from '@scanmq/contract';

export interface Message {
  /** The same in all attempts. */
  readonly id: string;
  /** Exactly what is sent. */
  readonly body: string;
}

/** @param secret `whsec_…` @param now of this attempt: receivers refuse what is older than some minutes. */
export function signatureHeaders(message: Message, secret: string, now: Date): Record<string, string> {
  const timestamp = String(Math.floor(now.getTime() / 1_000));
  const signature = createHmac('sha256', webhookSecretKey(secret))
    .update(`${message.id}.${timestamp}.${message.body}`)
    .digest('base64');
  return {
    'webhook-id': message.id,
    'webhook-timestamp': timestamp,
    'webhook-signature': `v1,${signature}`,
  };
}
