/** Why a task waits or stands still, as a sentence for people and models. */
import type { TaskRecord } from '@scanmq/contract';
import { availability, type FleetView } from '@scanmq/processor';

export interface WaitFacts {
  /** 1 = next; null = its job waits for something other than its turn. */
  readonly position: number | null;
  readonly minutes: number | null;
  /** Scans that the pool runs at once, with the scanners that are there now. */
  readonly capacity: number;
  readonly view: FleetView;
}

/** Why a queued task waits. */
export function whyItWaits(task: TaskRecord, facts: WaitFacts): string {
  const { waiting_for: waitingFor, pause_requested: pause } = task;
  if (task.cancel_requested) return 'It is being cancelled.';
  if (pause) return `It waits because ${pause.by} paused it; it goes on when somebody resumes it.`;
  if (waitingFor) {
    const until = waitingFor.until === null ? '' : ` until ${waitingFor.until}`;
    return `It waits because ${waitingFor.reason}${until}.${before(facts)}`;
  }
  if (task.error && task.attempts > 0)
    return `Attempt ${task.attempts} failed (${task.error.code}: ${task.error.message}); the next one follows by itself.`;
  const reasons = facts.view.registry
    .instances(task.scanner_pool)
    .filter((instance) => task.pinned_instance === null || instance.instanceId === task.pinned_instance)
    .map((instance) => availability(facts.view, instance))
    .map((state) => (state.usable ? undefined : state.reason));
  if (reasons.every((reason) => reason !== undefined))
    return `It waits because no scanner is available: ${reasons.join('; ')}.`;
  const what =
    task.pinned_instance === null
      ? `one of the ${facts.capacity} slots of pool '${task.scanner_pool}'`
      : `a slot of ${task.scanner_pool}:${task.pinned_instance}`;
  return `It waits for ${what}.${before(facts)}`;
}

function before({ position, minutes }: WaitFacts): string {
  if (position === null) return '';
  const others =
    position === 1
      ? ' It is the next one'
      : ` ${position - 1} ${position === 2 ? 'task is' : 'tasks are'} before it`;
  return `${others}${minutes === null ? '' : `; it begins in about ${minutes} min, by what recent scans took`}.`;
}

/** Why a running task stands still; null when it does not. */
export function whyItStands(task: TaskRecord): string | null {
  if (task.pause_requested)
    return `Its scan is paused, because ${task.pause_requested.by} asked for it; it goes on when somebody resumes it.`;
  if (task.waiting_for === null) return null;
  const until = task.waiting_for.until === null ? '' : ` until ${task.waiting_for.until}`;
  const { reason } = task.waiting_for;
  return `${reason.charAt(0).toUpperCase()}${reason.slice(1)}${until}.`;
}
