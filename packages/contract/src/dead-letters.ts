/** Dead letters: tasks in BullMQ's failed set, which are `failed` or `timeout` (contract sections 1 and 5). */
import { z } from 'zod';
import { ERROR_CODE_NAMES } from './errors.js';
import { poolNameSchema, taskIdSchema } from './ids.js';
import { LIMITS } from './limits.js';
import { failureSchema, scanStatusSchema } from './tasks.js';

const filters = {
  code: z.enum(ERROR_CODE_NAMES).optional().meta({ description: 'Only with this error code' }),
  scanner_pool: poolNameSchema.optional().meta({ description: 'Only of this pool' }),
} as const;

export const deadLettersQuerySchema = z.strictObject({
  ...filters,
  limit: z.coerce.number().int().min(1).max(LIMITS.listLimitMax).default(LIMITS.listLimitDefault),
  cursor: z.string().min(1).max(512).optional(),
});
export type DeadLettersQuery = z.output<typeof deadLettersQuerySchema>;

/** Why, where, how often, and what the scanner said last. */
export const deadLetterSchema = scanStatusSchema.extend({
  crashes: z.number().int().meta({ description: 'Workers in a row that died with this task' }),
  failures: z.array(failureSchema).meta({ description: 'The last failed attempts, oldest first' }),
  can_retry: z.boolean(),
  why_not: z.string().nullable().meta({ description: 'Why it cannot be retried' }),
  log: z
    .array(z.string())
    .optional()
    .meta({ description: 'Lines of the job, oldest first; of one dead letter only' }),
});
export type DeadLetter = z.infer<typeof deadLetterSchema>;

export const deadLetterListSchema = z.object({
  dead_letters: z.array(deadLetterSchema),
  total: z.number().int().meta({ description: 'All that match' }),
  by_code: z
    .record(z.string(), z.number().int())
    .meta({ description: 'How many there are of each code, over all' }),
  next_cursor: z.string().nullable(),
});

/** Body of `POST /dead-letters/retry`: some by id, or all that match. */
export const retryManySchema = z
  .strictObject({
    ...filters,
    task_ids: z.array(taskIdSchema).min(1).max(1_000).optional(),
    all: z
      .boolean()
      .default(false)
      .meta({ description: 'All that match; needed where neither ids nor a filter is given' }),
  })
  .refine(({ code, scanner_pool, task_ids, all }) => all || code || scanner_pool || task_ids, {
    error: 'expected task_ids, code, scanner_pool, or all: true',
    path: ['all'],
  });
export type RetryMany = z.output<typeof retryManySchema>;

const skipped = z.array(z.object({ task_id: z.string(), code: z.string(), message: z.string() }));
export const retryManyAnswerSchema = z.object({ retried: z.array(z.string()), skipped });
/** Answer of `POST /dead-letters/discard`, which takes the same body. */
export const discardManyAnswerSchema = z.object({ discarded: z.array(z.string()), skipped });
