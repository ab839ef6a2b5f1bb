import { EventEmitter } from 'node:events';
import type { QueueSystem } from '@scanmq/queue';

/** Lets any number of requests wait for changes of tasks on one Redis subscription. */
export interface TaskWaiter {
  /**
   * `done` resolves at the next change of the task, after `waitMs`, or when the signal is aborted, whichever is first.
   * A lost message is no harm: at the latest after a few seconds the caller looks again.
   */
  nextChange(
    taskId: string,
    waitMs: number,
    signal: AbortSignal,
  ): { readonly done: Promise<void>; stop(): void };
  /** Aborted when the gateway closes: whoever waits answers with what there is. */
  readonly closing: AbortSignal;
  close(): void;
}

/** Messages are not stored: while the subscription is being opened again, one may be missed. */
const LOOK_AGAIN_MS = 5_000;

export async function createTaskWaiter(queue: QueueSystem): Promise<TaskWaiter> {
  const changes = new EventEmitter();
  changes.setMaxListeners(0);
  const closing = new AbortController();
  const stopListening = await queue.listenChanges(({ task_id: taskId }) => changes.emit(taskId));
  return {
    nextChange(taskId, waitMs, signal) {
      let stop = (): void => {};
      const done = new Promise<void>((resolve) => {
        const timer = setTimeout(() => stop(), Math.min(waitMs, LOOK_AGAIN_MS));
        stop = () => {
          clearTimeout(timer);
          changes.off(taskId, stop);
          signal.removeEventListener('abort', stop);
          resolve();
        };
        changes.on(taskId, stop);
        signal.addEventListener('abort', stop);
      });
      return { done, stop: () => stop() };
    },
    closing: closing.signal,
    close() {
      closing.abort();
      stopListening();
    },
  };
}
