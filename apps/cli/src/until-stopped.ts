import type { Logger } from '@scanmq/observability';

export interface UntilStoppedOptions {
  readonly log?: Logger;
  /** What SIGHUP does. */
  readonly reload?: () => Promise<void>;
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
