/** The gate of a build: judges a completed scan by a policy, and writes its findings out as it judged them. */
import {
  BASELINE_FORMAT,
  criteriaOf,
  describeIgnoreRule,
  type GateAnswer,
  type GateCriterion,
  type GateDoubt,
  type GateFormat,
  type GatePolicy,
  type GateRequest,
  type GateWarning,
  type IgnoreRule,
  InvalidRequestError,
  ignoreRuleIssues,
  isExpired,
  LIMITS,
  type RuleUse,
  readGatePolicy,
  ScanmqError,
  SEVERITY_NAMES,
  type SeverityBreakdown,
  type TaskRecord,
} from '@scanmq/contract';
import {
  type Baseline,
  type Finding,
  FORMATS,
  type GateInput,
  type GateResult,
  type Judgement,
  type Judgements,
  type RenderInput,
  type Results,
  type ResultsStore,
  reasonText,
} from '@scanmq/findings';
import type { QueueSystem } from '@scanmq/queue';
import type { CompletedResults } from './completed-results.js';
import { doubtsOf, previousTask, sameTargets } from './gate-baseline.js';
import { type HeldResults, holding, orLetGo, writtenOut } from './held-results.js';
import type { Download } from './result-service.js';

export interface GateServiceDeps {
  readonly queue: QueueSystem;
  readonly store: ResultsStore;
  readonly completed: CompletedResults;
  readonly version: string;
  readonly now: () => Date;
}

export interface GateService {
  /**
   * @throws ScanmqError `invalid_state` for a task without results; `not_found` for one that does not exist, as task or as
   *   baseline; InvalidRequestError for a policy that judges by nothing, or a rule that holds too long.
   */
  judge(taskId: string, request: GateRequest): Promise<GateAnswer>;
  /** The findings as they were judged, as a file for another program; or what is known now, as a baseline file. Throws as `judge`. */
  document(taskId: string, request: GateRequest, format: Exclude<GateFormat, 'json'>): Promise<Download>;
}

/** What a request comes to, once everything it names is found. */
interface Case {
  readonly held: readonly HeldResults[];
  readonly task: TaskRecord;
  readonly results: Results;
  readonly policy: GatePolicy;
  readonly rules: readonly IgnoreRule[];
  readonly input: GateInput;
  readonly baseline: GateAnswer['baseline'];
  readonly baseTask: TaskRecord | undefined;
  readonly baseResults: Results | undefined;
}

export function createGateService(deps: GateServiceDeps): GateService {
  const { queue, store, completed } = deps;

  async function prepare(taskId: string, request: GateRequest): Promise<Case> {
    const policy = readGatePolicy(request);
    const now = deps.now();
    const rules = request.ignore ?? [];
    const issues = ignoreRuleIssues(rules, now).map((issue) => ({ ...issue, path: `ignore.${issue.path}` }));
    if (issues.length > 0) throw new InvalidRequestError('A rule of the ignore file holds too long.', issues);
    const head = await completed.open(taskId);
    const { task, results } = head;
    const base = await orLetGo([head], () => baselineOf(task, request, policy));
    const known: Baseline | undefined =
      request.baseline_findings !== undefined
        ? { kind: 'findings', ids: request.baseline_findings }
        : base && { kind: 'task', task: { taskId: base.held.task.task_id, results: base.held.results } };
    return {
      held: base ? [head, base.held] : [head],
      task,
      results,
      policy,
      rules,
      input: { head: { taskId, results }, policy, baseline: known, rules, now },
      baseline:
        request.baseline_findings !== undefined
          ? { kind: 'file', task_id: null, completed_at: null, findings: request.baseline_findings.length }
          : base
            ? {
                kind: base.named ? 'task' : 'previous',
                task_id: base.held.task.task_id,
                completed_at: base.held.task.completed_at,
                findings: null,
              }
            : null,
      baseTask: base?.held.task,
      baseResults: base?.held.results,
    };
  }

  async function baselineOf(
    head: TaskRecord,
    { baseline, baseline_findings }: GateRequest,
    policy: GatePolicy,
  ): Promise<{ readonly held: HeldResults; readonly named: boolean } | undefined> {
    if (baseline_findings !== undefined) return undefined;
    if (baseline !== undefined && baseline !== 'previous') {
      if (baseline === head.task_id)
        throw new InvalidRequestError('A task cannot be its own baseline.', [
          { path: 'baseline', message: 'expected another task' },
        ]);
      const held = await completed.open(baseline).catch((error: unknown) => {
        if (!(error instanceof ScanmqError)) throw error;
        throw new ScanmqError(error.code, `The baseline ${baseline} cannot be used: ${error.message}`, {
          cause: error,
        });
      });
      return { held, named: true };
    }
    if (baseline === undefined && !policy.new_only) return undefined;
    const task = await previousTask(queue, head);
    return task && { held: await completed.resultsOf(task), named: false };
  }

  async function judge(one: Case, limit: number): Promise<GateAnswer> {
    return answerOf(one, await store.judge(one.input, limit));
  }

  return {
    async judge(taskId, request) {
      const one = await prepare(taskId, request);
      return await holding(one.held, () => judge(one, request.limit));
    },

    async document(taskId, request, format) {
      const one = await prepare(taskId, request);
      return await writtenOut(one.held, async () => {
        if (format === 'baseline') return await baselineFile(deps, one);
        const [answer, judgements, input] = await Promise.all([
          judge(one, 0),
          store.judgeEach(one.input),
          completed.rendered(one.task, one.results, { filters: undefined, sort: undefined }),
        ]);
        const { mediaType, extension, write } = FORMATS[format];
        return {
          mediaType,
          fileName: `${taskId}.${extension}`,
          body: write(judgedInput(input, answer, one.rules, judgements), { version: deps.version }),
        };
      });
    },
  };
}

/** All findings come in the order of their places, so that counting them tells which judgement is whose. */
function judgedInput(
  input: RenderInput,
  answer: GateAnswer,
  rules: readonly IgnoreRule[],
  judgements: Judgements,
): RenderInput {
  const known = new WeakMap<Finding, Judgement>();
  return {
    ...input,
    gate: {
      // the findings are in the document already
      answer: {
        outcome: answer.outcome,
        passed: answer.passed,
        message: answer.message,
        reasons: answer.reasons,
        policy: answer.policy,
      },
      rules,
      judgementOf: (finding) => known.get(finding),
    },
    async *findings() {
      let place = 0;
      for await (const finding of input.findings()) {
        const judgement = judgements.of(place);
        place += 1;
        if (judgement) known.set(finding, judgement);
        yield finding;
      }
    },
  };
}

/** A line per finding: these files are kept in repositories, where a change is to show what it changes. */
async function baselineFile({ store, now }: GateServiceDeps, one: Case): Promise<Download> {
  const { total, stream } = await store.knownFindings(one.input.head, one.policy);
  if (total > LIMITS.baselineFindings)
    throw new InvalidRequestError(
      `A baseline file holds at most ${LIMITS.baselineFindings} findings, and ${total} fit the policy: use the task itself as baseline.`,
      [{ path: 'fail_on', message: 'expected a policy that fewer findings fit' }],
    );
  const head = JSON.stringify({
    format: BASELINE_FORMAT,
    version: 1,
    task_id: one.task.task_id,
    written_at: now().toISOString(),
    policy: one.policy,
  });
  return {
    mediaType: 'application/json; charset=utf-8',
    fileName: `${one.task.task_id}.baseline.json`,
    body: (async function* lines() {
      yield `${head.slice(0, -1)},"findings":[`;
      let separator = '\n';
      for await (const finding of stream()) {
        yield separator + JSON.stringify(finding);
        separator = ',\n';
      }
      yield '\n]}\n';
    })(),
  };
}

function answerOf(one: Case, result: GateResult): GateAnswer {
  const { task, results, policy, rules, input, baseline } = one;
  const broken = result.findingsTotal > policy.max;
  const noBaseline = policy.new_only && input.baseline === undefined;
  const reasons = reasonsOf(one, result, broken && noBaseline);
  // what was found is true, however little was seen; but what is new nobody knows without a baseline
  const outcome =
    broken && !(noBaseline && policy.on_doubt === 'fail')
      ? 'failed'
      : reasons.length > 0
        ? 'could_not_judge'
        : 'passed';
  const uses = rules.map(
    (rule, index): RuleUse => ({
      rule: index,
      selectors: describeIgnoreRule(rule),
      reason: rule.reason,
      expires: rule.expires,
      owner: rule.owner ?? null,
      findings: result.ruleFindings[index] ?? 0,
    }),
  );
  const isOver = ({ expires }: RuleUse): boolean => isExpired({ expires }, input.now);
  const answer = {
    task_id: task.task_id,
    outcome,
    passed: outcome === 'passed' || (outcome === 'could_not_judge' && policy.on_doubt === 'pass'),
    reasons,
    warnings: warningsOf(one, result, noBaseline && !broken, uses.filter(isOver)),
    policy,
    not_available: [...result.notAvailable],
    counts: { total: results.facts.total_findings, ...result.counts },
    baseline,
    ignored: uses.filter((use) => !isOver(use) && use.findings > 0),
    expired_rules: uses.filter(isOver),
    unused_rules: uses.filter((use) => !isOver(use) && use.findings === 0),
    findings: [...result.findings],
    findings_total: result.findingsTotal,
    simulator: task.simulator,
  } satisfies Omit<GateAnswer, 'message'>;
  const { task_id, passed, ...rest } = answer;
  // the sentence near the top, for whoever reads it as it comes
  return { task_id, passed, message: messageOf(answer), ...rest };
}

function reasonsOf({ task, results, policy }: Case, result: GateResult, noBaseline: boolean): GateDoubt[] {
  const { quality } = results.facts;
  const reasons: GateDoubt[] = doubtsOf(quality).map((code) => ({
    code,
    message: reasonText(code, quality),
  }));
  if (task.partial_results && !quality.stopped_early)
    reasons.push({
      code: 'partial_results',
      message: `The task is ${task.state}: the results are what was found until then.`,
    });
  if (noBaseline)
    reasons.push({
      code: 'no_baseline',
      message: 'There is no earlier scan to compare with, so nobody can say which findings are new.',
    });
  const judged = result.counts.judged;
  if (
    judged.low + judged.medium + judged.high + judged.critical > 0 &&
    criteriaOf(policy).every(
      (criterion) => criterion !== 'known_exploited' && result.notAvailable.includes(criterion),
    )
  )
    reasons.push({
      code: 'criteria_not_available',
      message: `No finding has a value for what the gate judges by (${namesOf(result.notAvailable)}).`,
    });
  return reasons;
}

function warningsOf(
  { task, results, baseTask, baseResults }: Case,
  { notAvailable }: GateResult,
  noBaseline: boolean,
  expired: readonly RuleUse[],
): GateWarning[] {
  const { quality } = results.facts;
  const doubts = new Set(doubtsOf(quality));
  const warnings: GateWarning[] = quality.reasons
    .filter((reason) => !doubts.has(reason))
    .map((code) => ({ code, message: reasonText(code, quality) }));
  if (noBaseline)
    warnings.push({
      code: 'no_baseline',
      message: 'There is no earlier scan to compare with: all findings were judged.',
    });
  if (notAvailable.length > 0)
    warnings.push({
      code: 'criteria_not_available',
      message: `No finding has a value for ${namesOf(notAvailable)}: nothing was judged by it.`,
    });
  if (baseResults) {
    const base = baseResults.facts.quality;
    const reasons = doubtsOf(base);
    if (reasons.length > 0)
      warnings.push({
        code: 'baseline_limited',
        message: `The baseline saw less than it should have (${reasons.join(', ')}): what it missed looks new.`,
      });
    else if (base.credentials.status !== 'success' && quality.credentials.status === 'success')
      warnings.push({
        code: 'baseline_limited',
        message:
          'The baseline did not log in to the hosts, this scan did: what only a login shows looks new.',
      });
  }
  if (baseTask && baseTask.schedule_id !== (task.schedule_id ?? undefined) && !sameTargets(task, baseTask))
    warnings.push({
      code: 'baseline_other_targets',
      message: 'The baseline had other targets: what it did not look at looks new.',
    });
  if (expired.length > 0)
    warnings.push({
      code: 'ignore_expired',
      message: `${expired.length} rules of the ignore file are over: they left nothing out.`,
    });
  return warnings;
}

function messageOf({
  outcome,
  policy,
  counts,
  findings_total,
  reasons,
  passed,
}: Omit<GateAnswer, 'message'>): string {
  const by = `by ${measuresOf(policy)}`;
  const why = reasons.map(({ message }) => message).join(' ');
  switch (outcome) {
    case 'passed':
      return findings_total === 0
        ? `Passed: no finding breaks the gate ${by}.`
        : `Passed: ${told(findings_total, counts.broke)} would break the gate ${by}, and ${policy.max} may.`;
    case 'failed':
      return `Failed: ${told(findings_total, counts.broke)} break the gate ${by}${policy.max > 0 ? `; at most ${policy.max} may` : ''}.${why && ` And this is not all: ${why}`}`;
    case 'could_not_judge':
      return `${passed ? 'Passed, but could not be judged' : 'Could not be judged'}: ${why} ${findings_total === 0 ? 'No finding that was seen breaks the gate' : `${told(findings_total, counts.broke)} fit the criteria`} ${by}.`;
  }
}

/** `3 findings (1 critical, 2 high)`. */
function told(total: number, counts: SeverityBreakdown): string {
  const parts = [...SEVERITY_NAMES].reverse().filter((name) => counts[name] > 0);
  return `${total} ${total === 1 ? 'finding' : 'findings'} (${parts.map((name) => `${counts[name]} ${name}`).join(', ')})`;
}

function measuresOf(policy: GatePolicy): string {
  const words: Readonly<Record<GateCriterion, string>> = {
    severity: `severity ${policy.fail_on}${policy.fail_on === 'critical' ? '' : ' or above'}`,
    cvss: `CVSS ${policy.min_cvss} or above`,
    epss: `EPSS ${policy.min_epss} or above`,
    vpr: `VPR ${policy.min_vpr} or above`,
    known_exploited: 'known exploitation',
  };
  const measures = criteriaOf(policy).map((criterion) => words[criterion]);
  return `${measures.join(' or ')}${policy.new_only ? ', new ones only' : ''}`;
}

const NAMES: Readonly<Record<GateCriterion, string>> = {
  severity: 'severity',
  cvss: 'CVSS',
  epss: 'EPSS',
  vpr: 'VPR',
  known_exploited: 'known exploitation',
};

function namesOf(criteria: readonly GateCriterion[]): string {
  return criteria.map((criterion) => NAMES[criterion]).join(', ');
}
