/** What the rest of scanmq knows of its configuration: already read, checked and in our units. */
import type { InstanceKey, Role, TargetSet } from '@scanmq/contract';
import type { OpeningHours } from './opening-hours.js';

/** Variables as a process has them. */
export type Environment = Readonly<Record<string, string | undefined>>;

/** How to log in to a scanner (nessus-api.md sections 1.2 and 1.4). */
export type ScannerAuth =
  | { readonly kind: 'session'; readonly username: string; readonly password: string }
  | { readonly kind: 'api_keys'; readonly accessKey: string; readonly secretKey: string };

/** `nessus`: a Nessus of one's own. `tenable_vm`: Tenable Vulnerability Management, the vendor's cloud service. */
export type ScannerType = 'nessus' | 'tenable_vm';

/** One entry of `scanners.yaml` (contract section 6), or the scanner that `NESSUS_URL` and its like describe. */
export interface ScannerInstanceConfig {
  /** The same for all instances of a pool. */
  readonly type: ScannerType;
  readonly pool: string;
  readonly instanceId: string;
  readonly instanceKey: InstanceKey;
  readonly name: string;
  /** Origin of the scanner, without a trailing slash: `https://scanner.example.com:8834`. */
  readonly url: string;
  readonly enabled: boolean;
  readonly maxConcurrentScans: number;
  readonly auth: ScannerAuth;
  /**
   * `web_session`: the owner's explicit choice to have a scanner whose licence does not offer launching
   * by API driven the way its own web page does.
   */
  readonly interface: 'api' | 'web_session';
  /** PEM file of a private certification authority. */
  readonly caFile: string | undefined;
  /** Pinned SHA-256 of the leaf certificate: 64 lower-case hex digits. */
  readonly tlsFingerprint: string | undefined;
  /** Sent with every request, for scanners behind a proxy. May hold secrets. */
  readonly headers: Readonly<Record<string, string>>;
  /** Name of the folder on the scanner that holds our scans. */
  readonly folder: string | undefined;
  /** Name of a folder whose finished scans are collected; used by imports. */
  readonly follow: string | undefined;
  /** Of `tenable_vm`: name or uuid of the scanner that does the work; the service's own choice when left out. */
  readonly scanner: string | undefined;
}

/** What holds for all instances of a pool. */
export interface PoolRules {
  /** Networks and names that it serves; undefined = any. A task that names no pool goes to the one that serves its targets. */
  readonly networks: TargetSet | undefined;
  /** Undefined = always open. */
  readonly hours: OpeningHours | undefined;
}

/** What holds for scans that touch these targets, whatever pool they run in. */
export interface TargetRules {
  /** Shown to whoever waits because of it. */
  readonly name: string;
  readonly targets: TargetSet;
  /** Undefined = no limit. */
  readonly maxConcurrentScans: number | undefined;
  readonly hours: OpeningHours | undefined;
}

/** What holds for the tasks of one principal. */
export interface PrincipalRules {
  /** Where several wait, tasks begin in these proportions. */
  readonly share: number;
  /** Over all pools; undefined = no limit. */
  readonly maxConcurrentScans: number | undefined;
}

export interface ScannersConfig {
  /** In the order of the file; the first is the default pool, unless one is named `nessus`. */
  readonly pools: ReadonlyMap<string, readonly ScannerInstanceConfig[]>;
  readonly defaultPool: string;
  /** Of those pools that have any. */
  readonly poolRules: ReadonlyMap<string, PoolRules>;
  readonly targetRules: readonly TargetRules[];
  /** By name; `*` stands for all that are not named. */
  readonly principalRules: ReadonlyMap<string, PrincipalRules>;
}

/** Where something listens: an IP address or a name, and a port. */
export interface NetworkAddress {
  readonly host: string;
  readonly port: number;
}

export interface RedisSettings {
  readonly url: string;
  readonly sentinels: readonly NetworkAddress[];
  readonly sentinelName: string | undefined;
  readonly sentinelPassword: string | undefined;
  readonly clusterNodes: readonly NetworkAddress[];
}

/** Whose tokens are accepted beside keys, and what they mean. */
export interface OidcSettings {
  readonly issuer: string;
  readonly audience: string;
  readonly nameClaim: string;
  readonly roleClaim: string;
  readonly roles: ReadonlyMap<string, Role>;
  readonly defaultRole: Role | undefined;
}

export interface S3Settings {
  readonly bucket: string;
  /** Empty, or ends with a slash. */
  readonly prefix: string;
  readonly endpoint: string | undefined;
  readonly region: string;
  /** Both, or neither. */
  readonly accessKeyId: string | undefined;
  readonly secretAccessKey: string | undefined;
  readonly forcePathStyle: boolean;
}

/** The environment, read once at start. Durations are milliseconds. */
export interface Settings {
  readonly host: string;
  readonly port: number;
  readonly workerPort: number;
  readonly redis: RedisSettings;
  /** Replicas that must have a submission before it is acknowledged. */
  readonly redisWaitReplicas: number;
  /** How long a start waits for what it needs. */
  readonly startWaitMs: number;
  readonly queuePrefix: string;
  /** Absolute path. */
  readonly dataDir: string;
  /** Undefined where results are kept in the data directory. */
  readonly s3: S3Settings | undefined;
  /** Most that copies of results take on disk, where results are kept in a bucket. */
  readonly resultCacheBytes: number;
  /** Memory and threads for questions about results, and for storing them. */
  readonly resultsMemoryMb: number;
  readonly resultsThreads: number;
  /** Largest export that may be uploaded. */
  readonly importMaxBytes: number;
  /** With less room than this nothing new is taken in; 0 = not looked at. */
  readonly minFreeDiskBytes: number;
  /** Of one gateway. */
  readonly maxConnections: number;
  readonly maxStreamsPerPrincipal: number;
  readonly maxWaitsPerPrincipal: number;
  /** Tasks that may wait; 0 = no limit. */
  readonly maxQueued: number;
  readonly maxQueuedPerPrincipal: number;
  /** How often followed folders of scanners are looked at. */
  readonly followIntervalMs: number;
  /** Absolute path of `scanners.yaml`. */
  readonly scannerConfigFile: string;
  readonly pollIntervalMs: number;
  readonly scanTimeoutMs: number;
  readonly shutdownGraceMs: number;
  readonly workerLockMs: number;
  readonly stalledCheckMs: number;
  readonly idempotencyTtlMs: number;
  readonly retentionCompletedMs: number;
  readonly retentionFailedMs: number;
  /** Attempts of one task before it becomes a dead letter. */
  readonly maxAttempts: number;
  /** Wait before the second attempt; doubled for each further one. */
  readonly retryBackoffMs: number;
  /** How long one attempt waits for a scanner that cannot be reached. */
  readonly scannerOutageMs: number;
  readonly healthIntervalMs: number;
  /** Failed health checks in a row that open a circuit, and how long it stays open at first. */
  readonly circuitFailures: number;
  readonly circuitOpenMs: number;
  /** A waiting task counts as the next higher priority after so long. */
  readonly priorityAgeingMs: number;
  readonly sweepIntervalMs: number;
  readonly housekeepingIntervalMs: number;
  /** What becomes of our scans on the scanner once their task has ended. */
  readonly scannerCleanup: 'keep' | 'delete';
  /** Runs that may crash before a task is given up. */
  readonly maxCrashes: number;
  readonly targetsAllow: readonly string[];
  /** Scans of more hosts have to be confirmed over MCP; 0 = none. */
  readonly confirmAboveHosts: number;
  /** Scans of anything else have to be confirmed over MCP; empty = none. */
  readonly confirmOutsideNetworks: readonly string[];
  /** Calls of one tool by one key; 0 = no limit. */
  readonly mcpReadsPerMinute: number;
  readonly mcpChangesPerMinute: number;
  readonly targetsDeny: readonly string[];
  /** Networks that webhooks may go to beside public ones. */
  readonly webhookAllowNetworks: readonly string[];
  /** For one attempt. */
  readonly webhookTimeoutMs: number;
  /** Wait before the second attempt of a delivery. */
  readonly webhookRetryMs: number;
  /** A webhook that has only failed for so long is disabled. */
  readonly webhookDisableMs: number;
  /** Loopback, link-local, metadata services of clouds, multicast and the like are denied beside the lists. */
  readonly targetsDenyDefaults: boolean;
  /** Hosts in one scan; 0 = no limit. */
  readonly maxHostsPerScan: number;
  /** Asked for the addresses of targets; empty = the system. */
  readonly dnsServers: readonly NetworkAddress[];
  /** Origin at which clients reach the gateway, where that is not where it listens. */
  readonly publicUrl: string | undefined;
  /** Absolute path; undefined = keys are kept in Redis. */
  readonly apiKeysFile: string | undefined;
  /** Undefined = no tokens but keys. */
  readonly oidc: OidcSettings | undefined;
  /** Longest that a login in a browser lasts, and how long without a request. */
  readonly sessionMs: number;
  readonly sessionIdleMs: number;
  /** By address; 0 = no limit. */
  readonly authFailuresPerMinute: number;
  readonly loginsPerMinute: number;
  /** By principal; 0 = no limit. */
  readonly readsPerMinute: number;
  readonly changesPerMinute: number;
  /** Absolute path. */
  readonly auditFile: string;
  readonly auditMaxBytes: number;
  readonly auditSync: 'always' | 'never';
  /** 32 bytes; seals credentials. */
  readonly credentialsKey: Buffer | undefined;
  /** Keys that credentials may still be sealed with. */
  readonly credentialsKeysPrevious: readonly Buffer[];
  /** Absolute paths: sealed file and mounted folder of credentials; read by workers only. */
  readonly credentialsFile: string | undefined;
  readonly credentialsDir: string | undefined;
  /** Limit of an instance that names none. */
  readonly maxConcurrentScans: number;
  /** Undefined = nothing is traced. */
  readonly tracing: TracingSettings | undefined;
  readonly logLevel: 'trace' | 'debug' | 'info' | 'warn' | 'error' | 'fatal' | 'silent';
}

export interface TracingSettings {
  /** Where spans are sent to. */
  readonly url: string;
  /** The program's own name when undefined. */
  readonly serviceName: string | undefined;
}
