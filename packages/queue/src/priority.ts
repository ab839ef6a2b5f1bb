/** The order in which tasks of one queue are served, as BullMQ's priority number: smaller is served first. */
import { PRIORITIES, type Priority, type TaskRecord } from '@scanmq/contract';

/**
 * Rounds of fairness (`lua/create-task.lua`) that are told apart within one priority; BullMQ takes numbers up to 2^21. Tasks of
 * later rounds are served in the order of their submission. Rounds begin anew whenever the queue runs empty.
 */
const ROUNDS = 600_000;

/** 0 would be served before every other, whatever their priority: that is for jobs that were handed over. */
const FIRST = 1;

/** The priority that a task counts as now. */
export function effectivePriority(task: Pick<TaskRecord, 'priority' | 'effective_priority'>): Priority {
  return task.effective_priority ?? task.priority;
}

export function jobPriority(
  task: Pick<TaskRecord, 'priority' | 'effective_priority' | 'fair_round'>,
): number {
  return FIRST + PRIORITIES.indexOf(effectivePriority(task)) * ROUNDS + Math.min(task.fair_round, ROUNDS - 1);
}

/**
 * The priority after waiting: one step higher for every `ageingMs`, so that a task of low priority is served some day
 * however many of high priority come.
 */
export function agedPriority(
  task: Pick<TaskRecord, 'priority' | 'created_at'>,
  ageingMs: number,
  now: Date,
): Priority {
  const steps = Math.floor((now.getTime() - Date.parse(task.created_at)) / ageingMs);
  return PRIORITIES[Math.max(0, PRIORITIES.indexOf(task.priority) - Math.max(0, steps))] ?? task.priority;
}
