import { join } from 'node:path';
import { isTaskId, ScanmqError } from '@scanmq/contract';

/** @throws ScanmqError `not_found` for a text that is not a task id, so that no id can name another place. */
export function checkTaskId(taskId: string): void {
  if (!isTaskId(taskId)) throw new ScanmqError('not_found', 'There is no such task.');
}

/** The directory of a task's files (contract section 7). Throws as `checkTaskId`. */
export function taskDirectory(dataDir: string, taskId: string): string {
  checkTaskId(taskId);
  return join(dataDir, taskId);
}
