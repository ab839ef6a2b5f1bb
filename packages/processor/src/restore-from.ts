import type { Settings } from '@scanmq/config';
import type { RestoreReport } from '@scanmq/contract';
import type { Logger } from '@scanmq/observability';
import { openQueueSystem } from '@scanmq/queue';
import { openResultStore } from '@scanmq/store';
import { hideConfiguredSecrets } from './log-secrets.js';
import { toldInLog } from './service-core.js';
import { untilUsable } from './until-usable.js';

/** Opens Redis and the store of the results, and restores from one to the other. Throws as `QueueSystem.restore`. */
export async function restoreFrom(options: {
  readonly settings: Settings;
  readonly log: Logger;
  readonly apply: boolean;
}): Promise<RestoreReport> {
  const { settings, log } = options;
  hideConfiguredSecrets(log, settings, []);
  const store = await openResultStore(settings);
  try {
    await untilUsable(store, settings.startWaitMs, log);
    const queue = await openQueueSystem({
      settings,
      store,
      role: 'gateway',
      connectWaitMs: settings.startWaitMs,
      ...toldInLog(log),
    });
    try {
      return await queue.restore(options.apply);
    } finally {
      await queue.close();
    }
  } finally {
    await store.close();
  }
}
