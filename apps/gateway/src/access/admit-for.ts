import { checkSubmission, targetScopeOf } from '@scanmq/access';
import type { Principal, ScanRequest } from '@scanmq/contract';
import { type AcceptDeps, admitScan } from '@scanmq/processor';
import type { Placement } from '@scanmq/queue';

/** Whether a scan of this principal would be accepted now, and where it would run. @throws as `admitScan`, and as `checkSubmission`. */
export async function admitFor(
  deps: AcceptDeps & { readonly now: () => Date },
  principal: Principal,
  request: ScanRequest,
): Promise<Placement> {
  const placement = await admitScan(deps, request, targetScopeOf(principal));
  checkSubmission(principal, { request, pool: placement.pool }, deps.now());
  return placement;
}
