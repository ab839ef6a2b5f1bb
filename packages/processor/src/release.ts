import type { TaskRecord } from '@scanmq/contract';
import type { ProcessorDeps } from './run-context.js';

/** Gives slot and credentials free, and lets the next be served. Only after the record says that the task has ended. */
export async function releaseAll(deps: ProcessorDeps, task: TaskRecord): Promise<void> {
  await deps.queue.bindings.release(task.task_id);
  await deps.queue.credentials.delete(task.task_id);
  await deps.queue.waitingRoom.leave(task);
  if (!task.imported) deps.admission.request();
}
