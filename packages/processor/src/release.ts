import type { TaskRecord } from '@scanmq/contract';
import { cleanScanner } from './clean-scanner.js';
import type { ProcessorDeps } from './run-context.js';

/** Gives slot and credentials free, and lets the next be served. Only after the record says that the task has ended. */
export async function releaseAll(deps: ProcessorDeps, task: TaskRecord): Promise<void> {
  await deps.queue.bindings.release(task.task_id);
  await deps.queue.credentials.delete(task.task_id);
  await deps.queue.waitingRoom.leave(task);
  if (task.pinned_instance !== null) await deps.applyLimits();
  if (!task.imported) deps.admission.request();
}

/** Notes, before a task ends, that its scans on the scanner are to go. A dead letter keeps its own: it may be exported again. */
export async function noteCleanup(
  deps: ProcessorDeps,
  task: TaskRecord,
  to: TaskRecord['state'],
): Promise<void> {
  if (deps.settings.scannerCleanup === 'delete' && to !== 'failed' && !task.imported)
    await deps.queue.scannerCleanup.note(task.task_id);
}

/** Deletes the scans of an ended task on its scanner, where that is wanted. */
export async function cleanUp(deps: ProcessorDeps, task: TaskRecord): Promise<void> {
  if (deps.settings.scannerCleanup === 'delete' && task.state !== 'failed' && !task.imported)
    await cleanScanner(deps, task);
}
