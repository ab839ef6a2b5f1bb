/** Which instances may take a task: the same rule at submission and when a worker assigns it. */
import type { ScannerInstanceConfig, ScannerType } from '@scanmq/config';
import {
  ERROR_CODES,
  type ErrorCode,
  type InstanceHealth,
  type OperatorState,
  ScanmqError,
  ScannerError,
} from '@scanmq/contract';
import type { PoolShape, QueueSystem } from '@scanmq/queue';
import type { ScannerRegistry } from '@scanmq/scanners';

export type HealthByInstance = ReadonlyMap<string, InstanceHealth>;

/** Kind of scanner behind a pool: all its instances are of one type. An unknown pool counts as one of `nessus`. */
export function scannerTypeOf(registry: ScannerRegistry, pool: string): ScannerType {
  return registry.instances(pool)[0]?.type ?? 'nessus';
}

/** What is known of the fleet at one moment. */
export interface FleetView {
  readonly registry: ScannerRegistry;
  readonly health: HealthByInstance;
  readonly operators: ReadonlyMap<string, OperatorState>;
}

export async function lookAtFleet(registry: ScannerRegistry, queue: QueueSystem): Promise<FleetView> {
  const [health, operators] = await Promise.all([queue.health.all(), queue.operatorStates.all()]);
  return { registry, health, operators };
}

/** Whether an instance may take a new task now; if not, why, and what would help. */
export type Availability =
  | { readonly usable: true }
  | {
      readonly usable: false;
      /**
       * `never`: as long as configuration and licence stay as they are. `operator`: somebody has to correct something.
       * `held`: an operator wants it so for now. `loading`: it answers that it is not ready yet. `away`: it does not answer.
       */
      readonly kind: 'never' | 'operator' | 'held' | 'loading' | 'away';
      readonly code: ErrorCode;
      /** Half a sentence, beginning with the key of the instance. */
      readonly reason: string;
    };

/** True when the instance takes part at all: by an operator's last word, else by `scanners.yaml`. */
export function isEnabled(view: Pick<FleetView, 'operators'>, instance: ScannerInstanceConfig): boolean {
  const operator = view.operators.get(instance.instanceKey);
  return operator === undefined ? instance.enabled : operator.state !== 'disabled';
}

export function isDraining(view: Pick<FleetView, 'operators'>, instance: ScannerInstanceConfig): boolean {
  return view.operators.get(instance.instanceKey)?.state === 'draining';
}

export function availability(view: FleetView, instance: ScannerInstanceConfig): Availability {
  const { instanceKey } = instance;
  const health = view.health.get(instanceKey);
  if (!isEnabled(view, instance))
    return { usable: false, kind: 'never', code: 'no_scanner', reason: `${instanceKey} is disabled` };
  if (health?.mode === 'export_only')
    return {
      usable: false,
      kind: 'never',
      code: 'scanner_export_only',
      reason: `the licence of ${instanceKey} (${health.licence ?? 'unknown'}) does not offer launching scans by API`,
    };
  if (isDraining(view, instance))
    return { usable: false, kind: 'held', code: 'no_scanner', reason: `${instanceKey} is being drained` };
  if (health?.healthy === false || (health && health.circuit !== 'closed')) {
    const code = health.readiness in ERROR_CODES ? (health.readiness as ErrorCode) : 'scanner_unreachable';
    return {
      usable: false,
      kind: health.needs_operator ? 'operator' : health.readiness in ERROR_CODES ? 'away' : 'loading',
      code: health.needs_operator && !(health.readiness in ERROR_CODES) ? 'scanner_rejected' : code,
      reason: `${instanceKey} is not healthy: ${health.reason ?? health.readiness}`,
    };
  }
  return { usable: true };
}

/** Why none of the instances can take a scan as long as configuration and licences stay as they are. @throws */
export function refuseUnlessLaunchable(
  view: FleetView,
  instances: readonly ScannerInstanceConfig[],
  what: string,
): void {
  const states = instances.map((instance) => availability(view, instance));
  if (states.some((state) => state.usable || state.kind !== 'never')) return;
  const exportOnly = instances.find((_, index) => {
    const state = states[index];
    return state?.usable === false && state.code === 'scanner_export_only';
  });
  if (!exportOnly) throw new ScanmqError('no_scanner', `No scanner of ${what} is enabled.`);
  const licence = view.health.get(exportOnly.instanceKey)?.licence ?? 'its licence';
  throw new ScannerError(
    'scanner_export_only',
    `The licence of ${exportOnly.instanceKey} (${licence}) does not offer launching scans by API, so it can only export. Start the scan in the scanner's own interface, use another pool, or see "interface: web_session" in the documentation.`,
    { instanceKey: exportOnly.instanceKey },
  );
}

/**
 * Pools with the limits of their instances, for the queues. An instance that takes no new task counts with what still
 * runs there: what waits would otherwise be fetched only to find every other scanner full.
 * @param load scans in progress by instance.
 * @param pinned by pool, how many of them came through the queue of an instance.
 */
export function poolShapes(
  view: FleetView,
  load: ReadonlyMap<string, number>,
  pinned: ReadonlyMap<string, number>,
): readonly PoolShape[] {
  return view.registry.pools().map((pool) => ({
    pool,
    elsewhere: pinned.get(pool) ?? 0,
    instances: view.registry.instances(pool).map((instance) => ({
      instanceId: instance.instanceId,
      limit: availability(view, instance).usable
        ? instance.maxConcurrentScans
        : (load.get(instance.instanceKey) ?? 0),
    })),
  }));
}

/** Pools with the limits of all their instances, whatever their state: how much one process may have to do. */
export function configuredShapes(registry: ScannerRegistry): readonly PoolShape[] {
  return registry.pools().map((pool) => ({
    pool,
    elsewhere: 0,
    instances: registry
      .instances(pool)
      .map((instance) => ({ instanceId: instance.instanceId, limit: instance.maxConcurrentScans })),
  }));
}

/** Scans that a pool runs at once with the instances that take tasks now. */
export function poolCapacity(view: FleetView, pool: string): number {
  return view.registry
    .instances(pool)
    .reduce(
      (sum, instance) => sum + (availability(view, instance).usable ? instance.maxConcurrentScans : 0),
      0,
    );
}
