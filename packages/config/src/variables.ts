/** Every environment variable: name, form, default and meaning in one table. `.env.example` is made from it. */
import { isIP } from 'node:net';
import { resolve } from 'node:path';
import { badTargetSetEntry, ROLES, type Role, roleSchema, setHasNames, targetSet } from '@scanmq/contract';
import { z } from 'zod';

/** Text of a variable → its value. An unset (or empty) variable takes the default, which is text as well. */
export interface Variable {
  readonly group: string;
  readonly meaning: string;
  /** As it would be written in the environment; undefined = nothing. */
  readonly default: string | undefined;
}

const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;
/** Times that no timer waits for: how long something is kept. */
const KEPT = { maxMs: 3_650 * DAY_MS };

/** Longest that a timer of Node can wait; a longer one would fire at once. */
const LONGEST_TIMER_MS = 2 ** 31 - 1;

/** A span of time in this unit, fractions allowed, as milliseconds. */
function duration(
  unit: string,
  unitMs: number,
  { minMs = 1, maxMs = LONGEST_TIMER_MS }: { readonly minMs?: number; readonly maxMs?: number } = {},
): z.ZodType<number, string> {
  return z.string().transform((text, ctx) => {
    const value = Math.round(Number(text) * unitMs);
    if (text.trim() !== '' && Number.isFinite(value) && value >= minMs && value <= maxMs) return value;
    ctx.addIssue({
      code: 'custom',
      message: `expected a number of ${unit} from ${minMs / unitMs} to ${Math.floor(maxMs / unitMs)}; fractions are allowed`,
    });
    return z.NEVER;
  });
}

function whole(min: number, max: number): z.ZodType<number, string> {
  return z.string().transform((text, ctx) => {
    const value = Number(text);
    if (text.trim() !== '' && Number.isInteger(value) && value >= min && value <= max) return value;
    ctx.addIssue({ code: 'custom', message: `expected a whole number from ${min} to ${max}` });
    return z.NEVER;
  });
}

/** `host:port`, comma separated. */
const addresses = z.string().transform((text, ctx) => {
  const list = text.split(',').map((part) => /^(\[[0-9a-fA-F:]+\]|[^:\s]+):(\d{1,5})$/.exec(part.trim()));
  if (list.every((match) => match !== null && Number(match[2]) >= 1 && Number(match[2]) <= 65_535)) {
    return list.map((match) => ({
      host: (match?.[1] ?? '').replace(/^\[|\]$/g, ''),
      port: Number(match?.[2]),
    }));
  }
  ctx.addIssue({ code: 'custom', message: 'expected host:port, several separated by commas' });
  return z.NEVER;
});

/** Addresses of resolvers, with a port where it is not 53; names would have to be resolved first. */
const dnsServers = z.string().transform((text, ctx) => {
  const list = text
    .split(/[\s,]+/)
    .filter((part) => part !== '')
    .map((part) => {
      const [, six, four, port = '53'] =
        /^(?:\[([0-9a-fA-F:.]+)\]|([0-9.]+))(?::(\d{1,5}))?$/.exec(part) ?? [];
      return { host: six ?? four ?? part, port: Number(port) };
    });
  if (list.every(({ host, port }) => isIP(host) !== 0 && port >= 1 && port <= 65_535)) return list;
  ctx.addIssue({
    code: 'custom',
    message:
      'expected addresses of resolvers, with a port where it is not 53: 192.0.2.53, [2001:db8::53]:5353',
  });
  return z.NEVER;
});

/** Kept as text: what an entry means is known to the policy that checks targets. */
const targetList = z.string().transform((text, ctx) => {
  const entries = text.split(/[\s,]+/).filter((entry) => entry !== '');
  for (const entry of entries) {
    if (badTargetSetEntry([entry]) !== undefined) {
      ctx.addIssue({
        code: 'custom',
        message: `expected addresses, ranges, networks or names (.example.com = all below it); '${entry.slice(0, 60)}' is none`,
      });
    }
  }
  return entries;
});

/** Networks only: where a name leads is decided by whoever answers for it. */
const networkList = targetList.transform((entries, ctx) => {
  const name = entries.find((entry) => setHasNames(targetSet([entry])));
  if (name !== undefined)
    ctx.addIssue({
      code: 'custom',
      message: `expected addresses, ranges or networks; '${name.slice(0, 60)}' is a name`,
    });
  return entries;
});

const key32 = z.string().transform((text, ctx) => {
  if (/^[0-9a-fA-F]{64}$/.test(text)) return Buffer.from(text, 'hex');
  // 32 bytes are 43 characters of base64; Buffer.from would skip over whatever else is there
  if (/^[A-Za-z0-9+/_-]{43}=?$/.test(text)) return Buffer.from(text, 'base64');
  ctx.addIssue({
    code: 'custom',
    message: 'expected 32 bytes as base64 or 64 hex digits; make one with: openssl rand -base64 32',
  });
  return z.NEVER;
});

const keys32 = z
  .string()
  .transform((text) => text.split(/[\s,]+/).filter((part) => part !== ''))
  .pipe(z.array(key32));

const redisUrl = z
  .string()
  .refine(
    (text) => URL.canParse(text) && /^rediss?:$/.test(new URL(text).protocol),
    'expected redis://host:port or rediss://host:port',
  );
const isHttps = (url: URL): boolean =>
  url.protocol === 'https:' ||
  // for development and tests: nobody else can listen there
  (url.protocol === 'http:' && /^(localhost|127(\.\d+){3}|\[::1\])$/.test(url.hostname));

/** Compared letter by letter with what the issuer says of itself, therefore kept as text. */
const issuerUrl = z
  .string()
  .refine(
    (text) => URL.canParse(text) && isHttps(new URL(text)) && !/[?#]/.test(text),
    'expected https://… without ? and #; http:// only on this machine',
  );

const publicUrl = z.string().transform((text, ctx) => {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (
    url &&
    /^https?:$/.test(url.protocol) &&
    url.pathname === '/' &&
    !/[?#]/.test(text) &&
    url.username === ''
  )
    return url.origin;
  ctx.addIssue({ code: 'custom', message: 'expected https://host or http://host:port, without a path' });
  return z.NEVER;
});

/** `value=role`, comma separated. */
const roleMap = z.string().transform((text, ctx): ReadonlyMap<string, Role> => {
  const map = new Map<string, Role>();
  for (const part of text.split(',').filter((one) => one.trim() !== '')) {
    const [, value = '', name] = /^(.+)=([^=]+)$/.exec(part.trim()) ?? [];
    const role = roleSchema.safeParse(name?.trim());
    if (role.success) map.set(value.trim(), role.data);
    else ctx.addIssue({ code: 'custom', message: `expected value=role, and a role is ${ROLES.join(', ')}` });
  }
  return map;
});
const path = z.string().transform((text) => resolve(text));
const anyText = z.string();

const otlpUrl = z
  .string()
  .refine(
    (text) => URL.canParse(text) && /^https?:$/.test(new URL(text).protocol),
    'expected http:// or https://',
  );

const define = <S extends z.ZodType>(
  group: string,
  schema: S,
  defaultText: string | undefined,
  meaning: string,
) => ({ group, schema, default: defaultText, meaning });

export const VARIABLES = {
  HOST: define('Gateway', z.string(), '127.0.0.1', 'Address to bind to'),
  PORT: define('Gateway', whole(0, 65_535), '8835', 'Port of the gateway; 0 = any free'),
  PUBLIC_URL: define(
    'Gateway',
    publicUrl,
    undefined,
    'Where clients reach the gateway, for example https://scans.example.com; needed where a proxy stands before it',
  ),
  MAX_CONNECTIONS: define(
    'Gateway',
    whole(1, 1_000_000),
    '4096',
    'Connections to one gateway; on more of them it answers unavailable, and ends them',
  ),
  MAX_STREAMS_PER_PRINCIPAL: define(
    'Gateway',
    whole(1, 1_000_000),
    '2000',
    'Streams of events that one principal has open at one gateway',
  ),
  MAX_WAITS_PER_PRINCIPAL: define(
    'Gateway',
    whole(1, 1_000_000),
    '2000',
    'Requests of one principal that wait for a scan at one gateway: ?wait= and wait_for_scan',
  ),
  MAX_QUEUED: define(
    'Gateway',
    whole(0, 100_000_000),
    '100000',
    'Tasks that may wait, of all principals; 0 = no limit',
  ),
  MAX_QUEUED_PER_PRINCIPAL: define(
    'Gateway',
    whole(0, 100_000_000),
    '20000',
    'Tasks of one principal that may wait, imports as well; 0 = no limit',
  ),

  API_KEYS_FILE: define(
    'Access',
    path,
    undefined,
    'File of API keys, shared by all gateways; without it they are kept in Redis (scanmq keys)',
  ),
  OIDC_ISSUER: define(
    'Access',
    issuerUrl,
    undefined,
    'Issuer whose tokens are accepted beside keys, for example https://login.example.com/realms/main',
  ),
  OIDC_AUDIENCE: define('Access', anyText, undefined, 'Audience that a token must be meant for'),
  OIDC_NAME_CLAIM: define(
    'Access',
    anyText,
    'sub',
    'Claim that names the principal; must be unique and never change hands',
  ),
  OIDC_ROLE_CLAIM: define(
    'Access',
    anyText,
    'roles',
    'Claim with the roles, a text or a list; a.b looks into objects',
  ),
  OIDC_ROLES: define(
    'Access',
    roleMap,
    'viewer=viewer, operator=operator, admin=admin',
    'What values of that claim mean, as value=role; the highest counts',
  ),
  OIDC_DEFAULT_ROLE: define(
    'Access',
    z.enum(ROLES, 'expected viewer, operator or admin'),
    undefined,
    'Role of a token that brings none; without it, such a token is refused',
  ),
  SESSION_HOURS: define(
    'Access',
    duration('hours', HOUR_MS, { maxMs: 30 * DAY_MS }),
    '12',
    'A login in a browser ends after this long …',
  ),
  SESSION_IDLE_MINUTES: define(
    'Access',
    duration('minutes', 60_000, { maxMs: 30 * DAY_MS }),
    '60',
    '… or when nothing was asked for this long',
  ),
  AUTH_FAILURES_PER_MINUTE: define(
    'Access',
    whole(0, 10_000_000),
    '1000',
    'Requests with a wrong key or token from one address (IPv6: /64); 0 = no limit',
  ),
  LOGINS_PER_MINUTE: define(
    'Access',
    whole(0, 1_000_000),
    '10',
    'Attempts to log in with a browser from one address; 0 = no limit',
  ),
  READS_PER_MINUTE: define(
    'Access',
    whole(0, 10_000_000),
    '0',
    'Requests of one principal that only look, over all gateways; 0 = no limit',
  ),
  CHANGES_PER_MINUTE: define(
    'Access',
    whole(0, 10_000_000),
    '3000',
    'Requests of one principal that change something, over all gateways; 0 = no limit',
  ),
  AUDIT_FILE: define(
    'Access',
    path,
    undefined,
    'Audit log; by default audit.log beside DATA_DIR. A second process takes audit-2.log, and so on',
  ),
  AUDIT_MAX_MB: define(
    'Access',
    whole(1, 1_048_576),
    '64',
    'Size at which an audit log is put aside under a number and goes on in a new file; nothing is deleted',
  ),
  AUDIT_SYNC: define(
    'Access',
    z.enum(['always', 'never'], 'expected always or never'),
    'always',
    'always: an entry is on the disk before what it tells of is done; never: a power failure may lose the last ones',
  ),

  REDIS_URL: define(
    'Redis',
    redisUrl,
    'redis://127.0.0.1:6379',
    'Redis; its maxmemory-policy must be noeviction',
  ),
  REDIS_SENTINELS: define(
    'Redis',
    addresses,
    undefined,
    'Sentinels as host:port, comma separated, instead of the host of REDIS_URL',
  ),
  REDIS_SENTINEL_NAME: define('Redis', anyText, undefined, 'Name of the master that the Sentinels watch'),
  REDIS_SENTINEL_PASSWORD: define('Redis', anyText, undefined, 'Password of the Sentinels, if they have one'),
  REDIS_CLUSTER_NODES: define(
    'Redis',
    addresses,
    undefined,
    'Some nodes of a Redis Cluster as host:port, comma separated, instead of the host of REDIS_URL; QUEUE_PREFIX needs braces then',
  ),
  REDIS_WAIT_REPLICAS: define(
    'Redis',
    whole(0, 10),
    '0',
    'A submission is acknowledged only when so many replicas have it; 1 with Sentinels or a Cluster loses none in a failover',
  ),
  QUEUE_PREFIX: define(
    'Redis',
    z.string().regex(/^[A-Za-z0-9_.{}-]{1,64}$/, 'expected letters, digits, _ . - { }'),
    'scanmq',
    'Begin of every key in Redis; several services can share one Redis. In braces, {scanmq}, for a Redis Cluster: all keys in one slot',
  ),
  START_WAIT_SECONDS: define(
    'Redis',
    duration('seconds', 1_000),
    '60',
    'How long a gateway or worker waits at its start for Redis, and for the bucket of the results',
  ),

  DATA_DIR: define(
    'Results',
    path,
    './data/tasks',
    'Directory of the results, one directory per task; shared by gateways and workers. With RESULT_STORE=s3 for files in the making and copies, and not shared',
  ),
  RESULT_STORE: define(
    'Results',
    z.enum(['directory', 's3'], 'expected directory or s3'),
    'directory',
    'directory: results are kept in DATA_DIR; s3: in a bucket, for gateways and workers on machines that share no directory',
  ),
  S3_BUCKET: define('Results', anyText, undefined, 'The bucket'),
  S3_PREFIX: define(
    'Results',
    z
      .string()
      .regex(
        /^(?!\.{1,2}\/)[A-Za-z0-9_.=-]+(\/(?!\.{1,2}(\/|$))[A-Za-z0-9_.=-]+)*\/?$/,
        'expected a path of letters, digits, _ . = -',
      )
      .transform((text) => (text.endsWith('/') ? text : `${text}/`)),
    undefined,
    'Begin of every name in the bucket, for example scanmq/tasks',
  ),
  S3_ENDPOINT: define(
    'Results',
    z
      .string()
      .refine(
        (text) => URL.canParse(text) && /^https?:$/.test(new URL(text).protocol),
        'expected https://host:port',
      ),
    undefined,
    'Address of a store that speaks S3; that of AWS when left out',
  ),
  S3_REGION: define('Results', anyText, 'us-east-1', 'Region of the bucket'),
  S3_ACCESS_KEY_ID: define(
    'Results',
    anyText,
    undefined,
    'Key of a user who may list, read, write and delete below the prefix; without it what AWS offers (role, environment, profile)',
  ),
  S3_SECRET_ACCESS_KEY: define('Results', anyText, undefined, '… and its secret'),
  S3_FORCE_PATH_STYLE: define(
    'Results',
    z.enum(['true', 'false'], 'expected true or false'),
    undefined,
    'true: the bucket is a part of the path, not of the host name; the default with S3_ENDPOINT',
  ),
  RESULT_CACHE_MB: define(
    'Results',
    whole(1, 1_048_576),
    '2048',
    'With RESULT_STORE=s3: copies of results that a gateway keeps on its disk, megabytes; the least recently used go first',
  ),
  RETENTION_COMPLETED_DAYS: define(
    'Results',
    duration('days', DAY_MS, KEPT),
    '7',
    'Completed and cancelled tasks are kept this long, with their results',
  ),
  RETENTION_FAILED_DAYS: define(
    'Results',
    duration('days', DAY_MS, KEPT),
    '30',
    'Dead letters are kept this long',
  ),
  HOUSEKEEPING_INTERVAL_MINUTES: define(
    'Results',
    duration('minutes', 60_000, { minMs: 100 }),
    '60',
    'How often what is past its retention is removed: record, job and files together',
  ),
  IDEMPOTENCY_TTL_HOURS: define(
    'Results',
    duration('hours', HOUR_MS, KEPT),
    '48',
    'An idempotency key is remembered this long',
  ),

  RESULTS_MEMORY_MB: define(
    'Results',
    whole(128, 1_048_576),
    '192',
    'Memory for questions about results, and for storing them, megabytes; what needs more uses the disk',
  ),
  RESULTS_THREADS: define('Results', whole(1, 256), '2', 'Threads for questions about results'),
  MIN_FREE_DISK_MB: define(
    'Results',
    whole(0, 1_073_741_824),
    '1024',
    'With less room left for DATA_DIR no scans and uploads are accepted, megabytes; 0 = not looked at',
  ),
  IMPORT_MAX_MB: define(
    'Results',
    whole(1, 1_048_576),
    '2048',
    'Largest .nessus file that may be uploaded, megabytes',
  ),

  SCANNER_CONFIG: define(
    'Scanners',
    path,
    './config/scanners.yaml',
    'Pools of scanners; see config/scanners.example.yaml',
  ),
  NESSUS_URL: define(
    'Scanners',
    anyText,
    undefined,
    'One scanner, used where there is no file SCANNER_CONFIG; for example https://nessus.example.com:8834',
  ),
  NESSUS_USERNAME: define('Scanners', anyText, undefined, 'Its login: user name and password …'),
  NESSUS_PASSWORD: define('Scanners', anyText, undefined, '… of a user who may scan'),
  NESSUS_ACCESS_KEY: define('Scanners', anyText, undefined, 'Or its API keys'),
  NESSUS_SECRET_KEY: define('Scanners', anyText, undefined, '… both of them'),
  NESSUS_CA_FILE: define(
    'Scanners',
    anyText,
    undefined,
    'PEM file of the authority that signed its certificate',
  ),
  NESSUS_TLS_FINGERPRINT: define(
    'Scanners',
    anyText,
    undefined,
    'Or the SHA-256 fingerprint of its certificate, for a self-signed one',
  ),
  MAX_CONCURRENT_SCANS: define(
    'Scanners',
    whole(1, 100),
    '3',
    'Scans at once on a scanner that does not say otherwise',
  ),
  HEALTH_INTERVAL_SECONDS: define(
    'Scanners',
    duration('seconds', 1_000, { minMs: 50 }),
    '30',
    'How often each scanner is asked for its health',
  ),
  CIRCUIT_FAILURES: define(
    'Scanners',
    whole(1, 100),
    '3',
    'Failed health checks in a row that open the circuit of a scanner: it is left alone for a while',
  ),
  CIRCUIT_OPEN_SECONDS: define(
    'Scanners',
    duration('seconds', 1_000, { minMs: 50 }),
    '15',
    'How long an open circuit lasts before one check is let through; doubled each time, up to two minutes',
  ),
  FOLLOW_INTERVAL_SECONDS: define(
    'Scanners',
    duration('seconds', 1_000, { minMs: 100 }),
    '60',
    'How often followed folders of scanners are looked at for finished scans',
  ),
  SCANNER_CLEANUP: define(
    'Scanners',
    z.enum(['keep', 'delete'], 'expected keep or delete'),
    'keep',
    'delete: our scans are deleted on the scanner once their results are stored; never one without our marker',
  ),
  SCANNER_OUTAGE_SECONDS: define(
    'Scanners',
    duration('seconds', 1_000),
    '300',
    'One attempt waits this long for a scanner that is away; six times as long once the scan was launched',
  ),

  WORKER_PORT: define('Worker', whole(0, 65_535), '8836', "Port of a worker's /health; 0 = any free"),
  POLL_INTERVAL_SECONDS: define(
    'Worker',
    duration('seconds', 1_000, { minMs: 10 }),
    '30',
    'How often a running scan is looked at',
  ),
  SCAN_TIMEOUT_HOURS: define(
    'Worker',
    duration('hours', HOUR_MS, { maxMs: 576 * HOUR_MS }),
    '24',
    'A scan is stopped after this long',
  ),
  MAX_ATTEMPTS: define('Worker', whole(1, 100), '3', 'Attempts before a task becomes a dead letter'),
  RETRY_BACKOFF_SECONDS: define(
    'Worker',
    duration('seconds', 1_000),
    '5',
    'Wait before the second attempt; doubled for each further one',
  ),
  MAX_CRASHES: define(
    'Worker',
    whole(1, 1_000),
    '5',
    'Runs in a row that may crash their worker before a task is given up',
  ),
  PRIORITY_AGEING_MINUTES: define(
    'Worker',
    duration('minutes', 60_000, KEPT),
    '120',
    'A waiting task counts as the next higher priority after so long',
  ),
  SWEEP_INTERVAL_SECONDS: define(
    'Worker',
    duration('seconds', 1_000, { minMs: 100 }),
    '60',
    'How often the sweep looks for what a crash left behind, for time limits and for ageing',
  ),
  SHUTDOWN_GRACE_SECONDS: define(
    'Worker',
    duration('seconds', 1_000),
    '60',
    'Longest that a worker takes to hand over its scans',
  ),
  WORKER_LOCK_SECONDS: define(
    'Worker',
    duration('seconds', 1_000, { minMs: 2_000 }),
    '60',
    'A worker that is not heard of for so long has lost its tasks',
  ),
  WORKER_STALLED_CHECK_SECONDS: define(
    'Worker',
    duration('seconds', 1_000, { minMs: 100 }),
    '15',
    'How often lost tasks are looked for',
  ),

  TARGETS_ALLOW: define(
    'Policy',
    targetList,
    undefined,
    'Only these may be scanned: addresses, ranges, networks, names, .example.com',
  ),
  TARGETS_DENY: define('Policy', targetList, undefined, 'These may never be scanned'),
  TARGETS_DENY_DEFAULTS: define(
    'Policy',
    z.enum(['on', 'off'], 'expected on or off'),
    'on',
    'on: loopback, link-local, metadata services of clouds, multicast and broadcast are refused unless TARGETS_ALLOW names exactly those',
  ),
  MAX_HOSTS_PER_SCAN: define(
    'Policy',
    whole(0, 4_294_967_296),
    '65536',
    'Scans of more hosts are refused; 0 = no limit',
  ),
  DNS_SERVERS: define(
    'Policy',
    dnsServers,
    undefined,
    'Resolvers asked for the addresses of targets, instead of the system: those that the scanners use',
  ),
  CONFIRM_ABOVE_HOSTS: define(
    'Policy',
    whole(0, 4_294_967_296),
    '1024',
    'Over MCP, scans of more hosts than this have to be planned first (plan_scan); 0 = never asked for',
  ),
  CONFIRM_OUTSIDE_NETWORKS: define(
    'Policy',
    targetList,
    undefined,
    'Over MCP, scans of anything else than this have to be planned first: addresses, ranges, networks, names',
  ),
  MCP_READS_PER_MINUTE: define(
    'Policy',
    whole(0, 10_000_000),
    '1200',
    'Calls of one MCP tool that only looks, per key; 0 = no limit',
  ),
  MCP_CHANGES_PER_MINUTE: define(
    'Policy',
    whole(0, 1_000_000),
    '120',
    'Calls of one MCP tool that changes something, per key, over all gateways; 0 = no limit',
  ),
  CREDENTIALS_KEY: define(
    'Policy',
    key32,
    undefined,
    'Seals credentials of scans on their way to the worker; 32 bytes: openssl rand -base64 32',
  ),
  CREDENTIALS_KEY_PREVIOUS: define(
    'Policy',
    keys32,
    undefined,
    'Keys that credentials may still be sealed with, comma separated, until scanmq credentials rotate was run',
  ),
  CREDENTIALS_FILE: define(
    'Policy',
    path,
    undefined,
    'Credentials that scans name by credential_ref: a file made by scanmq credentials seal; read by workers only',
  ),
  CREDENTIALS_DIR: define(
    'Policy',
    path,
    undefined,
    'Or a mounted folder: one folder per name, with files such as ssh_username, ssh_password; read by workers only',
  ),

  WEBHOOK_ALLOW_NETWORKS: define(
    'Webhooks',
    networkList,
    undefined,
    'Webhooks may go to these networks as well, also by http: addresses, ranges, networks. Without it to public addresses by https only',
  ),
  WEBHOOK_TIMEOUT_SECONDS: define(
    'Webhooks',
    duration('seconds', 1_000),
    '10',
    'Longest that one attempt takes',
  ),
  WEBHOOK_RETRY_SECONDS: define(
    'Webhooks',
    duration('seconds', 1_000, { maxMs: HOUR_MS }),
    '15',
    'Wait before the second attempt; four times as long for each further one: 8 attempts in about a day',
  ),
  WEBHOOK_DISABLE_HOURS: define(
    'Webhooks',
    duration('hours', HOUR_MS, KEPT),
    '72',
    'A webhook that has only failed for so long is disabled',
  ),

  OTEL_EXPORTER_OTLP_ENDPOINT: define(
    'Traces',
    otlpUrl,
    undefined,
    'Collector of OpenTelemetry (OTLP over HTTP), for example http://127.0.0.1:4318; without one nothing is traced. The other OTEL_* variables of exporter, sampler and resource hold as well',
  ),
  OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: define(
    'Traces',
    otlpUrl,
    undefined,
    'The same with the whole path, such as /v1/traces',
  ),
  OTEL_EXPORTER_OTLP_PROTOCOL: define(
    'Traces',
    z.enum(['http/json', 'http/protobuf'], 'expected http/json or http/protobuf; grpc is not spoken'),
    'http/json',
    'http/json or http/protobuf, sent as JSON either way',
  ),
  OTEL_TRACES_EXPORTER: define(
    'Traces',
    z.enum(['otlp', 'none'], 'expected otlp or none'),
    undefined,
    'otlp or none; otlp as soon as there is a collector',
  ),
  OTEL_SDK_DISABLED: define(
    'Traces',
    z.string().transform((text) => text.toLowerCase() === 'true'),
    'false',
    'true = nothing is traced',
  ),
  OTEL_SERVICE_NAME: define(
    'Traces',
    anyText,
    undefined,
    'Name of the service; scanmq-gateway and scanmq-worker by default',
  ),

  LOG_LEVEL: define(
    'Logging',
    z.enum(
      ['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent'],
      'expected trace, debug, info, warn, error, fatal or silent',
    ),
    'info',
    'trace, debug, info, warn, error, fatal or silent',
  ),
} as const;

export type VariableName = keyof typeof VARIABLES;

/** Those that hold a secret: each may come as a file, named by a variable of the same name with `_FILE` at its end. */
export const SECRET_VARIABLES = [
  'REDIS_URL',
  'REDIS_SENTINEL_PASSWORD',
  'S3_ACCESS_KEY_ID',
  'S3_SECRET_ACCESS_KEY',
  'NESSUS_PASSWORD',
  'NESSUS_ACCESS_KEY',
  'NESSUS_SECRET_KEY',
  'CREDENTIALS_KEY',
  'CREDENTIALS_KEY_PREVIOUS',
] as const satisfies readonly VariableName[];

/** The text of `.env.example`: every variable with its meaning, commented out with its default. */
export function renderEnvExample(): string {
  const lines = [
    '# Settings of scanmq. Everything is optional; what is commented out shows the default.',
    '# Fractions are allowed in all times.',
    `# Instead of a secret, the path of a file that holds it: ${SECRET_VARIABLES.map((name) => `${name}_FILE`).join(', ')}.`,
  ];
  let group = '';
  for (const [name, variable] of Object.entries(VARIABLES)) {
    if (variable.group !== group) lines.push('', `# --- ${variable.group} ---`);
    group = variable.group;
    lines.push(`# ${variable.meaning}`, `#${name}=${variable.default ?? ''}`);
  }
  return `${lines.join('\n')}\n`;
}
