import { describe, expect, it } from '@jest/globals';
import { cronMistake, isTimeZone, nextDue, type Recurrence } from './recurrence.js';

/** The next times, each found from the one before, as a schedule does. */
function times(recurrence: Recurrence, after: string, count: number): string[] {
  const found: string[] = [];
  let last = new Date(after);
  for (let index = 0; index < count; index++) {
    last = nextDue(recurrence, last);
    found.push(last.toISOString().replace('.000Z', 'Z'));
  }
  return found;
}

describe('a cron expression with seconds in a time zone', () => {
  const berlin = { cron: '15 30 9 * * 1-5', timeZone: 'Europe/Berlin' };

  it('stays at its hour by the clock when daylight saving time begins and ends', () => {
    expect(times(berlin, '2026-03-27T00:00:00Z', 3)).toEqual([
      '2026-03-27T08:30:15Z',
      '2026-03-30T07:30:15Z',
      '2026-03-31T07:30:15Z',
    ]);
    expect(times(berlin, '2026-10-23T00:00:00Z', 2)).toEqual([
      '2026-10-23T07:30:15Z',
      '2026-10-26T08:30:15Z',
    ]);
  });

  it('is due once on a day whose hour is skipped, and once on a day whose hour comes twice', () => {
    const night = { cron: '30 2 * * *', timeZone: 'Europe/Berlin' };
    expect(times(night, '2026-03-28T00:00:00Z', 3)).toEqual([
      '2026-03-28T01:30:00Z',
      '2026-03-29T01:30:00Z',
      '2026-03-30T00:30:00Z',
    ]);
    expect(times(night, '2026-10-24T00:00:00Z', 3)).toEqual([
      '2026-10-24T00:30:00Z',
      '2026-10-25T00:30:00Z',
      '2026-10-26T01:30:00Z',
    ]);
  });

  it('leaves no hour out while the clock changes', () => {
    expect(times({ cron: '0 * * * *', timeZone: 'Europe/Berlin' }, '2026-10-24T23:30:00Z', 4)).toEqual([
      '2026-10-25T00:00:00Z',
      '2026-10-25T01:00:00Z',
      '2026-10-25T02:00:00Z',
      '2026-10-25T03:00:00Z',
    ]);
  });
});

describe('an interval', () => {
  const every = { everyMs: 60_000, firstAt: new Date('2026-01-01T00:01:30Z') };

  it('keeps to the grid of its first run, however long nothing happened', () => {
    expect(nextDue(every, new Date('2026-01-01T00:00:00Z'))).toEqual(every.firstAt);
    expect(nextDue(every, every.firstAt).toISOString()).toBe('2026-01-01T00:02:30.000Z');
    expect(nextDue(every, new Date('2026-01-05T12:34:56Z')).toISOString()).toBe('2026-01-05T12:35:30.000Z');
  });
});

describe('what is no recurrence', () => {
  it.each([
    ['* *', 'five fields'],
    ['', 'five fields'],
    ['61 * * * *', 'expected range 0-59'],
    ['0 0 0 1 1 * *', 'five fields'],
    ['0 0 30 2 *', 'cron expression'],
    ['0 0 31 2,4 *', 'never due'],
    ['H 2 * * *', 'random'],
    ['0 H(1-5) * * *', 'random'],
  ])('%p is refused', (cron, why) => {
    expect(cronMistake(cron)).toContain(why);
  });

  it.each(['30 2 * * 1-5', '*/10 * * * * *', '@daily', '0 0 29 2 *', '0 9 * MAR *', '0 9 * * THU#1'])(
    '%p is told apart from them',
    (cron) => expect(cronMistake(cron)).toBeUndefined(),
  );

  it('nor is a time zone that does not exist, or an offset', () => {
    expect(['Europe/Berlin', 'UTC', 'America/Argentina/Buenos_Aires'].every(isTimeZone)).toBe(true);
    expect(['Mars/Phobos', '', '+01:00', 'local', 'Europe/Berlin '].some(isTimeZone)).toBe(false);
  });
});
