/** Looking for findings over all completed tasks (contract section 3, `search_findings`). */
import { z } from 'zod';
import { taskIdSchema } from './ids.js';
import { LIMITS } from './limits.js';

export const SEARCH_GROUPS = ['plugin', 'host', 'severity'] as const;

const flag = z.union([z.boolean(), z.enum(['true', 'false']).transform((word) => word === 'true')]);

/** Parameters of `search_findings`, and the query of `GET /findings`. */
export const searchParamsSchema = z.strictObject({
  task_id: taskIdSchema.optional().meta({ description: 'Only this task; all completed ones when left out' }),
  host: z
    .string()
    .min(1)
    .max(255)
    .optional()
    .meta({ description: 'Host name (any part), address, range or CIDR' }),
  cve: z
    .string()
    .min(1)
    .max(60)
    .optional()
    .meta({ examples: ['CVE-2024-6387'] }),
  plugin_id: z.coerce
    .string()
    .regex(/^\d{1,16}$/, 'a plugin id: digits')
    .optional(),
  text: z
    .string()
    .min(2)
    .max(200)
    .optional()
    .meta({ description: 'In name, family, synopsis, description or solution of the plugin' }),
  severity: z.string().max(20).optional().meta({ description: 'For example high or ">=medium"' }),
  min_cvss: z.coerce.number().min(0).max(10).optional(),
  exploit_available: flag.optional(),
  since: z
    .union(
      [z.iso.datetime({ offset: true }), z.iso.date()],
      'expected a date or time, for example 2026-11-01 or 2026-11-01T08:00:00Z',
    )
    .optional()
    .meta({ description: 'Only tasks completed at or after this time (ISO 8601)' }),
  latest: flag
    .optional()
    .meta({ description: 'true: of each host only what its newest task found; always so for groups' }),
  group_by: z.enum(SEARCH_GROUPS).optional().meta({ description: 'Counts instead of findings' }),
  limit: z.coerce.number().int().min(1).max(LIMITS.searchLimitMax).default(LIMITS.searchLimitDefault),
  cursor: z.string().max(500).optional(),
});
export type SearchParams = z.infer<typeof searchParamsSchema>;

export const foundFindingSchema = z.object({
  task_id: z.string(),
  completed_at: z.string().nullable(),
  is_latest: z.boolean().meta({ description: 'False where a newer task answers for this host' }),
  finding_id: z.string(),
  host: z.string(),
  port: z.string(),
  protocol: z.string(),
  plugin_id: z.string(),
  plugin_name: z.string(),
  plugin_family: z.string(),
  severity: z.string(),
  cvss_score: z.number().nullable(),
  cve: z.array(z.string()),
  exploit_available: z.boolean().nullable(),
  synopsis: z.string(),
});
export type FoundFinding = z.infer<typeof foundFindingSchema>;

export const findingGroupSchema = z.object({
  key: z.string().meta({ description: 'Plugin id, host, or severity "0" to "4"' }),
  name: z.string().nullable().meta({ description: 'Name of the plugin, or of the severity' }),
  severity: z.string().meta({ description: 'The worst in the group' }),
  findings: z.number().int(),
  hosts: z.number().int(),
  host_examples: z.array(z.string()).meta({ description: 'Of a plugin: some of its hosts' }),
});
export type FindingGroup = z.infer<typeof findingGroupSchema>;

export const searchAnswerSchema = z.object({
  findings: z.array(foundFindingSchema),
  groups: z.array(findingGroupSchema),
  tasks_searched: z.number().int(),
  complete: z.boolean().meta({ description: 'False when there is more: go on with next_cursor' }),
  next_cursor: z.string().nullable(),
});
export type SearchAnswer = z.infer<typeof searchAnswerSchema>;
