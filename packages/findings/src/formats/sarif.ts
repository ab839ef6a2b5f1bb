import { createHash } from 'node:crypto';
import { promisify } from 'node:util';
import { deflateRaw } from 'node:zlib';
import { type Finding, severityOf } from '../finding.js';
import type { Judgement } from '../judgement.js';
import type { RenderedGate, RenderedTask, RenderInput } from '../render-input.js';
import { cleanText, cutText, slug, toJson } from './clean-text.js';
import { complianceOf, isPassed, pathOf, placeOf, scoreOf, severityName, textOf } from './finding-text.js';
import { inChunks } from './in-chunks.js';
import { ignoredBecause, qualityTexts, reasonText } from './quality-text.js';
import {
  FULL_TEXTS,
  levelOf,
  type Rule,
  renderRule,
  ruleIdOf,
  ruleOf,
  type SarifLevel,
  type TextLimits,
} from './sarif-rules.js';

/** What GitHub refuses a file for ("SARIF results exceed one or more limits" in its documentation). */
export interface SarifLimits {
  /** Also the limit of rules: there is one for a result at most. */
  readonly results: number;
  readonly tagsPerRule: number;
  /** Of the file after gzip. */
  readonly compressedBytes: number;
}

export interface SarifOptions {
  /** Version of scanmq. */
  readonly version: string;
  readonly limits?: Partial<SarifLimits>;
}

const GITHUB: SarifLimits = {
  results: 25_000,
  tagsPerRule: 20,
  // of 10 MB, for other implementations of gzip pack a little worse
  compressedBytes: 9_000_000,
};

/** Tried in turn until the file is small enough. */
const TEXTS: readonly TextLimits[] = [
  FULL_TEXTS,
  { ...FULL_TEXTS, message: 300 },
  { ...FULL_TEXTS, message: 120 },
  { message: 120, description: 300, help: 300 },
  { message: 120, description: 120, help: 0 },
];

/** All that a result needs, without its texts, which are those of its rule. */
interface Entry {
  readonly rule: Rule;
  readonly rank: number;
  readonly order: number;
  readonly id: string;
  readonly place: { readonly host: string; readonly protocol: string; readonly port: number };
  readonly level: SarifLevel;
  readonly severity: string;
  readonly score: number | undefined;
  readonly exploit: boolean | undefined;
  /** Of a compliance check. */
  readonly outcome: string | undefined;
  readonly judgement: Judgement | undefined;
}

interface Selection {
  readonly entries: readonly Entry[];
  /** Findings there were, selected or not. */
  readonly seen: number;
}

/** How the document is to be cut. */
interface Shape {
  readonly results: number;
  readonly texts: TextLimits;
}

/**
 * SARIF 2.1.0 that GitHub takes: one run, the worst 25,000 findings, a rule per plugin or compliance check, less than 10 MB
 * after gzip (messages are cut first, then the texts of rules, results last). What is left out is told in the run.
 *
 * Findings are read once; memory holds 50,000 results at most. The file is packed to see its size where its plain size
 * is above the limit.
 *
 * `plugin_output` and the answers of hosts in compliance items are never in it: they may hold secrets, and the file is
 * made to leave the house.
 */
export function writeSarif(input: RenderInput, options: SarifOptions): AsyncIterable<string> {
  return inChunks(fittingDocument(input, options));
}

async function* fittingDocument(input: RenderInput, options: SarifOptions): AsyncGenerator<string> {
  const limits = { ...GITHUB, ...options.limits };
  const selection = await selectWorst(input, limits.results);
  const documentOf = (shape: Shape): Iterable<string> => document(input, options, limits, selection, shape);
  yield* documentOf(await fittingShape(documentOf, selection.entries.length, limits.compressedBytes));
}

async function selectWorst(input: RenderInput, max: number): Promise<Selection> {
  let entries: Entry[] = [];
  let rules = new Map<string, Rule>();
  let worstLeftOut: Entry | undefined;
  let seen = 0;
  const prune = (): void => {
    entries.sort(byRank);
    worstLeftOut = entries[max] ?? worstLeftOut;
    entries = entries.slice(0, max);
    rules = new Map(entries.map(({ rule }) => [rule.id, rule]));
  };
  for await (const finding of input.findings()) {
    const rank = rankOf(finding);
    seen += 1;
    if (worstLeftOut && rank <= worstLeftOut.rank) continue;
    const ruleId = ruleIdOf(finding);
    const rule = rules.get(ruleId) ?? ruleOf(finding, ruleId);
    rules.set(ruleId, rule);
    entries.push(entryOf(finding, rule, rank, seen, input.gate?.judgementOf(finding)));
    if (entries.length >= 2 * max) prune();
  }
  prune();
  return { entries: entries.sort(byRankAndRule), seen };
}

/** Severity, then score; compliance checks that are met are the least. */
function rankOf(finding: Finding): number {
  return (isPassed(finding) ? -1 : severityOf(finding)) * 100 + (scoreOf(finding) ?? 0);
}

function byRank(a: Entry, b: Entry): number {
  return b.rank - a.rank || a.order - b.order;
}

/** Results of one rule together, which packs better by far: their texts are equal. */
function byRankAndRule(a: Entry, b: Entry): number {
  if (a.rank !== b.rank || a.rule.id === b.rule.id) return byRank(a, b);
  return a.rule.id < b.rule.id ? -1 : 1;
}

function entryOf(
  finding: Finding,
  rule: Rule,
  rank: number,
  order: number,
  judgement: Judgement | undefined,
): Entry {
  return {
    rule,
    rank,
    order,
    id: textOf(finding.finding_id),
    place: placeOf(finding),
    // the specification has no other level for what did not fail
    level: isPassed(finding) ? 'none' : levelOf(finding),
    severity: severityName(finding),
    score: scoreOf(finding),
    exploit: typeof finding.exploit_available === 'boolean' ? finding.exploit_available : undefined,
    outcome: complianceOf(finding)?.result,
    judgement,
  };
}

async function fittingShape(
  documentOf: (shape: Shape) => Iterable<string>,
  entries: number,
  maxBytes: number,
): Promise<Shape> {
  let shape: Shape = { results: entries, texts: FULL_TEXTS };
  for (const texts of TEXTS) {
    shape = { results: entries, texts };
    if (await fits(documentOf(shape), maxBytes)) return shape;
  }
  while (shape.results > 0) {
    shape = { ...shape, results: Math.floor(shape.results / 2) };
    if (await fits(documentOf(shape), maxBytes)) return shape;
  }
  return shape;
}

const pack = promisify(deflateRaw);

/** Packs block by block, which gives a little more than packing the whole: never too large by mistake. */
async function fits(pieces: Iterable<string>, maxBytes: number): Promise<boolean> {
  let plain = 0;
  let packed = 0;
  let block = '';
  for (const piece of pieces) {
    block += piece;
    if (block.length < 256 * 1024) continue;
    plain += Buffer.byteLength(block);
    packed += (await pack(block)).length;
    if (packed > maxBytes) return false;
    block = '';
  }
  packed += (await pack(block)).length;
  return plain + Buffer.byteLength(block) <= maxBytes || packed <= maxBytes;
}

function* document(
  input: RenderInput,
  { version }: SarifOptions,
  limits: SarifLimits,
  selection: Selection,
  shape: Shape,
): Generator<string> {
  const entries = selection.entries.slice(0, shape.results);
  const driver = {
    name: 'scanmq',
    version,
    ...(input.task.simulator ? { fullName: 'scanmq (simulated results, not of a real scanner)' } : {}),
  };
  yield '{"$schema":"https://json.schemastore.org/sarif-2.1.0.json","version":"2.1.0","runs":[{';
  yield `"tool":{"driver":${toJson(driver).slice(0, -1)},"rules":[`;
  const ruleIndexes = new Map<Rule, number>();
  for (const [rule, worst] of worstByRule(entries)) {
    const separator = ruleIndexes.size === 0 ? '\n' : ',\n';
    ruleIndexes.set(rule, ruleIndexes.size);
    yield separator + toJson(renderRule(rule, worst, shape.texts, limits.tagsPerRule));
  }
  const about = {
    automationDetails: { id: automationId(input.task) },
    invocations: [invocation(input, selection.seen - entries.length)],
    properties: {
      taskId: cleanText(input.task.task_id),
      taskName: cleanText(input.task.name),
      scanType: cleanText(input.task.scan_type),
      simulator: input.task.simulator,
      imported: input.task.imported,
      qualityVerdict: input.quality.verdict,
      qualityReasons: input.quality.reasons,
      findings: selection.seen,
      resultsLeftOut: selection.seen - entries.length,
      messagesCutAt: shape.texts.message,
      ...(input.gate ? { gate: input.gate.answer } : {}),
    },
  };
  yield `\n]}},${toJson(about).slice(1, -1)},"results":[`;
  let separator = '\n';
  for (const entry of entries) {
    yield separator + toJson(renderResult(entry, ruleIndexes.get(entry.rule), shape, input));
    separator = ',\n';
  }
  yield '\n]}]}\n';
}

/** In the order of the entries, which begin with the worst. */
function worstByRule(entries: readonly Entry[]): Map<Rule, { level: SarifLevel; score: number | undefined }> {
  const worst = new Map<Rule, { level: SarifLevel; score: number | undefined }>();
  for (const { rule, level, score } of entries) {
    const before = worst.get(rule);
    if (before) before.score = Math.max(before.score ?? 0, score ?? 0);
    else worst.set(rule, { level, score });
  }
  return worst;
}

/**
 * Everything up to the last `/` is GitHub's category: a later scan of the same targets replaces the alerts of the earlier,
 * scans of other targets stand beside it.
 */
function automationId(task: RenderedTask): string {
  const targets = [...new Set(task.targets.toLowerCase().split(/[\s,;]+/))].filter(Boolean).sort();
  const hash = createHash('sha256').update(targets.join(',')).digest('hex').slice(0, 12);
  const parts = ['scanmq', ...(task.simulator ? ['simulator'] : []), slug(task.scan_type) || 'scan', hash];
  return [...parts, slug(task.task_id)].join('/');
}

function invocation(input: RenderInput, leftOut: number): Record<string, unknown> {
  const { task, quality } = input;
  const bad = quality.verdict === 'unusable';
  const notes: { id: string; level: SarifLevel; text: string }[] = quality.reasons.map((reason) => ({
    id: `quality/${reason}`,
    level: bad ? 'error' : 'warning',
    text: reasonText(reason, quality),
  }));
  if (notes.length === 0 && quality.verdict !== 'complete') {
    const text = qualityTexts(quality).join(' ');
    notes.push({ id: `quality/${quality.verdict}`, level: bad ? 'error' : 'warning', text });
  }
  if (task.simulator) {
    const text = 'These are results of a simulator, not of a real scanner.';
    notes.push({ id: 'simulator', level: 'warning', text });
  }
  if (leftOut > 0) {
    const text = `${leftOut} findings are left out, the least severe, to stay within the limits for SARIF files.`;
    notes.push({ id: 'results-left-out', level: 'warning', text });
  }
  return {
    executionSuccessful: !bad,
    ...timeOf('startTimeUtc', task.started_at),
    ...timeOf('endTimeUtc', task.completed_at),
    toolExecutionNotifications: notes.map(({ id, level, text }) => ({
      descriptor: { id },
      level,
      message: { text: cleanText(text) },
    })),
  };
}

function timeOf(name: string, text: string | null): Record<string, string> {
  const time = Date.parse(text ?? '');
  return Number.isNaN(time) ? {} : { [name]: new Date(time).toISOString() };
}

function renderResult(
  entry: Entry,
  ruleIndex: number | undefined,
  { texts }: Shape,
  { task: { simulator }, gate }: RenderInput,
): Record<string, unknown> {
  const { rule, place, score, exploit, outcome } = entry;
  const { host, protocol, port } = place;
  return {
    ruleId: rule.id,
    ...(ruleIndex === undefined ? {} : { ruleIndex }),
    ...(entry.level === 'none' ? { kind: 'pass' } : {}),
    level: entry.level,
    message: { text: cutText(messageOf(entry, simulator), texts.message) },
    // GitHub tells alerts apart by the second only; without it, it takes them for equal or for new ones
    partialFingerprints: { 'scanmqFindingId/v1': entry.id, primaryLocationLineHash: entry.id },
    ...(gate && entry.judgement ? judged(entry.judgement, gate) : {}),
    locations: [
      {
        physicalLocation: { artifactLocation: { uri: pathOf(place) }, region: { startLine: 1 } },
        logicalLocations: [{ name: host, kind: 'host' }],
      },
    ],
    properties: {
      host,
      port,
      protocol,
      severity: entry.severity,
      ...(rule.cves.length > 0 ? { cve: rule.cves } : {}),
      ...(score === undefined ? {} : { cvss_score: score }),
      ...(exploit === undefined ? {} : { exploit_available: exploit }),
      ...(outcome ? { compliance_result: outcome } : {}),
      ...(entry.judgement?.broke ? { broke_gate_by: entry.judgement.criteria } : {}),
    },
  };
}

/** In the words of the specification: what it compared with, and what a rule of the ignore file decided. */
function judged({ state, rule }: Judgement, { rules }: RenderedGate): Record<string, unknown> {
  const ignored = rule === undefined ? undefined : rules[rule];
  return {
    ...(state === 'not_compared' ? {} : { baselineState: BASELINE_STATE[state] }),
    ...(ignored
      ? {
          suppressions: [{ kind: 'external', status: 'accepted', justification: ignoredBecause(ignored) }],
        }
      : {}),
  };
}

const BASELINE_STATE = { new: 'new', raised: 'updated', known: 'unchanged' } as const;

function messageOf({ rule, place, outcome }: Entry, simulator: boolean): string {
  const { host, protocol, port } = place;
  const title = outcome ? `${rule.name}: ${outcome}` : rule.name;
  const where = port === 0 ? host : `${host} (${protocol}/${port})`;
  const text = `${simulator ? '[simulated] ' : ''}${title} on ${where}. ${rule.synopsis}`.trim();
  // `[text](target)` would be a link
  return text.replaceAll('](', '] (');
}
