import { dirname, join } from 'node:path';
import type { InputIssue } from '@scanmq/contract';
import type { z } from 'zod';
import { ConfigError } from './config-error.js';
import { givenTwice, withSecretFiles } from './secret-files.js';
import type { Environment, OidcSettings, Settings, TracingSettings } from './types.js';
import { VARIABLES, type VariableName } from './variables.js';

type Value<N extends VariableName> = z.output<(typeof VARIABLES)[N]['schema']>;

/**
 * Reads the settings, once, at start.
 * @throws ConfigError that lists every mistake.
 */
export function readSettings(given: Environment): Settings {
  const issues: InputIssue[] = [];
  const env = withSecretFiles(given, (path, message) => void issues.push({ path, message }));
  for (const name of givenTwice(given))
    issues.push({ path: name, message: `expected ${name} or ${name}_FILE, not both` });
  const values = new Map<string, unknown>();
  for (const [name, variable] of Object.entries(VARIABLES)) {
    const written = env[name]?.trim();
    const text = written === undefined || written === '' ? variable.default : written;
    if (text === undefined || issues.some(({ path }) => path === name)) continue;
    const parsed = variable.schema.safeParse(text);
    if (parsed.success) values.set(name, parsed.data);
    else issues.push({ path: name, message: parsed.error.issues.map((issue) => issue.message).join('; ') });
  }
  // every name is in the table with the schema that made the value
  const value = <N extends VariableName>(name: N): Value<N> => values.get(name) as Value<N>;
  const optional = <N extends VariableName>(name: N): Value<N> | undefined =>
    values.get(name) as Value<N> | undefined;

  // relations between variables, told only where each of them is right by itself
  const relation = (path: VariableName, others: readonly VariableName[], wrong: () => string | undefined) => {
    if (issues.some((issue) => issue.path === path || others.some((other) => other === issue.path))) return;
    const message = wrong();
    if (message !== undefined) issues.push({ path, message });
  };
  // a lock must outlive a check that came late, or running scans look lost
  relation('WORKER_LOCK_SECONDS', ['WORKER_STALLED_CHECK_SECONDS'], () =>
    value('WORKER_LOCK_SECONDS') < 2 * value('WORKER_STALLED_CHECK_SECONDS')
      ? 'expected at least twice WORKER_STALLED_CHECK_SECONDS'
      : undefined,
  );
  relation('REDIS_SENTINEL_NAME', ['REDIS_SENTINELS'], () =>
    (optional('REDIS_SENTINELS') === undefined) === (optional('REDIS_SENTINEL_NAME') === undefined)
      ? undefined
      : 'expected together with REDIS_SENTINELS',
  );
  relation('CREDENTIALS_KEY_PREVIOUS', ['CREDENTIALS_KEY'], () =>
    optional('CREDENTIALS_KEY_PREVIOUS') !== undefined && optional('CREDENTIALS_KEY') === undefined
      ? 'expected together with CREDENTIALS_KEY, the new one'
      : undefined,
  );
  relation('CREDENTIALS_FILE', ['CREDENTIALS_KEY'], () =>
    optional('CREDENTIALS_FILE') !== undefined && optional('CREDENTIALS_KEY') === undefined
      ? 'expected together with CREDENTIALS_KEY, which it is sealed with'
      : undefined,
  );
  // a token that is meant for anybody is meant for us as well, if nobody says for whom it must be
  relation('OIDC_AUDIENCE', ['OIDC_ISSUER'], () =>
    (optional('OIDC_ISSUER') === undefined) === (optional('OIDC_AUDIENCE') === undefined)
      ? undefined
      : 'expected together with OIDC_ISSUER',
  );
  relation('REDIS_CLUSTER_NODES', ['REDIS_SENTINELS', 'QUEUE_PREFIX'], () => {
    if (optional('REDIS_CLUSTER_NODES') === undefined) return undefined;
    if (optional('REDIS_SENTINELS') !== undefined)
      return 'expected REDIS_CLUSTER_NODES or REDIS_SENTINELS, not both';
    // scripts and transactions touch many keys at once, which a Cluster allows within one slot only
    if (!/\{[^{}]+\}/.test(value('QUEUE_PREFIX')))
      return 'expected a QUEUE_PREFIX with braces, for example {scanmq}, so that all keys are in one slot';
    return undefined;
  });
  relation('S3_BUCKET', ['RESULT_STORE'], () =>
    value('RESULT_STORE') === 's3' && optional('S3_BUCKET') === undefined
      ? 'expected together with RESULT_STORE=s3'
      : undefined,
  );
  relation('S3_SECRET_ACCESS_KEY', ['S3_ACCESS_KEY_ID'], () =>
    (optional('S3_ACCESS_KEY_ID') === undefined) === (optional('S3_SECRET_ACCESS_KEY') === undefined)
      ? undefined
      : 'expected together with S3_ACCESS_KEY_ID',
  );
  if (issues.length > 0) throw new ConfigError('The environment', issues);
  return {
    host: value('HOST'),
    port: value('PORT'),
    workerPort: value('WORKER_PORT'),
    redis: {
      url: value('REDIS_URL'),
      sentinels: optional('REDIS_SENTINELS') ?? [],
      sentinelName: optional('REDIS_SENTINEL_NAME'),
      sentinelPassword: optional('REDIS_SENTINEL_PASSWORD'),
      clusterNodes: optional('REDIS_CLUSTER_NODES') ?? [],
    },
    redisWaitReplicas: value('REDIS_WAIT_REPLICAS'),
    startWaitMs: value('START_WAIT_SECONDS'),
    queuePrefix: value('QUEUE_PREFIX'),
    dataDir: value('DATA_DIR'),
    s3:
      value('RESULT_STORE') === 'directory'
        ? undefined
        : {
            bucket: value('S3_BUCKET') ?? '',
            prefix: optional('S3_PREFIX') ?? '',
            endpoint: optional('S3_ENDPOINT'),
            region: value('S3_REGION'),
            accessKeyId: optional('S3_ACCESS_KEY_ID'),
            secretAccessKey: optional('S3_SECRET_ACCESS_KEY'),
            forcePathStyle:
              (optional('S3_FORCE_PATH_STYLE') ?? String(optional('S3_ENDPOINT') !== undefined)) === 'true',
          },
    resultCacheBytes: value('RESULT_CACHE_MB') * 1024 * 1024,
    resultsMemoryMb: value('RESULTS_MEMORY_MB'),
    resultsThreads: value('RESULTS_THREADS'),
    importMaxBytes: value('IMPORT_MAX_MB') * 1024 * 1024,
    minFreeDiskBytes: value('MIN_FREE_DISK_MB') * 1024 * 1024,
    maxConnections: value('MAX_CONNECTIONS'),
    maxStreamsPerPrincipal: value('MAX_STREAMS_PER_PRINCIPAL'),
    maxWaitsPerPrincipal: value('MAX_WAITS_PER_PRINCIPAL'),
    maxQueued: value('MAX_QUEUED'),
    maxQueuedPerPrincipal: value('MAX_QUEUED_PER_PRINCIPAL'),
    followIntervalMs: value('FOLLOW_INTERVAL_SECONDS'),
    scannerConfigFile: value('SCANNER_CONFIG'),
    pollIntervalMs: value('POLL_INTERVAL_SECONDS'),
    scanTimeoutMs: value('SCAN_TIMEOUT_HOURS'),
    shutdownGraceMs: value('SHUTDOWN_GRACE_SECONDS'),
    workerLockMs: value('WORKER_LOCK_SECONDS'),
    stalledCheckMs: value('WORKER_STALLED_CHECK_SECONDS'),
    idempotencyTtlMs: value('IDEMPOTENCY_TTL_HOURS'),
    retentionCompletedMs: value('RETENTION_COMPLETED_DAYS'),
    retentionFailedMs: value('RETENTION_FAILED_DAYS'),
    maxAttempts: value('MAX_ATTEMPTS'),
    retryBackoffMs: value('RETRY_BACKOFF_SECONDS'),
    scannerOutageMs: value('SCANNER_OUTAGE_SECONDS'),
    healthIntervalMs: value('HEALTH_INTERVAL_SECONDS'),
    circuitFailures: value('CIRCUIT_FAILURES'),
    circuitOpenMs: value('CIRCUIT_OPEN_SECONDS'),
    priorityAgeingMs: value('PRIORITY_AGEING_MINUTES'),
    sweepIntervalMs: value('SWEEP_INTERVAL_SECONDS'),
    housekeepingIntervalMs: value('HOUSEKEEPING_INTERVAL_MINUTES'),
    scannerCleanup: value('SCANNER_CLEANUP'),
    maxCrashes: value('MAX_CRASHES'),
    targetsAllow: optional('TARGETS_ALLOW') ?? [],
    confirmAboveHosts: value('CONFIRM_ABOVE_HOSTS'),
    confirmOutsideNetworks: optional('CONFIRM_OUTSIDE_NETWORKS') ?? [],
    mcpReadsPerMinute: value('MCP_READS_PER_MINUTE'),
    mcpChangesPerMinute: value('MCP_CHANGES_PER_MINUTE'),
    targetsDeny: optional('TARGETS_DENY') ?? [],
    webhookAllowNetworks: optional('WEBHOOK_ALLOW_NETWORKS') ?? [],
    webhookTimeoutMs: value('WEBHOOK_TIMEOUT_SECONDS'),
    webhookRetryMs: value('WEBHOOK_RETRY_SECONDS'),
    webhookDisableMs: value('WEBHOOK_DISABLE_HOURS'),
    targetsDenyDefaults: value('TARGETS_DENY_DEFAULTS') === 'on',
    maxHostsPerScan: value('MAX_HOSTS_PER_SCAN'),
    dnsServers: optional('DNS_SERVERS') ?? [],
    publicUrl: optional('PUBLIC_URL'),
    apiKeysFile: optional('API_KEYS_FILE'),
    oidc: oidcOf(optional('OIDC_ISSUER'), optional('OIDC_AUDIENCE'), (issuer, audience) => ({
      issuer,
      audience,
      nameClaim: value('OIDC_NAME_CLAIM'),
      roleClaim: value('OIDC_ROLE_CLAIM'),
      roles: value('OIDC_ROLES'),
      defaultRole: optional('OIDC_DEFAULT_ROLE'),
    })),
    sessionMs: value('SESSION_HOURS'),
    sessionIdleMs: value('SESSION_IDLE_MINUTES'),
    authFailuresPerMinute: value('AUTH_FAILURES_PER_MINUTE'),
    loginsPerMinute: value('LOGINS_PER_MINUTE'),
    readsPerMinute: value('READS_PER_MINUTE'),
    changesPerMinute: value('CHANGES_PER_MINUTE'),
    auditFile: optional('AUDIT_FILE') ?? join(dirname(value('DATA_DIR')), 'audit.log'),
    auditMaxBytes: value('AUDIT_MAX_MB') * 1024 * 1024,
    auditSync: value('AUDIT_SYNC'),
    credentialsKey: optional('CREDENTIALS_KEY'),
    credentialsKeysPrevious: optional('CREDENTIALS_KEY_PREVIOUS') ?? [],
    credentialsFile: optional('CREDENTIALS_FILE'),
    credentialsDir: optional('CREDENTIALS_DIR'),
    tracing: value('OTEL_SDK_DISABLED')
      ? undefined
      : tracingOf({
          exporter: optional('OTEL_TRACES_EXPORTER'),
          endpoint: optional('OTEL_EXPORTER_OTLP_ENDPOINT'),
          tracesEndpoint: optional('OTEL_EXPORTER_OTLP_TRACES_ENDPOINT'),
          serviceName: optional('OTEL_SERVICE_NAME'),
        }),
    logLevel: value('LOG_LEVEL'),
    maxConcurrentScans: value('MAX_CONCURRENT_SCANS'),
  };
}

function oidcOf(
  issuer: string | undefined,
  audience: string | undefined,
  make: (issuer: string, audience: string) => OidcSettings,
): OidcSettings | undefined {
  return issuer === undefined || audience === undefined ? undefined : make(issuer, audience);
}

/** Of the specification of OpenTelemetry, where the exporter is asked for without saying where. */
const OTLP_DEFAULT = 'http://localhost:4318';

function tracingOf(given: {
  readonly exporter: 'otlp' | 'none' | undefined;
  readonly endpoint: string | undefined;
  readonly tracesEndpoint: string | undefined;
  readonly serviceName: string | undefined;
}): TracingSettings | undefined {
  const { exporter, tracesEndpoint, serviceName } = given;
  const endpoint = given.endpoint ?? (exporter === 'otlp' ? OTLP_DEFAULT : undefined);
  if (exporter === 'none') return undefined;
  if (tracesEndpoint !== undefined) return { url: tracesEndpoint, serviceName };
  if (endpoint === undefined) return undefined;
  return { url: `${endpoint.replace(/\/+$/, '')}/v1/traces`, serviceName };
}
