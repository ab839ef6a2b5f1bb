/** What the formats tell of a finding, whatever the age and the origin of its export: cleaned texts, never undefined. */
import { SEVERITY_NAMES, type SeverityName } from '@scanmq/contract';
import { type Finding, severityOf } from '../finding.js';
import { cleanText, cutText, slug } from './clean-text.js';

/** Characters of a URI (RFC 3986) but brackets, which prose puts around it. */
const LINK = /https?:\/\/[\w.~:/?#@!$&'()*+,;=%-]+/gi;
/** Old compliance items tell check and result only in the first line of the description. */
const OLD_COMPLIANCE = /^\s*"([^"]{1,500})"\s*:\s*\[([A-Z]{1,20})\]/;

/** As long as a name can be. */
const HOST_CHARS = 255;

/** A configuration check and its outcome. What the host answered is left out: it may hold secrets. */
export interface ComplianceCheck {
  readonly name: string;
  /** PASSED, FAILED, WARNING, ERROR …; empty where the export does not tell. */
  readonly result: string;
  readonly info: string;
  readonly solution: string;
}

/** A field as one cleaned text; lists joined by line feeds. */
export function textOf(value: unknown): string {
  if (value === undefined || value === null) return '';
  if (Array.isArray(value)) return value.map(textOf).join('\n');
  return cleanText(typeof value === 'object' ? JSON.stringify(value) : String(value)).trim();
}

/** A field as cleaned, distinct, non-empty texts. */
export function listOf(value: unknown): string[] {
  const texts = [value].flat().map(textOf);
  return [...new Set(texts.filter((text) => text !== ''))];
}

export function severityName(finding: Finding): SeverityName {
  return SEVERITY_NAMES[severityOf(finding)];
}

/** What the finding is called: the check of a compliance item, the plugin of any other. */
export function titleOf(finding: Finding): string {
  const title = complianceOf(finding)?.name || textOf(finding.plugin_name);
  return title || `Plugin ${textOf(finding.plugin_id) || 'without a name'}`;
}

/** Where it was found: `tcp/443`; port 0 is the host itself. */
export function placeOf(finding: Finding): { host: string; protocol: string; port: number } {
  const port = Number(textOf(finding.port));
  return {
    host: cutText(textOf(finding.host), HOST_CHARS) || 'unknown-host',
    protocol: textOf(finding.protocol).toLowerCase() || 'tcp',
    port: Number.isInteger(port) && port > 0 && port <= 65_535 ? port : 0,
  };
}

/**
 * The place as a relative path, for programs that only know files: `10.0.0.1/tcp/443`. The file does not exist; it is
 * what findings are sorted by.
 */
export function pathOf({ host, protocol, port }: ReturnType<typeof placeOf>): string {
  // a first segment of dots would lead out of the tree
  const segments = [/^\.+$/.test(host) ? 'unknown-host' : host, slug(protocol) || 'tcp', String(port)];
  return segments.map((segment) => encodeURIComponent(segment)).join('/');
}

/** CVSS score, 0 to 10. */
export function scoreOf(finding: Finding): number | undefined {
  const score = finding.cvss_score;
  return typeof score === 'number' && score >= 0 && score <= 10 ? score : undefined;
}

/** Numbers of the weaknesses, from `cwe` or, in older exports, from `xref`. */
export function cwesOf(finding: Finding): number[] {
  const own = listOf(finding.cwe).map((text) => /^(?:CWE-?)?(\d{1,6})$/i.exec(text)?.[1]);
  const crossReferenced = listOf(finding.xref).map((text) => /^CWE:(\d{1,6})$/i.exec(text)?.[1]);
  return [...new Set([...own, ...crossReferenced].flatMap((digits) => (digits ? [Number(digits)] : [])))];
}

export function cvesOf(finding: Finding): string[] {
  return listOf(finding.cve).filter((text) => /^CVE-\d{4}-\d{4,19}$/i.test(text));
}

/** Links of `see_also` (and of a compliance check), each a valid URI, however the export writes lists. */
export function linksOf(finding: Finding): string[] {
  const text = `${textOf(finding.see_also)}\n${textOf(finding['cm:compliance-see-also'])}`;
  const links = (text.match(LINK) ?? []).flatMap((match) => {
    const uri = match.replace(/[.,;:!?')]+$/, '').replace(/%(?![0-9a-f]{2})/gi, '%25');
    // a second # would end no part of a URI
    return URL.canParse(uri) && uri.split('#').length <= 2 ? [uri] : [];
  });
  return [...new Set(links)];
}

/** The check behind a compliance item; undefined for any other finding. */
export function complianceOf(finding: Finding): ComplianceCheck | undefined {
  if (finding.compliance !== true) return undefined;
  const [, oldName = '', oldResult = ''] = OLD_COMPLIANCE.exec(textOf(finding.description)) ?? [];
  return {
    name: textOf(finding['cm:compliance-check-name']) || oldName,
    result: textOf(finding['cm:compliance-result']).toUpperCase() || oldResult,
    info: textOf(finding['cm:compliance-info']),
    solution: textOf(finding['cm:compliance-solution']),
  };
}

/** True for a compliance check that is met: listed among findings, but nothing is wrong. */
export function isPassed(finding: Finding): boolean {
  return complianceOf(finding)?.result === 'PASSED';
}
