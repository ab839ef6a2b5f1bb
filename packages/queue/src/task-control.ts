/** What people do to a task while it lives: cancel, pause, resume; and retry when it has ended. */
import {
  type CancelAnswer,
  type ControlAnswer,
  isTerminal,
  ScanmqError,
  type TaskRecord,
} from '@scanmq/contract';
import type { Bindings } from './binding.js';
import type { ControlMessage } from './control.js';
import type { CredentialBox } from './credentials.js';
import type { Queues } from './queues.js';
import { reopenTask, rerunJob } from './retry.js';
import type { TaskNews, TaskStore } from './task-store.js';
import type { WaitingRoom } from './waiting-room.js';

export interface ControlDeps {
  readonly tasks: TaskStore;
  readonly queues: Queues;
  readonly bindings: Bindings;
  readonly waitingRoom: WaitingRoom;
  readonly credentials: CredentialBox;
  readonly tell: (message: ControlMessage) => Promise<void>;
  readonly now: () => Date;
}

export interface CancelOptions {
  readonly reason: string;
  readonly by: string;
  /** Store what the scanner has found until then. */
  readonly keepResults: boolean;
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
  deps: ControlDeps,
  taskId: string,
  { reason, by, keepResults }: CancelOptions,
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
  const requested = { at: deps.now().toISOString(), reason, by, keep_results: keepResults };
  // The flag first: a worker that takes the job in this moment sees it before it does anything.
  await deps.tasks.update(
    taskId,
    { cancel_requested: requested },
    { news: [log(`${by} asks to cancel it.`)] },
  );
  const job = await deps.queues.forTask(task).getJob(taskId);
  const state = await job?.getState();
  if (!mayHaveScan(task) && state !== 'active') {
    const removed = await job?.remove().then(
      () => true,
      // a worker took it in between
      () => false,
    );
    if (removed !== false) {
      await deps.tasks
        .transition(taskId, 'cancelled', {
          completed_at: requested.at,
          waiting_for: null,
          error: { code: 'cancelled', message: cancelMessage(reason), retryable: false },
        })
        .catch(async (error: unknown) => {
          // a worker saw the flag, and was faster
          if ((await deps.tasks.get(taskId)).state !== 'cancelled') throw error;
        });
      await deps.credentials.delete(task.task_id);
      // it may have been called, and have a slot, without having begun
      await deps.bindings.release(taskId);
      await deps.waitingRoom.leave(task);
      await deps.tell({ action: 'admit' });
      return answer('cancelled', 'The task was waiting; it is cancelled.');
    }
  }
  // what people want of a task outlives Redis, as the task does; one that has ended was written with its end
  await deps.tasks.copyToFile(taskId);
  // A task that waits for its next attempt goes on at once, to stop its scan.
  if (state === 'delayed') await job?.promote().catch(() => undefined);
  await deps.tell({ action: 'cancel', task_id: taskId });
  return answer(
    task.state,
    'The scan is being stopped on the scanner; follow the status until it says cancelled.',
  );
}

const log = (message: string): TaskNews => ({ type: 'log', message });

/** What a cancelled task says of itself. */
export function cancelMessage(reason: string): string {
  return reason === '' ? 'The task was cancelled.' : `The task was cancelled: ${reason}`;
}

/**
 * Holds a task: one that waits is not served, the scan of one that runs is paused on the scanner, where it keeps its
 * slot. The time limit goes on. Asking again is no error.
 * @throws ScanmqError `not_found`; `invalid_state` for a task that has ended, or is an import.
 */
export async function pauseTask(deps: ControlDeps, taskId: string, by: string): Promise<ControlAnswer> {
  const task = await openTask(deps, taskId, 'pause');
  if (task.pause_requested === null)
    await deps.tasks.update(
      taskId,
      { pause_requested: { at: deps.now().toISOString(), by } },
      { news: [log(`${by} asks to pause it.`)] },
    );
  await deps.tasks.copyToFile(taskId);
  await deps.tell({ action: 'wake', task_id: taskId });
  return {
    task_id: taskId,
    status: task.state,
    scanner_status: task.scanner_status,
    message:
      task.state === 'queued' && !mayHaveScan(task)
        ? 'The task waits until it is resumed.'
        : 'The scan is being paused on the scanner; scanner_status says paused when it is. Its time limit goes on.',
  };
}

/**
 * Lets a held task go on.
 * @throws ScanmqError `not_found`; `invalid_state` for a task that has ended, or that nobody paused.
 */
export async function resumeTask(deps: ControlDeps, taskId: string): Promise<ControlAnswer> {
  const task = await openTask(deps, taskId, 'resume');
  if (task.pause_requested === null) {
    throw new ScanmqError('invalid_state', 'Nobody paused this task, so there is nothing to resume.');
  }
  await deps.tasks.update(taskId, { pause_requested: null }, { news: [log('It is to go on.')] });
  await deps.tasks.copyToFile(taskId);
  if (task.state === 'queued') await deps.waitingRoom.call(task);
  await deps.tell({ action: 'wake', task_id: taskId });
  return {
    task_id: taskId,
    status: task.state,
    scanner_status: task.scanner_status,
    message: 'The task goes on.',
  };
}

async function openTask(deps: ControlDeps, taskId: string, action: string): Promise<TaskRecord> {
  const task = await deps.tasks.get(taskId);
  if (isTerminal(task.state))
    throw new ScanmqError('invalid_state', `The task is ${task.state}: there is nothing to ${action}.`);
  if (task.imported)
    throw new ScanmqError(
      'invalid_state',
      `The task reads results that exist already: there is nothing to ${action}.`,
    );
  return task;
}

/** Why an ended task cannot run again; undefined when it can. */
export function whyNoRetry(task: TaskRecord): string | undefined {
  if (task.state === 'completed') return 'The task is completed; submit a new scan to scan again.';
  if (!isTerminal(task.state)) return `The task is ${task.state}: it has not ended.`;
  if (task.has_credentials && task.credential_ref === null)
    return 'The credentials that came with this task were deleted when it ended. Submit it again, or use credential_ref, which can be retried.';
  return undefined;
}

/**
 * Runs a failed, timed out or cancelled task again, with fresh counts and a fresh time limit.
 * @throws ScanmqError `not_found`, `invalid_state`.
 */
export async function retryTask(deps: ControlDeps, taskId: string): Promise<ControlAnswer> {
  const task = await deps.tasks.get(taskId);
  const refusal = whyNoRetry(task);
  if (refusal !== undefined) throw new ScanmqError('invalid_state', refusal);
  const reopened = await reopenTask(deps.tasks, task);
  const job = await deps.queues.forTask(task).getJob(taskId);
  // whoever dies here leaves a record that the sweep gives its job
  if (job) await rerunJob(job);
  else await deps.queues.add(reopened);
  return {
    task_id: taskId,
    status: 'queued',
    scanner_status: null,
    message: 'The task is queued again.',
  };
}
