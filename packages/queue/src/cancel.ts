import { type CancelAnswer, isTerminal, ScanmqError, type TaskRecord } from '@scanmq/contract';
import type { CredentialBox } from './credentials.js';
import type { Queues } from './queues.js';
import type { TaskStore } from './task-store.js';

export interface CancelDeps {
  readonly tasks: TaskStore;
  readonly queues: Queues;
  readonly credentials: CredentialBox;
  readonly publish: (taskId: string) => Promise<void>;
  readonly now: () => Date;
}

/** True when a scan of this task may exist on a scanner, so that somebody has to stop it there. */
export function mayHaveScan(task: TaskRecord): boolean {
  return task.checkpoint?.create_intent_at !== undefined;
}

/**
 * Cancels a task. One that waits and never reached a scanner is cancelled at once; any other is told to its
 * worker, which stops the scan on the scanner first: the answer then still says `running`.
 * Asking again for a cancelled task is no error.
 * @throws ScanmqError `not_found`; `invalid_state` for a task that has ended otherwise.
 */
export async function cancelScan(
  deps: CancelDeps,
  taskId: string,
  reason: string,
  by: string,
): Promise<CancelAnswer> {
  const task = await deps.tasks.get(taskId);
  const answer = (status: CancelAnswer['status'], message: string): CancelAnswer => ({
    task_id: taskId,
    status,
    previous_status: task.state,
    message,
  });
  if (task.state === 'cancelled') return answer('cancelled', 'The task was cancelled already.');
  if (isTerminal(task.state)) {
    throw new ScanmqError('invalid_state', `The task is ${task.state}: there is nothing left to cancel.`);
  }
  const requested = { at: deps.now().toISOString(), reason, by };
  // The flag first: a worker that takes the job in this moment sees it before it does anything.
  await deps.tasks.update(taskId, { cancel_requested: requested });
  const job = await deps.queues.forTask(task).getJob(taskId);
  const state = await job?.getState();
  if (!mayHaveScan(task) && state !== 'active') {
    const removed = await job?.remove().then(
      () => true,
      // a worker took it in between
      () => false,
    );
    if (removed !== false) {
      await deps.tasks.transition(taskId, 'cancelled', {
        completed_at: requested.at,
        error: { code: 'cancelled', message: cancelMessage(reason), retryable: false },
      });
      await deps.credentials.delete(task.task_id);
      return answer('cancelled', 'The task was waiting; it is cancelled.');
    }
  }
  // A task that waits for its next attempt goes on at once, to stop its scan.
  if (state === 'delayed') await job?.promote().catch(() => undefined);
  await deps.publish(taskId);
  return answer(
    task.state,
    'The scan is being stopped on the scanner; follow the status until it says cancelled.',
  );
}

/** What a cancelled task says of itself. */
export function cancelMessage(reason: string): string {
  return reason === '' ? 'The task was cancelled.' : `The task was cancelled: ${reason}`;
}
