/** Records restored from the copies of tasks, after Redis was lost. */
import { z } from 'zod';
import { taskStateSchema } from './states.js';

export const restoreReportSchema = z.object({
  dry_run: z.boolean(),
  restored: z.array(
    z.object({
      task_id: z.string(),
      state: taskStateSchema,
      name: z.string(),
      /** It was submitted with its own credentials, which were in Redis only: unless its scan exists already, it fails. */
      credentials_lost: z.boolean(),
    }),
  ),
  /** Tasks that Redis knows: they are as they were. */
  known: z.number().int(),
  /** What could not be restored, and why. */
  problems: z.array(z.string()),
});
export type RestoreReport = z.infer<typeof restoreReportSchema>;
