import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import { FILES, type IngestResult, ingestExport, type ScanFacts } from '@scanmq/findings';
import type { RunContext } from './run-context.js';

/** Reads, checks and stores what lies in a directory of the task. @throws as `ingestExport`. */
export async function readResults(ctx: RunContext, taskDir: string, facts: ScanFacts): Promise<IngestResult> {
  const { settings, meter } = ctx.deps;
  const begunMs = performance.now();
  const result = await ctx.phase('results.ingest', () =>
    ingestExport({ memoryMb: settings.resultsMemoryMb, taskDir, ...facts }),
  );
  meter.observe('scanmq_parse_duration_seconds', {}, (performance.now() - begunMs) / 1_000);
  meter.count('scanmq_parsed_bytes_total', {}, (await stat(join(taskDir, FILES.raw))).size);
  return result;
}
