/** Real exports, cut into hosts that can be given other addresses. */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { gunzipSync } from 'node:zlib';
import { ScanmqError } from '@scanmq/contract';

/** One ReportHost of a sample, as text. */
export interface SampleHost {
  /** Between the start tag and the end tag. */
  readonly body: string;
  readonly items: number;
  readonly severities: readonly [info: number, low: number, medium: number, high: number, critical: number];
}

const BUNDLED = fileURLToPath(new URL('../samples', import.meta.url));
/** Hosts with more would make demonstrations slow to read. */
const HOST_CHARS = 4 * 1024 * 1024;

/**
 * Loads samples.
 * @param paths files to load; the bundled ones when undefined.
 * @throws ScanmqError `invalid_request` for a file that holds no ReportHost.
 */
export function loadSampleHosts(paths: readonly string[] | undefined): readonly SampleHost[] {
  const files =
    paths ??
    readdirSync(BUNDLED)
      .filter((name) => name.endsWith('.gz'))
      .sort()
      .map((name) => join(BUNDLED, name));
  return files.flatMap((file) => {
    const bytes = readFileSync(file);
    const text = (file.endsWith('.gz') ? gunzipSync(bytes) : bytes).toString('utf8');
    // exports have no CDATA, and escape every < in texts: cutting at the tags is sound for them
    const hosts = [...text.matchAll(/<ReportHost\b[^>]*>([\s\S]*?)<\/ReportHost>/g)].map(([, body = '']) =>
      toHost(body),
    );
    const usable = hosts.filter((host) => host.items > 0 && host.body.length <= HOST_CHARS);
    if (usable.length === 0)
      throw new ScanmqError('invalid_request', `${file} holds no host that could be replayed.`);
    return usable;
  });
}

function toHost(body: string): SampleHost {
  const severities: [number, number, number, number, number] = [0, 0, 0, 0, 0];
  let items = 0;
  for (const [, severity] of body.matchAll(/<ReportItem\b[^>]*?\bseverity="([0-4])"/g)) {
    items += 1;
    severities[Number(severity) as 0 | 1 | 2 | 3 | 4] += 1;
  }
  return { body, items, severities };
}

const escapeXml = (text: string): string =>
  text.replace(/[&<>"]/g, (c) => ({ '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;' })[c] ?? c);

export interface ReplayedHost {
  readonly name: string;
  readonly sample: SampleHost;
}

/** What the hosts say of the credentials of a scan (nessus-api.md section 9.7). */
export type CredentialScene = 'none' | 'success' | 'rejected' | 'escalation_failed';

export interface ReportInput {
  readonly scanName: string;
  readonly runUuid: string;
  readonly targets: string;
  readonly pluginSet: string;
  readonly hosts: readonly ReplayedHost[];
  readonly startedAt: Date;
  readonly endedAt: Date;
  readonly credentials: CredentialScene;
}

/** A `.nessus` export, host by host. Its name and a tag of each host say that a simulator made it. */
export function* renderReport(input: ReportInput): Generator<string> {
  const preference = (name: string, value: string): string =>
    `<preference><name>${name}</name><value>${escapeXml(value)}</value></preference>\n`;
  yield `<?xml version="1.0" ?>\n<NessusClientData_v2>\n<Policy><policyName>Simulator</policyName>\n<Preferences><ServerPreferences>\n${preference('TARGET', input.targets)}${preference('scan_name', input.scanName)}${preference('report_task_id', input.runUuid)}${preference('loaded_plugin_set', input.pluginSet)}</ServerPreferences><PluginsPreferences></PluginsPreferences></Preferences>\n<FamilySelection></FamilySelection><IndividualPluginSelection></IndividualPluginSelection></Policy>\n<Report name="simulator: ${escapeXml(input.scanName)}" xmlns:cm="http://www.nessus.org/cm">\n`;
  for (const host of input.hosts) yield renderHost(host, input);
  yield '</Report>\n</NessusClientData_v2>\n';
}

/** Plugins whose findings speak of credentials: those of the sample would contradict the scene. */
const CREDENTIAL_PLUGINS = [
  '19506',
  '141118',
  '110385',
  '104410',
  '110723',
  '110095',
  '117885',
  '117886',
  '117887',
  '21745',
];

function renderHost({ name, sample }: ReplayedHost, input: ReportInput): string {
  const address = /^[\d.]+$|:/.test(name) ? name : undefined;
  const tag = (tagName: string, value: string): string =>
    `<tag name="${tagName}">${escapeXml(value)}</tag>\n`;
  const own = new Set([
    'host-ip',
    'host-fqdn',
    'host-fqdns',
    'host-rdns',
    'hostname',
    'host-uuid',
    'netbios-name',
    'HOST_START',
    'HOST_END',
    'HOST_START_TIMESTAMP',
    'HOST_END_TIMESTAMP',
    'Credentialed_Scan',
  ]);
  const [, properties = ''] = /<HostProperties>([\s\S]*?)<\/HostProperties>/.exec(sample.body) ?? [];
  const kept = [...properties.matchAll(/<tag name="([^"]*)">[\s\S]*?<\/tag>/g)]
    .filter(([, tagName = '']) => !own.has(tagName))
    .map(([whole]) => `${whole}\n`);
  const items = sample.body
    .slice(sample.body.indexOf('</HostProperties>') + '</HostProperties>'.length)
    .replace(
      new RegExp(
        `<ReportItem\\b[^>]*pluginID="(?:${CREDENTIAL_PLUGINS.join('|')})"[\\s\\S]*?</ReportItem>`,
        'g',
      ),
      '',
    );
  return `<ReportHost name="${escapeXml(name)}"><HostProperties>\n${tag('scanmq-simulator', 'true')}${tag('host-ip', address ?? '192.0.2.1')}${address === undefined ? tag('host-fqdn', name) : ''}${tag('HOST_START', nessusDate(input.startedAt))}${tag('HOST_END', nessusDate(input.endedAt))}${tag('Credentialed_Scan', String(input.credentials === 'success'))}${kept.join('')}</HostProperties>${items}${credentialItems(input.credentials)}</ReportHost>\n`;
}

/** `Fri Nov  7 13:28:09 2025`: local time of the scanner, day padded with a space. */
function nessusDate(date: Date): string {
  const [, weekday = '', day = '', month = '', year = '', time = ''] =
    /^(\w+), (\d+) (\w+) (\d+) ([\d:]+)/.exec(date.toUTCString()) ?? [];
  return `${weekday} ${month} ${day.replace(/^0/, ' ')} ${time} ${year}`;
}

function credentialItems(scene: CredentialScene): string {
  const item = (id: string, name: string, output: string): string =>
    `<ReportItem port="0" svc_name="general" protocol="tcp" severity="0" pluginID="${id}" pluginName="${name}" pluginFamily="Settings">\n<description>${name}</description>\n<plugin_name>${name}</plugin_name>\n<plugin_type>${id === '19506' ? 'summary' : 'combined'}</plugin_type>\n<risk_factor>None</risk_factor>\n<solution>n/a</solution>\n<synopsis>${name}</synopsis>\n<plugin_output>\n${output}\n</plugin_output>\n</ReportItem>\n`;
  const checks = {
    none: 'no',
    success: "yes, as 'auditor' via ssh",
    rejected: 'no',
    escalation_failed: 'partial',
  }[scene];
  const information = item(
    '19506',
    'Nessus Scan Information',
    `Information about this scan :\n\nNessus version : simulator\nScan type : Normal\nCredentialed checks : ${checks}\n`,
  );
  switch (scene) {
    case 'success':
      return (
        information +
        item(
          '141118',
          'Target Credential Status by Authentication Protocol - Valid Credentials Provided',
          'Nessus was able to log in to the remote host via SSH.',
        )
      );
    case 'rejected':
      return (
        information +
        item(
          '104410',
          'Target Credential Status by Authentication Protocol - Failure for Provided Credentials',
          'Nessus was unable to log into the remote host.',
        )
      );
    case 'escalation_failed':
      return (
        information +
        item(
          '141118',
          'Target Credential Status by Authentication Protocol - Valid Credentials Provided',
          'Nessus was able to log in to the remote host via SSH.',
        ) +
        item(
          '110385',
          'Target Credential Issues by Authentication Protocol - Insufficient Privilege',
          'Nessus was able to log in, but could not become privileged.',
        )
      );
    default:
      return (
        information +
        item(
          '110723',
          'Target Credential Status by Authentication Protocol - No Credentials Provided',
          'SSH was detected on port 22 but no credentials were provided.',
        )
      );
  }
}
