/**
 * How far results can be trusted: which hosts answered, whether the scanner could log in, whether anything was cut short.
 */
import {
  type AuthenticationStatus,
  parseAddress,
  type ScanType,
  type SeverityBreakdown,
  type Target,
  type troubleshootingSchema,
} from '@scanmq/contract';
import type { z } from 'zod';
import type { Finding } from './finding.js';

/** Outcome of logging in to one host. */
export type CredentialOutcome = 'success' | 'partial' | 'failed' | 'none_provided' | 'unknown';

export interface HostVerdict {
  readonly name: string;
  readonly ip: string | undefined;
  readonly items: number;
  /** It answered something. */
  readonly alive: boolean;
  /** Its scan began and has no end. */
  readonly incomplete: boolean;
  readonly credentials: CredentialOutcome;
  /** Plugin that shows the outcome of the login. */
  readonly credentialsPlugin: string | undefined;
}

/** Plugins that speak about credentials (nessus-api.md section 9.7). */
const CREDENTIAL_PLUGINS = {
  valid: '141118',
  insufficientPrivilege: '110385',
  failure: '104410',
  noneProvided: '110723',
} as const;
const SPEAK_OF_CREDENTIALS = new Set<unknown>([
  ...Object.values(CREDENTIAL_PLUGINS),
  '110095',
  '117885',
  '117886',
  '117887',
  '21745',
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
      return {
        name,
        ip: tags.get('host-ip'),
        items,
        alive: items > 0,
        incomplete: tags.has('HOST_START') && !tags.has('HOST_END'),
        credentials,
        credentialsPlugin,
      };
    },
  };
}

const KEPT_TAGS = new Set(['host-ip', 'HOST_START', 'HOST_END', 'Credentialed_Scan']);

function outcomeOf(
  plugins: ReadonlySet<string>,
  checks: string | undefined,
  tag: string | undefined,
): [CredentialOutcome, string | undefined] {
  const { valid, insufficientPrivilege, failure, noneProvided } = CREDENTIAL_PLUGINS;
  if (plugins.has(insufficientPrivilege)) return ['partial', insufficientPrivilege];
  if (plugins.has(valid)) return plugins.has(failure) ? ['partial', failure] : ['success', valid];
  if (checks === 'partial') return ['partial', SCAN_INFORMATION];
  if (checks === 'yes') return ['success', SCAN_INFORMATION];
  if (plugins.has(failure)) return ['failed', failure];
  if (plugins.has(noneProvided)) return ['none_provided', noneProvided];
  if (checks === 'no') return ['failed', SCAN_INFORMATION];
  if (tag === 'true') return ['success', undefined];
  return ['unknown', undefined];
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
  readonly severities: SeverityBreakdown;
  readonly removedCharacters: number;
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

  if (scanType === 'untrusted')
    return { authenticationStatus: 'not_applicable', warnings, troubleshooting: null };
  const status = authenticationOf(hosts);
  const failed = hosts.filter((host) => host.credentials !== 'success');
  if (status !== 'success')
    warnings.push(
      `The scanner could not log in (fully) to ${failed.length} of ${hosts.length} hosts: ${names(failed.map((host) => host.name))}.`,
    );
  return {
    authenticationStatus: status,
    warnings,
    troubleshooting: status === 'success' ? null : troubleshoot(status, hosts),
  };
}

function authenticationOf(hosts: readonly HostVerdict[]): AuthenticationStatus {
  const alive = hosts.filter((host) => host.alive);
  if (alive.some((host) => host.credentials === 'success' || host.credentials === 'partial')) {
    return alive.every((host) => host.credentials === 'success') ? 'success' : 'partial';
  }
  // no sign of a login is no login: a scan that was asked to log in must not pass for one that did
  return 'failed';
}

function troubleshoot(
  status: AuthenticationStatus,
  hosts: readonly HostVerdict[],
): z.infer<typeof troubleshootingSchema> {
  if (hosts.some((host) => host.credentialsPlugin === CREDENTIAL_PLUGINS.insufficientPrivilege)) {
    return {
      likely_cause: 'The login worked, but the user could not become privileged.',
      next_steps: [
        'Check elevate_privileges_with, escalation_account and escalation_password.',
        'Check that the user may use sudo or su on the hosts.',
        `Look at plugin ${CREDENTIAL_PLUGINS.insufficientPrivilege} in the results.`,
      ],
    };
  }
  const rejected = hosts.some((host) => host.credentialsPlugin === CREDENTIAL_PLUGINS.failure);
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

/** Targets that were asked for one by one, and of which nothing came back. Of ranges and networks nobody expects every address to answer. */
function missingTargets(targets: readonly Target[], hosts: readonly HostVerdict[]): readonly string[] {
  const found = new Set(
    hosts.flatMap((host) => [
      host.name.toLowerCase(),
      ...(host.ip === undefined ? [] : [host.ip.toLowerCase()]),
    ]),
  );
  const addresses = [...found].flatMap((text) => parseAddress(text) ?? []);
  return targets
    .filter((target) =>
      target.kind === 'name' || target.kind === 'address'
        ? !found.has(target.text.toLowerCase())
        : !addresses.some(
            (address) =>
              address.family === target.family &&
              target.first <= address.value &&
              address.value <= target.last,
          ),
    )
    .map((target) => target.text);
}

function names(all: readonly string[]): string {
  // host names come from the scanned network: one clean line
  const shown = all.slice(0, NAMED).map((name) => name.replace(/\p{C}/gu, '').slice(0, 80));
  return all.length > NAMED ? `${shown.join(', ')} and ${all.length - NAMED} more` : shown.join(', ');
}
