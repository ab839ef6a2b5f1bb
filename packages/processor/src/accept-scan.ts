/** Accepts a scan: the one path of every submission, whoever makes it. */
import { parseTargets, type ScanRequest } from '@scanmq/contract';
import type { Created, QueueSystem, SubmitContext } from '@scanmq/queue';
import type { ScannerRegistry } from '@scanmq/scanners';
import { lookAtFleet } from './fleet.js';
import type { HealthMonitor } from './health-monitor.js';
import { placeScan } from './place-scan.js';
import { checkTargetPolicy, type TargetPolicy } from './target-policy.js';

export interface AcceptDeps {
  readonly queue: QueueSystem;
  readonly registry: ScannerRegistry;
  readonly monitor: Pick<HealthMonitor, 'ensureKnown'>;
  readonly policy: TargetPolicy;
}

/** How long a submission waits for a scanner that nobody has asked yet whether it can launch scans at all. */
const FIRST_PROBE_MS = 5_000;

/**
 * Checks targets and policy, decides the pool, and queues the scan.
 * @throws ScanmqError `invalid_request`, `target_refused`, `no_scanner`, `scanner_export_only`; as `QueueSystem.submit`.
 */
export async function acceptScan(
  deps: AcceptDeps,
  request: ScanRequest,
  context: SubmitContext,
): Promise<Created> {
  const { queue, registry, monitor, policy } = deps;
  const targets = parseTargets(request.targets);
  await checkTargetPolicy(targets, policy);
  await monitor.ensureKnown(registry.instances(request.scanner_pool), FIRST_PROBE_MS);
  const placement = await placeScan(await lookAtFleet(registry, queue), request, targets, policy.resolve);
  const { share } = registry.principalRules(context.principal);
  return await queue.submit(request, placement, { share, ...context });
}
