/**
 * The states of a task and the only changes between them (contract section 2).
 *
 * ```
 * queued ──► running ──► completed
 *   ▲           │  ├────► failed      (dead letter)
 *   │           │  ├────► timeout
 *   └───────────┘  └────► cancelled
 * ```
 */
import { z } from 'zod';
import { ScanmqError } from './errors.js';

export const TASK_STATES = ['queued', 'running', 'completed', 'failed', 'timeout', 'cancelled'] as const;

export const taskStateSchema = z.enum(TASK_STATES).meta({ description: 'State of a task' });
export type TaskState = z.infer<typeof taskStateSchema>;

/**
 * Why a task changes state. `retry` is somebody's explicit wish to run an ended task again;
 * `progress` is everything that the service does by itself.
 */
export type TransitionCause = 'progress' | 'retry';

const PROGRESS: Readonly<Record<TaskState, readonly TaskState[]>> = {
  queued: ['running', 'cancelled', 'failed', 'timeout'],
  // back to queued: an attempt ended with a transient error, or a worker handed its job back
  running: ['completed', 'failed', 'timeout', 'cancelled', 'queued'],
  completed: [],
  failed: [],
  timeout: [],
  cancelled: [],
};

const RETRY: Readonly<Record<TaskState, readonly TaskState[]>> = {
  queued: [],
  running: [],
  completed: [],
  failed: ['queued'],
  timeout: ['queued'],
  cancelled: ['queued'],
};

/** True when `from` may become `to` for this cause. */
export function canTransition(from: TaskState, to: TaskState, cause: TransitionCause = 'progress'): boolean {
  return (cause === 'retry' ? RETRY : PROGRESS)[from].includes(to);
}

/** Every state from which `to` may be reached; what the atomic script in Redis compares with. */
export function statesLeadingTo(to: TaskState, cause: TransitionCause = 'progress'): readonly TaskState[] {
  return TASK_STATES.filter((from) => canTransition(from, to, cause));
}

/** @throws ScanmqError `invalid_state` naming both states, when the change is not in the table. */
export function assertTransition(from: TaskState, to: TaskState, cause: TransitionCause = 'progress'): void {
  if (!canTransition(from, to, cause)) {
    throw new ScanmqError('invalid_state', `A task that is ${from} cannot become ${to}.`);
  }
}

/** True for a state that a task leaves only by an explicit retry (or never, when completed). */
export function isTerminal(state: TaskState): boolean {
  return PROGRESS[state].length === 0;
}
