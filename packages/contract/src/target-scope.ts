/** What a principal may scan, beside what the service as a whole allows. */
import { z } from 'zod';
import { LIMITS } from './limits.js';
import { badTargetSetEntry } from './target-set.js';

const entries = z
  .array(
    z
      .string()
      .max(300)
      .refine(
        (text) => badTargetSetEntry([text]) === undefined,
        'expected an address, a range, a network or a name (.example.com = all below it)',
      ),
  )
  .max(LIMITS.targetScopeEntries);

/** Kept with each task, as it was when the task was submitted: the check before the launch asks it again. */
export const targetScopeSchema = z.object({
  /** Only these; null = whatever the service allows. An empty list allows nothing. */
  allow: entries.nullable().default(null),
  /** None of these. */
  deny: entries.default([]),
  /** Hosts in one scan; null = as many as the service allows. */
  max_hosts: z.number().int().min(1).nullable().default(null),
});
export type TargetScope = z.output<typeof targetScopeSchema>;
