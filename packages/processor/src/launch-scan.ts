import { ScannerError } from '@scanmq/contract';
import type { ScanSnapshot } from '@scanmq/scanners';
import { waitUntilReady } from './create-scan.js';
import { sleep } from './interruption.js';
import { checkPolicyAgain } from './policy-again.js';
import { asOwner, patiently, type RunContext } from './run-context.js';

const LOOKS = 3;
const LOOK_PAUSE_MS = 1_000;
const LAUNCHES = 3;

/** The scan in detail. @throws ScannerError `scan_aborted` when somebody deleted it on the scanner. */
export async function getOurScan(ctx: RunContext, scanId: number, historyId?: number): Promise<ScanSnapshot> {
  const scan = await patiently(ctx, 'status', () => ctx.scanner.getScan(scanId, historyId, ctx.signal));
  if (scan) return scan;
  throw new ScannerError(
    'scan_aborted',
    `Scan ${scanId} no longer exists on the scanner: somebody deleted it.`,
    {
      instanceKey: ctx.scanner.instanceKey,
      operation: 'status',
    },
  );
}

/**
 * Launches the scan exactly once. The runs known before are noted first; whatever run appears afterwards is ours,
 * no matter whether the answer of `launch` arrived (nessus-api.md section 4.6).
 */
export async function launchScan(ctx: RunContext, scanId: number): Promise<void> {
  if (ctx.checkpoint().run_uuid !== undefined) return;
  if (ctx.checkpoint().launch_intent !== undefined && (await adoptRun(ctx, scanId, LOOKS))) return;
  for (let tries = 1; ; tries += 1) {
    await waitUntilReady(ctx);
    await checkPolicyAgain(ctx, 'launch');
    if (ctx.checkpoint().launch_intent === undefined) {
      const before = await getOurScan(ctx, scanId);
      await ctx.save({
        launch_intent: { at: ctx.deps.now().toISOString(), known_runs: before.runs.map((run) => run.uuid) },
      });
    }
    try {
      const { runUuid } = await patiently(ctx, 'launch', () =>
        asOwner(ctx, (write) => ctx.scanner.launchScan(scanId, ctx.signal, write)),
      );
      await ctx.save({ run_uuid: runUuid });
      ctx.deps.meter.count('scanmq_launches_total', { pool: ctx.task.scanner_pool });
      ctx.log.info({ event: 'scan.launched', nessus_scan_id: scanId }, 'scan launched');
      await ctx.note(`Scan ${scanId} launched.`);
      return;
    } catch (error) {
      if (!(error instanceof ScannerError)) throw error;
      ctx.signal.throwIfAborted();
      // 409: it is active already, so an earlier launch of ours did happen
      const looked = error.retryable === 'unknown_outcome' || error.scannerHttpStatus === 409;
      if (!looked) throw error;
      await ctx.note(`Launch: ${error.message} Looking whether it happened.`);
      if (await adoptRun(ctx, scanId, LOOKS)) return;
      if (tries >= LAUNCHES) throw error;
    }
  }
}

/** Finds the run that our launch started. @returns false when there is none. */
async function adoptRun(ctx: RunContext, scanId: number, looks: number): Promise<boolean> {
  const known = new Set(ctx.checkpoint().launch_intent?.known_runs);
  for (let look = 1; ; look += 1) {
    const scan = await getOurScan(ctx, scanId);
    const run = scan.runs.find((candidate) => !known.has(candidate.uuid));
    if (run) {
      await ctx.save({ run_uuid: run.uuid, history_id: run.historyId });
      ctx.deps.meter.count('scanmq_launches_total', { pool: ctx.task.scanner_pool });
      ctx.log.info(
        { event: 'scan.launched', nessus_scan_id: scanId, how: 'adopted' },
        'run found on the scanner',
      );
      await ctx.note(`Scan ${scanId} was launched already; following its run.`);
      return true;
    }
    if (look >= looks && scan.statusClass !== 'active') return false;
    await sleep(Math.min(LOOK_PAUSE_MS, ctx.deps.settings.pollIntervalMs), ctx.signal);
  }
}
