import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import {
  createKeySchema,
  keyScopesSchema,
  LOCAL_PRINCIPAL,
  may,
  NO_SCOPES,
  PERMISSION_NAMES,
  PERMISSIONS,
  type Principal,
  ROLES,
  type Role,
  seesTask,
  TASK_SIGHTS,
} from './access.js';

const principal = (role: Role, tasks: Principal['scopes']['tasks'] = null): Principal => ({
  id: '1',
  name: 'me',
  role,
  scopes: { ...NO_SCOPES, tasks },
  via: 'key',
});

describe('roles', () => {
  it('may what the table says, and each no less than the one before', () => {
    const allowed = (role: Role): readonly string[] =>
      PERMISSION_NAMES.filter((permission) => may(principal(role), permission));
    expect(allowed('viewer')).toEqual([
      'scans:read',
      'results:read',
      'schedules:read',
      'dead-letters:read',
      'fleet:read',
      'metrics:read',
      'docs:read',
      'dashboard:read',
    ]);
    expect(allowed('operator')).toEqual([
      ...allowed('viewer'),
      'scans:submit',
      'scans:control',
      'imports:write',
      'imports:from-scanner',
      'schedules:change',
      'dead-letters:change',
      'webhooks:read',
      'webhooks:change',
      'credentials:read',
      'scanners:operate',
      'dashboard:change',
    ]);
    expect(allowed('admin')).toEqual(PERMISSION_NAMES);
    expect(PERMISSION_NAMES.filter((permission) => may(LOCAL_PRINCIPAL, permission))).toEqual(
      PERMISSION_NAMES,
    );
  });

  it.each<[Role, boolean]>([
    ['viewer', true],
    ['operator', false],
    ['admin', true],
  ])('%s sees the tasks of others: %s', (role, sees) => {
    const others = { principal: 'somebody else' };
    expect(seesTask(principal(role), others)).toBe(sees);
    expect(seesTask(principal(role, 'all'), others)).toBe(true);
    expect(seesTask(principal(role, 'own'), others)).toBe(false);
    for (const tasks of [null, ...TASK_SIGHTS])
      expect(seesTask(principal(role, tasks), { principal: 'me' })).toBe(true);
  });

  it('with a key that was made to see its own tasks only may nothing that shows or changes those of others', () => {
    for (const role of ROLES)
      for (const permission of [
        'dashboard:read',
        'dashboard:change',
        'scanners:operate',
        'imports:from-scanner',
      ] as const)
        expect(may(principal(role, 'own'), permission)).toBe(false);
  });

  it('never may less with more sight, whatever the permission', () => {
    fc.assert(
      fc.property(fc.constantFrom(...ROLES), fc.constantFrom(...PERMISSION_NAMES), (role, permission) => {
        if (may(principal(role, 'own'), permission))
          expect(may(principal(role, 'all'), permission)).toBe(true);
        expect(may(principal('admin', 'all'), permission)).toBe(true);
        expect(ROLES).toContain(PERMISSIONS[permission].from);
      }),
    );
  });
});

describe('a key', () => {
  const make = (change: object) => createKeySchema.safeParse({ name: 'ci', role: 'viewer', ...change });

  it.each(['ci', 'CI 2', 'team@example.com', 'a/b+c-d_e.f', 'x'.repeat(64)])('may be called %j', (name) => {
    expect(make({ name }).success).toBe(true);
  });

  it.each(['', ' ', 'local', 'oidc:x', '-x', 'ä', 'a\nb', 'a\u202eb', '<b>', 'x'.repeat(65), '*'])(
    'may not be called %j',
    (name) => {
      expect(make({ name }).success).toBe(false);
    },
  );

  it('has a role that there is', () => {
    for (const role of ['root', '', 'Admin', undefined]) expect(make({ role }).success).toBe(false);
  });

  it('has scopes that mean something', () => {
    const good = {
      tasks: 'own',
      pools: ['nessus'],
      targets: { allow: ['10.0.0.0/8', '.example.com'], deny: ['10.1.0.0/16'], max_hosts: 256 },
      credentials: [],
      templates: ['basic'],
      windows: [{ opens: '0 22 * * 1-5', hours: 8, time_zone: 'Europe/Berlin' }],
      requests_per_minute: 60,
      scans_per_day: 10,
    };
    expect(keyScopesSchema.parse(good)).toEqual(good);
    for (const bad of [
      { targets: { allow: ['10.0.0.0/33'] } },
      { windows: [] },
      { windows: [{ opens: 'now', hours: 1 }] },
      { windows: [{ opens: '0 0 * * *', hours: 1, time_zone: 'Mars' }] },
      { scans_per_day: 0 },
      { tasks: 'some' },
      // a scope that is misspelt would narrow nothing
      { pool: ['nessus'] },
    ])
      expect(keyScopesSchema.safeParse(bad).success).toBe(false);
  });
});
