/** One scanner: an entry of `scanners.yaml`, or the `NESSUS_*` variables. */
import { X509Certificate } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { type InputIssue, instanceIdSchema, instanceKey } from '@scanmq/contract';
import { z } from 'zod';
import type { ScannerAuth, ScannerInstanceConfig, ScannerType } from './types.js';

/** Where the cloud service is, unless said otherwise (pyTenable, `tenable/io/__init__.py`). */
const TENABLE_VM_URL = 'https://cloud.tenable.com';

const text = z
  .string({
    error: ({ input }) =>
      input === undefined ? 'expected a value; it is missing' : 'expected a text; put it in quotes',
  })
  .trim();
/** Not trimmed: a blank may belong to it. */
const secret = z.string('expected a text; put it in quotes');
/** Numbers and switches may come as text, out of a `${VARIABLE}`. */
const limit = z
  .union([z.number(), z.string().regex(/^\d+$/).transform(Number)], 'expected a whole number from 1 to 100')
  .refine((value) => Number.isInteger(value) && value >= 1 && value <= 100, {
    error: 'expected a whole number from 1 to 100',
  });
const flag = z.union(
  [z.boolean(), z.enum(['true', 'false']).transform((word) => word === 'true')],
  'expected true or false',
);

const origin = text.transform((value, ctx) => {
  const fail = (message: string): never => {
    ctx.addIssue({ code: 'custom', message });
    return z.NEVER;
  };
  const url = URL.canParse(value) ? new URL(value) : undefined;
  if (url?.protocol === 'http:') {
    return fail(
      'expected an https:// URL: a Nessus scanner speaks TLS only, and credentials must not travel in the clear',
    );
  }
  if (url?.protocol !== 'https:')
    return fail('expected an https:// URL, for example https://scanner.example.com:8834');
  if (url.username !== '' || url.password !== '') {
    return fail(
      'expected no user name or password in the URL; they have keys of their own: username, password',
    );
  }
  if (url.pathname !== '/' || url.search !== '' || url.hash !== '')
    return fail('expected host and port only, without a path');
  return url.origin;
});

const fingerprint = text.transform((value, ctx) => {
  const hex = value
    .replace(/^sha-?256( fingerprint)?[:=]/i, '')
    .replaceAll(/[:\s]/g, '')
    .toLowerCase();
  if (/^[0-9a-f]{64}$/.test(hex)) return hex;
  ctx.addIssue({
    code: 'custom',
    message: 'expected a SHA-256 fingerprint: 64 hex digits, with or without colons',
  });
  return z.NEVER;
});

// RFC 9110 sections 5.1 and 5.5; a line break in a value would be a second header
const headerName = z.string().regex(/^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/, 'expected the name of a header');
const headerValue = secret.regex(/^[\t\x20-\x7e\x80-\xff]*$/, 'expected one line of text');

const entrySchema = z.strictObject({
  instance_id: text.pipe(instanceIdSchema),
  type: z
    .enum(['nessus', 'tenable_vm'] satisfies ScannerType[], 'expected nessus or tenable_vm')
    .default('nessus'),
  name: text.optional(),
  url: origin,
  username: text.optional(),
  password: secret.optional(),
  access_key: text.optional(),
  secret_key: text.optional(),
  enabled: flag.default(true),
  max_concurrent_scans: limit.optional(),
  interface: z.enum(['api', 'web_session'], 'expected api or web_session').default('api'),
  ca_file: text.optional(),
  tls_fingerprint: fingerprint.optional(),
  headers: z
    .record(headerName, headerValue, 'expected a mapping from header names to their values')
    .default({}),
  folder: text.optional(),
  follow: text.optional(),
  scanner: text.optional(),
});
type Entry = z.output<typeof entrySchema>;
const cloudEntrySchema = entrySchema.extend({ url: origin.default(TENABLE_VM_URL) });

const KNOWN_KEYS = Object.keys(entrySchema.shape).join(', ');

export interface EntryContext {
  readonly pool: string;
  /** How a user finds this key of the entry: `nessus[0].url`, `NESSUS_URL`. The empty key is the whole entry. */
  readonly place: (key: string) => string;
  /** Gets one more for each mistake. What has one already is not judged again. */
  readonly issues: InputIssue[];
  /** Relative paths start here. */
  readonly baseDir: string;
  /** Limit of concurrent scans where the entry has none. */
  readonly defaultLimit: number;
}

/** Checks one entry. @returns undefined when it has mistakes; they are in `ctx.issues` then. */
export function readInstance(raw: unknown, ctx: EntryContext): ScannerInstanceConfig | undefined {
  const before = ctx.issues.length;
  const known = new Set(ctx.issues.map(({ path }) => path));
  const report = (key: string, message: string): void => {
    const path = ctx.place(key);
    if (!known.has(path)) ctx.issues.push({ path, message });
  };
  if (raw === null || typeof raw !== 'object' || Array.isArray(raw)) {
    report('', `expected a mapping with the keys ${KNOWN_KEYS}`);
    return undefined;
  }
  const cloud = 'type' in raw && raw.type === 'tenable_vm';
  const parsed = (cloud ? cloudEntrySchema : entrySchema).safeParse(withoutEmpty(raw));
  if (!parsed.success) {
    for (const issue of parsed.error.issues) {
      if (issue.code === 'unrecognized_keys')
        for (const key of issue.keys) report(key, `unknown key; known are ${KNOWN_KEYS}`);
      else report(issue.path.join('.'), asExpectation(issue));
    }
    return undefined;
  }
  const entry = parsed.data;
  const auth = cloud ? readCloudLogin(entry, report) : readLogin(entry, report);
  if (!cloud && entry.scanner !== undefined)
    report('scanner', 'works with type: tenable_vm only; a Nessus scans by itself');
  const caFile = entry.ca_file === undefined ? undefined : resolve(ctx.baseDir, entry.ca_file);
  if (caFile !== undefined) checkCaFile(caFile, report);
  if (auth === undefined || ctx.issues.length > before) return undefined;
  return {
    type: entry.type,
    pool: ctx.pool,
    instanceId: entry.instance_id,
    instanceKey: instanceKey(ctx.pool, entry.instance_id),
    name: entry.name ?? entry.instance_id,
    url: entry.url,
    enabled: entry.enabled,
    maxConcurrentScans: entry.max_concurrent_scans ?? ctx.defaultLimit,
    auth,
    interface: entry.interface,
    caFile,
    tlsFingerprint: entry.tls_fingerprint,
    headers: entry.headers,
    folder: entry.folder,
    follow: entry.follow,
    scanner: entry.scanner,
  };
}

/** A key without a value is as good as absent: `password: ${PASSWORD:-}`. */
function withoutEmpty(entry: object): object {
  return Object.fromEntries(Object.entries(entry).filter(([, value]) => value !== '' && value !== null));
}

function asExpectation(issue: z.core.$ZodIssue): string {
  // the name of a header stands in the path; the schema of the name holds what was expected
  const message = issue.code === 'invalid_key' ? issue.issues[0]?.message : issue.message;
  return message?.startsWith('expected') ? message : `expected ${message ?? 'something else'}`;
}

type Report = (key: string, message: string) => void;

function readLogin(entry: Entry, report: Report): ScannerAuth | undefined {
  const { username, password, access_key: accessKey, secret_key: secretKey } = entry;
  const session = username !== undefined || password !== undefined;
  const keys = accessKey !== undefined || secretKey !== undefined;
  if (!session && !keys) {
    report('username', 'expected a login: username and password, or access_key and secret_key');
    return undefined;
  }
  if (session && keys) {
    report(
      accessKey === undefined ? 'secret_key' : 'access_key',
      'expected one kind of login: username and password, or access_key and secret_key',
    );
    return undefined;
  }
  if (keys) {
    if (entry.interface === 'web_session')
      report('interface', 'web_session works in a user session: it needs username and password');
    if (accessKey === undefined) report('access_key', 'expected together with secret_key');
    if (secretKey === undefined) report('secret_key', 'expected together with access_key');
    return accessKey === undefined || secretKey === undefined
      ? undefined
      : { kind: 'api_keys', accessKey, secretKey };
  }
  if (username === undefined) report('username', 'expected together with password');
  if (password === undefined) report('password', 'expected together with username');
  return username === undefined || password === undefined
    ? undefined
    : { kind: 'session', username, password };
}

/** The cloud service takes API keys only, and knows neither web sessions of ours nor folders to follow. */
function readCloudLogin(entry: Entry, report: Report): ScannerAuth | undefined {
  const { username, password, access_key: accessKey, secret_key: secretKey } = entry;
  if (username !== undefined || password !== undefined) {
    report(
      username === undefined ? 'password' : 'username',
      'works with type: nessus only; tenable_vm takes access_key and secret_key',
    );
  }
  if (entry.interface === 'web_session')
    report('interface', 'web_session works with type: nessus only; tenable_vm offers launching by API');
  if (entry.follow !== undefined)
    report('follow', 'works with type: nessus only; folders of tenable_vm are not followed');
  if (accessKey === undefined) report('access_key', 'expected a value: tenable_vm takes API keys only');
  if (secretKey === undefined) report('secret_key', 'expected a value: tenable_vm takes API keys only');
  return accessKey === undefined || secretKey === undefined
    ? undefined
    : { kind: 'api_keys', accessKey, secretKey };
}

function checkCaFile(path: string, report: Report): void {
  let pem: string;
  try {
    pem = readFileSync(path, 'utf8');
  } catch {
    report('ca_file', `expected a readable file; there is none at ${path}`);
    return;
  }
  try {
    if (!pem.includes('-----BEGIN CERTIFICATE-----')) throw new TypeError('not in PEM form');
    new X509Certificate(pem);
  } catch {
    report('ca_file', `expected a certificate in PEM form in ${path}`);
  }
}
