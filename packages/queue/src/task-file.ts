import { randomBytes } from 'node:crypto';
import { mkdir, open, rename } from 'node:fs/promises';
import { join } from 'node:path';
import { isTaskId, isTerminal, ScanmqError, type TaskRecord } from '@scanmq/contract';

/**
 * The directory of a task's files (contract section 7).
 * @throws ScanmqError `not_found` for a text that is not a task id, so that no id can name another directory.
 */
export function taskDirectory(dataDir: string, taskId: string): string {
  if (!isTaskId(taskId)) throw new ScanmqError('not_found', 'There is no such task.');
  return join(dataDir, taskId);
}

/**
 * Writes `task.json` by rename: a reader sees the old record or the new one, never a part. Of a task that has ended the
 * file is on the disk before this resolves; before that it is the copy of a record that will change, and is not worth
 * waiting for the disk.
 */
export async function writeTaskFile(dataDir: string, record: TaskRecord): Promise<void> {
  const directory = taskDirectory(dataDir, record.task_id);
  await mkdir(directory, { recursive: true });
  const temporary = join(directory, `.task.json.${randomBytes(6).toString('hex')}`);
  // the run token is a fence between processes, not a fact about the task
  const { run_token: _, ...kept } = record;
  const file = await open(temporary, 'w', 0o640);
  try {
    await file.writeFile(`${JSON.stringify(kept, null, 2)}\n`);
    if (isTerminal(record.state)) await file.sync();
  } finally {
    await file.close();
  }
  await rename(temporary, join(directory, 'task.json'));
}
