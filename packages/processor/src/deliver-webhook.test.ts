import { describe, expect, it } from '@jest/globals';
import { readSettings } from '@scanmq/config';
import { LIMITS } from '@scanmq/contract';
import { deliveryBackoffMs } from './deliver-webhook.js';

const HOUR_MS = 3_600_000;

describe('the waits between attempts', () => {
  const { webhookRetryMs } = readSettings({});
  const waits = (random: () => number): number[] =>
    Array.from({ length: LIMITS.webhookAttempts - 1 }, (_, index) =>
      deliveryBackoffMs(webhookRetryMs, index + 1, random),
    );

  it('grow, and take about a day together', () => {
    const middle = waits(() => 0.5);
    expect(middle[0]).toBe(15_000);
    expect(middle.every((wait, index) => index === 0 || wait > (middle[index - 1] ?? 0))).toBe(true);
    const total = middle.reduce((sum, wait) => sum + wait, 0);
    expect(total).toBeGreaterThan(20 * HOUR_MS);
    expect(total).toBeLessThan(28 * HOUR_MS);
  });

  it('are not the same for all, and never longer than a day or so', () => {
    expect(waits(() => 0)[3]).toBeLessThan(waits(() => 0.999)[3] ?? 0);
    expect(deliveryBackoffMs(HOUR_MS, 8, () => 1)).toBeLessThan(29 * HOUR_MS);
  });
});
