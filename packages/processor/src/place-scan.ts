/** Decides in which pool a request runs, and whether it asks for one instance. */
import {
  asTarget,
  InvalidRequestError,
  narrowestCover,
  ScanmqError,
  type ScanRequest,
  setHasName,
  type Target,
} from '@scanmq/contract';
import type { Placement } from '@scanmq/queue';
import type { ScannerRegistry } from '@scanmq/scanners';
import { availability, type FleetView, refuseUnlessLaunchable, scannerTypeOf } from './fleet.js';
import { namesOf, type ResolveName, resolveNames } from './resolve-names.js';

/** Targets named in an error; more would be a page. */
const NAMED_TARGETS = 5;

/**
 * Decides where a request runs.
 * @param targets of the request.
 * @throws InvalidRequestError for an unknown pool or instance, with the known ones, and for targets of different pools;
 *   ScanmqError `no_scanner` when no pool serves a target, `unavailable` when the names take too long; else as `refuseUnlessLaunchable`.
 */
export async function placeScan(
  view: FleetView,
  request: Pick<ScanRequest, 'scanner_pool' | 'scanner_instance'>,
  targets: readonly Target[],
  resolve: ResolveName,
): Promise<Placement> {
  const { registry } = view;
  const pool = request.scanner_pool ?? (await poolFor(registry, targets, resolve));
  const instances = registry.instances(pool);
  if (instances.length === 0) {
    throw new InvalidRequestError(
      `There is no pool '${pool}'. Known pools: ${registry.pools().join(', ')}.`,
      [{ path: 'scanner_pool', message: `expected one of ${registry.pools().join(', ')}` }],
    );
  }
  if (request.scanner_instance === undefined) {
    refuseUnlessLaunchable(view, instances, `pool '${pool}'`);
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
  const state = availability(view, pinned);
  if (!state.usable && state.kind === 'never')
    refuseUnlessLaunchable(view, [pinned], `'${pinned.instanceKey}'`);
  return { scannerType: pinned.type, pool, pinnedInstance: pinned.instanceId };
}

/**
 * The pool whose networks hold the targets, the narrowest network first; the default pool for what no pool names, if it
 * serves anything. One scan is of one pool: scanners of another may not reach the targets, and would call them dead.
 */
async function poolFor(
  registry: ScannerRegistry,
  targets: readonly Target[],
  resolve: ResolveName,
): Promise<string> {
  const naming = registry.pools().filter((pool) => registry.poolRules(pool).networks !== undefined);
  if (naming.length === 0) return registry.defaultPool;
  const byPool = new Map<string, string[]>();
  const unserved: string[] = [];
  const fallback = registry.poolRules(registry.defaultPool).networks === undefined;
  const known = await resolveNames(namesOf(targets), resolve);
  for (const target of targets) {
    const pool =
      servingPool(registry, naming, target, known.get(target.text)?.addresses ?? []) ??
      (fallback ? registry.defaultPool : undefined);
    if (pool === undefined) unserved.push(target.text);
    else byPool.set(pool, [...(byPool.get(pool) ?? []), target.text]);
  }
  if (unserved.length > 0) {
    throw new ScanmqError(
      'no_scanner',
      `No pool serves ${some(unserved)}. Name the pool in scanner_pool if you know better.`,
      { retryable: 'no', issues: [{ path: 'targets', message: `no pool serves ${some(unserved)}` }] },
    );
  }
  const [only = registry.defaultPool] = byPool.keys();
  if (byPool.size <= 1) return only;
  const parts = [...byPool].map(([pool, texts]) => `'${pool}' serves ${some(texts)}`).join('; ');
  throw new InvalidRequestError(
    `The targets belong to different pools: ${parts}. Submit a scan for each, or name one pool in scanner_pool.`,
    [{ path: 'targets', message: 'expected targets of one pool' }],
  );
}

/** @param found addresses of a name. */
function servingPool(
  registry: ScannerRegistry,
  pools: readonly string[],
  target: Target,
  found: readonly string[],
): string | undefined {
  let best: { readonly pool: string; readonly size: bigint } | undefined;
  const addresses =
    target.kind === 'name' ? found.map(asTarget).filter((address) => address !== undefined) : [target];
  for (const pool of pools) {
    const { networks } = registry.poolRules(pool);
    if (!networks) continue;
    if (target.kind === 'name' && setHasName(networks, target.text)) return pool;
    const covers = addresses.map((address) => narrowestCover(networks, address));
    if (covers.length === 0) continue;
    let size = 0n;
    for (const cover of covers) {
      if (cover === undefined) size = -1n;
      else if (size >= 0n && cover > size) size = cover;
    }
    if (size >= 0n && (best === undefined || size < best.size)) best = { pool, size };
  }
  return best?.pool;
}

function some(texts: readonly string[]): string {
  const shown = texts.slice(0, NAMED_TARGETS).join(', ');
  return texts.length > NAMED_TARGETS ? `${shown} and ${texts.length - NAMED_TARGETS} more` : shown;
}
