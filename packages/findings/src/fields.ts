/**
 * Every field that a finding may have: its form, and where it is stored. Findings are stored in two tables: what is
 * particular to one finding, and what all findings of a plugin have in common (its texts, references and scores), once.
 */

/**
 * - `text`, `number`, `switch` (true/false): one value.
 * - `list`: texts, always as a list, so that a client need not look (nessus-api.md section 9.4, "×n").
 */
export type FieldForm = 'text' | 'number' | 'switch' | 'list';
export type FieldPlace = 'finding' | 'plugin';

export interface Field {
  readonly name: string;
  readonly form: FieldForm;
  readonly place: FieldPlace;
}

const field = (place: FieldPlace, form: FieldForm, names: readonly string[]): Field[] =>
  names.map((name) => ({ name, form, place }));

/** Attributes of ReportItem by the names they have in answers. */
export const ATTRIBUTES: Readonly<Record<string, string>> = {
  pluginID: 'plugin_id',
  pluginName: 'plugin_name',
  pluginFamily: 'plugin_family',
  severity: 'severity',
  port: 'port',
  svc_name: 'svc_name',
  protocol: 'protocol',
};

/** In the order in which `full` answers them. */
export const FIELDS: readonly Field[] = [
  ...field('finding', 'text', ['finding_id', 'host', 'host_ip', 'plugin_id']),
  ...field('plugin', 'text', ['plugin_name', 'plugin_family']),
  ...field('finding', 'text', ['severity', 'port', 'svc_name', 'protocol']),
  ...field('finding', 'number', ['cvss_score']),
  // of compliance items: which check, and how it came out; the same for exports of any age
  ...field('finding', 'switch', ['compliance']),
  ...field('finding', 'text', ['compliance_check', 'compliance_result']),
  ...field('plugin', 'text', ['synopsis', 'description', 'solution', 'see_also', 'risk_factor']),
  ...field('plugin', 'list', [
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
  ]),
  ...field('plugin', 'list', ['secunia', 'msft', 'mskb', 'usn', 'tra', 'owasp', 'rhsa', 'apple-sa']),
  ...field('plugin', 'number', ['cvss_base_score', 'cvss_temporal_score', 'cvss3_base_score']),
  ...field('plugin', 'number', ['cvss3_temporal_score', 'cvssV3_impactScore', 'cvss4_base_score']),
  ...field('plugin', 'number', ['cvss4_threat_score', 'vpr_score', 'vulnerability_priority_rating']),
  ...field('plugin', 'number', ['epss_score', 'cvss', 'cvssv3']),
  ...field('plugin', 'text', [
    'cvss_vector',
    'cvss_temporal_vector',
    'cvss3_vector',
    'cvss3_temporal_vector',
  ]),
  ...field('plugin', 'text', ['cvss4_vector', 'cvss4_threat_vector', 'cvss_score_source', 'stig_severity']),
  ...field('plugin', 'text', ['cvss_score_rationale', 'exploitability_ease', 'exploit_code_maturity']),
  ...field('plugin', 'switch', ['exploit_available', 'exploit_framework_metasploit', 'malware']),
  ...field('plugin', 'switch', ['exploit_framework_canvas', 'exploit_framework_core', 'in_the_news']),
  ...field('plugin', 'switch', ['exploit_framework_d2_elliot', 'exploit_framework_exploithub']),
  ...field('plugin', 'switch', ['exploited_by_malware', 'exploited_by_nessus', 'unsupported_by_vendor']),
  ...field('plugin', 'switch', ['default_account', 'asset_inventory', 'hardware_inventory']),
  ...field('plugin', 'switch', ['os_identification', 'thorough_tests']),
  ...field('plugin', 'text', ['metasploit_name', 'canvas_package', 'd2_elliot_name', 'cisa-known-exploited']),
  ...field('plugin', 'text', ['age_of_vuln', 'product_coverage', 'threat_intensity_last_28']),
  ...field('plugin', 'text', ['threat_recency', 'threat_sources_last_28', 'asset_inventory_category']),
  ...field('plugin', 'text', ['vuln_publication_date', 'patch_publication_date', 'plugin_publication_date']),
  ...field('plugin', 'text', ['plugin_modification_date', 'plugin_type', 'plugin_version', 'script_version']),
  ...field('plugin', 'text', ['fname', 'cpe', 'agent', 'always_run', 'generated_plugin']),
  ...field('finding', 'text', ['first_found', 'last_found', 'last_fixed', 'vulnerability_state']),
  ...field('plugin', 'text', ['cm:compliance-check-name', 'cm:compliance-check-id', 'cm:compliance-info']),
  ...field('plugin', 'text', ['cm:compliance-solution', 'cm:compliance-see-also', 'cm:compliance-reference']),
  ...field('plugin', 'text', [
    'cm:compliance-audit-file',
    'cm:compliance-policy-value',
    'cm:compliance-source',
  ]),
  ...field('plugin', 'text', ['cm:compliance-benchmark-name', 'cm:compliance-benchmark-version']),
  ...field('plugin', 'text', ['cm:compliance-benchmark-profile', 'cm:compliance-functional-id']),
  ...field('plugin', 'text', ['cm:compliance-informational-id', 'cm:compliance-control-id']),
  ...field('plugin', 'text', ['cm:compliance-full-id', 'cm:compliance-uname']),
  ...field('finding', 'text', ['cm:compliance-result', 'cm:compliance-actual-value']),
  ...field('finding', 'list', ['attachment', 'attachment_name']),
  ...field('finding', 'text', ['plugin_output']),
];

/** What the scanned host wrote, or part of it; what nobody knows yet (`extra_fields`) may be too. */
export const HOST_WRITTEN_FIELDS: ReadonlySet<string> = new Set([
  'plugin_output',
  'attachment',
  'attachment_name',
  'cm:compliance-actual-value',
]);

/** The same by name. */
export const FIELD_BY_NAME: ReadonlyMap<string, Field> = new Map(FIELDS.map((one) => [one.name, one]));

/** Names with a meaning of their own; an element of that name gets `_element` behind it, so that it cannot change them. */
const OWN_FIELDS: ReadonlySet<string> = new Set([
  'type',
  'task_id',
  'finding_id',
  'host',
  'host_ip',
  'plugin_id',
  'plugin_family',
  'severity',
  'port',
  'svc_name',
  'protocol',
  'cvss_score',
  'attachment_name',
  'compliance_check',
  'compliance_result',
]);

/** The field that an element of ReportItem becomes. */
export function fieldOfElement(element: string): string {
  return OWN_FIELDS.has(element) ? `${element}_element` : element;
}

/** Where a field is stored; elements that nobody knows yet are taken for texts of the plugin. */
export function placeOf(name: string): FieldPlace {
  return FIELD_BY_NAME.get(name)?.place ?? 'plugin';
}

/** The form that values of a field are read in. A value that does not fit it stays a text, or becomes a list. */
export function formOf(name: string): FieldForm {
  return FIELD_BY_NAME.get(name)?.form ?? (name.endsWith('_score') ? 'number' : 'text');
}

/** True for a value that has the form of its field and so fits the column of it. */
export function fits(form: FieldForm, value: unknown): boolean {
  switch (form) {
    case 'number':
      return typeof value === 'number';
    case 'switch':
      return typeof value === 'boolean';
    case 'list':
      return Array.isArray(value);
    case 'text':
      return typeof value === 'string';
  }
}

/** Fields that filters, sorting and custom fields can name for every export, whether it has them or not. */
export const COMMON_FIELDS: readonly string[] = FIELDS.map(({ name }) => name);
