/** `scanners.yaml` (contract section 6), or the one scanner that the environment describes. */
import { X509Certificate } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import { type InputIssue, instanceIdSchema, instanceKey, poolNameSchema } from '@scanmq/contract';
import { parse as parseYaml, YAMLParseError } from 'yaml';
import { z } from 'zod';
import { ConfigError } from './config-error.js';
import type { Environment } from './settings.js';
import type { ScannerAuth, ScannerInstanceConfig, ScannersConfig, Settings } from './types.js';

const text = z.string().trim().min(1, 'expected a text');
/** Numbers and switches may come as text, out of a `${VARIABLE}`. */
const count = z
  .union([z.number(), z.string().regex(/^\d+$/).transform(Number)], 'expected a number')
  .pipe(z.number().int().min(1).max(100, 'expected 1 to 100'));
const flag = z.union(
  [z.boolean(), z.enum(['true', 'false']).transform((word) => word === 'true')],
  'expected true or false',
);

const origin = text.transform((value, ctx) => {
  const fail = (message: string): never => {
    ctx.addIssue({ code: 'custom', message });
    return z.NEVER;
  };
  if (!URL.canParse(value))
    return fail('expected an https:// URL, for example https://scanner.example.com:8834');
  const url = new URL(value);
  if (url.protocol === 'http:')
    return fail(
      'expected https://; a Nessus scanner speaks TLS only, and credentials must not travel in the clear',
    );
  if (url.protocol !== 'https:') return fail('expected an https:// URL');
  if (url.username !== '' || url.password !== '') return fail('expected no user name or password in the URL');
  if (url.pathname !== '/' || url.search !== '') return fail('expected host and port only, without a path');
  return url.origin;
});

const fingerprint = text.transform((value, ctx) => {
  const hex = value
    .replace(/^sha-?256[:=]/i, '')
    .replaceAll(':', '')
    .toLowerCase();
  if (/^[0-9a-f]{64}$/.test(hex)) return hex;
  ctx.addIssue({
    code: 'custom',
    message: 'expected a SHA-256 fingerprint: 64 hex digits, with or without colons',
  });
  return z.NEVER;
});

const instanceSchema = z.strictObject({
  instance_id: instanceIdSchema,
  name: text.optional(),
  url: origin,
  username: text.optional(),
  password: z.string().optional(),
  access_key: text.optional(),
  secret_key: text.optional(),
  enabled: flag.default(true),
  max_concurrent_scans: count.optional(),
  interface: z.enum(['api', 'web_session']).default('api'),
  ca_file: text.optional(),
  tls_fingerprint: fingerprint.optional(),
  headers: z.record(z.string().regex(/^[A-Za-z0-9-]+$/, 'expected a header name'), z.string()).default({}),
  folder: text.optional(),
  follow: text.optional(),
});
type RawInstance = z.output<typeof instanceSchema>;
const KNOWN_KEYS = Object.keys(instanceSchema.shape).join(', ');

/**
 * Reads the scanners.
 * @throws ConfigError that lists every mistake with its place, such as `nessus[0].url`.
 */
export function readScannersConfig(
  settings: Pick<Settings, 'scannerConfigFile' | 'maxConcurrentScans'>,
  env: Environment,
): ScannersConfig {
  const file = readIfThere(settings.scannerConfigFile);
  const given = (name: string): string | undefined => (env[name]?.trim() ? env[name]?.trim() : undefined);
  if (file === undefined && given('NESSUS_URL') === undefined) {
    throw new ConfigError('The list of scanners', [
      {
        path: 'SCANNER_CONFIG',
        message: `there is no file ${settings.scannerConfigFile}. Copy config/scanners.example.yaml there, or set NESSUS_URL with NESSUS_USERNAME and NESSUS_PASSWORD (or NESSUS_ACCESS_KEY and NESSUS_SECRET_KEY)`,
      },
    ]);
  }
  if (file !== undefined) return fromFile(file, settings, env);
  const issues: InputIssue[] = [];
  const fields = {
    instance_id: 'scanner1',
    url: given('NESSUS_URL'),
    username: given('NESSUS_USERNAME'),
    password: given('NESSUS_PASSWORD'),
    access_key: given('NESSUS_ACCESS_KEY'),
    secret_key: given('NESSUS_SECRET_KEY'),
    ca_file: given('NESSUS_CA_FILE'),
    tls_fingerprint: given('NESSUS_TLS_FINGERPRINT'),
  };
  const variableOf = (key: string): string =>
    `NESSUS_${key.replace('tls_fingerprint', 'TLS_FINGERPRINT').toUpperCase()}`;
  const instance = toInstance('nessus', withoutUndefined(fields), {
    place: (key) => (key === '' ? 'NESSUS_URL' : variableOf(key)),
    issues,
    baseDir: process.cwd(),
    defaultLimit: settings.maxConcurrentScans,
  });
  if (!instance || issues.length > 0) throw new ConfigError('The scanner in the environment', issues);
  return { pools: new Map([['nessus', [instance]]]), defaultPool: 'nessus' };
}

function readIfThere(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return undefined;
    const why = error instanceof Error && 'code' in error ? String(error.code) : 'unknown';
    throw new ConfigError('The list of scanners', [
      { path: 'SCANNER_CONFIG', message: `${path} cannot be read (${why})` },
    ]);
  }
}

function fromFile(
  file: string,
  settings: Pick<Settings, 'scannerConfigFile' | 'maxConcurrentScans'>,
  env: Environment,
): ScannersConfig {
  const issues: InputIssue[] = [];
  let document: unknown;
  try {
    document = parseYaml(file);
  } catch (error) {
    const at = error instanceof YAMLParseError ? error.message.split('\n')[0] : 'it is no YAML';
    throw new ConfigError(settings.scannerConfigFile, [{ path: 'yaml', message: at ?? 'it is no YAML' }]);
  }
  const pools = new Map<string, readonly ScannerInstanceConfig[]>();
  if (document === null || typeof document !== 'object' || Array.isArray(document)) {
    issues.push({ path: '(file)', message: 'expected a mapping from pool names to lists of instances' });
  } else {
    for (const [pool, raw] of Object.entries(document)) {
      if (!poolNameSchema.safeParse(pool).success)
        issues.push({
          path: pool,
          message: 'expected a pool name: a lower-case letter, then letters, digits, _ or -',
        });
      if (!Array.isArray(raw) || raw.length === 0) {
        issues.push({ path: pool, message: 'expected a list with at least one instance' });
        continue;
      }
      const instances = raw.flatMap((entry: unknown, index): ScannerInstanceConfig[] => {
        const place = (key: string): string => `${pool}[${index}]${key === '' ? '' : `.${key}`}`;
        const instance = toInstance(pool, substitute(entry, env, place, issues), {
          place,
          issues,
          baseDir: dirname(settings.scannerConfigFile),
          defaultLimit: settings.maxConcurrentScans,
        });
        return instance ? [instance] : [];
      });
      for (const [index, { instanceId }] of instances.entries()) {
        if (instances.findIndex((other) => other.instanceId === instanceId) < index) {
          issues.push({
            path: `${pool}[${index}].instance_id`,
            message: `'${instanceId}' occurs twice in this pool`,
          });
        }
      }
      pools.set(pool, instances);
    }
    if (pools.size === 0 && issues.length === 0)
      issues.push({ path: '(file)', message: 'expected at least one pool' });
  }
  if (issues.length > 0) throw new ConfigError(settings.scannerConfigFile, issues);
  const [first = 'nessus'] = pools.keys();
  return { pools, defaultPool: pools.has('nessus') ? 'nessus' : first };
}

/** Puts the values of `${VAR}` and `${VAR:-default}` into every text below this value. */
function substitute(
  value: unknown,
  env: Environment,
  place: (key: string) => string,
  issues: InputIssue[],
  key = '',
): unknown {
  if (typeof value === 'string') {
    return value.replace(
      /\$\{([A-Za-z_][A-Za-z0-9_]*)(?::-([^}]*))?\}/g,
      (_, name: string, fallback: string | undefined) => {
        const found = env[name] === undefined || env[name] === '' ? fallback : env[name];
        if (found === undefined)
          issues.push({
            path: place(key),
            message: `the variable ${name} is not set and has no default (\${${name}:-default})`,
          });
        return found ?? '';
      },
    );
  }
  if (value === null || typeof value !== 'object' || Array.isArray(value)) return value;
  return Object.fromEntries(
    Object.entries(value).map(([inner, innerValue]) => [
      inner,
      substitute(innerValue, env, place, issues, key === '' ? inner : `${key}.${inner}`),
    ]),
  );
}

interface InstanceContext {
  readonly place: (key: string) => string;
  readonly issues: InputIssue[];
  /** Relative paths start here. */
  readonly baseDir: string;
  readonly defaultLimit: number;
}

function toInstance(pool: string, raw: unknown, ctx: InstanceContext): ScannerInstanceConfig | undefined {
  const parsed = instanceSchema.safeParse(raw);
  if (!parsed.success) {
    for (const issue of parsed.error.issues) {
      if (issue.code === 'unrecognized_keys') {
        for (const key of issue.keys)
          ctx.issues.push({ path: ctx.place(key), message: `unknown key; known are ${KNOWN_KEYS}` });
      } else {
        const missing = issue.code === 'invalid_type' && issue.message.includes('undefined');
        ctx.issues.push({
          path: ctx.place(issue.path.join('.')),
          message: missing ? 'expected a value; it is missing' : issue.message,
        });
      }
    }
    return undefined;
  }
  const entry = parsed.data;
  const auth = authOf(entry, ctx);
  const caFile = entry.ca_file === undefined ? undefined : resolve(ctx.baseDir, entry.ca_file);
  if (caFile !== undefined) checkCaFile(caFile, ctx);
  if (!auth) return undefined;
  return {
    pool,
    instanceId: entry.instance_id,
    instanceKey: instanceKey(pool, entry.instance_id),
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
  };
}

function authOf(entry: RawInstance, ctx: InstanceContext): ScannerAuth | undefined {
  const session = entry.username !== undefined && entry.password !== undefined && entry.password !== '';
  const keys = entry.access_key !== undefined && entry.secret_key !== undefined;
  const any = entry.username ?? entry.password ?? entry.access_key ?? entry.secret_key;
  const wrong = (key: string, message: string): undefined => {
    ctx.issues.push({ path: ctx.place(key), message });
    return undefined;
  };
  if (session && (entry.access_key ?? entry.secret_key) !== undefined)
    return wrong(
      'access_key',
      'expected either username and password or access_key and secret_key, not both',
    );
  if (!session && !keys) {
    if (any === undefined)
      return wrong('username', 'expected a login: username and password, or access_key and secret_key');
    if (entry.access_key !== undefined) return wrong('secret_key', 'expected with access_key');
    if (entry.secret_key !== undefined) return wrong('access_key', 'expected with secret_key');
    return entry.username === undefined
      ? wrong('username', 'expected with password')
      : wrong('password', 'expected with username');
  }
  if (entry.interface === 'web_session' && !session)
    return wrong('interface', 'web_session needs username and password: it works in a user session');
  if (session) return { kind: 'session', username: entry.username ?? '', password: entry.password ?? '' };
  return { kind: 'api_keys', accessKey: entry.access_key ?? '', secretKey: entry.secret_key ?? '' };
}

function checkCaFile(path: string, ctx: InstanceContext): void {
  try {
    new X509Certificate(readFileSync(path));
  } catch (error) {
    const missing = error instanceof Error && 'code' in error && error.code === 'ENOENT';
    ctx.issues.push({
      path: ctx.place('ca_file'),
      message: missing ? `there is no file ${path}` : `expected a certificate in PEM form: ${path}`,
    });
  }
}

function withoutUndefined(fields: Record<string, unknown>): Record<string, unknown> {
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined));
}
