/** Files of a task on their way to the store of the results and from it. A store that is away is waited for: scanning anew costs more. */
import { ScanmqError } from '@scanmq/contract';
import type { TaskFiles } from '@scanmq/store';
import { LAUNCHED_PATIENCE, type RunContext, waitOut } from './run-context.js';

/** Does something with files of the store, waiting as long as for a scanner that has our scan. Throws as `patiently`. */
async function withStore(ctx: RunContext, what: string, operation: () => Promise<void>): Promise<void> {
  await waitOut(ctx, operation, {
    patienceMs: ctx.deps.settings.scannerOutageMs * LAUNCHED_PATIENCE,
    isOutage: (error): error is ScanmqError => error instanceof ScanmqError && error.code === 'unavailable',
    async onOutage(error, tries) {
      ctx.log.warn(
        { event: 'store.away', operation: what, err: error },
        'waiting for the store of the results',
      );
      if (tries === 1) await ctx.note(`Waiting for the store of the results (${what}).`);
    },
  });
}

/** Brings files into the directory. @throws ScanmqError `unavailable` when the store stays away. */
export async function fetchFiles(ctx: RunContext, files: TaskFiles, names: readonly string[]): Promise<void> {
  await withStore(ctx, 'fetch', () => files.fetch(names, ctx.signal));
}

/**
 * Puts files into the store; afterwards others can rely on them.
 * @param replace what an earlier try of this task has left there goes.
 * @throws NotOwnerError when another run owns the task by now; ScanmqError `unavailable` when the store stays away.
 */
export async function publishFiles(
  ctx: RunContext,
  files: TaskFiles,
  names: readonly string[],
  { replace }: { readonly replace: boolean },
): Promise<void> {
  await withStore(ctx, 'publish', async () => {
    await ctx.save({});
    await files.publish(names, { replace, signal: ctx.signal });
  });
}
