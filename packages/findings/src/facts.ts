/** What is kept beside the tables of a task: which form they have, and what is true of the results as a whole. */
import { readFile, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import {
  authenticationStatusSchema,
  complianceCountsSchema,
  qualitySchema,
  scanTypeSchema,
  severityBreakdownSchema,
  troubleshootingSchema,
} from '@scanmq/contract';
import { z } from 'zod';
import { COMMON_FIELDS } from './fields.js';
import { TABLES, tableFile } from './tables.js';

/** Files of a task's directory (contract section 7). */
export const FILES = {
  raw: 'scan_native.nessus',
  facts: 'results.json',
} as const;

/** Made from the raw export; the facts last, which say that the others are there. */
export const DERIVED_FILES: readonly string[] = [...TABLES.map(tableFile), FILES.facts];
/** All files of results. */
export const RESULT_FILES: readonly string[] = [FILES.raw, ...DERIVED_FILES];

/** Changes whenever derived files have another form or content; older ones are rebuilt. */
export const FORMAT_VERSION = 3;

const resultFactsSchema = z.object({
  format_version: z.literal(FORMAT_VERSION),
  /** Sizes of the raw export and of the tables made from it: files of another size do not belong to these facts. */
  export_bytes: z.number(),
  table_bytes: z.object({ findings: z.number(), plugins: z.number(), hosts: z.number() }),
  report_name: z.string(),
  total_findings: z.number(),
  severities: severityBreakdownSchema,
  compliance: complianceCountsSchema.nullable(),
  top_plugins: z.array(
    z.object({
      plugin_id: z.string(),
      plugin_name: z.string(),
      plugin_family: z.string(),
      severity: z.string(),
      cvss_score: z.number().nullable(),
      findings: z.number(),
      hosts: z.number(),
    }),
  ),
  credential_findings: z.number(),
  /** Fields that occur in the findings. */
  fields: z.array(z.string()),
  /** Of these, the ones with values outside of their own column: not known to us, or not of the form expected. */
  extra_fields: z.array(z.string()),
  scan_type: scanTypeSchema,
  authentication_status: authenticationStatusSchema,
  quality: qualitySchema,
  warnings: z.array(z.string()),
  troubleshooting: troubleshootingSchema.nullable(),
  /** `TARGET` of the policy: what the scan was asked to look at; null where the export does not say. */
  targets: z.string().nullable(),
  /** Status by plugin family; empty where the export does not say (nessus-api.md section 9.1). */
  families: z.record(z.string(), z.string()),
  /** Plugins that the policy enables one by one, in families that are neither on nor off as a whole. */
  enabled_plugins: z.array(z.string()),
  /** Server preferences worth telling (nessus-api.md section 9.1). */
  scanner_facts: z.record(z.string(), z.string()),
});

/** What `results.json` holds. */
export type ResultFacts = z.infer<typeof resultFactsSchema>;

/**
 * Reads the facts of a task.
 * @returns undefined when they or their tables are missing, damaged, of another version, or made from another export.
 */
export async function readFacts(taskDir: string): Promise<ResultFacts | undefined> {
  try {
    const facts = resultFactsSchema.parse(JSON.parse(await readFile(join(taskDir, FILES.facts), 'utf8')));
    for (const table of TABLES)
      if ((await stat(join(taskDir, tableFile(table)))).size !== facts.table_bytes[table]) return undefined;
    // an export that was cleared away leaves its findings valid; another one in its place does not
    const raw = await stat(join(taskDir, FILES.raw)).catch(() => undefined);
    return raw === undefined || raw.size === facts.export_bytes ? facts : undefined;
  } catch {
    return undefined;
  }
}

export async function writeFacts(path: string, facts: ResultFacts): Promise<void> {
  await writeFile(path, `${JSON.stringify(facts)}\n`, { mode: 0o640, flush: true });
}

export async function removeFacts(taskDir: string): Promise<void> {
  await rm(join(taskDir, FILES.facts), { force: true });
}

/** Fields that filters, sorting and custom fields may name for an export with these facts. */
export function knownFields(facts: ResultFacts): ReadonlySet<string> {
  return new Set([...COMMON_FIELDS, ...facts.fields]);
}
