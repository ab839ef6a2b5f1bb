/**
 * The gate: does a scan let a build pass? (contract section 5, `GET /scans/{id}/gate`). What it judges by, what may be
 * left out and until when, what makes a scan impossible to judge, and the answer.
 */
import { z } from 'zod';
import { type InputIssue, InvalidRequestError } from './errors.js';
import { taskIdSchema } from './ids.js';
import { LIMITS } from './limits.js';
import { QUALITY_REASONS, type QualityReason } from './quality.js';
import { SEVERITY_NAMES, type SeverityName, severityBreakdownSchema } from './results.js';
import { parseTarget } from './targets.js';

/** What a finding can break the gate by; one is enough. */
export const GATE_CRITERIA = ['severity', 'cvss', 'epss', 'vpr', 'known_exploited'] as const;
export const gateCriterionSchema = z.enum(GATE_CRITERIA);
export type GateCriterion = z.infer<typeof gateCriterionSchema>;

export const FAIL_ON = [...SEVERITY_NAMES, 'none'] as const;
export type FailOn = (typeof FAIL_ON)[number];

export const ON_DOUBT = ['fail', 'pass'] as const;

/** Formats in which the judgement can be had, each a file for another program. */
export const GATE_FORMATS = ['json', 'sarif', 'junit', 'code-quality', 'baseline'] as const;
export const gateFormatSchema = z.enum(GATE_FORMATS);
export type GateFormat = z.infer<typeof gateFormatSchema>;

const flag = z.union([z.boolean(), z.enum(['true', 'false']).transform((word) => word === 'true')]);

/** Fields of a policy as they are asked for; `readGatePolicy` settles what depends on each other. */
export const gateFields = {
  fail_on: z.enum(FAIL_ON).default('high').meta({
    description: 'A finding of this severity or above breaks the gate; none: only the other criteria do',
  }),
  max: z.coerce
    .number()
    .int()
    .min(0)
    .max(1_000_000_000)
    .default(0)
    .meta({ description: 'So many findings may break it before it fails' }),
  min_cvss: z.coerce.number().min(0).max(10).optional().meta({
    description: 'A CVSS score of this or above breaks it (v3 base score, or v2 where there is no v3)',
  }),
  min_epss: z.coerce
    .number()
    .min(0)
    .max(1)
    .optional()
    .meta({ description: 'An EPSS score, the probability of being exploited (0 to 1), of this or above' }),
  min_vpr: z.coerce
    .number()
    .min(0)
    .max(10)
    .optional()
    .meta({ description: 'A VPR, the priority rating of Tenable (0 to 10), of this or above' }),
  known_exploited: flag.default(false).meta({
    description:
      'Break it by whatever is known to be exploited: the CISA catalogue, malware, or the scanner itself did',
  }),
  new_only: flag.optional().meta({
    description: 'Judge only findings that the baseline lacks; true where a baseline is named',
  }),
  baseline: z
    .union([z.literal('previous'), taskIdSchema])
    .optional()
    .meta({
      description:
        'What new_only compares with: a task, or previous (the default): the last scan of the same schedule or the same targets that can be judged',
    }),
  on_doubt: z.enum(ON_DOUBT).default('fail').meta({
    description: 'pass: a scan that cannot be judged passes (it still says why it could not be judged)',
  }),
  compliance: flag
    .default(true)
    .meta({ description: 'Compliance checks that are not met count by their severity; false: they do not' }),
  limit: z.coerce
    .number()
    .int()
    .min(0)
    .max(LIMITS.gateFindingsMax)
    .default(LIMITS.gateFindingsDefault)
    .meta({ description: 'How many of the findings that broke it are in the answer, the worst first' }),
} as const;

/** A date of the calendar; a rule holds through that day, in UTC. */
const dateSchema = z.iso.date('expected a date such as 2026-12-31');

const hostSelector = z
  .string()
  .min(1)
  .max(255)
  .refine(
    (text) => parseTarget(text.trim()) !== undefined,
    'expected an address, a range, a network or a name',
  );

/** One entry of an ignore file: what it covers (all of what it names must fit), why, and until when. */
export const ignoreRuleSchema = z
  .strictObject({
    plugin_id: z.coerce
      .string()
      .regex(/^\d{1,16}$/, 'a plugin id: digits')
      .optional(),
    cve: z
      .string()
      .regex(/^CVE-\d{4}-\d{4,19}$/i, 'a CVE such as CVE-2024-6387')
      .optional(),
    host: hostSelector.optional().meta({ description: 'Address, range, network in CIDR form, or host name' }),
    port: z.coerce.number().int().min(0).max(65_535).optional(),
    finding_id: z
      .string()
      .regex(/^[0-9a-f]{32}$/, 'a finding id: 32 hex digits')
      .optional(),
    reason: z
      .string('a reason is needed')
      .trim()
      .min(3, 'a reason is needed')
      .max(LIMITS.reasonChars)
      .meta({ description: 'Why this is no reason to stop' }),
    expires: dateSchema.meta({ description: 'The last day on which it holds (UTC)' }),
    owner: z.string().trim().max(200).optional().meta({ description: 'Who decided it' }),
  })
  .refine(
    (rule) => IGNORE_SELECTORS.some((selector) => rule[selector] !== undefined),
    'expected at least one of plugin_id, cve, host, port, finding_id',
  );
export type IgnoreRule = z.infer<typeof ignoreRuleSchema>;

export const IGNORE_SELECTORS = ['plugin_id', 'cve', 'host', 'port', 'finding_id'] as const;

export const ignoreRulesSchema = z
  .array(ignoreRuleSchema)
  .max(LIMITS.ignoreRules)
  .meta({ description: 'Findings that do not count, each with a reason and an end' });

const findingIdsSchema = z
  .array(z.string().regex(/^[0-9a-f]{32}$/, 'a finding id: 32 hex digits'))
  .max(LIMITS.baselineFindings);

/** Body of `POST /scans/{id}/gate`: the policy, with what comes from files. */
export const gateRequestSchema = z
  .strictObject({
    ...gateFields,
    ignore: ignoreRulesSchema.optional(),
    baseline_findings: findingIdsSchema
      .optional()
      .meta({ description: 'Ids of findings that are known, from a baseline file; instead of baseline' }),
  })
  .refine((request) => request.baseline === undefined || request.baseline_findings === undefined, {
    message: 'expected baseline or baseline_findings, not both',
    path: ['baseline_findings'],
  });
export type GateRequest = z.infer<typeof gateRequestSchema>;

const formatFields = {
  format: gateFormatSchema.default('json').meta({
    description:
      'json: the judgement; sarif, junit and code-quality: all findings, as they were judged; baseline: those that fit the criteria, as a baseline file',
  }),
} as const;
/** Query of the GET, and of the POST. */
export const gateQuerySchema = z.strictObject({ ...gateFields, ...formatFields });
export const gateFormatQuerySchema = z.strictObject(formatFields);

/** The policy as it was applied. */
export const gatePolicySchema = z.object({
  fail_on: z.enum(FAIL_ON),
  max: z.number().int(),
  min_cvss: z.number().nullable(),
  min_epss: z.number().nullable(),
  min_vpr: z.number().nullable(),
  known_exploited: z.boolean(),
  new_only: z.boolean(),
  on_doubt: z.enum(ON_DOUBT),
  compliance: z.boolean(),
});
export type GatePolicy = z.infer<typeof gatePolicySchema>;

/** @throws InvalidRequestError for a policy by which nothing could ever break the gate. */
export function readGatePolicy(request: GateRequest): GatePolicy {
  const { fail_on, max, min_cvss, min_epss, min_vpr, known_exploited, on_doubt, compliance } = request;
  const policy: GatePolicy = {
    fail_on,
    max,
    min_cvss: min_cvss ?? null,
    min_epss: min_epss ?? null,
    min_vpr: min_vpr ?? null,
    known_exploited,
    new_only: request.new_only ?? (request.baseline !== undefined || request.baseline_findings !== undefined),
    on_doubt,
    compliance,
  };
  if (criteriaOf(policy).length === 0)
    throw new InvalidRequestError('The gate has nothing to judge by.', [
      { path: 'fail_on', message: 'expected a severity, or another criterion beside none' },
    ]);
  return policy;
}

/** What a policy judges by. */
export function criteriaOf(policy: Omit<GatePolicy, 'max' | 'new_only' | 'on_doubt'>): GateCriterion[] {
  const wanted: Readonly<Record<GateCriterion, boolean>> = {
    severity: policy.fail_on !== 'none',
    cvss: policy.min_cvss !== null,
    epss: policy.min_epss !== null,
    vpr: policy.min_vpr !== null,
    known_exploited: policy.known_exploited,
  };
  return GATE_CRITERIA.filter((criterion) => wanted[criterion]);
}

const MS_PER_DAY = 86_400_000;

/** True when a rule does not hold any more. */
export function isExpired({ expires }: Pick<IgnoreRule, 'expires'>, now: Date): boolean {
  return now.getTime() >= Date.parse(`${expires}T00:00:00Z`) + MS_PER_DAY;
}

/** What is wrong with rules beyond their form: an end so far away that nobody will ever look again. */
export function ignoreRuleIssues(rules: readonly IgnoreRule[], now: Date): InputIssue[] {
  const last = now.getTime() + LIMITS.ignoreDays * MS_PER_DAY;
  return rules.flatMap(({ expires }, index) =>
    Date.parse(`${expires}T00:00:00Z`) > last
      ? [
          {
            path: `${index}.expires`,
            message: `expected a date at most ${LIMITS.ignoreDays} days ahead (${new Date(last).toISOString().slice(0, 10)})`,
          },
        ]
      : [],
  );
}

/** A rule in a few words, for reports: what it covers. */
export function describeIgnoreRule(rule: IgnoreRule): string {
  return IGNORE_SELECTORS.flatMap((selector) =>
    rule[selector] === undefined ? [] : [`${selector} ${rule[selector]}`],
  ).join(', ');
}

/**
 * Which reasons of a verdict leave the gate unable to judge; the others are told, and change nothing.
 * Something that was not looked at may hold anything, and what has no severity cannot be measured by one. Plugins that
 * are old have looked at what they know, and texts that were repaired have lost nothing.
 */
export const STOPS_THE_GATE: Readonly<Record<QualityReason, boolean>> = {
  nothing_scanned: true,
  stopped_early: true,
  hosts_silent: true,
  hosts_incomplete: true,
  targets_missing: true,
  credentials_failed: true,
  credentials_partial: true,
  privilege_insufficient: true,
  severity_unknown: true,
  plugins_old: false,
  text_repaired: false,
};

/** Why the gate could not judge: reasons of the verdict, and the gate's own. */
export const GATE_DOUBTS = [
  ...QUALITY_REASONS,
  'partial_results',
  'no_baseline',
  'criteria_not_available',
] as const;
export const gateDoubtSchema = z.object({
  code: z.enum(GATE_DOUBTS),
  message: z.string(),
});
export type GateDoubt = z.infer<typeof gateDoubtSchema>;

/** Told beside the outcome; changes nothing. */
export const gateWarningSchema = z.object({
  code: z.enum([
    ...QUALITY_REASONS,
    'no_baseline',
    'baseline_limited',
    'baseline_other_targets',
    'criteria_not_available',
    'ignore_expired',
  ]),
  message: z.string(),
});
export type GateWarning = z.infer<typeof gateWarningSchema>;

export const GATE_OUTCOMES = ['passed', 'failed', 'could_not_judge'] as const;

export const gateFindingSchema = z.object({
  finding_id: z.string(),
  host: z.string(),
  port: z.number().int(),
  protocol: z.string(),
  plugin_id: z.string(),
  plugin_name: z.string(),
  severity: z.enum(SEVERITY_NAMES),
  cvss_score: z.number().nullable(),
  epss_score: z.number().nullable(),
  vpr_score: z.number().nullable(),
  cve: z.array(z.string()),
  solution: z.string().nullable(),
  criteria: z.array(gateCriterionSchema).meta({ description: 'What it broke the gate by' }),
  is_new: z.boolean().nullable().meta({ description: 'Null where nothing was compared' }),
});
export type GateFinding = z.infer<typeof gateFindingSchema>;

const ruleUseSchema = z.object({
  rule: z.number().int().meta({ description: 'Place in the list, from 0' }),
  selectors: z.string().meta({ description: 'What it covers, in words' }),
  reason: z.string(),
  expires: z.string(),
  owner: z.string().nullable(),
  findings: z.number().int().meta({ description: 'Findings of this scan that it covers' }),
});
export type RuleUse = z.infer<typeof ruleUseSchema>;

export const gateAnswerSchema = z.object({
  task_id: z.string(),
  outcome: z.enum(GATE_OUTCOMES),
  passed: z.boolean().meta({ description: 'False when it could not judge, unless on_doubt is pass' }),
  message: z.string().meta({ description: 'The outcome as a sentence' }),
  reasons: z.array(gateDoubtSchema).meta({ description: 'Why it could not judge, or not all of it' }),
  warnings: z.array(gateWarningSchema),
  policy: gatePolicySchema,
  not_available: z.array(gateCriterionSchema).meta({
    description: 'Criteria of the policy that no finding of this scan has a value for: they judged nothing',
  }),
  counts: z.object({
    total: z.number().int().meta({ description: 'All findings of the scan' }),
    judged: severityBreakdownSchema.meta({ description: 'What was measured by the criteria' }),
    broke: severityBreakdownSchema.meta({ description: 'What broke the gate' }),
    ignored: severityBreakdownSchema.meta({ description: 'What rules of the ignore file left out' }),
    new: severityBreakdownSchema
      .nullable()
      .meta({ description: 'What the baseline lacks; null where there is none' }),
  }),
  baseline: z
    .object({
      kind: z.enum(['task', 'previous', 'file']),
      task_id: z.string().nullable(),
      completed_at: z.string().nullable(),
      findings: z.number().int().nullable().meta({ description: 'Of a file: ids in it' }),
    })
    .nullable(),
  ignored: z.array(ruleUseSchema).meta({ description: 'Rules that covered something' }),
  expired_rules: z.array(ruleUseSchema).meta({ description: 'Rules that are over; they left nothing out' }),
  unused_rules: z.array(ruleUseSchema).meta({ description: 'Rules that cover nothing of this scan' }),
  findings: z.array(gateFindingSchema).meta({ description: 'What broke it, the worst first' }),
  findings_total: z.number().int().meta({ description: 'How many broke it' }),
  simulator: z.boolean().meta({ description: 'True when a simulator, not a real scanner, served the task' }),
});
export type GateAnswer = z.infer<typeof gateAnswerSchema>;

export const BASELINE_FORMAT = 'scanmq-baseline';

/** A baseline file: the findings that are known, by the id that every later scan of the host gives them. */
export const baselineFileSchema = z.looseObject({
  format: z.literal(BASELINE_FORMAT),
  version: z.literal(1),
  task_id: z.string(),
  written_at: z.string(),
  policy: gatePolicySchema.partial(),
  findings: z
    .array(z.looseObject({ finding_id: z.string().regex(/^[0-9a-f]{32}$/, 'a finding id: 32 hex digits') }))
    .max(LIMITS.baselineFindings),
});
export type BaselineFile = z.infer<typeof baselineFileSchema>;

/** Severity as a number, 5 for `none`: nothing is above it. */
export function failLevel(failOn: FailOn): number {
  return failOn === 'none' ? SEVERITY_NAMES.length : SEVERITY_NAMES.indexOf(failOn as SeverityName);
}

/** A report in the format "Code Quality" of GitLab. */
export const codeQualitySchema = z.array(
  z.object({
    description: z.string(),
    check_name: z.string(),
    fingerprint: z.string(),
    severity: z.enum(['info', 'minor', 'major', 'critical', 'blocker']),
    location: z.object({ path: z.string(), lines: z.object({ begin: z.number().int() }) }),
  }),
);
