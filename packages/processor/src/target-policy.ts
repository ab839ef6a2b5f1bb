/**
 * Which targets may be scanned: what is denied by default, `TARGETS_ALLOW` and `TARGETS_DENY`, and the lists of the
 * principal. Checked at submission, before the scan is made and before it is launched: a name may lead elsewhere by then.
 */
import type { Settings } from '@scanmq/config';
import {
  asTarget,
  embeddedAddresses,
  type IpTarget,
  isEmptySet,
  ScanmqError,
  setCoversAddresses,
  setHasAddresses,
  setHasName,
  setTouchesAddresses,
  type Target,
  type TargetScope,
  type TargetSet,
  targetHostCount,
  targetSet,
} from '@scanmq/contract';
import { createDefaultDenials, type DefaultDenials, NOTHING_DENIED } from './default-denials.js';
import { createNameResolver, type Resolved, type ResolveName, resolveNames } from './resolve-names.js';

/** One pair of lists; every pair has to agree. */
interface Lists {
  /** Undefined = everything. */
  readonly allow: TargetSet | undefined;
  readonly deny: TargetSet;
  /** How they are called in a refusal. */
  readonly allowName: string;
  readonly denyName: string;
}

export interface TargetPolicy {
  readonly lists: Lists;
  readonly denials: DefaultDenials;
  /** Hosts in one scan; 0 = no limit. */
  readonly maxHosts: number;
  readonly resolve: ResolveName;
}

export type PolicySettings = Pick<
  Settings,
  'targetsAllow' | 'targetsDeny' | 'targetsDenyDefaults' | 'maxHostsPerScan' | 'dnsServers'
>;

export function createTargetPolicy(
  settings: PolicySettings,
  resolve: ResolveName = createNameResolver(settings.dnsServers),
): TargetPolicy {
  const allow = targetSet(settings.targetsAllow);
  return {
    lists: {
      allow: isEmptySet(allow) ? undefined : allow,
      deny: targetSet(settings.targetsDeny),
      allowName: 'TARGETS_ALLOW',
      denyName: 'TARGETS_DENY',
    },
    denials: settings.targetsDenyDefaults ? createDefaultDenials(settings.targetsAllow) : NOTHING_DENIED,
    maxHosts: settings.maxHostsPerScan,
    resolve,
  };
}

function listsOf(scope: TargetScope): Lists {
  return {
    allow: scope.allow === null ? undefined : targetSet(scope.allow),
    deny: targetSet(scope.deny),
    allowName: 'those that your key may scan',
    denyName: 'those that your key may not scan',
  };
}

/**
 * @param scope of the principal: its lists have to agree as well.
 * @returns the addresses of each name that was resolved: the ones that were found allowed.
 * @throws ScanmqError `target_refused`, which names the target and why; `unavailable` when the names take too long.
 */
export async function checkTargetPolicy(
  targets: readonly Target[],
  policy: TargetPolicy,
  scope: TargetScope | null = null,
): Promise<ReadonlyMap<string, readonly string[]>> {
  checkSize(targets, policy.maxHosts, scope?.max_hosts ?? null);
  const lists = scope === null ? [policy.lists] : [policy.lists, listsOf(scope)];
  const names: string[] = [];
  // what can be told without asking anybody comes first
  for (const target of targets) {
    if (target.kind !== 'name') checkAddresses(target, policy.denials, lists, target.text);
    else if (checkName(target.text, policy.denials, lists)) names.push(target.text);
  }
  const resolved = await resolveNames(names, policy.resolve);
  const allowed = new Map<string, readonly string[]>();
  for (const [name, answer] of resolved) {
    checkAnswer(name, answer, policy.denials, lists);
    if (answer.addresses) allowed.set(name, answer.addresses);
  }
  return allowed;
}

function refuse(target: string, why: string, temporary = false): never {
  throw new ScanmqError(
    'target_refused',
    `Target '${target}' is refused: ${why}.`,
    temporary ? { retryable: 'yes' } : {},
  );
}

function checkSize(targets: readonly Target[], ofService: number, ofScope: number | null): void {
  const hosts = targets.reduce((sum, target) => sum + targetHostCount(target), 0n);
  const limits = [ofService, ofScope ?? 0].filter((limit) => limit > 0);
  const limit = Math.min(...limits);
  if (limits.length === 0 || hosts <= BigInt(limit)) return;
  throw new ScanmqError(
    'target_refused',
    `The targets are ${hosts} hosts, more than the ${limit} that one scan may have${limit === ofService ? ' (MAX_HOSTS_PER_SCAN)' : ' with your key'}. Split them.`,
  );
}

function checkAddresses(
  target: IpTarget,
  denials: DefaultDenials,
  lists: readonly Lists[],
  shown: string,
): void {
  const embedded = embeddedAddresses(target);
  for (const reached of [target, ...embedded.map((inner) => inner.target)]) {
    const denied = denials.ofAddresses(reached);
    if (denied !== undefined) {
      refuse(shown, `it leads to ${denied}, which is not scanned unless TARGETS_ALLOW names exactly that`);
    }
    for (const { deny, denyName } of lists)
      if (setTouchesAddresses(deny, reached)) refuse(shown, `it lies in a network of ${denyName}`);
  }
  // of the embedded ones, only a mapped address is the IPv4 address itself
  const own = [target, ...embedded.filter(({ form }) => form === 'mapped').map((inner) => inner.target)];
  for (const { allow, allowName } of lists) {
    if (allow && !own.every((part) => setCoversAddresses(allow, part)))
      refuse(shown, `it does not lie within a network of ${allowName}`);
  }
}

/** @returns whether its addresses have to be looked at. */
function checkName(name: string, denials: DefaultDenials, lists: readonly Lists[]): boolean {
  const denied = denials.ofName(name);
  if (denied !== undefined)
    refuse(name, `it is a name of ${denied}, which is not scanned unless TARGETS_ALLOW names exactly that`);
  for (const { deny, denyName } of lists)
    if (setHasName(deny, name)) refuse(name, `its name is among ${denyName}`);
  return denials !== NOTHING_DENIED || lists.some((one) => judgesAddresses(one, name));
}

/** False where it does not matter where the name leads: nothing is said about addresses, or the name itself is allowed and no network denied. */
function judgesAddresses({ allow, deny }: Lists, name: string): boolean {
  if (setHasAddresses(deny)) return true;
  // names that are denied under another name: where they lead has to be known
  return allow === undefined ? !isEmptySet(deny) : !setHasName(allow, name);
}

function checkAnswer(name: string, answer: Resolved, denials: DefaultDenials, lists: readonly Lists[]): void {
  if (!answer.addresses) {
    // with the default denials alone: nothing here says where it leads, and the scanner may know it
    if (lists.some((one) => judgesAddresses(one, name)))
      refuse(name, 'it cannot be resolved here, so its addresses cannot be checked', answer.temporary);
    return;
  }
  // a list that allows the name allows whatever it stands for
  const ofAddresses = lists.map((one) =>
    one.allow && setHasName(one.allow, name) ? { ...one, allow: undefined } : one,
  );
  for (const text of answer.addresses) {
    const target = asTarget(text);
    if (!target) refuse(name, `it leads to ${text}, which cannot be checked`);
    checkAddresses(target, denials, ofAddresses, `${name} (${text})`);
  }
}
