/** Housekeeping: what is kept for how long, and what goes. */
import { z } from 'zod';
import { taskStateSchema } from './states.js';

/** Body of `POST /api/v1/housekeeping`. */
export const housekeepingBodySchema = z.strictObject({
  dry_run: z.boolean().default(true).meta({ description: 'Only tell what would go' }),
});

export const housekeepingReportSchema = z.object({
  dry_run: z.boolean(),
  /** Tasks past their retention, with record, job, indexes and files. */
  tasks: z.array(
    z.object({ task_id: z.string(), state: taskStateSchema, ended_at: z.string(), reason: z.string() }),
  ),
  /** Directories of results without a task. */
  directories: z.array(z.object({ name: z.string(), reason: z.string() })),
  /** Directories without a task that are left alone. */
  unknown_directories: z.array(z.object({ name: z.string(), reason: z.string() })),
  /** Scans on scanners, where SCANNER_CLEANUP is delete. */
  scans: z.array(
    z.object({
      task_id: z.string(),
      scanner: z.string(),
      nessus_scan_id: z.number().int(),
      name: z.string(),
    }),
  ),
  /** What could not be removed, and why; it is tried again next time. */
  problems: z.array(z.string()),
});
export type HousekeepingReport = z.infer<typeof housekeepingReportSchema>;
