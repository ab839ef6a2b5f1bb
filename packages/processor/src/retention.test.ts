import { describe, expect, it } from '@jest/globals';
import { dueMs } from './retention.js';

const HOUR_MS = 3_600_000;
const settings = {
  retentionCompletedMs: 7 * 24 * HOUR_MS,
  retentionFailedMs: 30 * 24 * HOUR_MS,
  idempotencyTtlMs: 48 * HOUR_MS,
};
const created_at = '2026-11-01T00:00:00.000Z';
const completed_at = '2026-11-01T12:00:00.000Z';
const ended = Date.parse(completed_at);
const task = { created_at, completed_at, idempotency_key: null };

describe('a task is due', () => {
  it.each([
    ['completed', 7],
    ['cancelled', 7],
    ['failed', 30],
    ['timeout', 30],
  ] as const)('%s: %i days after its end', (state, days) => {
    expect(dueMs({ ...task, state }, settings)).toBe(ended + days * 24 * HOUR_MS);
  });

  it.each(['queued', 'running'] as const)('never while it is %s', (state) => {
    expect(dueMs({ ...task, state }, settings)).toBe(Number.POSITIVE_INFINITY);
  });

  it('not before its idempotency key is forgotten', () => {
    const short = { ...settings, retentionCompletedMs: HOUR_MS };
    expect(dueMs({ ...task, state: 'completed' }, short)).toBe(ended + HOUR_MS);
    expect(dueMs({ ...task, state: 'completed', idempotency_key: 'build-1' }, short)).toBe(
      Date.parse(created_at) + 48 * HOUR_MS,
    );
  });
});
