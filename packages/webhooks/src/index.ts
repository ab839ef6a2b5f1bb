export { type AddressVerdict, judgeAddress } from './addresses.js';
export type { ResolveName } from './connection.js';
export { createWebhookSender, type SenderOptions, type WebhookSender } from './sender.js';
export type { Message } from './signature.js';
export { checkWebhookUrl } from './url.js';
