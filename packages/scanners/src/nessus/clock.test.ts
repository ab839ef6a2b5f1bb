import { describe, expect, it } from '@jest/globals';
import { clockAheadMs } from './clock.js';

const NOON_MS = Date.parse('2026-11-23T12:00:00.000Z');
const NOON = 'Mon, 23 Nov 2026 12:00:00 GMT';

describe('the clock of a scanner, by the date of its answer', () => {
  it('is right when the date lies between sending and receiving, or is only cut to the second', () => {
    expect(clockAheadMs(NOON, NOON_MS - 100, NOON_MS + 100)).toBe(0);
    expect(clockAheadMs(NOON, NOON_MS + 900, NOON_MS + 950)).toBe(0);
  });

  it('is ahead by what the date is later than the answer', () => {
    expect(clockAheadMs(NOON, NOON_MS - 90_100, NOON_MS - 90_000)).toBe(90_000);
  });

  it('is behind by what the date is earlier than the question', () => {
    expect(clockAheadMs(NOON, NOON_MS + 60_999, NOON_MS + 61_100)).toBe(-60_000);
  });

  it('is not known without a date that can be read', () => {
    expect(clockAheadMs(undefined, NOON_MS, NOON_MS)).toBeUndefined();
    expect(clockAheadMs('yesterday', NOON_MS, NOON_MS)).toBeUndefined();
  });
});
