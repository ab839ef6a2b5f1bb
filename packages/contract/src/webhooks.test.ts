import { describe, expect, it } from '@jest/globals';
import {
  createWebhookSchema,
  isChosen,
  SCAN_EVENTS,
  scanEventOf,
  TASK_STATES,
  toWebhookSecret,
  webhookSecretKey,
  webhookSecretSchema,
} from './index.js';

describe('the event of a change', () => {
  it('tells a submission, an attempt that goes on by itself, and a retry apart', () => {
    expect(scanEventOf('queued', undefined)).toBe('scan.queued');
    expect(scanEventOf('queued', 'running')).toBe('scan.requeued');
    for (const end of ['failed', 'timeout', 'cancelled'] as const)
      expect(scanEventOf('queued', end)).toBe('scan.retried');
    expect(scanEventOf('running', 'queued')).toBe('scan.started');
  });

  it('is one of those that can be chosen, whatever the states', () => {
    for (const state of TASK_STATES)
      for (const previous of [undefined, ...TASK_STATES]) {
        const event = scanEventOf(state, previous);
        expect(SCAN_EVENTS).toContain(event);
        expect(isChosen(['*'], event)).toBe(true);
        expect(isChosen([event], event)).toBe(true);
      }
    expect(isChosen(['scan.failed'], 'scan.completed')).toBe(false);
  });
});

describe('a secret', () => {
  it('is whsec_ and 24 to 64 bytes', () => {
    for (const bytes of [24, 25, 26, 32, 64]) {
      const secret = toWebhookSecret(Buffer.alloc(bytes, 255));
      expect(webhookSecretSchema.parse(secret)).toBe(secret);
      expect(webhookSecretKey(secret)).toEqual(Buffer.alloc(bytes, 255));
    }
    for (const wrong of [
      '',
      'whsec_',
      'whsec_AAAA',
      toWebhookSecret(Buffer.alloc(23)),
      toWebhookSecret(Buffer.alloc(65)),
      toWebhookSecret(Buffer.alloc(32)).slice(0, -1),
      `${toWebhookSecret(Buffer.alloc(32))}\n`,
      toWebhookSecret(Buffer.alloc(32)).slice('whsec_'.length),
      `whsec_${'!'.repeat(44)}`,
    ])
      expect(webhookSecretSchema.safeParse(wrong).success).toBe(false);
  });

  it('that is wrong is not repeated in the error', () => {
    const parsed = createWebhookSchema.safeParse({
      url: 'https://ci.example.com/',
      events: ['*'],
      secret: 'canary-of-a-secret',
    });
    expect(parsed.error?.issues).toMatchObject([{ path: ['secret'] }]);
    expect(JSON.stringify(parsed.error?.issues)).not.toContain('canary');
  });
});
