/** Results that somebody brings in: an uploaded export, or a scan made in a scanner's own interface. Nothing is changed there. */
import { type Imported, parseTarget, ScanmqError, type TaskRecord } from '@scanmq/contract';
import { DERIVED_FILES, FILES, type IngestResult } from '@scanmq/findings';
import type { TaskChange } from '@scanmq/queue';
import type { ScanSnapshot } from '@scanmq/scanners';
import { collectResults } from './collect-results.js';
import { readResults } from './read-results.js';
import { patiently, type RunContext } from './run-context.js';
import { fetchFiles, publishFiles } from './task-files.js';

/** The instance key of tasks that have no scanner. */
export const UPLOAD_KEY = 'imports:upload';
/** Characters of `targets` in the record of an import: it is shown, and searched by. */
const TARGETS_CHARS = 16_000;

/**
 * Ingests the file, or exports the finished run from its scanner first.
 * @throws ScanmqError `not_found` or `invalid_state` when there is no such finished run; as `collectResults`.
 */
export async function collectImport(ctx: RunContext, imported: Imported): Promise<IngestResult> {
  if (imported.source === 'upload') {
    await ctx.note(`Reading the uploaded file${imported.file_name ? ` ${imported.file_name}` : ''}.`);
    const files = await ctx.deps.files.work(ctx.task.task_id);
    try {
      await fetchFiles(ctx, files, [FILES.raw]);
      const facts = { scanType: undefined, targets: undefined, endedAs: 'imported' } as const;
      const result = await readResults(ctx, files.directory, facts);
      await publishFiles(ctx, files, DERIVED_FILES, { replace: false });
      return result;
    } finally {
      await files.close();
    }
  }
  const { nessus_scan_id: scanId, history_id: historyId } = ctx.checkpoint();
  if (scanId === undefined) throw new ScanmqError('internal', 'The import does not say which scan it is.');
  const scan = await patiently(ctx, 'status', () => ctx.scanner.getScan(scanId, historyId, ctx.signal));
  const run = finishedRun(scan, historyId);
  if (!scan || (historyId !== undefined && !run))
    throw new ScanmqError(
      'not_found',
      `The scanner has no scan ${scanId}${historyId === undefined ? '' : ` with a finished run ${historyId}`}.`,
    );
  if (!run)
    throw new ScanmqError(
      'invalid_state',
      `Scan ${scanId} has no finished run on the scanner (it is ${scan.status}).`,
    );
  await ctx.save({ history_id: run.historyId, run_uuid: run.uuid, ended_as: run.status });
  await ctx.report(95, run.status);
  return await collectResults(ctx, scanId);
}

/** The run asked for, or the latest that has ended. */
function finishedRun(
  scan: ScanSnapshot | undefined,
  historyId: number | undefined,
): ScanSnapshot['runs'][number] | undefined {
  return scan?.runs.findLast(
    (run) => run.statusClass === 'terminal' && (historyId === undefined || run.historyId === historyId),
  );
}

/** What the record of an import learns from its results: what the scan was, and what it looked at. */
export function recordOfImport(
  task: TaskRecord,
  result: Pick<IngestResult, 'scanType' | 'targets' | 'reportName'>,
): TaskChange {
  const targets: string[] = [];
  let chars = 0;
  for (const text of (result.targets ?? '').split(/[\s,]+/)) {
    // what is no target of ours (a URL of a web-application scan) could not be searched by
    if (!parseTarget(text) || chars + text.length + 1 > TARGETS_CHARS) continue;
    targets.push(text);
    chars += text.length + 1;
  }
  return {
    scan_type: result.scanType,
    targets: targets.join(','),
    ...(task.name === ''
      ? { name: result.reportName.replace(/\p{C}/gu, '').trim().slice(0, 200) || task.task_id }
      : {}),
  };
}
