/** Calls tasks out of the waiting room when something has changed: a slot is free, a scanner is back, a limit was raised. */
import type { Logger } from '@scanmq/observability';
import { waitNews } from '@scanmq/queue';
import { type AssignDeps, assign } from './assign.js';
import { lookAtFleet } from './fleet.js';

export interface AdmitDeps extends AssignDeps {
  readonly log: Logger;
}

/** Tasks looked at in one go; those behind them wait for the next change, or for their own look. */
const LOOKED_AT = 500;

export interface Admission {
  /** Something has changed: looks who can be served now. Calls that come while it looks make it look once more. */
  request(): void;
  /** Waits for a look in progress. */
  close(): Promise<void>;
}

/**
 * Serves those that wait in their order. Each that can go gets its slot before its job is called, so that nobody who
 * comes in between takes it.
 */
export function createAdmission(deps: AdmitDeps): Admission {
  let running: Promise<void> | undefined;
  let again = false;
  let closed = false;

  async function look(): Promise<void> {
    do {
      again = false;
      for (const pool of deps.registry.pools()) await admitPool(deps, pool);
    } while (again && !closed);
  }

  return {
    request() {
      if (closed) return;
      again = true;
      running ??= look()
        .catch((error: unknown) =>
          deps.log.warn({ event: 'admission.failed', err: error }, 'could not look after those that wait'),
        )
        .finally(() => {
          running = undefined;
        });
    },
    async close() {
      closed = true;
      await running;
    },
  };
}

async function admitPool(deps: AdmitDeps, pool: string): Promise<void> {
  const { waitingRoom } = deps.queue;
  const waiting = await waitingRoom.waiting(pool, LOOKED_AT);
  if (waiting.length === 0) return;
  const view = await lookAtFleet(deps.registry, deps.queue);
  // what stops one stops all others of its kind: they need not be asked
  const stopped = new Set<string>();
  for (const task of waiting) {
    const unpinned = task.pinned_instance === null;
    if (stopped.has(`principal ${task.principal}`) || (unpinned && stopped.has('full'))) continue;
    const assignment = await assign(deps, task, view);
    if (assignment.kind === 'wait') {
      const { kind, reason } = assignment.waitingFor;
      if (kind === 'principal_limit') stopped.add(`principal ${task.principal}`);
      if (kind === 'scanner_full' && unpinned) stopped.add('full');
      // shown to whoever asks why it waits
      if (task.waiting_for?.reason !== reason)
        await deps.queue.tasks
          .update(task.task_id, { waiting_for: assignment.waitingFor }, { news: [waitNews(reason)] })
          .catch(() => undefined);
      continue;
    }
    // assigned, or to be ended: both are for the one who has its job
    await waitingRoom.call(task);
  }
}
