import { ScanmqError } from '@scanmq/contract';
import { z } from 'zod';

/**
 * Which objects are the files of a task now. Objects never change: new files are new objects, and this list, written
 * last and at once, is what makes them the files of the task.
 */
const manifestSchema = z.object({
  version: z.literal(1),
  /** Another one whenever it is written. */
  id: z.string(),
  files: z.record(z.string(), z.object({ key: z.string(), bytes: z.number().int(), sha256: z.string() })),
});
export type Manifest = z.infer<typeof manifestSchema>;

/** Name of the list among the objects of a task. */
export const MANIFEST_FILE = 'files.json';

/** @throws ScanmqError `unavailable` for a text that is none: never "no files". */
export function readManifest(text: string): Manifest {
  try {
    return manifestSchema.parse(JSON.parse(text));
  } catch (error) {
    throw new ScanmqError('unavailable', 'The store of the results holds a list of files that is damaged.', {
      cause: error,
    });
  }
}
