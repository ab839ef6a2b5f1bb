/** Findings, result profiles and the questions that can be asked of results (contract section 4). */
import { z } from 'zod';
import { taskIdSchema } from './ids.js';
import { LIMITS } from './limits.js';

export const RESULT_PROFILES = ['minimal', 'summary', 'brief', 'full'] as const;
export type ResultProfile = (typeof RESULT_PROFILES)[number];

const MINIMAL = ['host', 'plugin_id', 'severity', 'cve', 'cvss_score', 'exploit_available'] as const;
const SUMMARY = [...MINIMAL, 'plugin_name', 'cvss3_base_score', 'synopsis'] as const;
const BRIEF = [...SUMMARY, 'description', 'solution'] as const;

/** The fields of each profile, in the order in which they are answered; `full` is every field of the export. */
export const PROFILE_FIELDS: Readonly<Record<ResultProfile, readonly string[] | 'all'>> = {
  minimal: MINIMAL,
  summary: SUMMARY,
  brief: BRIEF,
  full: 'all',
};

/** Severities by the number that the export uses (nessus-api.md section 9.3). */
export const SEVERITY_NAMES = ['info', 'low', 'medium', 'high', 'critical'] as const;
export type SeverityName = (typeof SEVERITY_NAMES)[number];

export const severityBreakdownSchema = z.object({
  critical: z.number().int(),
  high: z.number().int(),
  medium: z.number().int(),
  low: z.number().int(),
  info: z.number().int(),
});
export type SeverityBreakdown = z.infer<typeof severityBreakdownSchema>;

export const AUTHENTICATION_STATUSES = ['success', 'partial', 'failed', 'not_applicable'] as const;
export const authenticationStatusSchema = z.enum(AUTHENTICATION_STATUSES);
export type AuthenticationStatus = z.infer<typeof authenticationStatusSchema>;

/** Compliance checks by result; they are findings too, a check that is met one of severity info or low. */
export const complianceCountsSchema = z.object({
  passed: z.number().int(),
  failed: z.number().int(),
  warning: z.number().int(),
  other: z.number().int(),
});
export type ComplianceCounts = z.infer<typeof complianceCountsSchema>;

export const resultsSummarySchema = z.object({
  hosts_scanned: z.number().int().meta({ description: 'Hosts in the export' }),
  total_vulnerabilities: z.number().int().meta({ description: 'Findings of severity low and above' }),
  total_findings: z.number().int().meta({ description: 'All findings, informational ones too' }),
  severity_breakdown: severityBreakdownSchema,
  file_size_kb: z.number(),
  auth_plugins_found: z
    .number()
    .int()
    .meta({ description: 'Findings of plugins that speak about credentials (nessus-api.md section 9.7)' }),
  compliance: complianceCountsSchema
    .nullable()
    .default(null)
    .meta({ description: 'Compliance checks by result; null when there are none' }),
});
export type ResultsSummary = z.infer<typeof resultsSummarySchema>;

export type FilterValue = string | number | boolean | null;
export type Filters = { [field: string]: FilterValue | Filters | readonly Filters[] };

/** Filters joined by AND; `or` holds a list of groups, `not` one group. Checked in detail by `packages/findings`. */
export const filtersSchema: z.ZodType<Filters> = z.record(z.string(), z.unknown()).meta({
  description:
    'Joined by AND: text matches anywhere, case-insensitively; ">7.0", ">=", "<", "<=", "=" compare numbers; true/false match exactly. {"or":[…]} and {"not":{…}} combine; host takes a CIDR; severity takes a name or ">=high"',
  examples: [{ severity: '>=high', cvss_score: '>7.0' }],
}) as unknown as z.ZodType<Filters>;

const customFieldsSchema = z.array(z.string().min(1).max(128)).min(1).max(64);

const resultsFields = {
  page: z.coerce
    .number()
    .int()
    .min(0)
    .default(1)
    .meta({ description: 'Page, from 1; 0 is everything (cut at the size limit over MCP)' }),
  cursor: z
    .string()
    .max(500)
    .optional()
    .meta({ description: 'next_cursor of the answer before, instead of page' }),
  page_size: z.coerce
    .number()
    .int()
    .default(LIMITS.pageSizeDefault)
    // clamped, not refused: so did the earlier version, and its clients rely on it
    .transform((size) => Math.min(LIMITS.pageSizeMax, Math.max(LIMITS.pageSizeMin, size)))
    .meta({ description: `Findings per page, ${LIMITS.pageSizeMin} to ${LIMITS.pageSizeMax}` }),
  schema_profile: z.enum(RESULT_PROFILES).optional().meta({
    description: 'Which fields: minimal, summary, brief or full; the profile of the submission when left out',
  }),
  custom_fields: customFieldsSchema
    .optional()
    .meta({ description: 'Exactly these fields, instead of a profile' }),
  filters: filtersSchema.optional(),
  sort: z
    .string()
    .max(200)
    .optional()
    .meta({
      description:
        'Fields to sort by, comma separated, a leading - for descending; for example -severity,host',
      examples: ['-severity,host'],
    }),
} as const;

/** Parameters of `get_scan_results`. */
export const resultsParamsSchema = z.strictObject({ task_id: taskIdSchema, ...resultsFields });
export const resultsQuerySchema = z.strictObject(resultsFields);
export type ResultsQuery = z.infer<typeof resultsQuerySchema>;

/** One finding as answered: only the fields asked for, always with `type`. */
export type FindingLine = { readonly type: 'vulnerability'; readonly [field: string]: unknown };

export const resultsSchemaLineSchema = z.object({
  type: z.literal('schema'),
  profile: z.string(),
  fields: z.union([z.array(z.string()), z.literal('all')]),
  filters_applied: z.record(z.string(), z.unknown()),
  total_vulnerabilities: z.number().int().meta({ description: 'Findings that match the filters' }),
  total_pages: z.number().int(),
});

export const resultsMetadataLineSchema = z.looseObject({
  type: z.literal('scan_metadata'),
  scan_name: z.string(),
});

export const resultsPaginationLineSchema = z.object({
  type: z.literal('pagination'),
  page: z.number().int(),
  page_size: z.number().int(),
  total_pages: z.number().int(),
  has_next: z.boolean(),
  next_page: z.number().int().nullable(),
  next_cursor: z.string().nullable().meta({ description: 'Leads to the next page; null on the last' }),
  truncated: z.boolean().optional().meta({ description: 'True when the answer was cut at the size limit' }),
  message: z.string().optional().meta({ description: 'What was left out, and how to go on' }),
});

/** The answer of `get_scan_results`, parted; as text each part is one line of JSON. */
export const resultsAnswerSchema = z.object({
  schema: resultsSchemaLineSchema,
  scan_metadata: resultsMetadataLineSchema,
  vulnerabilities: z.array(z.looseObject({ type: z.literal('vulnerability') })),
  pagination: resultsPaginationLineSchema.nullable(),
});
export type ResultsAnswer = z.infer<typeof resultsAnswerSchema>;

/** What findings can be answered as: the first two by this service itself, the others are made for other programs. */
export const FINDINGS_FORMATS = [
  'json',
  'ndjson',
  'csv',
  'sarif',
  'junit',
  'code-quality',
  'defectdojo',
] as const;
export type FindingsFormat = (typeof FINDINGS_FORMATS)[number];

/** Query of `GET /api/v1/scans/{id}/findings`, where everything is text. */
export const findingsQuerySchema = z.strictObject({
  ...resultsFields,
  // one value of a list comes as text
  custom_fields: z
    .union([customFieldsSchema, z.string().transform((field) => [field])])
    .optional()
    .meta({ description: 'As fields, one field each time it is given' }),
  profile: resultsFields.schema_profile.meta({ description: 'As schema_profile', examples: ['summary'] }),
  fields: z
    .string()
    .max(4_000)
    .optional()
    .meta({
      description: 'Exactly these fields, comma separated, instead of a profile; of csv the columns',
      examples: ['host,plugin_id,severity'],
    }),
  filters: z
    .string()
    .max(16_000)
    .optional()
    .meta({
      description:
        'JSON, joined by AND: text matches anywhere, case-insensitively; ">7.0", ">=", "<", "<=", "=" compare numbers; true and false match exactly. {"or":[…]} and {"not":{…}} combine; host takes a CIDR; severity takes a name or ">=high"',
      examples: ['{"severity":">=high","exploit_available":true}'],
    }),
  format: z.enum(FINDINGS_FORMATS).optional().meta({
    description:
      'Goes before Accept. csv, sarif, junit, code-quality and defectdojo are whole documents: they take filters and sort, and no paging',
  }),
  fail_on: z
    .enum(SEVERITY_NAMES)
    .optional()
    .meta({ description: 'Of junit: the severity from which on a finding is a failure; high when left out' }),
});

/** A whole finding: every field that the export has, and these in any case or where they are known. */
export const findingSchema = z.looseObject({
  type: z.literal('vulnerability'),
  finding_id: z.string().meta({ description: 'The same in every scan that finds it again' }),
  host: z.string(),
  host_ip: z.string().optional(),
  plugin_id: z.string().optional(),
  plugin_name: z.string().optional(),
  plugin_family: z.string().optional(),
  port: z.string().optional(),
  protocol: z.string().optional(),
  severity: z.string().optional().meta({ description: '"0" (info) to "4" (critical)' }),
  cvss_score: z.number().optional(),
});

/** Findings in the form that DefectDojo imports as "Generic Findings Import". */
export const defectDojoSchema = z.object({
  name: z.string(),
  type: z.string(),
  description: z.string(),
  findings: z.array(z.looseObject({ title: z.string(), severity: z.string() })),
});

/** Query of `GET /api/v1/scans/{id}/hosts`. */
export const hostsQuerySchema = z.strictObject({
  limit: z.coerce.number().int().min(1).max(LIMITS.hostsLimitMax).default(LIMITS.hostsLimitDefault),
  offset: z.coerce.number().int().min(0).default(0).meta({ description: 'Hosts to pass over' }),
  cursor: z
    .string()
    .max(500)
    .optional()
    .meta({ description: 'next_cursor of the answer before, instead of offset' }),
});
