import { createWriteStream } from 'node:fs';
import { open, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { parseTargets, ScannerError } from '@scanmq/contract';
import { FILES, type IngestResult, RESULT_FILES } from '@scanmq/findings';
import { measure, type TaskFiles } from '@scanmq/store';
import { sleep } from './interruption.js';
import { readResults } from './read-results.js';
import { patiently, type RunContext } from './run-context.js';
import { publishFiles } from './task-files.js';

/** Exports asked for before the attempt fails; a failed or broken one needs a new file (nessus-api.md section 6.2). */
const EXPORTS = 3;
const EXPORT_LOOK_MS = 2_000;
/** Small exports are ready within seconds, very large ones take tens of minutes. */
const EXPORT_READY_MS = 60 * 60_000;

/**
 * Exports the run, streams the bytes to disk, reads and checks them, and stores the findings.
 * A broken or unusable export is asked for again; the bytes of the last one are kept either way.
 * @throws ScannerError `export_failed` (retryable), `invalid_export` (not retryable); as `publishFiles`.
 */
export async function collectResults(ctx: RunContext, scanId: number): Promise<IngestResult> {
  const files = await ctx.deps.files.work(ctx.task.task_id);
  try {
    return await collectInto(ctx, scanId, files);
  } finally {
    await files.close();
  }
}

async function collectInto(ctx: RunContext, scanId: number, files: TaskFiles): Promise<IngestResult> {
  const { directory } = files;
  for (let tries = 1; ; tries += 1) {
    try {
      const { bytes, sha256 } = await ctx.phase('scan.export', () => exportToDisk(ctx, scanId, directory));
      const result = await readResults(ctx, directory, {
        // of an import only the export itself tells what was asked
        scanType: ctx.task.imported ? undefined : ctx.task.scan_type,
        targets: ctx.task.imported ? undefined : parseTargets(ctx.task.targets),
        endedAs: ctx.checkpoint().ended_as ?? 'completed',
      });
      await ctx.note(`Fetched the export of scan ${scanId}: ${bytes} bytes.`);
      await publishFiles(ctx, files, RESULT_FILES, { replace: true });
      await ctx.save({ export: { bytes, sha256 } });
      ctx.deps.meter.count('scanmq_exports_total', { outcome: 'stored' });
      return { ...result, warnings: [...result.warnings, ...foreignRun(ctx, result.runUuid)] };
    } catch (error) {
      ctx.signal.throwIfAborted();
      if (error instanceof ScannerError)
        ctx.deps.meter.count('scanmq_exports_total', {
          outcome: error.code === 'invalid_export' ? 'invalid' : 'failed',
        });
      const again =
        error instanceof ScannerError && (error.code === 'export_failed' || error.code === 'invalid_export');
      if (!again || tries >= EXPORTS) {
        if (again && error.code === 'invalid_export')
          await publishFiles(ctx, files, [FILES.raw], { replace: true });
        throw error;
      }
      ctx.log.warn({ event: 'export.again', reason: error.message, tries }, 'asking for a new export');
      await ctx.note(`Export ${tries} of ${EXPORTS} is not usable: ${error.message}`, error.code);
      await sleep(Math.min(EXPORT_LOOK_MS, ctx.deps.settings.pollIntervalMs), ctx.signal);
    }
  }
}

/** An export names its run; one of another run is stored, but not without saying so. */
function foreignRun(ctx: RunContext, named: string | null | undefined): readonly string[] {
  const followed = ctx.checkpoint().run_uuid;
  if (!named || followed === undefined || named === followed) return [];
  return [
    'The export names another run of the scanner than the one that was followed: check that it belongs to this scan.',
  ];
}

async function exportToDisk(
  ctx: RunContext,
  scanId: number,
  directory: string,
): Promise<{ bytes: number; sha256: string }> {
  const { scanner, signal } = ctx;
  const failed = (message: string): ScannerError =>
    new ScannerError('export_failed', message, { instanceKey: scanner.instanceKey, operation: 'export' });

  const fileId = await patiently(ctx, 'export', () =>
    scanner.requestExport(scanId, ctx.checkpoint().history_id, signal),
  ).catch((error: unknown) => {
    // a repeated request only makes another file: an unknown outcome needs no look here
    if (error instanceof ScannerError && error.retryable === 'unknown_outcome') throw failed(error.message);
    throw error;
  });
  const giveUpAt = Date.now() + EXPORT_READY_MS;
  for (;;) {
    const state = await patiently(ctx, 'export status', () => scanner.exportState(scanId, fileId, signal));
    if (state === 'ready') break;
    if (state === 'failed') throw failed('The scanner failed to make the export.');
    if (state === 'gone') throw failed('The scanner dropped the export before it was fetched.');
    if (Date.now() > giveUpAt)
      throw failed(`The export was not ready within ${EXPORT_READY_MS / 60_000} minutes.`);
    await sleep(Math.min(EXPORT_LOOK_MS, ctx.deps.settings.pollIntervalMs), signal);
  }
  await ctx.report(97, ctx.checkpoint().ended_as ?? 'completed');

  const temporary = join(directory, `.${FILES.raw}.part`);
  const measured = measure();
  try {
    const download = await patiently(ctx, 'download', () => scanner.downloadExport(scanId, fileId, signal));
    await pipeline(download, measured.stream, createWriteStream(temporary, { mode: 0o640 }), { signal });
  } catch (error) {
    await rm(temporary, { force: true });
    signal.throwIfAborted();
    throw error instanceof ScannerError && error.code !== 'scanner_unreachable'
      ? error
      : failed(`The download of the export broke off after ${measured.result().bytes} bytes.`);
  }
  await flushToDisk(temporary);
  await rename(temporary, join(directory, FILES.raw));
  return measured.result();
}

async function flushToDisk(path: string): Promise<void> {
  const file = await open(path, 'r+');
  try {
    await file.sync();
  } finally {
    await file.close();
  }
}
