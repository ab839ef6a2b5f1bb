import { ScannerError } from '@scanmq/contract';
import { findByMarker } from './create-scan.js';
import { sleep } from './interruption.js';
import { patiently, type RunContext, scanMarker } from './run-context.js';

/** Stopping is asynchronous and may take as long as the plugins that run now: 320 s by default (nessus-api.md section 4.7). */
const CONFIRM_MS = 15 * 60_000;
/** Asks again after this long: a stop can get lost in a restart of the scanner. */
const ASK_AGAIN_MS = 60_000;
const LOOK_MS = 2_000;

/**
 * - `nothing`: no scan of the task runs on the scanner, and none ran.
 * - `stopped`: it has ended there, as the checkpoint says.
 * - `unconfirmed`: it may still run.
 */
export type StopOutcome = 'nothing' | 'stopped' | 'unconfirmed';

/**
 * Stops the scan of this task on the scanner and waits until the scanner confirms.
 * @param ctx its signal must not be aborted by what made us stop.
 */
export async function stopScan(ctx: RunContext): Promise<StopOutcome> {
  const { create_intent_at: intended, generation } = ctx.checkpoint();
  if (intended === undefined) return 'nothing';
  const scanId =
    ctx.checkpoint().nessus_scan_id ?? (await findByMarker(ctx, scanMarker(ctx.task, generation), 1));
  if (scanId === undefined) return 'nothing';
  const giveUpAt = Date.now() + CONFIRM_MS;
  let askedAt = 0;
  while (Date.now() < giveUpAt) {
    const scan = await patiently(ctx, 'status', () => ctx.scanner.getScan(scanId, undefined, ctx.signal));
    if (scan?.statusClass !== 'active') {
      const run = scan?.runs.at(-1);
      if (!scan || !run) return 'nothing';
      // what it found until then can be exported by this
      if (ctx.checkpoint().ended_as === undefined)
        await ctx.save({
          nessus_scan_id: scanId,
          history_id: run.historyId,
          run_uuid: run.uuid,
          ended_as: run.status,
        });
      return 'stopped';
    }
    await ctx.report(0, scan.status);
    if (Date.now() - askedAt >= ASK_AGAIN_MS) {
      askedAt = Date.now();
      await askToStop(ctx, scanId);
    }
    await sleep(Math.min(LOOK_MS, ctx.deps.settings.pollIntervalMs), ctx.signal);
  }
  return 'unconfirmed';
}

async function askToStop(ctx: RunContext, scanId: number): Promise<void> {
  try {
    await patiently(ctx, 'stop', () => ctx.scanner.stopScan(scanId, ctx.signal));
    await ctx.note(`Asked the scanner to stop scan ${scanId}.`);
  } catch (error) {
    // whether it happened is what the next look tells
    if (!(error instanceof ScannerError) || error.retryable !== 'unknown_outcome') throw error;
  }
}
