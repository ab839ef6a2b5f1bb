import type { TaskRecord } from '@scanmq/contract';
import type { Job } from 'bullmq';
import type { TaskStore } from './task-store.js';

/**
 * Puts a task that ended as dead letter back to `queued`, with fresh counts and a fresh time limit. What was done
 * on the scanner is kept only when its run ended and is good for an export; otherwise a new scan is made.
 * The job itself is the caller's: BullMQ's own retry, from the dashboard or from us, has moved it already.
 * @throws ScanmqError `invalid_state` when the task cannot be retried.
 */
export async function reopenTask(tasks: TaskStore, task: TaskRecord): Promise<TaskRecord> {
  // an import makes nothing on a scanner: where its results are stays true
  const usable =
    task.imported !== null ||
    (task.checkpoint?.ended_as === 'completed' && task.error?.code !== 'invalid_export');
  return await tasks.transition(
    task.task_id,
    'queued',
    {
      completed_at: null,
      started_at: null,
      deadline_at: null,
      error: null,
      crashes: 0,
      run_token: null,
      cancel_requested: null,
      attempts: 0,
      progress: 0,
      pause_requested: null,
      waiting_for: null,
      effective_priority: null,
      results_summary: null,
      partial_results: false,
      quality: null,
      authentication_status: null,
      validation_warnings: [],
      troubleshooting: null,
      scanner_status: null,
      scanner_instance: null,
      checkpoint: usable ? task.checkpoint : nextGeneration(task),
    },
    { cause: 'retry', news: [{ type: 'log', message: 'Somebody asked to run it again.' }] },
  );
}

/**
 * Has an ended job run again, with its attempts counted anew.
 * @returns false when it has not ended, or somebody else (the sweep, the dashboard) was faster: it runs again already.
 */
export async function rerunJob(job: Job): Promise<boolean> {
  const state = await job.getState();
  if (state !== 'failed' && state !== 'completed') return false;
  try {
    await job.retry(state, { resetAttemptsMade: true });
    return true;
  } catch (error) {
    if ((await job.getState()) === state) throw error;
    return false;
  }
}

/**
 * The checkpoint for a new scan after one that is given up, so that the marker of the old one is not found again.
 * Without anything done there is nothing to give up.
 */
export function nextGeneration(task: TaskRecord): TaskRecord['checkpoint'] {
  return task.checkpoint?.create_intent_at === undefined
    ? null
    : { generation: task.checkpoint.generation + 1, instance_key: task.checkpoint.instance_key };
}
