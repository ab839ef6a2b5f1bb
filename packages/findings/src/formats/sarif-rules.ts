/** Rules of a SARIF run: what was looked for, told once for all its results. */
import { createHash } from 'node:crypto';
import type { Finding } from '../finding.js';
import { cutText, markdownText, slug } from './clean-text.js';
import {
  complianceOf,
  cvesOf,
  cwesOf,
  linksOf,
  listOf,
  severityName,
  textOf,
  titleOf,
} from './finding-text.js';

/** How much of the texts is written, in characters: the messages are the first to be cut when a file becomes too large. */
export interface TextLimits {
  readonly message: number;
  readonly description: number;
  readonly help: number;
}

/** GitHub takes 1,024 characters for descriptions and shows as much of a message. */
export const FULL_TEXTS: TextLimits = { message: 1_000, description: 1_000, help: 2_000 };
/** Two hundred and fifty-five at GitHub. */
const NAME_CHARS = 250;
const LINKS = 5;

/** Plugin, or check of a compliance plugin; texts are those of its first finding. */
export interface Rule {
  readonly id: string;
  readonly name: string;
  readonly synopsis: string;
  readonly description: string;
  readonly solution: string;
  readonly links: readonly string[];
  readonly cves: readonly string[];
  readonly tags: readonly string[];
}

export type SarifLevel = 'error' | 'warning' | 'note' | 'none';

/** Level of SARIF for a severity. */
export function levelOf(finding: Finding): SarifLevel {
  switch (severityName(finding)) {
    case 'critical':
    case 'high':
      return 'error';
    case 'medium':
      return 'warning';
    default:
      return 'note';
  }
}

/** Compliance checks share one plugin, so they get an id below it: readable, with a hash of the whole name to tell them apart. */
export function ruleIdOf(finding: Finding): string {
  const plugin = cutText(textOf(finding.plugin_id), 50) || 'unknown';
  const name = complianceOf(finding)?.name;
  if (!name) return plugin;
  const hash = createHash('sha256').update(name).digest('hex').slice(0, 8);
  return `${plugin}/${[slug(name), hash].filter(Boolean).join('-')}`;
}

/** The rule behind a finding. Takes nothing that a scanned host has said. */
export function ruleOf(finding: Finding, id: string): Rule {
  const check = complianceOf(finding);
  const name = titleOf(finding);
  const cut = (text: string): string => cutText(text, FULL_TEXTS.description);
  return {
    id,
    name: cutText(name, NAME_CHARS),
    synopsis: check ? '' : cut(textOf(finding.synopsis)),
    // the description of a compliance item holds what the host answered
    description: cut((check ? check.info : textOf(finding.description) || textOf(finding.synopsis)) || name),
    solution: cutText(check ? check.solution : textOf(finding.solution), FULL_TEXTS.help),
    links: linksOf(finding)
      .filter((link) => link.length <= 500)
      .slice(0, LINKS),
    cves: cvesOf(finding),
    tags: [
      'security',
      ...cwesOf(finding).map((number) => `external/cwe/cwe-${String(number).padStart(3, '0')}`),
      ...cvesOf(finding),
      ...listOf(finding.plugin_family).map((family) => cutText(family, 100)),
      ...(check ? ['compliance'] : []),
    ],
  };
}

/**
 * `reportingDescriptor` of SARIF.
 * @param worst of all its results.
 */
export function renderRule(
  rule: Rule,
  worst: { readonly level: SarifLevel; readonly score: number | undefined },
  limits: TextLimits,
  maxTags: number,
): Record<string, unknown> {
  const [helpUri] = rule.links;
  return {
    id: rule.id,
    name: rule.name,
    shortDescription: { text: rule.name },
    fullDescription: { text: cutText(rule.description, limits.description) },
    help: helpOf(rule, limits),
    ...(helpUri === undefined ? {} : { helpUri }),
    defaultConfiguration: { level: worst.level },
    properties: {
      tags: [...new Set(rule.tags)].slice(0, maxTags),
      // GitHub knows scores above 0 only
      ...(worst.score ? { 'security-severity': worst.score.toFixed(1) } : {}),
    },
  };
}

function helpOf(rule: Rule, limits: TextLimits): { text: string; markdown: string } {
  const solution = cutText(rule.solution, limits.help);
  const links = limits.help < FULL_TEXTS.help ? rule.links.slice(0, 1) : rule.links;
  const text = [solution && `Solution: ${solution}`, links.join('\n')].filter(Boolean).join('\n\n');
  const markdown = [
    solution && `**Solution**\n\n${markdownText(solution)}`,
    links.length > 0 ? `**See also**\n\n${links.map((link) => `- <${link}>`).join('\n')}` : '',
  ].filter(Boolean);
  return { text: text || rule.name, markdown: markdown.join('\n\n') || markdownText(rule.name) };
}
