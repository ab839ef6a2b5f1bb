import { randomBytes } from 'node:crypto';
import { tmpdir } from 'node:os';
import type { ScannerInstanceConfig, ScannersConfig } from '@scanmq/config';
import { openQueueSystem, type QueueSystem, type QueueSystemOptions } from '@scanmq/queue';
import { createDirectoryStore } from '@scanmq/store';

export interface TestQueueOptions extends Partial<Omit<QueueSystemOptions, 'settings' | 'store'>> {
  /** Where results and copies of records lie; the directory of temporary files when left out. */
  readonly directory?: string;
  readonly settings?: Partial<QueueSystemOptions['settings']>;
}

/** The queues of one test, in the Redis of the test run and with a prefix of their own. */
export async function openTestQueue({
  directory = tmpdir(),
  settings,
  ...options
}: TestQueueOptions = {}): Promise<QueueSystem> {
  return await openQueueSystem({
    role: 'worker',
    store: createDirectoryStore(directory),
    settings: {
      redis: {
        // biome-ignore lint/style/noProcessEnv: where the test run put its Redis
        url: process.env.SCANMQ_TEST_REDIS_URL ?? '',
        sentinels: [],
        sentinelName: undefined,
        sentinelPassword: undefined,
        clusterNodes: [],
      },
      queuePrefix: `t${randomBytes(4).toString('hex')}`,
      redisWaitReplicas: 0,
      maxAttempts: 3,
      idempotencyTtlMs: 3_600_000,
      scanTimeoutMs: 24 * 3_600_000,
      credentialsKey: undefined,
      priorityAgeingMs: 3_600_000,
      ...settings,
    },
    connectWaitMs: 30_000,
    onError: () => undefined,
    onWarning: () => undefined,
    ...options,
  });
}

/** A pool of scanners that nobody can reach, each for one scan at once. */
export function testScanners(...instanceIds: readonly string[]): ScannersConfig {
  const instances = instanceIds.map(
    (instanceId): ScannerInstanceConfig => ({
      type: 'nessus',
      scanner: undefined,
      pool: 'nessus',
      instanceId,
      instanceKey: `nessus:${instanceId}`,
      name: instanceId,
      url: 'https://127.0.0.1:1',
      enabled: true,
      maxConcurrentScans: 1,
      auth: { kind: 'session', username: 'u', password: 'p' },
      interface: 'api',
      caFile: undefined,
      tlsFingerprint: undefined,
      headers: {},
      folder: undefined,
      follow: undefined,
    }),
  );
  return {
    defaultPool: 'nessus',
    poolRules: new Map(),
    targetRules: [],
    principalRules: new Map(),
    pools: new Map([['nessus', instances]]),
  };
}
