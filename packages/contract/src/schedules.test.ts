import { describe, expect, it } from '@jest/globals';
import { InvalidRequestError } from './errors.js';
import { parseOrThrow } from './problem.js';
import { createScheduleSchema } from './schedules.js';

const request = { targets: '192.0.2.1', name: 'Nightly' };

function mistakes(value: unknown): readonly { path: string; message: string }[] {
  try {
    parseOrThrow(createScheduleSchema, value);
    return [];
  } catch (error) {
    if (error instanceof InvalidRequestError) return error.issues ?? [];
    throw error;
  }
}

describe('a schedule that is asked for', () => {
  it('needs a scan and one way to say when; the rest has defaults', () => {
    expect(createScheduleSchema.parse({ request, cron: '30 2 * * *' })).toMatchObject({
      overlap: 'skip',
      request: { scan_type: 'untrusted', template: 'basic', priority: 'normal' },
    });
    expect(createScheduleSchema.parse({ request, every_minutes: 0.02 }).every_minutes).toBe(0.02);
  });

  it.each([
    [{ request }, 'cron'],
    [{ request, cron: '30 2 * * *', every_minutes: 5 }, 'cron'],
    [{ request, cron: 'at night' }, 'cron'],
    [{ request, cron: '30 2 * * *', time_zone: 'Mars/Phobos' }, 'time_zone'],
    [{ request, every_minutes: 5, time_zone: 'UTC' }, 'time_zone'],
    [{ request, every_minutes: 0.001 }, 'every_minutes'],
    [{ request, every_minutes: 366 * 24 * 60 + 1 }, 'every_minutes'],
    [{ request, every_minutes: 5, overlap: 'both' }, 'overlap'],
    [{ request: { ...request, idempotency_key: 'mine' }, every_minutes: 5 }, 'request.idempotency_key'],
    [{ request: { name: 'no targets' }, every_minutes: 5 }, 'request.targets'],
    [{ request: { ...request, scan_type: 'authenticated' }, every_minutes: 5 }, 'request.ssh_username'],
  ])('%j is refused at %s', (value, path) => {
    expect(mistakes(value).map((mistake) => mistake.path)).toContain(path);
  });

  it('may name a stored credential, but not bring one', () => {
    const stored = { ...request, scan_type: 'authenticated', credential_ref: 'linux-hosts' };
    expect(mistakes({ request: stored, every_minutes: 5 })).toEqual([]);
    const inline = { ...request, scan_type: 'authenticated', ssh_username: 'root', ssh_password: 'canary' };
    const refused = mistakes({ request: inline, every_minutes: 5 });
    expect(refused).toEqual([
      { path: 'request.ssh_username', message: expect.stringContaining('credential_ref') },
      { path: 'request.ssh_password', message: expect.stringContaining('credential_ref') },
    ]);
    expect(JSON.stringify(refused)).not.toContain('canary');
  });
});
