import { setTimeout as delay } from 'node:timers/promises';
import type { Logger } from '@scanmq/observability';

export interface UntilStoppedOptions {
  readonly log?: Logger;
  /** What SIGHUP does. */
  readonly reload?: () => Promise<void>;
}

/** How long a start may go on after it was told to stop: it may be about to be done, and to have begun its work. */
const START_ENDS_MS = 1_000;

/**
 * Waits for a service to start, and then until it is told to stop. Signals are heard from the beginning: whoever reads
 * that the service is there may send one at once.
 * @returns what is to be closed now; undefined when it was told to stop while it still waited for what it needs: it has
 *   begun nothing, and what is left of its start ends with the process.
 * @throws whatever the start throws.
 */
export async function startedUntilStopped<Service extends { reload(): Promise<void> }>(
  log: Logger,
  starting: Promise<Service>,
): Promise<Service | undefined> {
  // a start reads the settings anyway: a reload that is asked for meanwhile waits for it
  const stopped = untilStopped({ log, reload: async () => await (await starting).reload() });
  const late = stopped.then(() => delay(START_ENDS_MS, undefined));
  const service = await Promise.race([starting, late]);
  await stopped;
  return service;
}

/**
 * Resolves at the first SIGINT or SIGTERM, or when the parent that started us over IPC is gone. A second SIGINT ends
 * the process at once: somebody is waiting at the terminal.
 */
export async function untilStopped({ log, reload }: UntilStoppedOptions): Promise<void> {
  const onHangup = (): void => {
    void reload?.().catch((error: unknown) =>
      log?.error({ event: 'config.reload_failed', err: error }, 'could not reload'),
    );
  };
  if (reload) process.on('SIGHUP', onHangup);
  // a handler on these signals does not keep the process alive: something that listens does
  await new Promise<void>((resolve) => {
    const stop = (): void => {
      process.off('SIGTERM', stop);
      process.off('SIGINT', stop);
      process.once('SIGINT', () => process.exit(130));
      // an open channel to the parent would keep the process alive
      if (process.connected) process.disconnect();
      resolve();
    };
    process.on('SIGTERM', stop);
    process.on('SIGINT', stop);
    if (process.connected) process.once('disconnect', stop);
  });
}
