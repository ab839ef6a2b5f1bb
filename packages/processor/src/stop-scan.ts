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
 * Stops the scan of this task on the scanner and waits until the scanner confirms.
 * @param ctx its signal must not be aborted by what made us stop.
 * @returns false when there was nothing to stop, or the scanner never confirmed.
 */
export async function stopScan(ctx: RunContext): Promise<boolean> {
  const { create_intent_at: intended, generation } = ctx.checkpoint();
  if (intended === undefined) return false;
  const scanId =
    ctx.checkpoint().nessus_scan_id ?? (await findByMarker(ctx, scanMarker(ctx.task, generation), 1));
  if (scanId === undefined) return false;
  const giveUpAt = Date.now() + CONFIRM_MS;
  let askedAt = 0;
  while (Date.now() < giveUpAt) {
    const scan = await patiently(ctx, 'status', () => ctx.scanner.getScan(scanId, undefined, ctx.signal));
    if (scan?.statusClass !== 'active') return scan !== undefined;
    await ctx.report(0, scan.status);
    if (Date.now() - askedAt >= ASK_AGAIN_MS) {
      askedAt = Date.now();
      await askToStop(ctx, scanId);
    }
    await sleep(Math.min(LOOK_MS, ctx.deps.settings.pollIntervalMs), ctx.signal);
  }
  return false;
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
