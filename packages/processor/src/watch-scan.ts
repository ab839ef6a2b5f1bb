import { ScannerError } from '@scanmq/contract';
import type { ScanSnapshot } from '@scanmq/scanners';
import { getOurScan } from './launch-scan.js';
import type { RunContext } from './run-context.js';
import { steerPause } from './steer-pause.js';

/** An active scan shows at most this: 100 is kept for "completed, and the results are stored". */
const PROGRESS_WHILE_RUNNING = 95;

/**
 * Follows the run to its end, on the scanner's own word.
 * @throws ScannerError `scan_aborted` when it ended otherwise than completed: retryable when the scanner aborted it,
 *   not when somebody stopped it there.
 */
export async function watchScan(ctx: RunContext, scanId: number): Promise<void> {
  const ended = ctx.checkpoint().ended_as;
  if (ended === 'completed') return;
  if (ended !== undefined) throw endedEarly(ctx, ended);
  for (;;) {
    const scan = await getOurScan(ctx, scanId, ctx.checkpoint().history_id);
    const run = ourRun(ctx, scan);
    if (run && ctx.checkpoint().history_id === undefined) await ctx.save({ history_id: run.historyId });
    const { status, statusClass } = run ?? scan;
    await ctx.report(Math.min(PROGRESS_WHILE_RUNNING, scan.progressPercent), status, scan.hosts);
    if (run && statusClass === 'terminal') {
      if (status !== 'completed') throw endedEarly(ctx, status);
      await ctx.save({ ended_as: status });
      ctx.mark('scan.ended');
      await ctx.note(`Scan ${scanId} completed on the scanner.`);
      return;
    }
    await steerPause(ctx, scanId, status);
    await ctx.nap(ctx.deps.settings.pollIntervalMs);
  }
}

function ourRun(ctx: RunContext, scan: ScanSnapshot): ScanSnapshot['runs'][number] | undefined {
  const { run_uuid: uuid, history_id: historyId } = ctx.checkpoint();
  return scan.runs.find((run) => run.uuid === uuid || run.historyId === historyId);
}

function endedEarly(ctx: RunContext, status: string): ScannerError {
  const byScanner = status === 'aborted';
  return new ScannerError(
    'scan_aborted',
    byScanner
      ? 'The scanner aborted the scan and gives no reason; its own log may (often a restart, an update or a lack of memory).'
      : `The scan was ended on the scanner (${status}), not by scanmq.`,
    {
      instanceKey: ctx.scanner.instanceKey,
      operation: 'watch',
      scannerMessage: status,
      retryable: byScanner ? 'yes' : 'no',
    },
  );
}
