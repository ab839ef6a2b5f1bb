import { describe, expect, it } from '@jest/globals';
import {
  authenticatedScanRequestSchema,
  listTasksParamsSchema,
  resultsQuerySchema,
  type ScanRequest,
  SECRET_FIELDS,
  scanRequestSchema,
  splitCredentials,
  untrustedScanRequestSchema,
} from './index.js';

const LEAST = { targets: '192.0.2.1', name: 'Test' };

/** Paths of what is wrong; empty when nothing is. */
function mistakes(request: Record<string, unknown>): string[] {
  const parsed = scanRequestSchema.safeParse({ ...LEAST, ...request });
  return parsed.success ? [] : parsed.error.issues.map(({ path }) => path.join('.'));
}

function parsed(request: Record<string, unknown>): ScanRequest {
  return scanRequestSchema.parse({ ...LEAST, ...request });
}

describe('a request for a scan', () => {
  it('needs targets and a name; the rest has defaults', () => {
    expect(untrustedScanRequestSchema.parse(LEAST)).toEqual({
      ...LEAST,
      description: '',
      schema_profile: 'brief',
      template: 'basic',
      priority: 'normal',
    });
    expect(parsed({}).scan_type).toBe('untrusted');
  });

  it.each([
    { targets: '' },
    { name: '  ' },
    { name: 'a'.repeat(201) },
    { schema_profile: 'everything' },
    { scanner_pool: 'A:B' },
    { scanner_instance: 'a:b' },
    { template: '../x' },
    { priority: 'urgent' },
    { timeout_hours: 0 },
    { timeout_hours: 577 },
    { idempotency_key: '' },
    { scan_type: 'full' },
  ])('is refused for %j alone', (request) => expect(mistakes(request)).toEqual(Object.keys(request)));

  it('is refused for a field that nobody knows: a typing error must not be ignored', () => {
    expect(scanRequestSchema.safeParse({ ...LEAST, timeoutHours: 1 }).success).toBe(false);
    expect(untrustedScanRequestSchema.safeParse({ ...LEAST, ssh_password: 'x' }).success).toBe(false);
  });
});

describe('credentials of a scan', () => {
  const ssh = { scan_type: 'authenticated', ssh_username: 'u', ssh_password: 'p' };
  const windows = { scan_type: 'authenticated', windows_username: 'u', windows_password: 'p' };

  it.each<[Record<string, unknown>]>([
    [ssh],
    [{ ...ssh, ssh_password: undefined, ssh_private_key: 'k', ssh_key_passphrase: 'x' }],
    [windows],
    [{ ...windows, ...ssh }],
    [{ scan_type: 'authenticated', credential_ref: 'stored' }],
    [{ ...ssh, scan_type: 'authenticated_privileged', elevate_privileges_with: 'sudo' }],
    [{ ...windows, scan_type: 'authenticated_privileged' }],
    [{ scan_type: 'untrusted', elevate_privileges_with: 'Nothing' }],
  ])('are right: %j', (request) => {
    expect(mistakes(request)).toEqual([]);
    if (request.scan_type !== 'untrusted')
      expect(authenticatedScanRequestSchema.safeParse({ ...LEAST, ...request }).success).toBe(true);
  });

  it.each<[Record<string, unknown>, string]>([
    [{ scan_type: 'authenticated' }, 'ssh_username'],
    [{ ...ssh, ssh_password: undefined }, 'ssh_password'],
    [{ ...ssh, ssh_private_key: 'k' }, 'ssh_password'],
    [{ ...ssh, credential_ref: 'stored' }, 'credential_ref'],
    [{ ...windows, windows_password: undefined }, 'windows_password'],
    [{ ...ssh, scan_type: 'authenticated_privileged' }, 'elevate_privileges_with'],
    [{ ...ssh, elevate_privileges_with: 'magic' }, 'elevate_privileges_with'],
    [{ ...ssh, ssh_username: undefined, windows_username: 'u', windows_password: 'p' }, 'ssh_password'],
    [{ scan_type: 'authenticated', credential_ref: 'stored', windows_password: 'p' }, 'windows_password'],
    [{ ...ssh, ssh_key_passphrase: 'x' }, 'ssh_key_passphrase'],
    [{ scan_type: 'untrusted', ssh_username: 'u' }, 'ssh_username'],
    [{ ssh_password: 'p' }, 'ssh_password'],
  ])('are wrong: %j', (request, path) => expect(mistakes(request)).toContain(path));

  it('are parted from what may be kept', () => {
    const secrets = Object.fromEntries(SECRET_FIELDS.map((field) => [field, `canary-${field}`]));
    const request = parsed({ ...ssh, ...windows, elevate_privileges_with: 'sudo' });
    const split = splitCredentials({ ...request, ...secrets });
    expect(JSON.stringify(split.request)).not.toContain('canary');
    expect(split.request).toMatchObject({ ...LEAST, scan_type: 'authenticated' });
    expect(split.credentials).toMatchObject({
      ...secrets,
      ssh_username: 'u',
      elevate_privileges_with: 'sudo',
    });
    expect(Object.keys(split.request).filter((key) => key in (split.credentials ?? {}))).toEqual([]);
  });

  it('are none for an untrusted scan', () => {
    expect(splitCredentials(parsed({})).credentials).toBeUndefined();
  });
});

describe('questions', () => {
  it('about tasks take numbers as text, from a query', () => {
    expect(listTasksParamsSchema.parse({ limit: '5' })).toEqual({ limit: 5 });
    expect(listTasksParamsSchema.parse({})).toEqual({ limit: 10 });
    for (const limit of ['0', '101', 'x', '1.5'])
      expect(listTasksParamsSchema.safeParse({ limit }).success).toBe(false);
  });

  it.each([
    [undefined, 40],
    ['5', 10],
    ['500', 100],
    [25, 25],
  ])('for a page of %j findings are answered with %j', (given, size) => {
    expect(resultsQuerySchema.parse({ page_size: given }).page_size).toBe(size);
  });
});
