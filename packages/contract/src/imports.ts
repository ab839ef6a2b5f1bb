/** Results that are brought in rather than scanned for. */
import { z } from 'zod';
import { LIMITS } from './limits.js';
import { RESULT_PROFILES } from './results.js';

const importFields = {
  name: z
    .string()
    .trim()
    .min(1)
    .max(LIMITS.nameChars)
    .optional()
    .meta({ description: 'Name of the task; the one in the export or of its file when left out' }),
  description: z.string().max(LIMITS.descriptionChars).default(''),
  schema_profile: z.enum(RESULT_PROFILES).default('brief'),
} as const;

/** Query of an uploaded file. */
export const uploadParamsSchema = z.strictObject({
  ...importFields,
  file_name: z
    .string()
    .max(255)
    .optional()
    .meta({ description: 'Name of the file, for people; taken from the upload where it has one' }),
});
export type UploadParams = z.infer<typeof uploadParamsSchema>;

/** A scan that somebody made in the scanner's own interface. */
export const scanImportRequestSchema = z.strictObject({
  ...importFields,
  scanner: z.string().min(1).max(130).meta({
    description: 'Scanner that has it: pool:instance, or the instance alone where only one is so called',
  }),
  scan_id: z
    .int('expected the id of a scan, a whole number')
    .positive()
    .meta({ description: "Id of the scan, as in the scanner's addresses" }),
  history_id: z
    .int()
    .positive()
    .optional()
    .meta({ description: 'Run of that scan; the latest finished one when left out' }),
  idempotency_key: z.string().min(1).max(LIMITS.idempotencyKeyChars).optional(),
});
export type ScanImportRequest = z.infer<typeof scanImportRequestSchema>;
