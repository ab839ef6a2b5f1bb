import { type IgnoreRule, SEVERITY_NAMES, type SeverityName } from '@scanmq/contract';
import { type Finding, severityOf } from '../finding.js';
import type { RenderedGate, RenderInput } from '../render-input.js';
import { cutText, xmlAttribute, xmlText } from './clean-text.js';
import {
  complianceOf,
  cvesOf,
  isPassed,
  placeOf,
  scoreOf,
  severityName,
  textOf,
  titleOf,
} from './finding-text.js';
import { inChunks } from './in-chunks.js';
import { ignoredBecause, qualityTexts } from './quality-text.js';

export interface JunitOptions {
  /** A finding of this severity or above is a failure. */
  readonly failOn: SeverityName;
  /** Characters held back at most; 16 million when left out. */
  readonly heldChars?: number;
}

/** Characters of test cases held back to bring those of one host together; two bytes each at worst. */
const HELD_CHARS = 16_000_000;
const MAX = { message: 500, text: 4_000 };

/** Cases of one host that wait to be written. */
interface HostCases {
  readonly host: string;
  readonly cases: string[];
  failures: number;
  skipped: number;
  chars: number;
}

/**
 * JUnit XML as CI servers read it: first a suite "scan quality", whose only case is an error unless the verdict is complete,
 * so that a scan that could not judge is not green; then a suite per host with a case per finding. Findings at or above
 * `failOn` fail, but compliance checks that are met never do.
 *
 * A host's cases are gathered, in whatever order findings come. Past `heldChars` the hosts seen first are written, and a
 * host of which more follows gets another suite, `host (2)`: so memory stays bounded and the counts of every suite right.
 */
export function writeJunit(input: RenderInput, options: JunitOptions): AsyncIterable<string> {
  return inChunks(document(input, options));
}

async function* document(
  input: RenderInput,
  { failOn, heldChars = HELD_CHARS }: JunitOptions,
): AsyncGenerator<string> {
  const { task } = input;
  const threshold = SEVERITY_NAMES.indexOf(failOn);
  const mark = task.simulator ? '[simulated] ' : '';
  yield `<?xml version="1.0" encoding="UTF-8"?>\n<testsuites name="${xmlAttribute(mark + task.name)}">\n`;
  const fails = failing(input, threshold);
  yield input.gate ? gateSuite(input, input.gate) : qualitySuite(input, failOn);
  const waiting = new Map<string, HostCases>();
  const suites = new Map<string, number>();
  let held = 0;
  for await (const finding of input.findings()) {
    const { host } = placeOf(finding);
    const failed = fails(finding);
    const ignored = ruleOf(finding, input);
    const group = waiting.get(host) ?? { host, cases: [], failures: 0, skipped: 0, chars: 0 };
    waiting.set(host, group);
    const text = testCase(finding, failed, ignored, mark);
    group.cases.push(text);
    group.chars += text.length;
    held += text.length;
    if (failed) group.failures += 1;
    if (ignored) group.skipped += 1;
    if (held < heldChars) continue;
    // half of them: hosts whose findings come one after the other are complete by then
    for (const first of waiting.values()) {
      yield* hostSuite(first, suites);
      waiting.delete(first.host);
      held -= first.chars;
      if (held <= heldChars / 2) break;
    }
  }
  for (const group of waiting.values()) yield* hostSuite(group, suites);
  yield '</testsuites>\n';
}

/** What fails: with a gate, what broke it when it failed; a number of findings that it allows breaks nothing. */
function failing({ gate }: RenderInput, threshold: number): (finding: Finding) => boolean {
  if (!gate) return (finding) => severityOf(finding) >= threshold && !isPassed(finding);
  const failed = gate.answer.outcome === 'failed';
  return (finding) => failed && gate.judgementOf(finding)?.broke === true;
}

function ruleOf(finding: Finding, { gate }: RenderInput): IgnoreRule | undefined {
  const rule = gate?.judgementOf(finding)?.rule;
  return rule === undefined ? undefined : gate?.rules[rule];
}

function qualitySuite(input: RenderInput, failOn: SeverityName): string {
  const { quality } = input;
  const good = quality.verdict === 'complete';
  const reasons = qualityTexts(quality);
  const error = `<error type="${quality.verdict}" message="${xmlAttribute(reasons.join(' '))}">${xmlText(reasons.join('\n'))}</error>`;
  return firstSuite(input, { fail_on: failOn }, good ? undefined : error);
}

/** With a gate, its only case is an error when that could not judge, and nobody said that it passes then. */
function gateSuite(input: RenderInput, { answer }: RenderedGate): string {
  const { outcome, passed, message, reasons, policy } = answer;
  const texts = [message, ...reasons.map((reason) => reason.message)];
  const error = `<error type="${outcome}" message="${xmlAttribute(message)}">${xmlText(texts.join('\n'))}</error>`;
  return firstSuite(
    input,
    { gate: outcome, gate_message: message, ...policy },
    outcome === 'could_not_judge' && !passed ? error : undefined,
  );
}

function firstSuite(
  input: RenderInput,
  judgedBy: Readonly<Record<string, unknown>>,
  error: string | undefined,
): string {
  const { task, quality } = input;
  const properties = {
    task_id: task.task_id,
    scan_type: task.scan_type,
    simulator: task.simulator,
    imported: task.imported,
    verdict: quality.verdict,
    ...judgedBy,
    findings: input.total,
  };
  const note = task.simulator
    ? '<system-out>These are results of a simulator, not of a real scanner.</system-out>\n'
    : '';
  return `<testsuite name="scan quality" tests="1" failures="0" errors="${error === undefined ? 0 : 1}"${timestampOf(task.started_at)}>
<properties>
${Object.entries(properties)
  .map(([name, value]) => `<property name="${name}" value="${xmlAttribute(String(value))}"/>\n`)
  .join('')}</properties>
<testcase name="the results are complete" classname="scan quality"${error === undefined ? '/>' : `>${error}</testcase>`}
${note}</testsuite>
`;
}

/** Without zone and fractions, as the older of the two common schemas wants it; in UTC. */
function timestampOf(startedAt: string | null): string {
  const time = Date.parse(startedAt ?? '');
  return Number.isNaN(time) ? '' : ` timestamp="${new Date(time).toISOString().slice(0, 19)}"`;
}

function* hostSuite(
  { host, cases, failures, skipped }: HostCases,
  suites: Map<string, number>,
): Generator<string> {
  const part = (suites.get(host) ?? 0) + 1;
  suites.set(host, part);
  const name = xmlAttribute(part === 1 ? host : `${host} (${part})`);
  yield `<testsuite name="${name}" tests="${cases.length}" failures="${failures}" errors="0"${skipped > 0 ? ` skipped="${skipped}"` : ''} hostname="${xmlAttribute(host)}">\n`;
  yield* cases;
  yield '</testsuite>\n';
}

function testCase(finding: Finding, failed: boolean, ignored: IgnoreRule | undefined, mark: string): string {
  const { host, protocol, port } = placeOf(finding);
  const place = port === 0 ? '' : ` ${protocol}/${port}`;
  const title = cutText(titleOf(finding), MAX.message);
  const name = xmlAttribute(`${title} (${textOf(finding.plugin_id)})${place}`);
  // servers part a class name at its dots, which an address has
  const start = `<testcase name="${name}" classname="${xmlAttribute(host.replaceAll('.', '_'))}"`;
  if (ignored) return `${start}><skipped>${xmlText(ignoredBecause(ignored))}</skipped></testcase>\n`;
  if (!failed) return `${start}/>\n`;
  const severity = severityName(finding);
  const message = xmlAttribute(`${mark}${severity}: ${title}`);
  return `${start}><failure type="${severity}" message="${message}">${xmlText(details(finding))}</failure></testcase>\n`;
}

/** Without `plugin_output`: logs of CI servers are widely read, and it is text from scanned hosts. */
function details(finding: Finding): string {
  const check = complianceOf(finding);
  const lines: readonly (readonly [label: string, text: string])[] = [
    ['', check ? check.info : textOf(finding.synopsis)],
    ['Result', check?.result ?? ''],
    ['Solution', check ? check.solution : textOf(finding.solution)],
    ['CVE', cvesOf(finding).join(', ')],
    ['CVSS', String(scoreOf(finding) ?? '')],
    ['Finding', textOf(finding.finding_id)],
  ];
  const told = lines.filter(([, text]) => text !== '');
  return cutText(told.map(([label, text]) => (label ? `${label}: ${text}` : text)).join('\n'), MAX.text);
}
