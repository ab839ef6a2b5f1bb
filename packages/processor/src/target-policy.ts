/**
 * Which targets may be scanned (`TARGETS_ALLOW`, `TARGETS_DENY`). Checked at submission and again before launch:
 * a name may lead elsewhere by then.
 */
import { lookup } from 'node:dns/promises';
import type { Settings } from '@scanmq/config';
import {
  asTarget,
  type IpTarget,
  isEmptySet,
  ScanmqError,
  setCoversAddresses,
  setHasAddresses,
  setHasName,
  setTouchesAddresses,
  type Target,
  type TargetSet,
  targetSet,
} from '@scanmq/contract';

/** Addresses that a name stands for now. */
export type ResolveName = (name: string) => Promise<readonly string[]>;

export interface TargetPolicy {
  readonly allow: TargetSet;
  readonly deny: TargetSet;
  readonly resolve: ResolveName;
}

export function createTargetPolicy(
  settings: Pick<Settings, 'targetsAllow' | 'targetsDeny'>,
  resolve: ResolveName = async (name) => (await lookup(name, { all: true })).map(({ address }) => address),
): TargetPolicy {
  return { allow: targetSet(settings.targetsAllow), deny: targetSet(settings.targetsDeny), resolve };
}

/** @throws ScanmqError `target_refused`, which names the target and why. */
export async function checkTargetPolicy(targets: readonly Target[], policy: TargetPolicy): Promise<void> {
  if (isEmptySet(policy.allow) && isEmptySet(policy.deny)) return;
  for (const target of targets) {
    if (target.kind === 'name') await checkName(target.text, policy);
    else checkAddresses(target, policy, target.text);
  }
}

function refuse(target: string, why: string): never {
  throw new ScanmqError('target_refused', `Target '${target}' is refused: ${why}.`);
}

function checkAddresses(target: IpTarget, policy: TargetPolicy, shown: string): void {
  if (setTouchesAddresses(policy.deny, target)) refuse(shown, 'it lies in a network of TARGETS_DENY');
  if (!isEmptySet(policy.allow) && !setCoversAddresses(policy.allow, target))
    refuse(shown, 'it does not lie within a network of TARGETS_ALLOW');
}

async function checkName(name: string, policy: TargetPolicy): Promise<void> {
  if (setHasName(policy.deny, name)) refuse(name, 'its name is in TARGETS_DENY');
  const byName = setHasName(policy.allow, name);
  // allowed by its name, and no network is denied: where it leads does not matter
  if (byName && !setHasAddresses(policy.deny)) return;
  const addresses = await policy.resolve(name).catch(() => []);
  if (addresses.length === 0) refuse(name, 'it cannot be resolved here, so its addresses cannot be checked');
  for (const text of addresses) {
    const target = asTarget(text);
    if (!target) refuse(name, `it leads to ${text}, which cannot be checked`);
    checkAddresses(target, byName ? { ...policy, allow: targetSet([]) } : policy, `${name} (${text})`);
  }
}
