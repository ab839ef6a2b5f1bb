import { mkdtempSync, readFileSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { describe, expect, it } from '@jest/globals';
import { ScanmqError } from '@scanmq/contract';
import { ConfigError, type Environment, readSettings, renderEnvExample, VARIABLES } from './index.js';

function mistakes(env: Environment): Record<string, string> {
  try {
    readSettings(env);
  } catch (error) {
    if (error instanceof ConfigError)
      return Object.fromEntries(error.issues.map(({ path, message }) => [path, message]));
    throw error;
  }
  throw new Error('no mistake was found');
}

describe('the settings of an empty environment', () => {
  it('are the documented defaults, in our units', () => {
    expect(readSettings({})).toEqual({
      host: '127.0.0.1',
      port: 8835,
      confirmAboveHosts: 1_024,
      confirmOutsideNetworks: [],
      mcpReadsPerMinute: 1_200,
      mcpChangesPerMinute: 120,
      workerPort: 8836,
      redis: {
        url: 'redis://127.0.0.1:6379',
        sentinels: [],
        sentinelName: undefined,
        sentinelPassword: undefined,
        clusterNodes: [],
      },
      queuePrefix: 'scanmq',
      dataDir: resolve('data/tasks'),
      resultsMemoryMb: 192,
      resultsThreads: 2,
      importMaxBytes: 2_147_483_648,
      minFreeDiskBytes: 1_073_741_824,
      maxConnections: 4_096,
      maxStreamsPerPrincipal: 2_000,
      maxWaitsPerPrincipal: 2_000,
      maxQueued: 100_000,
      maxQueuedPerPrincipal: 20_000,
      followIntervalMs: 60_000,
      scannerConfigFile: resolve('config/scanners.yaml'),
      pollIntervalMs: 30_000,
      scanTimeoutMs: 86_400_000,
      shutdownGraceMs: 60_000,
      workerLockMs: 60_000,
      stalledCheckMs: 15_000,
      idempotencyTtlMs: 172_800_000,
      retentionCompletedMs: 604_800_000,
      retentionFailedMs: 2_592_000_000,
      redisWaitReplicas: 0,
      startWaitMs: 60_000,
      s3: undefined,
      resultCacheBytes: 2_048 * 1024 * 1024,
      maxAttempts: 3,
      retryBackoffMs: 5_000,
      scannerOutageMs: 300_000,
      healthIntervalMs: 30_000,
      maxCrashes: 5,
      circuitFailures: 3,
      circuitOpenMs: 15_000,
      priorityAgeingMs: 7_200_000,
      sweepIntervalMs: 60_000,
      housekeepingIntervalMs: 3_600_000,
      scannerCleanup: 'keep',
      targetsAllow: [],
      targetsDeny: [],
      webhookAllowNetworks: [],
      webhookTimeoutMs: 10_000,
      webhookRetryMs: 15_000,
      webhookDisableMs: 72 * 3_600_000,
      targetsDenyDefaults: true,
      maxHostsPerScan: 65_536,
      dnsServers: [],
      credentialsKeysPrevious: [],
      credentialsFile: undefined,
      credentialsDir: undefined,
      publicUrl: undefined,
      apiKeysFile: undefined,
      oidc: undefined,
      sessionMs: 43_200_000,
      sessionIdleMs: 3_600_000,
      authFailuresPerMinute: 1_000,
      loginsPerMinute: 10,
      readsPerMinute: 0,
      changesPerMinute: 3_000,
      auditFile: resolve('data/audit.log'),
      auditMaxBytes: 67_108_864,
      auditSync: 'always',
      credentialsKey: undefined,
      maxConcurrentScans: 3,
      logLevel: 'info',
    });
  });

  it('are those of an environment of empty texts, too', () => {
    const empty = Object.fromEntries(Object.keys(VARIABLES).map((name) => [name, ' ']));
    expect(readSettings(empty)).toEqual(readSettings({}));
  });
});

describe('a setting', () => {
  it('may be a fraction, where it is a time', () => {
    const settings = readSettings({ POLL_INTERVAL_SECONDS: '0.25', SCAN_TIMEOUT_HOURS: '0.001' });
    expect(settings).toMatchObject({ pollIntervalMs: 250, scanTimeoutMs: 3_600 });
  });

  it('is a whole number of milliseconds, since Redis takes no other', () => {
    expect(readSettings({ WORKER_LOCK_SECONDS: '40.00049' }).workerLockMs).toBe(40_000);
  });

  it('may list targets by address, range, network, name, and everything below a name', () => {
    expect(
      readSettings({ TARGETS_DENY: '10.0.0.1, 10.0.0.2-10.0.0.9 10.1.0.0/16,2001:db8::/32 a.b .c.d *.e.f' })
        .targetsDeny,
    ).toEqual(['10.0.0.1', '10.0.0.2-10.0.0.9', '10.1.0.0/16', '2001:db8::/32', 'a.b', '.c.d', '*.e.f']);
  });

  it('may be a key of 32 bytes in hex or base64', () => {
    const key = Buffer.from([...Array(32).keys()]);
    for (const text of [key.toString('hex'), key.toString('base64'), key.toString('base64url')])
      expect(readSettings({ CREDENTIALS_KEY: text }).credentialsKey).toEqual(key);
  });

  it('may come as a file, where it is a secret, but not twice', () => {
    const path = join(mkdtempSync(join(tmpdir(), 'scanmq-settings-')), 'key');
    writeFileSync(path, `${'ab'.repeat(32)}\n`);
    expect(readSettings({ CREDENTIALS_KEY_FILE: path }).credentialsKey).toEqual(Buffer.alloc(32, 0xab));
    expect(mistakes({ CREDENTIALS_KEY_FILE: path, CREDENTIALS_KEY: 'ab'.repeat(32) })).toEqual({
      CREDENTIALS_KEY: expect.stringContaining('not both'),
    });
    expect(mistakes({ CREDENTIALS_KEY_FILE: `${path}.no` })).toEqual({
      CREDENTIALS_KEY: 'the file of CREDENTIALS_KEY_FILE cannot be read',
    });
  });

  it('may name keys of before, beside a new one only', () => {
    const [a, b, c] = ['aa', 'bb', 'cc'].map((byte) => byte.repeat(32));
    expect(
      readSettings({ CREDENTIALS_KEY: a, CREDENTIALS_KEY_PREVIOUS: `${b}, ${c}` }).credentialsKeysPrevious,
    ).toEqual([Buffer.alloc(32, 0xbb), Buffer.alloc(32, 0xcc)]);
    expect(mistakes({ CREDENTIALS_KEY_PREVIOUS: b ?? '' })).toHaveProperty('CREDENTIALS_KEY_PREVIOUS');
  });

  it('may name resolvers by their address', () => {
    expect(readSettings({ DNS_SERVERS: '192.0.2.53 [2001:db8::53]:5353,192.0.2.54:54' }).dnsServers).toEqual([
      { host: '192.0.2.53', port: 53 },
      { host: '2001:db8::53', port: 5353 },
      { host: '192.0.2.54', port: 54 },
    ]);
    for (const wrong of ['dns.example', '192.0.2.53:0', '192.0.2', '[2001:db8::53'])
      expect(mistakes({ DNS_SERVERS: wrong })).toHaveProperty('DNS_SERVERS');
  });

  it('may list Sentinels', () => {
    expect(
      readSettings({ REDIS_SENTINELS: 'a.b:26379, [::1]:26380', REDIS_SENTINEL_NAME: 'main' }).redis,
    ).toMatchObject({
      sentinels: [
        { host: 'a.b', port: 26_379 },
        { host: '::1', port: 26_380 },
      ],
      sentinelName: 'main',
    });
  });

  it('may list nodes of a Redis Cluster, with all keys in one slot', () => {
    expect(
      readSettings({ REDIS_CLUSTER_NODES: 'a:1,b:2', QUEUE_PREFIX: '{scanmq}' }).redis.clusterNodes,
    ).toEqual([
      { host: 'a', port: 1 },
      { host: 'b', port: 2 },
    ]);
    expect(mistakes({ REDIS_CLUSTER_NODES: 'a:1' }).REDIS_CLUSTER_NODES).toMatch(/braces/);
    expect(mistakes({ REDIS_CLUSTER_NODES: 'a:1', QUEUE_PREFIX: '{}' }).REDIS_CLUSTER_NODES).toMatch(
      /braces/,
    );
    expect(
      mistakes({
        REDIS_CLUSTER_NODES: 'a:1',
        QUEUE_PREFIX: '{x}',
        REDIS_SENTINELS: 'b:2',
        REDIS_SENTINEL_NAME: 'main',
      }).REDIS_CLUSTER_NODES,
    ).toMatch(/not both/);
  });

  it('may name a bucket for the results', () => {
    const bucket = { RESULT_STORE: 's3', S3_BUCKET: 'results' };
    expect(readSettings(bucket).s3).toEqual({
      bucket: 'results',
      prefix: '',
      endpoint: undefined,
      region: 'us-east-1',
      accessKeyId: undefined,
      secretAccessKey: undefined,
      forcePathStyle: false,
    });
    expect(
      readSettings({ ...bucket, S3_PREFIX: 'scanmq/tasks', S3_ENDPOINT: 'https://s3.example.com' }).s3,
    ).toMatchObject({ prefix: 'scanmq/tasks/', endpoint: 'https://s3.example.com', forcePathStyle: true });
    expect(mistakes({ RESULT_STORE: 's3' })).toHaveProperty('S3_BUCKET');
    expect(mistakes({ ...bucket, S3_ACCESS_KEY_ID: 'a' })).toHaveProperty('S3_SECRET_ACCESS_KEY');
    for (const wrong of ['/x', 'x//y', '../x', 'x/./y', 'x y'])
      expect(mistakes({ ...bucket, S3_PREFIX: wrong })).toHaveProperty('S3_PREFIX');
  });
});

describe('a mistake in the environment', () => {
  it.each([
    ['PORT', '70000', /0 to 65535/],
    ['PORT', 'abc', /whole number/],
    ['PORT', '80.5', /whole number/],
    ['POLL_INTERVAL_SECONDS', 'often', /number of seconds/],
    ['POLL_INTERVAL_SECONDS', '0', /from 0.01/],
    ['POLL_INTERVAL_SECONDS', '-1', /from 0.01/],
    // a timer of Node that waits for longer fires at once
    ['POLL_INTERVAL_SECONDS', '2147484', /to 2147483/],
    ['SCAN_TIMEOUT_HOURS', 'Infinity', /number of hours/],
    ['WORKER_LOCK_SECONDS', '1', /from 2/],
    ['REDIS_URL', 'http://x', /redis:\/\//],
    ['REDIS_URL', 'localhost', /redis:\/\//],
    ['REDIS_SENTINELS', 'a', /host:port/],
    ['REDIS_CLUSTER_NODES', 'a:0', /host:port/],
    ['QUEUE_PREFIX', 'a:b', /letters/],
    ['TARGETS_ALLOW', '10.0.0.256', /'10.0.0.256' is none/],
    ['TARGETS_ALLOW', '.10.0.0.1', /'.10.0.0.1' is none/],
    ['WEBHOOK_ALLOW_NETWORKS', '10.0.0.256', /'10.0.0.256' is none/],
    // where a name leads is decided by whoever answers for it
    ['WEBHOOK_ALLOW_NETWORKS', '10.0.0.0/8 ci.example.com', /'ci.example.com' is a name/],
    ['CREDENTIALS_KEY', 'abc', /openssl rand -base64 32/],
    ['LOG_LEVEL', 'loud', /trace, debug/],
  ])('is found: %s=%s', (name, value, expectation) => {
    expect(mistakes({ [name]: value })).toEqual({ [name]: expect.stringMatching(expectation) });
    expect(mistakes({ [name]: value })[name]).toMatch(/expected/);
  });

  it('is found between variables', () => {
    expect(mistakes({ WORKER_LOCK_SECONDS: '10' })).toEqual({
      WORKER_LOCK_SECONDS: 'expected at least twice WORKER_STALLED_CHECK_SECONDS',
    });
    expect(mistakes({ REDIS_SENTINELS: 'a:1' })).toHaveProperty('REDIS_SENTINEL_NAME');
    expect(mistakes({ REDIS_SENTINEL_NAME: 'a' })).toHaveProperty('REDIS_SENTINEL_NAME');
  });

  it('is told with all others at once, and a terminal shows one per line', () => {
    const env = { PORT: 'x', LOG_LEVEL: 'y', MAX_ATTEMPTS: '0' };
    expect(Object.keys(mistakes(env)).sort()).toEqual(['LOG_LEVEL', 'MAX_ATTEMPTS', 'PORT']);
    const error = new ConfigError('The environment', [
      { path: 'A', message: 'expected a' },
      { path: 'B', message: 'expected b' },
    ]);
    expect(error.format()).toBe('The environment has 2 mistakes:\n  A: expected a\n  B: expected b');
    expect(error.message).toBe('The environment: A: expected a (and 1 more)');
    expect(error).toBeInstanceOf(ScanmqError);
    expect(error.code).toBe('invalid_request');
  });

  it('is told without the value, where that may be secret', () => {
    const canary = 'canary-value';
    const env = { REDIS_URL: `http://:${canary}@x`, CREDENTIALS_KEY: canary, REDIS_SENTINELS: canary };
    expect(JSON.stringify(mistakes(env))).not.toContain(canary);
  });
});

describe('the issuer of tokens', () => {
  const issuer = { OIDC_ISSUER: 'https://login.example.com/realms/main', OIDC_AUDIENCE: 'scanmq' };

  it('is read with what its tokens mean', () => {
    expect(
      readSettings({
        ...issuer,
        OIDC_ROLES: 'scan admins=admin, urn:a=b=viewer',
        OIDC_DEFAULT_ROLE: 'viewer',
      }).oidc,
    ).toEqual({
      issuer: 'https://login.example.com/realms/main',
      audience: 'scanmq',
      nameClaim: 'sub',
      roleClaim: 'roles',
      roles: new Map([
        ['scan admins', 'admin'],
        ['urn:a=b', 'viewer'],
      ]),
      defaultRole: 'viewer',
    });
  });

  it.each([
    [{ OIDC_ISSUER: 'http://login.example.com' }, 'OIDC_ISSUER'],
    [{ OIDC_ISSUER: 'http://localhost.example.com' }, 'OIDC_ISSUER'],
    [{ OIDC_ISSUER: 'https://login.example.com?x=1' }, 'OIDC_ISSUER'],
    [{ OIDC_AUDIENCE: '' }, 'OIDC_AUDIENCE'],
    [{ OIDC_ROLES: 'a=root' }, 'OIDC_ROLES'],
    [{ OIDC_DEFAULT_ROLE: 'root' }, 'OIDC_DEFAULT_ROLE'],
    [{ PUBLIC_URL: 'https://scans.example.com/path' }, 'PUBLIC_URL'],
  ])('is refused where %j', (change, path) => {
    expect(Object.keys(mistakes({ ...issuer, ...change }))).toEqual([path]);
  });

  it('may speak plain HTTP on this machine', () => {
    for (const url of ['http://127.0.0.1:4000', 'http://localhost:4000', 'http://[::1]:4000'])
      expect(readSettings({ ...issuer, OIDC_ISSUER: url }).oidc?.issuer).toBe(url);
  });
});

describe('traces', () => {
  const tracing = (env: Record<string, string>) => readSettings(env).tracing;

  it('are off until there is a collector', () => {
    expect(tracing({})).toBeUndefined();
    expect(tracing({ OTEL_SERVICE_NAME: 'x' })).toBeUndefined();
  });

  it('go to the collector that is named, by its origin or the whole path', () => {
    const url = 'http://collector.example:4318';
    expect(tracing({ OTEL_EXPORTER_OTLP_ENDPOINT: `${url}/` })).toEqual({
      url: `${url}/v1/traces`,
      serviceName: undefined,
    });
    expect(
      tracing({
        OTEL_EXPORTER_OTLP_ENDPOINT: url,
        OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: `${url}/mine`,
        OTEL_SERVICE_NAME: 'x',
      }),
    ).toEqual({ url: `${url}/mine`, serviceName: 'x' });
    expect(tracing({ OTEL_TRACES_EXPORTER: 'otlp' })?.url).toBe('http://localhost:4318/v1/traces');
  });

  it.each([{ OTEL_SDK_DISABLED: 'true' }, { OTEL_TRACES_EXPORTER: 'none' }])('are off with %j', (off) => {
    expect(tracing({ OTEL_EXPORTER_OTLP_ENDPOINT: 'http://127.0.0.1:4318', ...off })).toBeUndefined();
  });

  it('are not sent over what is not spoken', () => {
    expect(() => readSettings({ OTEL_EXPORTER_OTLP_PROTOCOL: 'grpc' })).toThrow('grpc is not spoken');
  });
});

describe('.env.example', () => {
  it('is what the table of variables gives (npm run env-example)', () => {
    expect(readFileSync(resolve('.env.example'), 'utf8')).toBe(renderEnvExample());
  });

  it('shows defaults that are taken as they stand', () => {
    const shown = renderEnvExample()
      .split('\n')
      .flatMap((line) => /^#([A-Z0-9_]+)=(.*)$/.exec(line)?.slice(1) ?? [])
      .reduce<string[][]>((pairs, text, index) => {
        if (index % 2 === 0) pairs.push([text]);
        else pairs.at(-1)?.push(text);
        return pairs;
      }, []);
    expect(shown.map(([name]) => name)).toEqual(Object.keys(VARIABLES));
    expect(readSettings(Object.fromEntries(shown))).toEqual(readSettings({}));
  });
});
