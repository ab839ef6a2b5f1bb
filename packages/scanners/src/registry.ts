import type {
  PoolRules,
  PrincipalRules,
  ScannerInstanceConfig,
  ScannersConfig,
  ScannerType,
  TargetRules,
} from '@scanmq/config';
import { type InstanceKey, ScanmqError } from '@scanmq/contract';
import { createNessusScanner } from './nessus/nessus-scanner.js';
import type { Scanner } from './scanner.js';
import { createTenableVmScanner } from './tenable-vm/tenable-vm-scanner.js';

/** The scanners that are configured, and a driver for each. */
export interface ScannerRegistry {
  readonly defaultPool: string;
  pools(): readonly string[];
  /** Instances of a pool, or of all; none for an unknown pool. */
  instances(pool?: string): readonly ScannerInstanceConfig[];
  instance(instanceKey: string): ScannerInstanceConfig | undefined;
  poolRules(pool: string): PoolRules;
  targetRules(): readonly TargetRules[];
  /** Of the principal itself, or of all that are not named. */
  principalRules(principal: string): PrincipalRules;
  /** @throws ScanmqError `no_scanner` when it is not configured (any more). */
  scanner(instanceKey: string): Scanner;
  /** Puts another configuration in force. Drivers whose login or address changed are replaced, all others are kept. */
  update(config: ScannersConfig): void;
  /** Ends all sessions on the scanners. */
  close(): Promise<void>;
}

export interface ScannerRegistryOptions {
  /** Makes the driver of an instance; given by tests only. */
  readonly createScanner?: (config: ScannerInstanceConfig) => Scanner;
}

const NO_POOL_RULES: PoolRules = { networks: undefined, hours: undefined };
const NO_PRINCIPAL_RULES: PrincipalRules = { share: 1, maxConcurrentScans: undefined };

const DRIVERS: Readonly<Record<ScannerType, (config: ScannerInstanceConfig) => Scanner>> = {
  nessus: createNessusScanner,
  tenable_vm: createTenableVmScanner,
};

export function createScannerRegistry(
  initial: ScannersConfig,
  options: ScannerRegistryOptions = {},
): ScannerRegistry {
  const createScanner = options.createScanner ?? ((instance) => DRIVERS[instance.type](instance));
  const drivers = new Map<InstanceKey, { readonly connection: string; readonly scanner: Scanner }>();
  let config = initial;

  const all = (): readonly ScannerInstanceConfig[] => [...config.pools.values()].flat();
  const find = (key: string): ScannerInstanceConfig | undefined =>
    all().find((instance) => instance.instanceKey === key);

  return {
    get defaultPool() {
      return config.defaultPool;
    },
    pools: () => [...config.pools.keys()],
    instances: (pool) => (pool === undefined ? all() : (config.pools.get(pool) ?? [])),
    instance: find,
    poolRules: (pool) => config.poolRules.get(pool) ?? NO_POOL_RULES,
    targetRules: () => config.targetRules,
    principalRules: (principal) =>
      config.principalRules.get(principal) ?? config.principalRules.get('*') ?? NO_PRINCIPAL_RULES,
    scanner(key) {
      const instance = find(key);
      if (!instance) throw new ScanmqError('no_scanner', `Scanner ${key} is not configured.`);
      const connection = connectionOf(instance);
      const existing = drivers.get(instance.instanceKey);
      if (existing?.connection === connection) return existing.scanner;
      void existing?.scanner.close();
      const scanner = createScanner(instance);
      drivers.set(instance.instanceKey, { connection, scanner });
      return scanner;
    },
    update(next) {
      config = next;
      for (const [key, { scanner }] of drivers) {
        if (find(key)) continue;
        void scanner.close();
        drivers.delete(key);
      }
    },
    async close() {
      await Promise.all([...drivers.values()].map(({ scanner }) => scanner.close()));
      drivers.clear();
    },
  };
}

/** What a driver depends on: limits and names may change without a new login. */
function connectionOf({
  type,
  url,
  auth,
  interface: kind,
  caFile,
  tlsFingerprint,
  headers,
  folder,
  scanner,
}: ScannerInstanceConfig): string {
  return JSON.stringify([type, url, auth, kind, caFile, tlsFingerprint, headers, folder, scanner]);
}
