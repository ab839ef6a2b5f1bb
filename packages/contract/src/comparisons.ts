/** What changed between two scans (contract section 3, `compare_scans`). */
import { z } from 'zod';
import { taskIdSchema } from './ids.js';
import { LIMITS } from './limits.js';
import { qualitySchema } from './quality.js';
import { SEVERITY_NAMES } from './results.js';

/**
 * - `fixed`: it is gone, and its host answered and the same kind of check ran again.
 * - `not_retested`: it is gone, but nobody can say whether because it was fixed.
 */
export const COMPARISON_STATUSES = [
  'new',
  'fixed',
  'persisting',
  'changed_severity',
  'not_retested',
] as const;
export const comparisonStatusSchema = z.enum(COMPARISON_STATUSES);
export type ComparisonStatus = z.infer<typeof comparisonStatusSchema>;

/** Why a finding that is gone does not count as fixed. */
export const NOT_RETESTED_REASONS = [
  'host_absent',
  'host_silent',
  'host_incomplete',
  'scan_stopped_early',
  'credentials_lower',
  'family_not_enabled',
  'port_not_covered',
] as const;
export const notRetestedReasonSchema = z.enum(NOT_RETESTED_REASONS);
export type NotRetestedReason = z.infer<typeof notRetestedReasonSchema>;

export const comparisonCountsSchema = z.object({
  new: z.number().int(),
  fixed: z.number().int(),
  persisting: z.number().int(),
  changed_severity: z.number().int(),
  not_retested: z.number().int(),
});
export type ComparisonCounts = z.infer<typeof comparisonCountsSchema>;

export const comparisonItemSchema = z.object({
  status: comparisonStatusSchema,
  reason: notRetestedReasonSchema.nullable().meta({ description: 'Of not_retested: what was missing' }),
  finding_id: z.string(),
  host: z.string(),
  plugin_id: z.string(),
  plugin_name: z.string(),
  plugin_family: z.string(),
  port: z.number().int(),
  protocol: z.string(),
  severity: z.string().meta({ description: '"0" to "4", in the newer scan where it is there' }),
  base_severity: z.string().nullable(),
  head_severity: z.string().nullable(),
  cvss_score: z.number().nullable(),
});
export type ComparisonItem = z.infer<typeof comparisonItemSchema>;

export const comparisonSchema = z.object({
  base_task_id: z.string(),
  head_task_id: z.string(),
  counts: comparisonCountsSchema,
  by_severity: z
    .record(z.enum(SEVERITY_NAMES), comparisonCountsSchema)
    .meta({ description: 'The same counts by severity' }),
  items: z.array(comparisonItemSchema),
  next_cursor: z.string().nullable(),
  base_quality: qualitySchema,
  head_quality: qualitySchema,
});
export type Comparison = z.infer<typeof comparisonSchema>;

export const comparisonFields = {
  severity: z
    .string()
    .max(20)
    .optional()
    .meta({ description: 'Only these severities, for example ">=high"', examples: ['>=medium'] }),
  status: comparisonStatusSchema.optional().meta({ description: 'Only items of this kind' }),
  limit: z.coerce.number().int().min(1).max(LIMITS.comparisonItemsMax).default(LIMITS.comparisonItemsDefault),
  cursor: z.string().max(500).optional(),
} as const;
export const comparisonQuerySchema = z.strictObject(comparisonFields);
export type ComparisonQuery = z.infer<typeof comparisonQuerySchema>;

/** Query of `GET /api/v1/scans/{head}/compare/{base}`. */
export const comparisonRouteQuerySchema = comparisonQuerySchema.extend({
  format: z
    .enum(['json', 'html'])
    .optional()
    .meta({ description: 'html is a report to read; goes before Accept' }),
});

/** Parameters of `compare_scans`. */
export const compareParamsSchema = z.strictObject({
  base_task_id: taskIdSchema.meta({ description: 'The older scan' }),
  head_task_id: taskIdSchema.meta({ description: 'The newer scan' }),
  ...comparisonFields,
});
