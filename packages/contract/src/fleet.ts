/** What users are told of scanners, pools and queues (contract section 3). */
import { z } from 'zod';

/** `open`: failing, takes nothing; `half_open`: one probe is let through; `closed`: normal. */
export const circuitSchema = z.enum(['closed', 'open', 'half_open']);

export const scannerModeSchema = z
  .enum(['full', 'export_only', 'unknown'])
  .meta({ description: 'export_only: the licence does not offer launching scans by API' });
export type ScannerMode = z.infer<typeof scannerModeSchema>;

/** What an operator decided about an instance; the last decision counts, over `enabled` in scanners.yaml. */
export const OPERATOR_ACTIONS = ['enable', 'disable', 'drain'] as const;
export type OperatorAction = (typeof OPERATOR_ACTIONS)[number];
export const operatorStateSchema = z.object({
  /**
   * `disabled`: takes no task, and one that asks for it is refused. `draining`: the same for now: tasks that ask for it
   * wait. The scans that run there go on to their end in both.
   */
  state: z.enum(['enabled', 'disabled', 'draining']),
  at: z.iso.datetime(),
  by: z.string(),
  reason: z.string(),
});
export type OperatorState = z.infer<typeof operatorStateSchema>;

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
  /** When its licence ends; null when not told. */
  licence_expires_at: z.iso.datetime().nullable().default(null),
  /** Hosts that its licence covers; null when not told. */
  licence_hosts: z.number().int().nullable().default(null),
  /** How far its clock is ahead of ours, milliseconds, by the `Date` of its answers: to the second at best. */
  clock_ahead_ms: z.number().int().nullable().default(null),
  simulator: z.boolean(),
  /** Why it is not healthy, in our own words. */
  reason: z.string().nullable(),
  /** Trying again does not help: somebody has to correct the login, the certificate, the licence … */
  needs_operator: z.boolean().default(false),
  circuit: circuitSchema.default('closed'),
  /** Failed health checks in a row. */
  failures: z.number().int().default(0),
  /** While the circuit is open: when the next check is let through. */
  next_check_at: z.iso.datetime().nullable().default(null),
});
export type InstanceHealth = z.infer<typeof instanceHealthSchema>;

/** What asking an instance once has found; what several findings in a row mean is the health poll's to say. */
export type ScannerProbe = Omit<InstanceHealth, 'circuit' | 'failures' | 'next_check_at'>;

export const scannerViewSchema = z.object({
  scanner_type: z.string(),
  pool: z.string(),
  instance_id: z.string(),
  instance_key: z.string(),
  name: z.string(),
  url: z.string(),
  enabled: z.boolean(),
  draining: z.boolean().meta({ description: 'Takes no new task; drained when active_scans is 0' }),
  operator: operatorStateSchema.nullable().meta({ description: 'Decided while the service runs' }),
  healthy: z.boolean().nullable().meta({ description: 'null: not asked yet' }),
  circuit: circuitSchema.meta({
    description: 'open: failing, takes nothing; half_open: one check is let through; closed: normal',
  }),
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
  held_back: z.number().int().meta({
    description: 'Of queue_depth: those that wait for a limit, a window or somebody; see waiting_reason',
  }),
  dlq_size: z.number().int().meta({ description: 'Dead letters' }),
  next_tasks: z.array(
    z.object({ task_id: z.string(), name: z.string(), targets: z.string(), waiting_since: z.iso.datetime() }),
  ),
  oldest_waiting_seconds: z.number(),
  estimated_wait_minutes: z.number().nullable(),
  timestamp: z.iso.datetime(),
});
export type QueueStatus = z.infer<typeof queueStatusSchema>;
