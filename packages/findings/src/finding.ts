import { hash } from 'node:crypto';
import { detached } from './detached.js';
import { ATTRIBUTES, fieldOfElement, formOf, placeOf } from './fields.js';
import type { RawItem } from './read-export.js';

/** One ReportItem joined with its host, as answered: scalars and lists by field name. */
export type Finding = { readonly type: 'vulnerability'; readonly [field: string]: unknown };

/** Fields by name, without a prototype: an element may have any name, `constructor` and `__proto__` too. */
export type Fields = Record<string, unknown>;

export interface HostIdentity {
  readonly name: string;
  /** `host-uuid`, where the export has one: a name alone does not identify a host. */
  readonly uuid: string | undefined;
  /** `host-ip`, where the export has one. */
  readonly ip?: string | undefined;
}

/** One text for a host, equal in every export that has it. */
export function identityOf({ name, uuid }: HostIdentity): string {
  return uuid || name.toLowerCase();
}

/** What all findings of a plugin have in common, made once for each distinct set of texts. */
export interface PluginPart {
  /** Counts the distinct sets of an export, from 0. */
  readonly ref: number;
  readonly cvssScore: number | undefined;
  /** Tells compliance checks of one plugin apart (nessus-api.md section 9.5); empty for other plugins. */
  readonly check: string;
  /** What people call it, and its result where the text of the plugin has it; empty otherwise. */
  readonly checkName: string;
  readonly checkResult: string;
  readonly compliance: boolean;
}

/** What is particular to one finding. */
export interface FindingPart {
  readonly plugin: PluginPart;
  /** Fields of the plugin part, of the first finding that has it; undefined for the others. */
  readonly pluginFields: Readonly<Fields> | undefined;
  readonly fields: Readonly<Fields>;
  /** Identifies the check on its host: plugin, port, protocol, compliance check and which repeat; 52 bits. */
  readonly checkKey: number;
}

export type FindingSplitter = (item: RawItem) => FindingPart;

/** Sets of texts remembered; beyond these the memory is bounded by making some of them twice. */
const REMEMBERED_PLUGINS = 50_000;

/** Makes splitters for the hosts of one export; what was seen of plugins is shared between them. */
export function createSplitter(): (host: HostIdentity, block?: number) => FindingSplitter {
  const plugins = createPluginBook();
  return (host, block = 0) => {
    const identity = identityOf(host);
    // one host can come in several blocks
    const blockMark = block > 0 ? `\u0000${block}` : '';
    const repeats = new Map<string, number>();
    return (item) => {
      const { attributes } = item;
      // an ordinary object, which is several times faster: fields of a finding itself are known names only.
      // In the order in which they are answered
      const fields: Fields = { finding_id: '', host: host.name };
      if (host.ip !== undefined) fields.host_ip = host.ip;
      const [plugin, pluginFields] = plugins.find(item, readOwnFields(item, fields));
      const check = hash(
        'sha1',
        `${attributes.pluginID ?? ''}\u0000${attributes.port ?? ''}\u0000${(attributes.protocol ?? '').toLowerCase()}\u0000${plugin.check}${blockMark}`,
        'hex',
      );
      const repeat = repeats.get(check) ?? 0;
      repeats.set(check, repeat + 1);
      fields.finding_id = hash('sha256', `${identity}\u0000${check}\u0000${repeat}`, 'hex').slice(0, 32);
      if (item.attachmentNames.length > 0) fields.attachment_name = [...item.attachmentNames];
      if (plugin.cvssScore !== undefined) fields.cvss_score = plugin.cvssScore;
      if (plugin.compliance || hasComplianceField(fields)) {
        fields.compliance = true;
        if (plugin.checkName !== '') fields.compliance_check = plugin.checkName;
        const result = fields['cm:compliance-result'] ?? (plugin.checkResult || undefined);
        if (typeof result === 'string') fields.compliance_result = result.trim().toUpperCase();
      }
      return { plugin, pluginFields, fields, checkKey: checkKey(check, repeat) };
    };
  };
}

/** 52 bits of a check, and its repeat: among a hundred thousand checks of a host two are equal once in a million hosts. */
function checkKey(check: string, repeat: number): number {
  return Number.parseInt(check.slice(0, 13), 16) + repeat;
}

/** Texts of plugins that one export has, so that each distinct set is made once. */
interface PluginBook {
  /**
   * @param texts names and texts of everything that belongs to the plugin.
   * @returns the fields too when they are new.
   */
  find(item: RawItem, texts: readonly string[]): readonly [PluginPart, Fields | undefined];
}

function createPluginBook(): PluginBook {
  let known = new Map<string, PluginPart>();
  let refs = 0;
  return {
    find(item, texts) {
      // compliance checks are hundreds of sets of one plugin: to look through them takes longer than to hash
      const key = hash('sha1', texts.join('\u0000'), 'base64');
      const found = known.get(key);
      if (found) return [found, undefined];
      const fields = readPluginFields(item);
      const part = describePlugin(refs, fields);
      refs += 1;
      if (known.size >= REMEMBERED_PLUGINS) known = new Map();
      known.set(key, part);
      return [part, fields];
    },
  };
}

/** Whole findings of one host, for those who do not store them. @param block as in `createSplitter`. */
export function createFindingMaker(host: HostIdentity, block = 0): (item: RawItem) => Finding {
  const split = createSplitter()(host, block);
  return (item) => joinFinding(split(item).fields, readPluginFields(item));
}

/** Both parts of a finding as one. */
export function joinFinding(own: Readonly<Fields>, plugin: Readonly<Fields>): Finding {
  return { type: 'vulnerability', ...own, ...plugin };
}

interface Destination {
  readonly name: string;
  readonly ofPlugin: boolean;
}

/** Where an attribute or element goes; remembered, because it is asked for each of them in every item. */
function createDestinations(nameOf: (given: string) => string): (given: string) => Destination {
  const known = new Map<string, Destination>();
  return (given) => {
    const found = known.get(given);
    if (found) return found;
    const name = nameOf(given);
    const destination = { name: detached(name), ofPlugin: placeOf(name) === 'plugin' };
    // names come from the file: a hostile one could have many
    if (known.size < REMEMBERED_NAMES) known.set(detached(given), destination);
    return destination;
  };
}

const REMEMBERED_NAMES = 1_000;
const attributeDestination = createDestinations(
  (attribute) => ATTRIBUTES[attribute] ?? fieldOfElement(attribute),
);
const elementDestination = createDestinations(fieldOfElement);

/** Reads what belongs to the finding itself into `fields`. @returns names and texts of all the rest. */
function readOwnFields(item: RawItem, fields: Fields): string[] {
  const ofPlugin: string[] = [item.attributes.pluginID ?? ''];
  for (const attribute in item.attributes) {
    const value = item.attributes[attribute] ?? '';
    const { name, ofPlugin: shared } = attributeDestination(attribute);
    if (shared) ofPlugin.push(attribute, value);
    else fields[name] = value;
  }
  for (const [element, value] of item.elements) {
    const { name, ofPlugin: shared } = elementDestination(element);
    if (shared) ofPlugin.push(element, value);
    else addValue(fields, name, value);
  }
  return ofPlugin;
}

function readPluginFields(item: RawItem): Fields {
  const fields: Fields = Object.create(null);
  for (const [attribute, value] of Object.entries(item.attributes)) {
    const name = ATTRIBUTES[attribute] ?? fieldOfElement(attribute);
    if (placeOf(name) === 'plugin') fields[name] = value;
  }
  for (const [element, text] of item.elements) {
    const name = fieldOfElement(element);
    if (placeOf(name) === 'plugin') addValue(fields, name, text);
  }
  return fields;
}

function describePlugin(ref: number, fields: Fields): PluginPart {
  const old = oldCheck(fields);
  const name = textOf(fields['cm:compliance-check-name']) || old.name;
  return {
    ref,
    cvssScore: firstNumber(fields, ['cvss3_base_score', 'cvssv3', 'cvss_base_score', 'cvss']),
    check: detached(textOf(fields['cm:compliance-check-id']) || name),
    checkName: detached(name),
    checkResult: detached(old.result),
    // told by family in older exports, by elements in newer ones (nessus-api.md section 9.5)
    compliance: fields.plugin_family === 'Policy Compliance' || hasComplianceField(fields),
  };
}

function textOf(value: unknown): string {
  const first: unknown = [value].flat()[0];
  return typeof first === 'string' ? first.trim() : '';
}

function addValue(fields: Fields, name: string, text: string): void {
  const existing = fields[name];
  const value = decodeValue(name, text);
  if (Array.isArray(existing)) existing.push(value);
  else if (formOf(name) === 'list') fields[name] = [value];
  // plugin_name stands in the attribute as well
  else if (existing === undefined || name === 'plugin_name') fields[name] = value;
  else fields[name] = [existing, value];
}

function decodeValue(name: string, text: string): string | number | boolean {
  switch (formOf(name)) {
    case 'number': {
      const value = Number(text);
      return text.trim() !== '' && Number.isFinite(value) ? value : text;
    }
    case 'switch': {
      const word = text.trim().toLowerCase();
      return word === 'true' ? true : word === 'false' ? false : text;
    }
    case 'list':
      return text.trim();
    case 'text':
      return text;
  }
}

function firstNumber(fields: Fields, names: readonly string[]): number | undefined {
  for (const name of names) {
    const value: unknown = [fields[name]].flat()[0];
    if (typeof value === 'number') return value;
  }
  return undefined;
}

function hasComplianceField(fields: Fields): boolean {
  for (const name in fields)
    if (name.startsWith('cm:compliance-') || name.startsWith('compliance')) return true;
  return false;
}

/** Older compliance items tell check and result only in the first line of the description: `"1.1 Ensure X" : [FAILED]`. */
function oldCheck(fields: Fields): { readonly name: string; readonly result: string } {
  const [, name = '', result = ''] =
    fields.plugin_family === 'Policy Compliance' && typeof fields.description === 'string'
      ? (/^\s*"([^"]{1,500})"(?:\s*:\s*\[([A-Z]{1,20})\])?/.exec(fields.description) ?? [])
      : [];
  return { name, result };
}

/** False where the export gives no severity, or one that nobody knows. */
export function hasSeverity(finding: Readonly<Fields>): boolean {
  return /^[0-4]$/.test(String(finding.severity));
}

/** `severity` as a number, 0 (info) to 4 (critical); anything else counts as info. */
export function severityOf(finding: Readonly<Fields>): 0 | 1 | 2 | 3 | 4 {
  return hasSeverity(finding) ? (Number(finding.severity) as 0 | 1 | 2 | 3 | 4) : 0;
}
