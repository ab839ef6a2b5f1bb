/** The verdict on one host, gathered while it is read: did it answer, was it scanned to the end, could the scanner log in. */
import type { CredentialOutcome, HostQuality, Login, Privilege } from '@scanmq/contract';
import { type Fields, severityOf } from './finding.js';

/** Plugins that speak about credentials (nessus-api.md section 9.7). */
export const CREDENTIAL_PLUGINS = {
  valid: '141118',
  noIssues: '110095',
  insufficientPrivilege: '110385',
  failure: '104410',
  noneProvided: '110723',
  intermittent: '117885',
  localChecksFailed: '21745',
  patchAssessmentNotAvailable: '117886',
  patchAssessmentAvailable: '117887',
} as const;
const SPEAK_OF_CREDENTIALS: ReadonlySet<unknown> = new Set(Object.values(CREDENTIAL_PLUGINS));
const SCAN_INFORMATION = '19506';

const LOGIN_OUTCOMES: ReadonlyMap<string, Login['outcome']> = new Map([
  [CREDENTIAL_PLUGINS.valid, 'success'],
  [CREDENTIAL_PLUGINS.insufficientPrivilege, 'partial'],
  [CREDENTIAL_PLUGINS.intermittent, 'partial'],
  [CREDENTIAL_PLUGINS.failure, 'failed'],
]);
/** Where the same protocol was told of twice, the worse word counts. */
const WORSE: readonly Login['outcome'][] = ['success', 'partial', 'failed'];

const ALIAS_TAGS = ['host-fqdn', 'host-rdns', 'hostname', 'netbios-name'] as const;
/** Patch summaries alone are hundreds of tags: only those that decide are kept. */
const KEPT_TAGS: ReadonlySet<string> = new Set([
  'host-ip',
  'operating-system',
  'HOST_START',
  'HOST_START_TIMESTAMP',
  'HOST_END',
  'HOST_END_TIMESTAMP',
  'Credentialed_Scan',
  ...ALIAS_TAGS,
]);

export const SEVERITY_LEVELS = ['info', 'low', 'medium', 'high', 'critical'] as const;
export type SeverityCounts = Record<(typeof SEVERITY_LEVELS)[number], number>;

export interface HostCollector {
  tag(name: string, text: string): void;
  /** @param own fields of the finding itself; texts of its plugin are not needed. */
  finding(own: Readonly<Fields>): void;
  /** How many findings spoke of credentials. */
  readonly credentialFindings: number;
  readonly severities: Readonly<SeverityCounts>;
  finish(): HostQuality;
}

/** Lines of plugin 19506 that matter, in the scanner's words. */
interface ScanInformation {
  readonly checks: string | undefined;
  readonly portRange: string | undefined;
  readonly pluginSet: string | undefined;
}

/** @param asked whether the scan was asked to log in; false also where nobody knows. */
export function collectHost(name: string, asked: boolean): HostCollector {
  const tags = new Map<string, string>();
  const plugins = new Set<string>();
  const logins = new Map<string, Login>();
  const severities: SeverityCounts = { critical: 0, high: 0, medium: 0, low: 0, info: 0 };
  let findings = 0;
  let credentialFindings = 0;
  let information: ScanInformation | undefined;
  return {
    severities,
    tag: (tag, text) => {
      if (KEPT_TAGS.has(tag)) tags.set(tag, text.trim());
    },
    finding(own) {
      findings += 1;
      severities[SEVERITY_LEVELS[severityOf(own)]] += 1;
      const plugin = String(own.plugin_id);
      if (SPEAK_OF_CREDENTIALS.has(plugin)) {
        plugins.add(plugin);
        credentialFindings += 1;
        noteLogin(logins, plugin, own);
      }
      if (plugin === SCAN_INFORMATION && typeof own.plugin_output === 'string')
        information = readScanInformation(own.plugin_output);
    },
    get credentialFindings() {
      return credentialFindings;
    },
    finish() {
      const [credentials, plugin] = outcomeOf(
        plugins,
        information?.checks,
        tags.get('Credentialed_Scan'),
        asked,
      );
      const started = tags.get('HOST_START') ?? tags.get('HOST_START_TIMESTAMP') ?? null;
      const ended = tags.get('HOST_END') ?? tags.get('HOST_END_TIMESTAMP') ?? null;
      return {
        host: name,
        ip: tags.get('host-ip') ?? null,
        aliases: ALIAS_TAGS.flatMap((tag) => tags.get(tag) ?? []),
        operating_system: operatingSystem(tags.get('operating-system')),
        started,
        ended,
        findings,
        alive: findings > 0,
        // exports of assets have neither
        incomplete: started !== null && ended === null,
        credentials,
        credentials_plugin: plugin,
        logins: [...logins.values()],
        privilege: privilegeOf(plugins),
        port_range: information?.portRange ?? null,
        plugin_set: information?.pluginSet ?? null,
      };
    },
  };
}

/** Several lines are several guesses; cloud exports write a JSON list (../shared samples, "Oddities"). */
function operatingSystem(text: string | undefined): string | null {
  if (!text) return null;
  const [first = ''] = /^\["(.*?)"[\],]/.exec(text)?.slice(1) ?? text.split('\n');
  return first.trim().slice(0, 200) || null;
}

function readScanInformation(output: string): ScanInformation {
  const line = (label: string): string | undefined =>
    new RegExp(`^\\s*${label}\\s*:\\s*(.{1,200}?)\\s*$`, 'im').exec(output)?.[1];
  return {
    checks: /^(yes|no|partial)/i.exec(line('Credentialed checks') ?? '')?.[1]?.toLowerCase(),
    portRange: line('Port range'),
    pluginSet: /^\d{12}/.exec(line('Plugin feed version') ?? '')?.[0],
  };
}

function noteLogin(logins: Map<string, Login>, plugin: string, own: Readonly<Fields>): void {
  const outcome = LOGIN_OUTCOMES.get(plugin);
  if (outcome === undefined) return;
  const protocol = loginProtocol(own);
  const known = logins.get(protocol);
  if (known && WORSE.indexOf(known.outcome) >= WORSE.indexOf(outcome)) return;
  logins.set(protocol, { protocol, outcome, plugin_id: plugin });
}

const PROTOCOL_OF_SERVICE: Readonly<Record<string, string>> = {
  cifs: 'smb',
  'microsoft-ds': 'smb',
  smb: 'smb',
  ssh: 'ssh',
  snmp: 'snmp',
};
const PROTOCOL_OF_PORT: Readonly<Record<string, string>> = {
  '22': 'ssh',
  '139': 'smb',
  '445': 'smb',
  '161': 'snmp',
};

/** Told by the plugin itself (`Proto: SSH`, `Protocol : SMB`, "via SSH"), or by the port that it reports on. */
function loginProtocol(own: Readonly<Fields>): string {
  const output = String(own.plugin_output ?? '');
  const told =
    /\bProto(?:col)?\s*:\s*([A-Za-z][A-Za-z0-9-]{1,15})\b/i.exec(output)?.[1] ??
    /\b(SSH|SMB|SNMPv?[123]?c?|WMI|Telnet)\b/.exec(output)?.[1];
  if (told !== undefined) return told.toLowerCase();
  const service = String(own.svc_name ?? '')
    .replace(/\?$/, '')
    .toLowerCase();
  return PROTOCOL_OF_SERVICE[service] ?? PROTOCOL_OF_PORT[String(own.port)] ?? 'unknown';
}

function privilegeOf(plugins: ReadonlySet<string>): Privilege {
  if (plugins.has(CREDENTIAL_PLUGINS.insufficientPrivilege)) return 'insufficient';
  return plugins.has(CREDENTIAL_PLUGINS.noIssues) ? 'sufficient' : 'unknown';
}

/**
 * A login counts as a success only when nothing speaks against it (nessus-api.md section 9.7).
 * @param checks word after `Credentialed checks :` in the scan information
 */
function outcomeOf(
  plugins: ReadonlySet<string>,
  checks: string | undefined,
  tag: string | undefined,
  asked: boolean,
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
  // a scan that had no credentials says "no" as well
  if (checks === 'no') return [asked ? 'failed' : 'none_provided', SCAN_INFORMATION];
  if (tag === 'true') return ['success', null];
  return ['unknown', null];
}
