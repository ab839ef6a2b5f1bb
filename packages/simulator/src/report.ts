/** Writes `.nessus` exports from samples (nessus-api.md section 9). */
import { isIP } from 'node:net';
import { LOGIN_ITEMS, type LoginItem, type LoginOutcome } from './login-outcome.js';
import type { SampleHost } from './samples.js';

/** A sample with the address or name that was asked for. */
export interface ReplayedHost {
  readonly name: string;
  readonly sample: SampleHost;
}

export interface ReportInput {
  readonly scanName: string;
  readonly runUuid: string;
  readonly targets: string;
  readonly pluginSet: string;
  /** A host that is not `complete` has no end time, as one whose scan was cut short. */
  readonly hosts: readonly { readonly host: ReplayedHost; readonly complete: boolean }[];
  readonly startedAt: Date;
  readonly endedAt: Date;
  readonly login: LoginOutcome;
}

/** An export, piece by piece: never more than one host at a time. Its name and a tag of each host say that a simulator made it. */
export function* renderReport(input: ReportInput): Generator<Buffer> {
  const preferences = [
    ['TARGET', input.targets],
    ['scan_name', input.scanName],
    ['report_task_id', input.runUuid],
    ['loaded_plugin_set', input.pluginSet],
    ['whoami', 'simulator'],
  ].map(
    ([name = '', value = '']) =>
      `<preference><name>${name}</name><value>${escapeXml(value)}</value></preference>\n`,
  );
  yield Buffer.from(
    `<?xml version="1.0" ?>\n<NessusClientData_v2>\n<Policy><policyName>Simulator</policyName>\n<Preferences><ServerPreferences>\n${preferences.join('')}</ServerPreferences><PluginsPreferences></PluginsPreferences></Preferences>\n<FamilySelection></FamilySelection><IndividualPluginSelection></IndividualPluginSelection></Policy>\n<Report name="simulator: ${escapeXml(input.scanName)}" xmlns:cm="http://www.nessus.org/cm">\n`,
  );
  const loginItems = LOGIN_ITEMS[input.login].map(renderItem).join('');
  for (const { host, complete } of input.hosts) {
    const tags: [string, string][] = [
      ['scanmq-simulator', 'true'],
      ...identityOf(host.name),
      ['HOST_START', nessusDate(input.startedAt)],
      ...(complete ? [['HOST_END', nessusDate(input.endedAt)] as [string, string]] : []),
      ['Credentialed_Scan', String(input.login === 'success')],
    ];
    yield Buffer.concat([
      Buffer.from(
        `<ReportHost name="${escapeXml(host.name)}"><HostProperties>\n${tags.map(([name, value]) => `<tag name="${name}">${escapeXml(value)}</tag>\n`).join('')}`,
      ),
      host.sample.tags,
      Buffer.from('</HostProperties>\n'),
      host.sample.items,
      Buffer.from(`${loginItems}</ReportHost>\n`),
    ]);
  }
  yield Buffer.from('</Report>\n</NessusClientData_v2>\n');
}

const escapeXml = (text: string): string =>
  text.replace(/[&<>"]/g, (c) => ({ '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;' })[c] ?? c);

function identityOf(name: string): [string, string][] {
  if (isIP(name) !== 0) return [['host-ip', name]];
  // always the same address for a name, from a block that is nobody's (RFC 5737)
  const hash = [...name].reduce((sum, char) => (sum * 31 + (char.codePointAt(0) ?? 0)) % 65_521, 7);
  return [
    ['host-ip', `203.0.113.${1 + (hash % 254)}`],
    ['host-fqdn', name],
  ];
}

function renderItem({ id, name, family, severity, output }: LoginItem): string {
  return `<ReportItem port="0" svc_name="general" protocol="tcp" severity="${severity}" pluginID="${id}" pluginName="${name}" pluginFamily="${family}">\n<description>${name}</description>\n<plugin_name>${name}</plugin_name>\n<plugin_type>${id === 19_506 ? 'summary' : 'combined'}</plugin_type>\n<risk_factor>None</risk_factor>\n<solution>n/a</solution>\n<synopsis>${name}</synopsis>\n<plugin_output>\n${escapeXml(output)}\n</plugin_output>\n</ReportItem>\n`;
}

/** `Fri Nov  7 13:28:09 2025`: local time of the scanner, day padded with a space. */
export function nessusDate(date: Date): string {
  const [, weekday = '', day = '', month = '', year = '', time = ''] =
    /^(\w+), (\d+) (\w+) (\d+) ([\d:]+)/.exec(date.toUTCString()) ?? [];
  return `${weekday} ${month} ${day.replace(/^0/, ' ')} ${time} ${year}`;
}
