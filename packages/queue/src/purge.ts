/** Removes an ended task for good: files, job, credentials, indexes and record, together. */
import { rm } from 'node:fs/promises';
import { isTerminal, ScanmqError, TASK_STATES, type TaskRecord, type TaskState } from '@scanmq/contract';
import type { Redis } from 'ioredis';
import type { Keys } from './keys.js';
import type { Queues } from './queues.js';
import { purgeTaskScript } from './scripts.js';
import { taskDirectory } from './task-file.js';
import type { TaskStore } from './task-store.js';

export interface PurgeDeps {
  readonly redis: Redis;
  readonly keys: Keys;
  readonly tasks: TaskStore;
  readonly queues: Queues;
  readonly dataDir: string;
}

const ENDED = TASK_STATES.filter(isTerminal);

/**
 * Removes a task. May be repeated after a crash: the record goes last.
 * @param states in which it may be removed; any in which it has ended when left out.
 * @throws ScanmqError `invalid_state` when it is in another state by now; `not_found` when there is none.
 */
export async function purgeTask(
  { redis, keys, tasks, queues, dataDir }: PurgeDeps,
  taskId: string,
  states: readonly TaskState[] = ENDED,
): Promise<TaskRecord> {
  const task = await tasks.get(taskId);
  const refuse = (state: string): ScanmqError =>
    new ScanmqError(
      'invalid_state',
      `The task is ${state}; only one that is ${states.join(' or ')} can be removed.`,
    );
  if (!states.includes(task.state)) throw refuse(task.state);
  const job = await queues.forTask(task).getJob(taskId);
  // an ended task has no active job; one that is being retried has, and is not removed
  await job?.remove().catch((error: unknown) => {
    throw new ScanmqError('invalid_state', 'The job of the task is in use; try again.', { cause: error });
  });
  await rm(taskDirectory(dataDir, taskId), { recursive: true, force: true });
  const answer = await purgeTaskScript(
    redis,
    [
      keys.record(taskId),
      keys.byCreation,
      ...TASK_STATES.map((state) => keys.byState(state)),
      keys.credentials(taskId),
      keys.bindings,
      keys.log,
    ],
    [taskId, `,${states.join(',')},`],
  );
  // between the two looks somebody retried it: the sweep gives it a job, and its run makes new results
  if (answer !== 'removed' && answer !== 'missing') throw refuse(String(answer));
  return task;
}
