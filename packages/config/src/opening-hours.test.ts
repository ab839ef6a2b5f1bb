import { describe, expect, it } from '@jest/globals';
import { hoursStatus, type OpeningHours } from './opening-hours.js';

const HOUR = 3_600_000;
const night: OpeningHours = {
  windows: [{ opens: '0 22 * * mon-fri', durationMs: 8 * HOUR, timeZone: 'Europe/Berlin' }],
  atClose: 'pause',
};

describe('opening hours', () => {
  it('open at the moment itself and close after their duration', () => {
    // Berlin is one hour ahead of UTC in winter; 2026-11-23 is a Monday
    expect(hoursStatus(night, new Date('2026-11-23T20:59:59Z'))).toEqual({
      open: false,
      opensAt: new Date('2026-11-23T21:00:00Z'),
    });
    expect(hoursStatus(night, new Date('2026-11-23T21:00:00Z'))).toEqual({
      open: true,
      closesAt: new Date('2026-11-24T05:00:00Z'),
    });
    expect(hoursStatus(night, new Date('2026-11-24T05:00:00Z'))).toMatchObject({ open: false });
  });

  it('are closed over the weekend, and say when they open again', () => {
    expect(hoursStatus(night, new Date('2026-11-28T12:00:00Z'))).toEqual({
      open: false,
      opensAt: new Date('2026-11-30T21:00:00Z'),
    });
  });

  it('keep their local hour over a change of the clocks', () => {
    // in summer Berlin is two hours ahead
    expect(hoursStatus(night, new Date('2026-07-01T12:00:00Z'))).toMatchObject({
      opensAt: new Date('2026-07-01T20:00:00Z'),
    });
  });

  it('are joined: one window that opens before another closes prolongs it', () => {
    const hours: OpeningHours = {
      windows: [
        { opens: '0 20 * * *', durationMs: 4 * HOUR, timeZone: 'UTC' },
        { opens: '0 0 * * *', durationMs: 6 * HOUR, timeZone: 'UTC' },
      ],
      atClose: 'continue',
    };
    expect(hoursStatus(hours, new Date('2026-11-23T21:00:00Z'))).toEqual({
      open: true,
      closesAt: new Date('2026-11-24T06:00:00Z'),
    });
  });

  it('that follow each other without a gap never close', () => {
    const hours: OpeningHours = {
      windows: [{ opens: '0 0 * * *', durationMs: 24 * HOUR, timeZone: 'UTC' }],
      atClose: 'pause',
    };
    expect(hoursStatus(hours, new Date('2026-11-23T21:00:00Z'))).toEqual({ open: true, closesAt: undefined });
  });
});
