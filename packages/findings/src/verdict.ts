/**
 * How far the results of a scan can be trusted: which targets answered, whether the scanner could log in, whether
 * anything was cut short, how old its plugins were.
 */
import {
  type AuthenticationStatus,
  type HostQuality,
  hostLabel,
  parseAddress,
  type Quality,
  type QualityReason,
  type ScanType,
  type Target,
  type troubleshootingSchema,
} from '@scanmq/contract';
import type { z } from 'zod';
import { CREDENTIAL_PLUGINS } from './host-quality.js';

export interface VerdictInput {
  /** Undefined for an export of which nobody knows what was asked: then it follows from what the hosts say. */
  readonly scanType: ScanType | undefined;
  readonly targets: readonly Target[];
  /** The scanner's own word for the end of the run. */
  readonly endedAs: string;
  readonly hosts: readonly HostQuality[];
  /** Control characters that had to be taken out of the export. */
  readonly removedCharacters: number;
  /** Findings that count as info because they have no known severity. */
  readonly withoutSeverity: number;
  /** The scanner's own count of hosts that it could not log in to (`hostCredsFailedCount`). */
  readonly failedLogins: number;
  /** Version of the plugins, `YYYYMMDDhhmm`, and the end of the scan in epoch seconds, where the export has them. */
  readonly pluginSet: string | undefined;
  readonly endedAtSeconds: number | undefined;
}

export interface ScanVerdict {
  readonly quality: Quality;
  readonly scanType: ScanType;
  readonly authenticationStatus: AuthenticationStatus;
  readonly warnings: readonly string[];
  readonly troubleshooting: z.infer<typeof troubleshootingSchema> | null;
}

/** At most this many names in one warning, and as examples. */
const NAMED = 5;
/** Plugins appear daily: a month without an update misses what was found since. */
const OLD_PLUGINS_DAYS = 30;
const SECONDS_PER_DAY = 86_400;
/** Port ranges told of; hosts of one scan have the same, but for a merged export. */
const PORT_RANGES = 10;

/** The verdict over the whole scan. */
export function judge(input: VerdictInput): ScanVerdict {
  const { hosts, endedAs } = input;
  const alive = hosts.filter((host) => host.alive);
  const scanType = input.scanType ?? (hosts.some(triedToLogIn) ? 'authenticated' : 'untrusted');
  const requested = scanType !== 'untrusted';
  const reasons: QualityReason[] = [];
  const warnings: string[] = [];
  const doubt = (reason: QualityReason, warning: string): void => {
    reasons.push(reason);
    warnings.push(warning);
  };

  const stoppedEarly = endedAs !== 'completed' && endedAs !== 'imported';
  if (stoppedEarly)
    doubt('stopped_early', `The scan stopped early (${endedAs}): the results are incomplete.`);
  if (alive.length === 0)
    doubt(
      'nothing_scanned',
      hosts.length === 0
        ? 'No host answered: nothing was scanned, so no finding here means nothing.'
        : 'No host has a single finding: nothing was scanned, so no finding here means nothing.',
    );
  const silent = hosts.filter((host) => !host.alive);
  if (silent.length > 0 && alive.length > 0)
    doubt(
      'hosts_silent',
      `${silent.length} of ${hosts.length} hosts are listed without a single finding: ${names(silent)}.`,
    );
  const cut = hosts.filter((host) => host.incomplete);
  if (cut.length > 0)
    doubt(
      'hosts_incomplete',
      `${cut.length} of ${hosts.length} hosts were not scanned to the end: ${names(cut)}.`,
    );
  const missing = hosts.length === 0 ? [] : missingTargets(input.targets, hosts);
  if (missing.length > 0)
    doubt(
      'targets_missing',
      `${missing.length} of the requested targets are not in the results: ${joined(missing)}.`,
    );
  const status: AuthenticationStatus = requested
    ? authenticationOf(alive, input.failedLogins)
    : 'not_applicable';
  if (requested && status !== 'success') {
    const without = hosts.filter((host) => host.credentials !== 'success');
    doubt(
      status === 'failed' ? 'credentials_failed' : 'credentials_partial',
      hosts.length === 0
        ? 'No login could be tried, because no host answered.'
        : without.length === 0
          ? `The scanner counts ${input.failedLogins} hosts that it could not log in to.`
          : `The scanner could not log in (fully) to ${without.length} of ${hosts.length} hosts: ${names(without)}.`,
    );
  }
  const unprivileged = alive.filter((host) => host.privilege === 'insufficient');
  if (requested && unprivileged.length > 0)
    doubt(
      'privilege_insufficient',
      `The login was not privileged enough on ${unprivileged.length} of ${hosts.length} hosts: ${names(unprivileged)}.`,
    );
  const pluginSet = pluginSetOf(input);
  if (pluginSet.age_days !== null && pluginSet.age_days > OLD_PLUGINS_DAYS)
    doubt(
      'plugins_old',
      `The plugins were ${Math.round(pluginSet.age_days)} days old: what was published since was not looked for.`,
    );
  if (input.withoutSeverity > 0)
    doubt(
      'severity_unknown',
      `${input.withoutSeverity} findings have no known severity and are counted as info.`,
    );
  const limited = reasons.length > 0;
  // nothing is lost with them, so they do not limit the results
  if (input.removedCharacters > 0)
    doubt(
      'text_repaired',
      `${input.removedCharacters} control characters that XML does not allow were taken out of the export.`,
    );

  return {
    scanType,
    authenticationStatus: status,
    warnings,
    troubleshooting: requested && status !== 'success' ? troubleshoot(status, hosts) : null,
    quality: {
      verdict: alive.length === 0 ? 'unusable' : limited ? 'limited' : 'complete',
      reasons,
      stopped_early: stoppedEarly,
      ended_as: endedAs,
      hosts: { listed: hosts.length, alive: alive.length, incomplete: cut.length },
      targets_missing: { count: missing.length, examples: missing.slice(0, NAMED).map(clean) },
      credentials: {
        requested,
        status,
        hosts: countBy(
          hosts,
          ['success', 'partial', 'failed', 'none_provided', 'unknown'],
          (host) => host.credentials,
        ),
        by_protocol: byProtocol(hosts),
      },
      privilege: countBy(alive, ['sufficient', 'insufficient', 'unknown'], (host) => host.privilege),
      plugin_set: pluginSet,
      port_ranges: [...new Set(hosts.flatMap((host) => host.port_range ?? []))].slice(0, PORT_RANGES),
    },
  };
}

function triedToLogIn({ credentials }: HostQuality): boolean {
  return credentials === 'success' || credentials === 'partial' || credentials === 'failed';
}

function authenticationOf(alive: readonly HostQuality[], failedLogins: number): AuthenticationStatus {
  if (alive.some((host) => host.credentials === 'success' || host.credentials === 'partial')) {
    const everywhere = alive.every((host) => host.credentials === 'success') && !(failedLogins > 0);
    return everywhere ? 'success' : 'partial';
  }
  // no sign of a login is no login: a scan that was asked to log in must not pass for one that did
  return 'failed';
}

function countBy<K extends string>(
  hosts: readonly HostQuality[],
  keys: readonly K[],
  keyOf: (host: HostQuality) => K,
): Record<K, number> {
  const counts = Object.fromEntries(keys.map((key) => [key, 0])) as Record<K, number>;
  for (const host of hosts) counts[keyOf(host)] += 1;
  return counts;
}

function byProtocol(hosts: readonly HostQuality[]): Quality['credentials']['by_protocol'] {
  const counts: Quality['credentials']['by_protocol'] = {};
  for (const { protocol, outcome } of hosts.flatMap((host) => host.logins)) {
    const count = counts[protocol] ?? { success: 0, partial: 0, failed: 0 };
    count[outcome] += 1;
    counts[protocol] = count;
  }
  return counts;
}

function pluginSetOf(input: VerdictInput): Quality['plugin_set'] {
  const version = input.pluginSet ?? input.hosts.find((host) => host.plugin_set !== null)?.plugin_set ?? null;
  const date = /^(\d{4})(\d{2})(\d{2})(\d{2})(\d{2})/.exec(version ?? '');
  const endedAtSeconds = input.endedAtSeconds ?? lastEnd(input.hosts);
  if (!date || endedAtSeconds === undefined) return { version, age_days: null };
  const [year, month, day, hour, minute] = date.slice(1).map(Number);
  const madeAt = Date.UTC(year ?? 0, (month ?? 1) - 1, day, hour, minute) / 1_000;
  const age = (endedAtSeconds - madeAt) / SECONDS_PER_DAY;
  return { version, age_days: Number.isFinite(age) ? Math.max(0, Math.round(age * 10) / 10) : null };
}

/** End of the host that ended last, epoch seconds; without a zone it is off by hours, which is nothing against days. */
function lastEnd(hosts: readonly HostQuality[]): number | undefined {
  let last: number | undefined;
  for (const { ended } of hosts) {
    if (ended === null) continue;
    const seconds = /^\d{9,11}$/.test(ended) ? Number(ended) : Date.parse(ended) / 1_000;
    if (Number.isFinite(seconds) && seconds > (last ?? 0)) last = seconds;
  }
  return last;
}

function troubleshoot(
  status: AuthenticationStatus,
  hosts: readonly HostQuality[],
): z.infer<typeof troubleshootingSchema> {
  if (hosts.some((host) => host.credentials_plugin === CREDENTIAL_PLUGINS.insufficientPrivilege)) {
    return {
      likely_cause: 'The login worked, but the user could not become privileged.',
      next_steps: [
        'Check elevate_privileges_with, escalation_account and escalation_password.',
        'Check that the user may use sudo or su on the hosts.',
        `Look at plugin ${CREDENTIAL_PLUGINS.insufficientPrivilege} in the results.`,
      ],
    };
  }
  const rejected = hosts.some((host) => host.credentials_plugin === CREDENTIAL_PLUGINS.failure);
  return {
    likely_cause: rejected
      ? 'The hosts rejected the credentials.'
      : status === 'partial'
        ? 'Some hosts accepted the credentials and others did not.'
        : 'The scanner could not try the credentials: no login service answered, or it was filtered.',
    next_steps: [
      'Check user name and password (or key) by logging in by hand.',
      'Check that SSH or SMB of the hosts can be reached from the scanner.',
      'Check that the account is not locked and may log in remotely.',
      `Look at plugins ${CREDENTIAL_PLUGINS.failure} and ${CREDENTIAL_PLUGINS.noneProvided} in the results.`,
    ],
  };
}

/** Targets of which nothing came back. Of ranges and networks nobody expects every address to answer, but one. */
function missingTargets(targets: readonly Target[], hosts: readonly HostQuality[]): readonly string[] {
  if (targets.length === 0) return [];
  const found = new Set(
    hosts.flatMap((host) => [host.host, host.ip ?? '', ...host.aliases].map((text) => text.toLowerCase())),
  );
  const addresses = { 4: [] as bigint[], 6: [] as bigint[] };
  for (const text of found) {
    const address = parseAddress(text);
    if (address) addresses[address.family].push(address.value);
  }
  for (const values of Object.values(addresses)) values.sort((a, b) => (a < b ? -1 : a > b ? 1 : 0));
  return targets
    .filter((target) =>
      target.kind === 'name'
        ? !found.has(target.text)
        : !holdsOne(addresses[target.family], target.first, target.last),
    )
    .map((target) => target.text);
}

/** Is a value from first to last among the sorted ones? Networks can be thousands, and hosts tens of thousands. */
function holdsOne(sorted: readonly bigint[], first: bigint, last: bigint): boolean {
  let [low, high] = [0, sorted.length];
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((sorted[middle] ?? first) < first) low = middle + 1;
    else high = middle;
  }
  const value = sorted[low];
  return value !== undefined && value <= last;
}

function names(hosts: readonly HostQuality[]): string {
  return joined(hosts.map((host) => host.host));
}

function joined(all: readonly string[]): string {
  const shown = all.slice(0, NAMED).map(clean);
  return all.length > NAMED ? `${shown.join(', ')} and ${all.length - NAMED} more` : shown.join(', ');
}

/** Host names come from the scanned network, and stand in sentences of ours here. */
function clean(name: string): string {
  return hostLabel(name).slice(0, 80);
}
