import { setTimeout as sleep } from 'node:timers/promises';
import { ScanmqError } from '@scanmq/contract';
import type { Logger } from '@scanmq/observability';
import type { ResultStore } from '@scanmq/store';

const LOOK_MS = 1_000;
/** A line each time this passes, beside the first. */
const TOLD_MS = 10_000;

/**
 * Waits until the store of the results can be used: it may be started after us.
 * @throws ScanmqError `unavailable` when it stays away.
 */
export async function untilUsable(
  store: Pick<ResultStore, 'check'>,
  waitMs: number,
  log: Logger,
): Promise<void> {
  const giveUpAt = Date.now() + waitMs;
  for (let toldAtMs = Number.NEGATIVE_INFINITY; ; ) {
    try {
      return await store.check();
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error);
      if (Date.now() + LOOK_MS > giveUpAt)
        throw new ScanmqError(
          'unavailable',
          `Gave up after ${Math.round(waitMs / 1000)} s of waiting for the store of the results: ${reason} See RESULT_STORE.`,
          { cause: error },
        );
      if (Date.now() - toldAtMs >= TOLD_MS) {
        toldAtMs = Date.now();
        log.info({ event: 'start.waiting', err: error }, `waiting for the store of the results: ${reason}`);
      }
    }
    await sleep(LOOK_MS);
  }
}
