/** Removes an ended task for good: files, job, credentials, indexes and record, together. */
import { isTerminal, ScanmqError, TASK_STATES, type TaskRecord, type TaskState } from '@scanmq/contract';
import type { ResultStore } from '@scanmq/store';
import type { Keys } from './keys.js';
import type { Queues } from './queues.js';
import type { RedisClient } from './redis-client.js';
import { beginPurgeScript, endPurgeScript } from './scripts.js';
import type { TaskStore } from './task-store.js';

export interface PurgeDeps {
  readonly redis: RedisClient;
  readonly keys: Keys;
  readonly tasks: TaskStore;
  readonly queues: Queues;
  readonly store: Pick<ResultStore, 'remove'>;
}

const ENDED = TASK_STATES.filter(isTerminal);

/**
 * Removes a task. Claimed first, so that nobody retries it in the middle; the record goes last, so that a removal that is
 * broken off can be repeated.
 * @param states in which it may be removed; any in which it has ended when left out.
 * @throws ScanmqError `invalid_state` when it is in another state by now, or its job was retried on the dashboard;
 *   `not_found` when there is none; `unavailable` when the store of its files is away.
 */
export async function purgeTask(
  { redis, keys, tasks, queues, store }: PurgeDeps,
  taskId: string,
  states: readonly TaskState[] = ENDED,
): Promise<TaskRecord> {
  const task = await tasks.get(taskId);
  const claimed = await beginPurgeScript(redis, [keys.record(taskId)], [`,${states.join(',')},`]);
  if (claimed === 'missing') throw new ScanmqError('not_found', `There is no task ${taskId}.`);
  if (claimed !== 'claimed')
    throw new ScanmqError(
      'invalid_state',
      `The task is ${String(claimed)}; only one that is ${states.join(' or ')} can be removed.`,
    );
  const job = await queues.forTask(task).getJob(taskId);
  const state = await job?.getState();
  if (job && state !== 'completed' && state !== 'failed' && state !== 'unknown') {
    await redis.hdel(keys.record(taskId), 'purging');
    throw new ScanmqError('invalid_state', `The job of the task is ${state}: somebody has retried it.`);
  }
  await job?.remove();
  await store.remove(taskId);
  await endPurgeScript(
    redis,
    [
      keys.record(taskId),
      keys.byCreation,
      ...TASK_STATES.map((state) => keys.byState(state)),
      keys.credentials(taskId),
      keys.bindings,
      keys.log,
      keys.events(taskId),
    ],
    [taskId],
  );
  return task;
}
