/** What is kept beside the findings of a task: which form they have, and what is true of them as a whole. */
import { readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { COMMON_FIELDS } from './finding.js';
import { hostVerdictSchema } from './verdict.js';

/** Files of a task's directory (contract section 7). */
export const FILES = {
  raw: 'scan_native.nessus',
  findings: 'findings.ndjson',
  facts: 'results.json',
} as const;

/** Changes whenever derived files have another form or content; older ones are rebuilt. */
export const FORMAT_VERSION = 2;

const resultFactsSchema = z.object({
  format_version: z.literal(FORMAT_VERSION),
  /** Sizes of the raw export and of the findings made from it: files of another size do not belong to these facts. */
  export_bytes: z.number(),
  findings_bytes: z.number(),
  report_name: z.string(),
  total_findings: z.number(),
  /** Fields that occur in the findings. */
  fields: z.array(z.string()),
  hosts: z.array(hostVerdictSchema),
  /** Server preferences worth telling (nessus-api.md section 9.1). */
  scanner_facts: z.record(z.string(), z.string()),
});

/** What `results.json` holds. */
export type ResultFacts = z.infer<typeof resultFactsSchema>;

/**
 * Reads the facts of a task.
 * @returns undefined when they or their findings are missing, damaged, of another version, or made from another export.
 */
export async function readFacts(taskDir: string): Promise<ResultFacts | undefined> {
  try {
    const facts = resultFactsSchema.parse(JSON.parse(await readFile(join(taskDir, FILES.facts), 'utf8')));
    if ((await stat(join(taskDir, FILES.findings))).size !== facts.findings_bytes) return undefined;
    // an export that was cleared away leaves its findings valid; another one in its place does not
    const raw = await stat(join(taskDir, FILES.raw)).catch(() => undefined);
    return raw === undefined || raw.size === facts.export_bytes ? facts : undefined;
  } catch {
    return undefined;
  }
}

/** Fields that filters, sorting and custom fields may name for an export with these facts. */
export function knownFields(facts: ResultFacts): ReadonlySet<string> {
  return new Set([...COMMON_FIELDS, ...facts.fields]);
}
