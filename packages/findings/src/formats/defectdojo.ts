import type { Finding } from '../finding.js';
import type { RenderedTask, RenderInput } from '../render-input.js';
import { cleanText, cutText, slug, toJson } from './clean-text.js';
import {
  complianceOf,
  cvesOf,
  cwesOf,
  isPassed,
  linksOf,
  listOf,
  placeOf,
  severityName,
  textOf,
  titleOf,
} from './finding-text.js';
import { inChunks } from './in-chunks.js';
import { qualityTexts } from './quality-text.js';

/** Longest values of DefectDojo's columns, a little less where they have changed between versions. */
const MAX = { title: 500, cvssVector: 117, componentName: 200, componentVersion: 100, id: 500 };
const CVSS3_VECTOR = /^CVSS:3\.[01](?:\/[A-Z]{1,3}:[A-Z])+$/;
const SEVERITIES = {
  critical: 'Critical',
  high: 'High',
  medium: 'Medium',
  low: 'Low',
  info: 'Info',
} as const;

/**
 * "Generic Findings Import" of DefectDojo. Its importer refuses a whole file for one field it does not know, so there are
 * only fields that versions since 2022 know. `plugin_output` is left out, as in every format that is made to leave the house.
 */
export function writeDefectDojo(input: RenderInput): AsyncIterable<string> {
  return inChunks(document(input));
}

async function* document(input: RenderInput): AsyncGenerator<string> {
  const { task, quality } = input;
  const origin = task.simulator ? 'Simulated results, not of a real scanner. ' : '';
  const head = {
    name: cleanText(task.simulator ? `${task.name} (simulated)` : task.name),
    // a re-import is refused when it differs, so it never does
    type: 'scanmq',
    description: cleanText(
      `${origin}Task ${task.task_id}, quality: ${[quality.verdict, ...qualityTexts(quality)].join('. ')}`,
    ),
  };
  yield `${toJson(head).slice(0, -1)},"findings":[`;
  let separator = '\n';
  for await (const finding of input.findings()) {
    yield separator + toJson(dojoFinding(finding, task));
    separator = ',\n';
  }
  yield '\n]}\n';
}

function dojoFinding(finding: Finding, task: RenderedTask): Record<string, unknown> {
  const check = complianceOf(finding);
  const passed = isPassed(finding);
  const cves = cvesOf(finding);
  const [cwe] = cwesOf(finding);
  const vector = textOf([finding.cvss3_vector].flat()[0]);
  const score: unknown = finding.cvss3_base_score;
  return {
    title: cutText((task.simulator ? '[simulated] ' : '') + titleOf(finding), MAX.title),
    description: descriptionOf(finding),
    severity: passed ? 'Info' : SEVERITIES[severityName(finding)],
    mitigation: check ? check.solution : textOf(finding.solution),
    references: [...linksOf(finding), ...listOf(finding.xref)].join('\n'),
    // not `cve` too: its importer would put the whole list into a list
    ...(cves.length > 0 ? { vulnerability_ids: cves } : {}),
    ...(cwe === undefined ? {} : { cwe }),
    ...(CVSS3_VECTOR.test(vector) && vector.length <= MAX.cvssVector ? { cvssv3: vector } : {}),
    ...(typeof score === 'number' && score >= 0 && score <= 10 ? { cvssv3_score: score } : {}),
    ...dateOf(task),
    endpoints: [endpointOf(finding)],
    unique_id_from_tool: cutText(textOf(finding.finding_id), MAX.id),
    vuln_id_from_tool: cutText(textOf(finding.plugin_id), MAX.id),
    ...componentOf(finding),
    static_finding: false,
    dynamic_finding: true,
    active: !passed,
    verified: false,
    tags: tagsOf(finding, task),
  };
}

/** What it is, not where: equal on every host, so that DefectDojo can tell equal findings by it. */
function descriptionOf(finding: Finding): string {
  const check = complianceOf(finding);
  const parts = check
    ? [check.result && `Result: ${check.result}`, check.info]
    : [textOf(finding.synopsis), textOf(finding.description)];
  const family = textOf(finding.plugin_family);
  const plugin = `Plugin ${textOf(finding.plugin_id)}${family ? ` (${family})` : ''}`;
  return [...parts, plugin].filter((part) => part !== '').join('\n\n');
}

function dateOf(task: RenderedTask): { date?: string } {
  const time = Date.parse(task.completed_at ?? task.started_at ?? '');
  return Number.isNaN(time) ? {} : { date: new Date(time).toISOString().slice(0, 10) };
}

/** In parts, not as a URL: an address with colons or a name with an underscore is no valid URL for its importer. */
function endpointOf(finding: Finding): { host: string; protocol?: string; port?: number } {
  const { host, protocol, port } = placeOf(finding);
  return port === 0 ? { host } : { protocol, host, port };
}

/** From the first product that is named as `cpe:/a:vendor:product:version`. */
function componentOf(finding: Finding): { component_name?: string; component_version?: string } {
  const cpe = /^(?:p-)?cpe:\/[aoh]:[^:\s]+:([^:\s]+)(?::([^:\s]+))?/m.exec(textOf(finding.cpe));
  if (!cpe?.[1]) return {};
  return {
    component_name: cutText(cpe[1], MAX.componentName),
    ...(cpe[2] ? { component_version: cutText(cpe[2], MAX.componentVersion) } : {}),
  };
}

/** Without blanks, commas and quotes: DefectDojo allows none in a tag. */
function tagsOf(finding: Finding, task: RenderedTask): string[] {
  const check = complianceOf(finding);
  const tags = [
    'scanmq',
    slug(textOf(finding.plugin_family)),
    finding.exploit_available === true ? 'exploit-available' : '',
    check ? 'compliance' : '',
    check?.result ? `compliance-${slug(check.result)}` : '',
    task.simulator ? 'simulator' : '',
    task.imported ? 'imported' : '',
  ];
  return [...new Set(tags.filter((tag) => tag !== ''))];
}
