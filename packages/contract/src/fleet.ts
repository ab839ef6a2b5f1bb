/** What users are told of scanners, pools and queues (contract section 3). */
import { z } from 'zod';

/** `open`: failing, takes nothing; `half_open`: one probe is let through; `closed`: normal. */
export const circuitSchema = z.enum(['closed', 'open', 'half_open']);

export const scannerModeSchema = z
  .enum(['full', 'export_only', 'unknown'])
  .meta({ description: 'export_only: the licence does not offer launching scans by API' });
export type ScannerMode = z.infer<typeof scannerModeSchema>;

/** What was last learned about an instance by asking it; written by the health poll. */
export const instanceHealthSchema = z.object({
  instance_key: z.string(),
  checked_at: z.iso.datetime(),
  healthy: z.boolean(),
  /** The scanner's own word: ready, loading, register …; or our error code when it could not be asked. */
  readiness: z.string(),
  mode: scannerModeSchema,
  version: z.string().nullable(),
  licence: z.string().nullable(),
  /** False on Professional, Expert and Essentials (nessus-api.md section 1.4); null when not told. */
  scan_api: z.boolean().nullable(),
  plugin_set: z.string().nullable(),
  simulator: z.boolean(),
  /** Why it is not healthy, in our own words. */
  reason: z.string().nullable(),
});
export type InstanceHealth = z.infer<typeof instanceHealthSchema>;

export const scannerViewSchema = z.object({
  scanner_type: z.string(),
  pool: z.string(),
  instance_id: z.string(),
  instance_key: z.string(),
  name: z.string(),
  url: z.string(),
  enabled: z.boolean(),
  healthy: z.boolean().nullable().meta({ description: 'null: not asked yet' }),
  circuit: circuitSchema,
  mode: scannerModeSchema,
  reason: z.string().nullable(),
  max_concurrent_scans: z.number().int(),
  active_scans: z.number().int(),
  available_capacity: z.number().int(),
  utilization_pct: z.number(),
  version: z.string().nullable(),
  licence: z.string().nullable(),
  simulator: z.boolean(),
});
export type ScannerView = z.infer<typeof scannerViewSchema>;

export const scannerListSchema = z.object({
  scanners: z.array(scannerViewSchema),
  total: z.number().int(),
  pools: z.array(z.string()),
});

export const poolListSchema = z.object({ pools: z.array(z.string()), default_pool: z.string() });

export const poolStatusSchema = z.object({
  pool: z.string(),
  scanner_type: z.string(),
  total_scanners: z.number().int(),
  total_capacity: z.number().int(),
  total_active: z.number().int(),
  available_capacity: z.number().int(),
  utilization_pct: z.number(),
  scanners: z.array(scannerViewSchema),
});

export const queueStatusSchema = z.object({
  pool: z.string(),
  queue_depth: z.number().int().meta({ description: 'Tasks that wait for a scanner' }),
  running: z.number().int(),
  delayed: z.number().int().meta({ description: 'Tasks that wait for their next attempt' }),
  dlq_size: z.number().int().meta({ description: 'Dead letters' }),
  next_tasks: z.array(
    z.object({ task_id: z.string(), name: z.string(), targets: z.string(), waiting_since: z.iso.datetime() }),
  ),
  oldest_waiting_seconds: z.number(),
  estimated_wait_minutes: z.number(),
  timestamp: z.iso.datetime(),
});
export type QueueStatus = z.infer<typeof queueStatusSchema>;
