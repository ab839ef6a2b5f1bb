/** The one way in for a scan, whoever asks for it: REST, MCP, the command, or a schedule. */
import { parseTargets, type ScanRequest, type TargetScope } from '@scanmq/contract';
import type { Meter } from '@scanmq/observability';
import type { Created, Placement, QueueSystem, SubmitContext } from '@scanmq/queue';
import type { ScannerRegistry } from '@scanmq/scanners';
import { type FleetView, lookAtFleet } from './fleet.js';
import type { HealthMonitor } from './health-monitor.js';
import { placeScan } from './place-scan.js';
import { countRefusal } from './policy-again.js';
import { checkTargetPolicy, type TargetPolicy } from './target-policy.js';

export interface AcceptDeps {
  readonly queue: QueueSystem;
  readonly registry: ScannerRegistry;
  readonly monitor: Pick<HealthMonitor, 'ensureKnown'>;
  readonly policy: TargetPolicy;
  readonly meter: Meter;
}

/** How long a submission waits for a scanner that nobody has asked yet whether it can launch scans at all. */
const FIRST_PROBE_MS = 5_000;

/**
 * Checks whether a scan would be accepted now, and where it would run. Submits nothing.
 * @param scope what the principal may scan; null = whatever the service allows.
 * @throws ScanmqError `target_refused`, `no_scanner`, `scanner_export_only`; InvalidRequestError for targets that are
 *   none, an unknown pool or instance.
 */
export async function admitScan(
  deps: AcceptDeps,
  request: ScanRequest,
  scope: TargetScope | null = null,
): Promise<Placement> {
  return (await admit(deps, request, scope)).placement;
}

async function admit(
  { queue, registry, monitor, policy, meter }: AcceptDeps,
  request: ScanRequest,
  scope: TargetScope | null,
): Promise<{ readonly placement: Placement; readonly view: FleetView }> {
  const targets = parseTargets(request.targets);
  try {
    await checkTargetPolicy(targets, policy, scope);
  } catch (error) {
    countRefusal(meter, 'submission', error);
    throw error;
  }
  if (request.credential_ref !== undefined)
    await queue.storedCredentials.check(request.credential_ref, request.scan_type);
  await monitor.ensureKnown(registry.instances(request.scanner_pool), FIRST_PROBE_MS);
  const view = await lookAtFleet(registry, queue);
  return { view, placement: await placeScan(view, request, targets, policy.resolve) };
}

/**
 * Checks a scan and submits it.
 * @param beforeSubmit done once the scan is admitted and placed; when it fails, nothing is submitted.
 * @returns the task, and the fleet as it was seen when the scan was admitted.
 * @throws as `admitScan`, and as `QueueSystem.submit`.
 */
export async function acceptScan(
  deps: AcceptDeps,
  request: ScanRequest,
  context: SubmitContext,
  beforeSubmit: (placement: Placement) => Promise<void> = async () => undefined,
): Promise<Created & { readonly view: FleetView }> {
  const { placement, view } = await admit(deps, request, context.targetScope ?? null);
  await beforeSubmit(placement);
  const { share } = deps.registry.principalRules(context.principal);
  return { ...(await deps.queue.submit(request, placement, { share, ...context })), view };
}
