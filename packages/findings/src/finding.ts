import { createHash } from 'node:crypto';
import type { RawItem } from './read-export.js';

/** One ReportItem joined with its host, as answered: scalars and lists by field name. */
export type Finding = { readonly type: 'vulnerability'; readonly [field: string]: unknown };

/** Elements that may repeat are lists always, so that a client need not look (nessus-api.md section 9.4, "×n"). */
const LISTS = new Set([
  'cve',
  'bid',
  'xref',
  'cwe',
  'iava',
  'iavb',
  'iavt',
  'cert',
  'edb-id',
  'osvdb',
  'secunia',
  'msft',
  'mskb',
  'usn',
  'tra',
  'owasp',
  'rhsa',
  'apple-sa',
  'attachment',
]);

/** Besides these, whatever ends in `_score`. */
const NUMBERS = new Set([
  'cvss_base_score',
  'cvss_temporal_score',
  'cvss3_base_score',
  'cvss3_temporal_score',
  'cvssV3_impactScore',
  'cvss4_base_score',
  'cvss4_threat_score',
  'vpr_score',
  'vulnerability_priority_rating',
  'epss_score',
  'cvss',
  'cvssv3',
]);

const SWITCHES = new Set([
  'exploit_available',
  'exploit_framework_metasploit',
  'exploit_framework_canvas',
  'exploit_framework_core',
  'exploit_framework_d2_elliot',
  'exploit_framework_exploithub',
  'exploited_by_malware',
  'exploited_by_nessus',
  'in_the_news',
  'unsupported_by_vendor',
  'default_account',
  'malware',
  'asset_inventory',
  'hardware_inventory',
  'os_identification',
  'thorough_tests',
  'compliance',
]);

/** Names with a meaning of their own; an element of that name gets `_element` behind it, so that it cannot change them. */
const OWN_FIELDS = new Set([
  'type',
  'finding_id',
  'host',
  'plugin_id',
  'plugin_family',
  'severity',
  'port',
  'svc_name',
  'protocol',
  'cvss_score',
]);

/** Fields that every finding may have, whatever the export: what filters and custom fields can always name. */
export const COMMON_FIELDS: readonly string[] = [
  'finding_id',
  'host',
  'plugin_id',
  'plugin_name',
  'plugin_family',
  'severity',
  'port',
  'svc_name',
  'protocol',
  'cvss_score',
  'synopsis',
  'description',
  'solution',
  'see_also',
  'risk_factor',
  'plugin_output',
  ...LISTS,
  ...NUMBERS,
  ...SWITCHES,
];

/** Attributes of ReportItem by the names they have in answers. */
const ATTRIBUTES: Readonly<Record<string, string>> = {
  pluginID: 'plugin_id',
  pluginName: 'plugin_name',
  pluginFamily: 'plugin_family',
  severity: 'severity',
  port: 'port',
  svc_name: 'svc_name',
  protocol: 'protocol',
};

export interface HostIdentity {
  readonly name: string;
  /** `host-uuid`, where the export has one: a name alone does not identify a host. */
  readonly uuid: string | undefined;
}

/** One text for a host, equal in every export that has it. */
export function identityOf({ name, uuid }: HostIdentity): string {
  return uuid || name.toLowerCase();
}

/**
 * Makes findings of one host; counts repeats, so that equal findings get ids of their own.
 * @param block which ReportHost of this identity, from 0: one host can come in several.
 */
export function createFindingMaker(host: HostIdentity, block = 0): (item: RawItem) => Finding {
  const seen = new Map<string, number>();
  return (item) => {
    // no prototype: an element may have any name, `constructor` and `__proto__` too
    const fields: Record<string, unknown> = Object.create(null);
    fields.host = host.name;
    for (const [attribute, value] of Object.entries(item.attributes))
      fields[ATTRIBUTES[attribute] ?? attribute] = value;
    for (const [name, text] of item.elements) addElement(fields, name, text);
    if (isCompliance(fields)) fields.compliance = true;
    if (item.attachmentNames.length > 0) fields.attachment_name = [...item.attachmentNames];
    const score = firstNumber(fields, ['cvss3_base_score', 'cvssv3', 'cvss_base_score', 'cvss']);
    if (score !== undefined) fields.cvss_score = score;
    const key = JSON.stringify([
      identityOf(host),
      item.attributes.pluginID ?? '',
      item.attributes.port ?? '',
      (item.attributes.protocol ?? '').toLowerCase(),
      // compliance checks share one plugin (nessus-api.md section 9.5)
      fields['cm:compliance-check-id'] ?? fields['cm:compliance-check-name'] ?? complianceTitle(fields) ?? '',
      ...(block > 0 ? [block] : []),
    ]);
    const repeat = seen.get(key) ?? 0;
    seen.set(key, repeat + 1);
    const id = createHash('sha256').update(key).update(String(repeat)).digest('hex').slice(0, 32);
    return { type: 'vulnerability', finding_id: id, ...fields };
  };
}

function addElement(fields: Record<string, unknown>, element: string, text: string): void {
  const name = OWN_FIELDS.has(element) ? `${element}_element` : element;
  const existing = fields[name];
  const value = decodeValue(name, text);
  if (Array.isArray(existing)) existing.push(value);
  else if (LISTS.has(name)) fields[name] = [value];
  // plugin_name stands in the attribute as well
  else if (existing === undefined || name === 'plugin_name') fields[name] = value;
  else fields[name] = [existing, value];
}

function decodeValue(name: string, text: string): string | number | boolean {
  if (NUMBERS.has(name) || name.endsWith('_score')) {
    const value = Number(text);
    return text.trim() !== '' && Number.isFinite(value) ? value : text;
  }
  if (SWITCHES.has(name)) {
    const word = text.trim().toLowerCase();
    return word === 'true' ? true : word === 'false' ? false : text;
  }
  return LISTS.has(name) ? text.trim() : text;
}

function firstNumber(fields: Record<string, unknown>, names: readonly string[]): number | undefined {
  for (const name of names) {
    const value: unknown = [fields[name]].flat()[0];
    if (typeof value === 'number') return value;
  }
  return undefined;
}

/** Told by family in older exports, by elements in newer ones (nessus-api.md section 9.5). */
function isCompliance(fields: Record<string, unknown>): boolean {
  return (
    fields.plugin_family === 'Policy Compliance' ||
    Object.keys(fields).some((name) => name.startsWith('cm:compliance-') || name.startsWith('compliance'))
  );
}

/** Older compliance items tell their check only in the first line of the description. */
function complianceTitle(fields: Record<string, unknown>): string | undefined {
  if (fields.plugin_family !== 'Policy Compliance' || typeof fields.description !== 'string')
    return undefined;
  return /^\s*"([^"]{1,500})"/.exec(fields.description)?.[1];
}

/** False where the export gives no severity, or one that nobody knows. */
export function hasSeverity(finding: Finding): boolean {
  return /^[0-4]$/.test(String(finding.severity));
}

/** `severity` as a number, 0 (info) to 4 (critical); anything else counts as info. */
export function severityOf(finding: Finding): 0 | 1 | 2 | 3 | 4 {
  return hasSeverity(finding) ? (Number(finding.severity) as 0 | 1 | 2 | 3 | 4) : 0;
}
