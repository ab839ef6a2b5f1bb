/**
 * Which targets may be scanned (`TARGETS_ALLOW`, `TARGETS_DENY`). Checked at submission and again before launch:
 * a name may lead elsewhere by then.
 */
import { lookup } from 'node:dns/promises';
import type { Settings } from '@scanmq/config';
import { type IpTarget, parseAddress, parseTarget, ScanmqError, type Target } from '@scanmq/contract';

/** Addresses that a name stands for now. */
export type ResolveName = (name: string) => Promise<readonly string[]>;

export interface TargetPolicy {
  readonly allow: readonly PolicyEntry[];
  readonly deny: readonly PolicyEntry[];
  readonly resolve: ResolveName;
}

type PolicyEntry = IpTarget | { readonly kind: 'name'; readonly text: string; readonly subdomains: boolean };

export function createTargetPolicy(
  settings: Pick<Settings, 'targetsAllow' | 'targetsDeny'>,
  resolve: ResolveName = async (name) => (await lookup(name, { all: true })).map(({ address }) => address),
): TargetPolicy {
  return { allow: settings.targetsAllow.map(toEntry), deny: settings.targetsDeny.map(toEntry), resolve };
}

function toEntry(text: string): PolicyEntry {
  const subdomains = /^(\*\.|\.)/.test(text);
  const target = parseTarget(subdomains ? text.replace(/^(\*\.|\.)/, '') : text);
  // settings were checked when they were read
  if (!target) throw new TypeError(`'${text}' is no target`);
  return target.kind === 'name' ? { kind: 'name', text: target.text, subdomains } : target;
}

/** @throws ScanmqError `target_refused`, which names the target and why. */
export async function checkTargetPolicy(targets: readonly Target[], policy: TargetPolicy): Promise<void> {
  if (policy.allow.length === 0 && policy.deny.length === 0) return;
  for (const target of targets) {
    if (target.kind === 'name') await checkName(target.text, policy);
    else checkAddresses(target, policy, target.text);
  }
}

function refuse(target: string, why: string): never {
  throw new ScanmqError('target_refused', `Target '${target}' is refused: ${why}.`);
}

function checkAddresses(target: IpTarget, policy: TargetPolicy, shown: string): void {
  const addresses = (entry: PolicyEntry): entry is IpTarget =>
    entry.kind !== 'name' && entry.family === target.family;
  if (
    policy.deny.filter(addresses).some((entry) => entry.first <= target.last && target.first <= entry.last)
  ) {
    refuse(shown, 'it lies in a network of TARGETS_DENY');
  }
  const allowed = policy.allow
    .filter(addresses)
    .some((entry) => entry.first <= target.first && target.last <= entry.last);
  if (policy.allow.length > 0 && !allowed) refuse(shown, 'it does not lie within a network of TARGETS_ALLOW');
}

async function checkName(name: string, policy: TargetPolicy): Promise<void> {
  const matches = (entry: PolicyEntry): boolean =>
    entry.kind === 'name' && (entry.subdomains ? name.endsWith(`.${entry.text}`) : name === entry.text);
  if (policy.deny.some(matches)) refuse(name, 'its name is in TARGETS_DENY');
  const byName = policy.allow.some(matches);
  // allowed by its name, and no network is denied: where it leads does not matter
  if (byName && !policy.deny.some((entry) => entry.kind !== 'name')) return;
  const addresses = await policy.resolve(name).catch(() => []);
  if (addresses.length === 0) refuse(name, 'it cannot be resolved here, so its addresses cannot be checked');
  for (const text of addresses) {
    const address = parseAddress(text);
    if (!address) refuse(name, `it leads to ${text}, which cannot be checked`);
    const target: IpTarget = {
      kind: 'address',
      text,
      family: address.family,
      first: address.value,
      last: address.value,
    };
    checkAddresses(target, byName ? { ...policy, allow: [] } : policy, `${name} (${text})`);
  }
}
