/** What a scan would do, before it is asked for (contract section 3, `plan_scan`). */
import { z } from 'zod';
import { scanTypeSchema } from './requests.js';

export const plannedTargetSchema = z.object({
  target: z.string(),
  hosts: z.number(),
  addresses: z.array(z.string()).optional().meta({ description: 'Of a name: what it stands for now' }),
});

export const scanPlanSchema = z.object({
  allowed: z.boolean().meta({ description: 'False: the scan would be refused, see reason' }),
  reason: z.string().nullable(),
  targets: z.array(plannedTargetSchema),
  targets_total: z.number().int(),
  host_count: z.number().meta({ description: 'Addresses that would be scanned at most' }),
  scan_type: scanTypeSchema,
  scanner_pool: z.string().nullable(),
  scanner_instance: z.string().nullable(),
  scans_waiting: z.number().int().nullable(),
  estimated_wait_minutes: z.number().nullable(),
  typical_duration_minutes: z.number().nullable(),
  confirmation_required: z.boolean(),
  confirmation_reasons: z.array(z.string()),
  plan_token: z
    .string()
    .nullable()
    .meta({ description: 'Hand it to run_* with the same request; null where nothing has to be confirmed' }),
  expires_at: z.iso.datetime().nullable(),
  next: z.string(),
});
export type ScanPlan = z.infer<typeof scanPlanSchema>;
