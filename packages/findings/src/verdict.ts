/**
 * How far results can be trusted: which hosts answered, whether the scanner could log in, whether anything was cut short.
 */
import {
  type AuthenticationStatus,
  parseAddress,
  type ScanType,
  type Target,
  type troubleshootingSchema,
} from '@scanmq/contract';
import { z } from 'zod';
import type { Finding } from './finding.js';

export const hostVerdictSchema = z.object({
  name: z.string(),
  ip: z.string().nullable(),
  /** Other names of the host, as the scanner found them. */
  aliases: z.array(z.string()),
  /** As the scanner wrote them: its own time, without a zone. */
  started: z.string().nullable(),
  ended: z.string().nullable(),
  items: z.number(),
  /** It answered something. */
  alive: z.boolean(),
  /** Its scan began and has no end. */
  incomplete: z.boolean(),
  /** Outcome of logging in. */
  credentials: z.enum(['success', 'partial', 'failed', 'none_provided', 'unknown']),
  /** Plugin that shows the outcome of the login; null when only a tag does, or nothing. */
  credentials_plugin: z.string().nullable(),
});
export type HostVerdict = z.infer<typeof hostVerdictSchema>;
export type CredentialOutcome = HostVerdict['credentials'];

/** Plugins that speak about credentials (nessus-api.md section 9.7). */
const CREDENTIAL_PLUGINS = {
  valid: '141118',
  insufficientPrivilege: '110385',
  failure: '104410',
  noneProvided: '110723',
  intermittent: '117885',
  localChecksFailed: '21745',
} as const;
const SPEAK_OF_CREDENTIALS = new Set<unknown>([
  ...Object.values(CREDENTIAL_PLUGINS),
  '110095',
  '117886',
  '117887',
]);
const SCAN_INFORMATION = '19506';

export interface HostCollector {
  tag(name: string, text: string): void;
  finding(finding: Finding): void;
  /** How many findings spoke of credentials. */
  readonly credentialFindings: number;
  finish(): HostVerdict;
}

/** Gathers the signals of one host while it is read. */
export function collectHost(name: string): HostCollector {
  const tags = new Map<string, string>();
  const plugins = new Set<string>();
  let items = 0;
  let credentialFindings = 0;
  let checks: string | undefined;
  return {
    tag: (tag, text) => {
      // patch summaries alone are hundreds of tags: only those that decide are kept
      if (KEPT_TAGS.has(tag)) tags.set(tag, text.trim());
    },
    finding(finding) {
      items += 1;
      const plugin = String(finding.plugin_id);
      if (SPEAK_OF_CREDENTIALS.has(plugin)) {
        plugins.add(plugin);
        credentialFindings += 1;
      }
      if (plugin === SCAN_INFORMATION && typeof finding.plugin_output === 'string') {
        checks = /^\s*Credentialed checks\s*:\s*(yes|no|partial)/im
          .exec(finding.plugin_output)?.[1]
          ?.toLowerCase();
      }
    },
    get credentialFindings() {
      return credentialFindings;
    },
    finish() {
      const [credentials, credentialsPlugin] = outcomeOf(plugins, checks, tags.get('Credentialed_Scan'));
      const started = tags.get('HOST_START') ?? tags.get('HOST_START_TIMESTAMP') ?? null;
      const ended = tags.get('HOST_END') ?? tags.get('HOST_END_TIMESTAMP') ?? null;
      return {
        name,
        ip: tags.get('host-ip') ?? null,
        aliases: ALIAS_TAGS.flatMap((tag) => tags.get(tag) ?? []),
        started,
        ended,
        items,
        alive: items > 0,
        // exports of assets have neither
        incomplete: started !== null && ended === null,
        credentials,
        credentials_plugin: credentialsPlugin,
      };
    },
  };
}

const ALIAS_TAGS = ['host-fqdn', 'host-rdns', 'hostname', 'netbios-name'];
const KEPT_TAGS = new Set([
  'host-ip',
  'HOST_START',
  'HOST_START_TIMESTAMP',
  'HOST_END',
  'HOST_END_TIMESTAMP',
  'Credentialed_Scan',
  ...ALIAS_TAGS,
]);

/**
 * A login counts as a success only when nothing speaks against it (nessus-api.md section 9.7).
 * @param checks word after `Credentialed checks :` in the scan information
 */
function outcomeOf(
  plugins: ReadonlySet<string>,
  checks: string | undefined,
  tag: string | undefined,
): [CredentialOutcome, string | null] {
  const { valid, insufficientPrivilege, failure, noneProvided, intermittent, localChecksFailed } =
    CREDENTIAL_PLUGINS;
  if (plugins.has(insufficientPrivilege)) return ['partial', insufficientPrivilege];
  const against = [failure, intermittent, localChecksFailed].find((plugin) => plugins.has(plugin));
  if (plugins.has(valid) || checks === 'yes') {
    if (against !== undefined) return ['partial', against];
    if (checks !== undefined && checks !== 'yes') return ['partial', SCAN_INFORMATION];
    return ['success', plugins.has(valid) ? valid : SCAN_INFORMATION];
  }
  if (checks === 'partial') return ['partial', SCAN_INFORMATION];
  if (against !== undefined) return ['failed', against];
  if (plugins.has(noneProvided)) return ['none_provided', noneProvided];
  if (checks === 'no') return ['failed', SCAN_INFORMATION];
  if (tag === 'true') return ['success', null];
  return ['unknown', null];
}

export interface ScanVerdict {
  readonly authenticationStatus: AuthenticationStatus;
  readonly warnings: readonly string[];
  readonly troubleshooting: z.infer<typeof troubleshootingSchema> | null;
}

export interface VerdictInput {
  readonly scanType: ScanType;
  readonly targets: readonly Target[];
  /** The scanner's own word for the end of the run. */
  readonly endedAs: string;
  readonly hosts: readonly HostVerdict[];
  /** Control characters that had to be taken out of the export. */
  readonly removedCharacters: number;
  /** Findings that count as info because they have no known severity. */
  readonly withoutSeverity: number;
  /** The scanner's own count of hosts that it could not log in to (`hostCredsFailedCount`). */
  readonly failedLogins: number;
}

/** At most this many names in one warning. */
const NAMED = 5;

/** The verdict over the whole scan. */
export function judge(input: VerdictInput): ScanVerdict {
  const { hosts, scanType, endedAs } = input;
  const warnings: string[] = [];
  if (endedAs !== 'completed')
    warnings.push(`The scan stopped early (${endedAs}): the results are incomplete.`);
  if (hosts.length === 0)
    warnings.push('No host answered: nothing was scanned, so no finding here means nothing.');
  const silent = hosts.filter((host) => !host.alive);
  if (silent.length > 0)
    warnings.push(
      `${silent.length} of ${hosts.length} hosts are listed without a single finding: ${names(silent.map((host) => host.name))}.`,
    );
  const cut = hosts.filter((host) => host.incomplete);
  if (cut.length > 0)
    warnings.push(
      `${cut.length} of ${hosts.length} hosts were not scanned to the end: ${names(cut.map((host) => host.name))}.`,
    );
  const missing = hosts.length === 0 ? [] : missingTargets(input.targets, hosts);
  if (missing.length > 0)
    warnings.push(`${missing.length} of the requested targets are not in the results: ${names(missing)}.`);
  if (input.removedCharacters > 0)
    warnings.push(
      `${input.removedCharacters} control characters that XML does not allow were taken out of the export.`,
    );
  if (input.withoutSeverity > 0)
    warnings.push(`${input.withoutSeverity} findings have no known severity and are counted as info.`);

  if (scanType === 'untrusted')
    return { authenticationStatus: 'not_applicable', warnings, troubleshooting: null };
  const status = authenticationOf(hosts, input.failedLogins);
  const failed = hosts.filter((host) => host.credentials !== 'success');
  if (hosts.length === 0) warnings.push('No login could be tried, because no host answered.');
  else if (failed.length === 0 && status !== 'success')
    warnings.push(`The scanner counts ${input.failedLogins} hosts that it could not log in to.`);
  else if (status !== 'success')
    warnings.push(
      `The scanner could not log in (fully) to ${failed.length} of ${hosts.length} hosts: ${names(failed.map((host) => host.name))}.`,
    );
  return {
    authenticationStatus: status,
    warnings,
    troubleshooting: status === 'success' ? null : troubleshoot(status, hosts),
  };
}

function authenticationOf(hosts: readonly HostVerdict[], failedLogins: number): AuthenticationStatus {
  const alive = hosts.filter((host) => host.alive);
  if (alive.some((host) => host.credentials === 'success' || host.credentials === 'partial')) {
    const everywhere = alive.every((host) => host.credentials === 'success') && !(failedLogins > 0);
    return everywhere ? 'success' : 'partial';
  }
  // no sign of a login is no login: a scan that was asked to log in must not pass for one that did
  return 'failed';
}

function troubleshoot(
  status: AuthenticationStatus,
  hosts: readonly HostVerdict[],
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
function missingTargets(targets: readonly Target[], hosts: readonly HostVerdict[]): readonly string[] {
  const found = new Set(
    hosts.flatMap((host) => [host.name, host.ip ?? '', ...host.aliases].map((text) => text.toLowerCase())),
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

function names(all: readonly string[]): string {
  // host names come from the scanned network: one clean line
  const shown = all.slice(0, NAMED).map((name) => name.replace(/\p{C}/gu, '').slice(0, 80));
  return all.length > NAMED ? `${shown.join(', ')} and ${all.length - NAMED} more` : shown.join(', ');
}
