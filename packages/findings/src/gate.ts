/** The findings of one scan measured by a gate: which break it, which are known, which a rule leaves out. */
import {
  criteriaOf,
  failLevel,
  GATE_CRITERIA,
  type GateCriterion,
  type GateFinding,
  type GatePolicy,
  type IgnoreRule,
  isExpired,
  SEVERITY_NAMES,
  type SeverityBreakdown,
} from '@scanmq/contract';
import { type ComparedTask, type ComparisonTools, freshFindings } from './compare.js';
import type { FindingsEngine } from './engine.js';
import type { ResultFacts } from './facts.js';
import type { Condition } from './filters.js';
import { type Finding, severityOf } from './finding.js';
import { cutText } from './formats/clean-text.js';
import { complianceOf, cvesOf, placeOf, scoreOf, textOf, titleOf } from './formats/finding-text.js';
import { coverFindings } from './ignore-rules.js';
import type { Judgement } from './judgement.js';
import { createFindingReader } from './rows.js';
import { conditionSql, createParams, type ParamList, type Storage } from './sql.js';

/** What is known already: another task, or the ids of findings from a file. */
export type Baseline =
  | { readonly kind: 'task'; readonly task: ComparedTask }
  | { readonly kind: 'findings'; readonly ids: readonly string[] };

export interface GateInput {
  readonly head: ComparedTask;
  readonly policy: GatePolicy;
  /** Undefined: nothing is compared, and `new_only` leaves nothing out. */
  readonly baseline: Baseline | undefined;
  readonly rules: readonly IgnoreRule[];
  /** Decides which rules are over. */
  readonly now: Date;
}

export interface GateCounts {
  readonly judged: SeverityBreakdown;
  readonly broke: SeverityBreakdown;
  readonly ignored: SeverityBreakdown;
  readonly new: SeverityBreakdown | null;
}

export interface GateResult {
  readonly counts: GateCounts;
  /** The worst of those that broke it, bounded. */
  readonly findings: readonly GateFinding[];
  readonly findingsTotal: number;
  /** Findings that each rule covers, by its place; of rules that are over as well. */
  readonly ruleFindings: readonly number[];
  /** Criteria of the policy for which no finding has a value. */
  readonly notAvailable: readonly GateCriterion[];
}

/** Places of findings with what the gate says of each; findings that it does not measure are not among them. */
export interface Judgements {
  of(place: number): Judgement | undefined;
}

/** @param limit how many of the findings that broke it are wanted. */
export async function judgeFindings(
  tools: ComparisonTools,
  input: GateInput,
  limit: number,
): Promise<GateResult> {
  const { head, policy } = input;
  const fresh = await freshOf(tools, input);
  return await tools.engine.session(async (session) => {
    const exploited = await judge(session, input, fresh);
    const groups = await session.rows(
      `SELECT level, broke, judged, rule IS NOT NULL AS ignored, state > 0 AS is_new, count(*) AS findings
       FROM verdicts GROUP BY ALL`,
    );
    const count = (fits: (group: (typeof groups)[number]) => unknown): SeverityBreakdown => {
      const counts: SeverityBreakdown = { critical: 0, high: 0, medium: 0, low: 0, info: 0 };
      for (const group of groups)
        if (fits(group)) counts[SEVERITY_NAMES[Number(group.level)] ?? 'info'] += Number(group.findings);
      return counts;
    };
    const broke = count((group) => group.broke);
    const worst = await session.integers(
      `SELECT ord, criteria, state FROM verdicts WHERE broke
       ORDER BY level DESC, score DESC NULLS LAST, ord LIMIT ${Math.trunc(limit)}`,
    );
    const covered = await session.rows(
      'SELECT rule, count(*) AS findings FROM covered SEMI JOIN verdicts USING (ord) GROUP BY rule',
    );
    const byRule = new Map(covered.map((row) => [Number(row.rule), Number(row.findings)]));
    return {
      counts: {
        judged: count((group) => group.judged),
        broke,
        ignored: count((group) => group.ignored && (group.is_new || !leavesOutKnown(input))),
        new: input.baseline ? count((group) => group.is_new) : null,
      },
      findings: await describe(tools.engine, head, worst),
      findingsTotal: Object.values(broke).reduce((sum, findings) => sum + findings, 0),
      ruleFindings: input.rules.map((_, index) => byRule.get(index) ?? 0),
      notAvailable: criteriaOf(policy).filter(
        (criterion) => !isAvailable(criterion, head.results.facts, exploited),
      ),
    };
  });
}

/** The same for every finding, for whoever writes all of them out. */
export async function judgeEach(tools: ComparisonTools, input: GateInput): Promise<Judgements> {
  const fresh = await freshOf(tools, input);
  const found = await tools.engine.session(async (session) => {
    await judge(session, input, fresh);
    return await session.integers(
      'SELECT ord, criteria, broke::INTEGER, state, rule FROM verdicts ORDER BY ord',
    );
  });
  const places = new Int32Array(input.head.results.facts.total_findings).fill(-1);
  for (let at = 0; at < found.length; at += EACH_WIDTH) places[found[at] ?? 0] = at;
  return {
    of(place) {
      const at = places[place] ?? -1;
      if (at < 0) return undefined;
      const rule = found[at + 4] ?? -1;
      return {
        criteria: criteriaIn(found[at + 1] ?? 0),
        broke: found[at + 2] === 1,
        state: STATES[found[at + 3] ?? -1] ?? 'not_compared',
        rule: rule < 0 ? undefined : rule,
      };
    },
  };
}

const EACH_WIDTH = 5;
const KNOWN = 0;
const NEW = 1;
const RAISED = 2;
const STATES = ['known', 'new', 'raised'] as const;

function leavesOutKnown({ policy, baseline }: GateInput): boolean {
  return policy.new_only && baseline !== undefined;
}

/** Rows of `fresh`, as texts; undefined where it follows from ids of findings, or nothing is compared. */
async function freshOf(
  tools: ComparisonTools,
  { baseline, head }: GateInput,
): Promise<{ readonly fresh: string; readonly raised: string } | undefined> {
  if (baseline?.kind !== 'task') return undefined;
  const found = await freshFindings(tools, baseline.task, head);
  const places = (raised: boolean): string =>
    found
      .filter((one) => one.raised === raised)
      .map(({ place }) => place)
      .join(',');
  return { fresh: places(false), raised: places(true) };
}

/**
 * Makes the temporary table `verdicts`, a row per finding that can break a gate, and `covered` (see `coverFindings`).
 * Compliance checks that are met are no findings in this sense.
 * @returns whether any plugin of the scan is marked as known to be exploited.
 */
async function judge(
  session: Pick<FindingsEngine, 'rows' | 'integers'>,
  input: GateInput,
  fresh: { readonly fresh: string; readonly raised: string } | undefined,
): Promise<boolean> {
  const { head, policy, baseline, rules, now } = input;
  const { files, facts } = head.results;
  await markPlugins(session, input);
  if (baseline === undefined) await session.rows('CREATE TEMP TABLE fresh (ord INTEGER, state INTEGER)');
  else if (fresh)
    await session.rows(
      `CREATE TEMP TABLE fresh AS
         SELECT ord, ${NEW} AS state FROM (${listed('fresh', 'INTEGER', 'ord')})
         UNION ALL SELECT ord, ${RAISED} FROM (${listed('raised', 'INTEGER', 'ord')})`,
      fresh,
    );
  else if (baseline.kind === 'findings')
    await session.rows(
      `CREATE TEMP TABLE fresh AS
         SELECT ord, ${NEW} AS state FROM (SELECT ord, finding_id FROM read_parquet($findings))
         ANTI JOIN (${listed('ids', 'VARCHAR', 'finding_id')}) USING (finding_id)`,
      { findings: files.findings, ids: baseline.ids.join(',') },
    );
  await coverFindings(session, files, rules);
  const active = rules.flatMap((rule, index) => (isExpired(rule, now) ? [] : [index]));
  const params = createParams();
  const severity = `coalesce(f.level, 0) >= ${failLevel(policy.fail_on)}`;
  const cvss =
    policy.min_cvss === null
      ? 'false'
      : conditionSql(
          { kind: 'number', field: 'cvss_score', operator: '>=', value: policy.min_cvss },
          storageOf(facts),
          params,
        );
  const findings = params.add(files.findings);
  const state = baseline === undefined ? 'NULL' : `coalesce(s.state, ${KNOWN})`;
  const judged = `rule IS NULL${leavesOutKnown(input) ? ` AND state > ${KNOWN}` : ''}`;
  const measured = policy.compliance
    ? `NOT coalesce(f.compliance AND f.compliance_result = 'PASSED', false)`
    : 'NOT coalesce(f.compliance, false)';
  await session.rows(
    `CREATE TEMP TABLE verdicts AS
       SELECT *, ${judged} AS judged, ${judged} AND criteria > 0 AS broke FROM (
         SELECT f.ord, coalesce(f.level, 0) AS level, f.cvss_score AS score,
           (${severity})::INTEGER * ${bit('severity')} + (${cvss})::INTEGER * ${bit('cvss')} + m.criteria AS criteria,
           ${state}::INTEGER AS state, i.rule
         FROM read_parquet(${findings}) f JOIN marks m USING (plugin_ref)
         LEFT JOIN fresh s ON s.ord = f.ord
         LEFT JOIN (
           SELECT ord, min(rule) AS rule FROM covered
           WHERE rule IN (${active.length === 0 ? 'NULL' : active.join(', ')}) GROUP BY ord
         ) i ON i.ord = f.ord
         WHERE ${measured}
       )`,
    params.values,
  );
  const [row] = await session.rows('SELECT coalesce(bool_or(exploited), false) AS any_exploited FROM marks');
  return row?.any_exploited === true;
}

/** Makes the temporary table `marks`: what follows from the plugin alone, which are few beside findings. */
async function markPlugins(
  session: Pick<FindingsEngine, 'rows'>,
  { head, policy }: GateInput,
): Promise<void> {
  const params = createParams();
  const storage = storageOf(head.results.facts);
  const sqlOf = (condition: Condition): string => conditionSql(condition, storage, params);
  const atLeast = (fields: readonly string[], value: number | null): string =>
    value === null
      ? 'false'
      : sqlOf({
          kind: 'any',
          parts: fields.map((field): Condition => ({ kind: 'number', field, operator: '>=', value })),
        });
  const epss = atLeast(EPSS_FIELDS, policy.min_epss);
  const vpr = atLeast(VPR_FIELDS, policy.min_vpr);
  const exploited = sqlOf(KNOWN_EXPLOITED);
  await session.rows(
    `CREATE TEMP TABLE marks AS
       SELECT plugin_ref, exploited, (${epss})::INTEGER * ${bit('epss')} + (${vpr})::INTEGER * ${bit('vpr')}
         + (exploited AND ${String(policy.known_exploited)})::INTEGER * ${bit('known_exploited')} AS criteria
       FROM (SELECT *, ${exploited} AS exploited FROM read_parquet(${plugins(params, head)}) p) p`,
    params.values,
  );
}

const EPSS_FIELDS = ['epss_score'];
/** The second in some exports of the cloud service. */
const VPR_FIELDS = ['vpr_score', 'vulnerability_priority_rating'];
const EXPLOITED_FIELDS = ['exploited_by_malware', 'exploited_by_nessus', 'cisa-known-exploited'];

/**
 * Somebody did it: CISA lists it as exploited, malware uses it, or the scanner itself went in. That code to exploit it
 * exists (`exploit_available`), or that newspapers wrote of it (`in_the_news`), says nothing of the kind.
 * As texts, because an element that an export repeats is a list.
 */
const KNOWN_EXPLOITED: Condition = {
  kind: 'any',
  parts: [
    { kind: 'text', field: 'exploited_by_malware', text: 'true' },
    { kind: 'text', field: 'exploited_by_nessus', text: 'true' },
    { kind: 'given', field: 'cisa-known-exploited' },
    { kind: 'text', field: 'xref', text: 'CISA-KNOWN-EXPLOITED' },
  ],
};

function isAvailable(criterion: GateCriterion, { fields }: ResultFacts, exploited: boolean): boolean {
  const has = (names: readonly string[]): boolean => names.some((name) => fields.includes(name));
  switch (criterion) {
    case 'severity':
      return true;
    case 'cvss':
      return has(['cvss_score']);
    case 'epss':
      return has(EPSS_FIELDS);
    case 'vpr':
      return has(VPR_FIELDS);
    case 'known_exploited':
      return exploited || has(EXPLOITED_FIELDS);
  }
}

function storageOf(facts: ResultFacts): Storage {
  return { extraFields: new Set(facts.extra_fields) };
}

function plugins(params: ParamList, head: ComparedTask): string {
  return params.add(head.results.files.plugins);
}

/** Rows of a list that comes as one text: thousands of parameters would be slow. */
function listed(param: string, type: 'INTEGER' | 'VARCHAR', column: string): string {
  return `SELECT ${column}::${type} AS ${column} FROM (SELECT unnest(string_split($${param}, ',')) AS ${column}) WHERE ${column} <> ''`;
}

function bit(criterion: GateCriterion): number {
  return 1 << GATE_CRITERIA.indexOf(criterion);
}

function criteriaIn(bits: number): GateCriterion[] {
  return GATE_CRITERIA.filter((criterion) => (bits & bit(criterion)) !== 0);
}

const GATE_FIELDS = [
  'finding_id',
  'host',
  'port',
  'protocol',
  'plugin_id',
  'plugin_name',
  'severity',
  'cvss_score',
  ...EPSS_FIELDS,
  ...VPR_FIELDS,
  'cve',
  'solution',
  'compliance',
  'description',
  'cm:compliance-check-name',
  'cm:compliance-result',
  'cm:compliance-solution',
];

async function describe(
  engine: FindingsEngine,
  { results: { files, facts } }: ComparedTask,
  worst: Int32Array,
): Promise<GateFinding[]> {
  const width = 3;
  const places = worst.filter((_, index) => index % width === 0);
  const found = await createFindingReader(engine, files, facts, GATE_FIELDS).at(places);
  return found.map((finding, index) => {
    const state = worst[index * width + 2] ?? -1;
    return {
      ...gateFindingOf(finding),
      criteria: criteriaIn(worst[index * width + 1] ?? 0),
      is_new: state < 0 ? null : state > KNOWN,
    };
  });
}

function gateFindingOf(finding: Finding): Omit<GateFinding, 'criteria' | 'is_new'> {
  const { host, protocol, port } = placeOf(finding);
  const number = (names: readonly string[]): number | null => {
    for (const name of names) if (typeof finding[name] === 'number') return finding[name];
    return null;
  };
  return {
    finding_id: textOf(finding.finding_id),
    host,
    port,
    protocol,
    plugin_id: textOf(finding.plugin_id),
    plugin_name: cutText(titleOf(finding), TEXT_CHARS),
    severity: SEVERITY_NAMES[severityOf(finding)],
    cvss_score: scoreOf(finding) ?? null,
    epss_score: number(EPSS_FIELDS),
    vpr_score: number(VPR_FIELDS),
    cve: cvesOf(finding),
    solution: cutText(complianceOf(finding)?.solution ?? textOf(finding.solution), TEXT_CHARS) || null,
  };
}

const TEXT_CHARS = 1_000;

/** A finding of a baseline file. */
export type KnownFinding = Pick<
  GateFinding,
  'finding_id' | 'host' | 'port' | 'protocol' | 'plugin_id' | 'plugin_name' | 'severity'
>;

/**
 * Findings that fit a criterion of the policy, whatever is known or left out: what a baseline file holds, in the order of their ids,
 * so that two files of one state are equal.
 */
export async function knownFindings(
  tools: ComparisonTools,
  head: ComparedTask,
  policy: GatePolicy,
): Promise<{ readonly total: number; stream(): AsyncIterable<KnownFinding> }> {
  const input: GateInput = { head, policy, baseline: undefined, rules: [], now: new Date(0) };
  const { files, facts } = head.results;
  const places = await tools.engine.session(async (session) => {
    await judge(session, input, undefined);
    return await session.integers(
      `SELECT v.ord FROM verdicts v JOIN (SELECT ord, finding_id FROM read_parquet($findings)) f USING (ord)
       WHERE v.criteria > 0 ORDER BY f.finding_id, v.ord`,
      { findings: files.findings },
    );
  });
  const reader = createFindingReader(tools.engine, files, facts, GATE_FIELDS);
  return {
    total: places.length,
    async *stream() {
      for await (const finding of reader.stream(places)) {
        const { finding_id, host, port, protocol, plugin_id, plugin_name, severity } = gateFindingOf(finding);
        yield { finding_id, host, port, protocol, plugin_id, plugin_name, severity };
      }
    },
  };
}
