/** Which instances may take a task: the same rule at submission and when a worker assigns it. */
import type { ScannerInstanceConfig, ScannerType } from '@scanmq/config';
import {
  type InstanceHealth,
  InvalidRequestError,
  ScanmqError,
  ScannerError,
  type ScanRequest,
} from '@scanmq/contract';
import type { Placement, PoolShape } from '@scanmq/queue';
import type { ScannerRegistry } from '@scanmq/scanners';

export type HealthByInstance = ReadonlyMap<string, InstanceHealth>;

/** Kind of scanner behind a pool: all its instances are of one type. An unknown pool counts as one of `nessus`. */
export function scannerTypeOf(registry: ScannerRegistry, pool: string): ScannerType {
  return registry.instances(pool)[0]?.type ?? 'nessus';
}

/** Enabled instances whose licence offers launching scans, or of which nothing is known yet. */
export function launchableInstances(
  instances: readonly ScannerInstanceConfig[],
  health: HealthByInstance,
): readonly ScannerInstanceConfig[] {
  return instances.filter(
    (instance) => instance.enabled && health.get(instance.instanceKey)?.mode !== 'export_only',
  );
}

/**
 * Instances to choose from now: the healthy ones. When none is, all that are launchable: the job then waits for
 * its scanner by itself, and ends with a clear error when the scanner does not come back.
 */
export function assignableInstances(
  instances: readonly ScannerInstanceConfig[],
  health: HealthByInstance,
): readonly ScannerInstanceConfig[] {
  const launchable = launchableInstances(instances, health);
  const healthy = launchable.filter((instance) => health.get(instance.instanceKey)?.healthy !== false);
  return healthy.length > 0 ? healthy : launchable;
}

/** @throws ScannerError `scanner_export_only`, ScanmqError `no_scanner`: why none of the instances can ever take a scan. */
export function refuseUnlessLaunchable(
  instances: readonly ScannerInstanceConfig[],
  health: HealthByInstance,
  what: string,
): void {
  if (launchableInstances(instances, health).length > 0) return;
  const exportOnly = instances.find((instance) => instance.enabled);
  if (!exportOnly) throw new ScanmqError('no_scanner', `No scanner of ${what} is enabled.`);
  const licence = health.get(exportOnly.instanceKey)?.licence ?? 'its licence';
  throw new ScannerError(
    'scanner_export_only',
    `The licence of ${exportOnly.instanceKey} (${licence}) does not offer launching scans by API, so it can only export. Start the scan in the scanner's own interface, use another pool, or see "interface: web_session" in the documentation.`,
    { instanceKey: exportOnly.instanceKey },
  );
}

/**
 * Decides where a request runs.
 * @throws InvalidRequestError for an unknown pool or instance, with the known ones; else as `refuseUnlessLaunchable`.
 */
export function placeScan(
  registry: ScannerRegistry,
  health: HealthByInstance,
  request: Pick<ScanRequest, 'scanner_pool' | 'scanner_instance'>,
): Placement {
  const pool = request.scanner_pool ?? registry.defaultPool;
  const instances = registry.instances(pool);
  if (instances.length === 0) {
    throw new InvalidRequestError(
      `There is no pool '${pool}'. Known pools: ${registry.pools().join(', ')}.`,
      [{ path: 'scanner_pool', message: `expected one of ${registry.pools().join(', ')}` }],
    );
  }
  if (request.scanner_instance === undefined) {
    refuseUnlessLaunchable(instances, health, `pool '${pool}'`);
    return { scannerType: scannerTypeOf(registry, pool), pool, pinnedInstance: null };
  }
  const pinned = instances.find((instance) => instance.instanceId === request.scanner_instance);
  if (!pinned) {
    const known = instances.map((instance) => instance.instanceId).join(', ');
    throw new InvalidRequestError(
      `Pool '${pool}' has no instance '${request.scanner_instance}'. Known instances: ${known}.`,
      [{ path: 'scanner_instance', message: `expected one of ${known}` }],
    );
  }
  refuseUnlessLaunchable([pinned], health, `'${pinned.instanceKey}'`);
  return { scannerType: pinned.type, pool, pinnedInstance: pinned.instanceId };
}

/** Pools with the limits of their enabled instances, for the queues. */
export function poolShapes(registry: ScannerRegistry): readonly PoolShape[] {
  return registry.pools().map((pool) => ({
    pool,
    instances: registry.instances(pool).map((instance) => ({
      instanceId: instance.instanceId,
      limit: instance.enabled ? instance.maxConcurrentScans : 0,
    })),
  }));
}

/** Scans that a pool runs at once. */
export function poolCapacity(registry: ScannerRegistry, pool: string): number {
  return registry
    .instances(pool)
    .reduce((sum, instance) => sum + (instance.enabled ? instance.maxConcurrentScans : 0), 0);
}
