import type { SeverityName } from '@scanmq/contract';
import type { Finding } from '../finding.js';
import type { RenderInput } from '../render-input.js';
import { cutText, toJson } from './clean-text.js';
import { complianceOf, isPassed, pathOf, placeOf, severityName, textOf, titleOf } from './finding-text.js';
import { inChunks } from './in-chunks.js';

/** In the words of Code Climate, which GitLab takes over. */
const SEVERITY: Readonly<Record<SeverityName, string>> = {
  critical: 'blocker',
  high: 'critical',
  medium: 'major',
  low: 'minor',
  info: 'info',
};
const DESCRIPTION_CHARS = 500;

/**
 * Code Quality report as GitLab reads it ("Code Quality report format" in its documentation): one array with an object
 * per finding. GitLab tells findings apart by their fingerprint, which is our finding id: a merge request shows what came
 * and what went. Compliance checks that are met are left out, and with a gate whatever its ignore file leaves out.
 * A merge request is no place for text of scanned hosts: there is no `plugin_output` in it.
 */
export function writeCodeQuality(input: RenderInput): AsyncIterable<string> {
  return inChunks(issues(input));
}

async function* issues(input: RenderInput): AsyncGenerator<string> {
  let separator = '[\n';
  for await (const finding of input.findings()) {
    if (isPassed(finding) || input.gate?.judgementOf(finding)?.rule !== undefined) continue;
    yield separator + toJson(issueOf(finding, input.task.simulator));
    separator = ',\n';
  }
  yield separator === '[\n' ? '[]\n' : '\n]\n';
}

function issueOf(finding: Finding, simulator: boolean): Record<string, unknown> {
  const place = placeOf(finding);
  const where = place.port === 0 ? place.host : `${place.host} (${place.protocol}/${place.port})`;
  const result = complianceOf(finding)?.result;
  const title = result ? `${titleOf(finding)}: ${result}` : titleOf(finding);
  return {
    description: cutText(`${simulator ? '[simulated] ' : ''}${title} on ${where}`, DESCRIPTION_CHARS),
    check_name: `nessus-${textOf(finding.plugin_id) || 'unknown'}`,
    fingerprint: textOf(finding.finding_id),
    severity: SEVERITY[severityName(finding)],
    location: { path: pathOf(place), lines: { begin: 1 } },
  };
}
