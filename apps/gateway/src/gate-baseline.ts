/** Which earlier task a scan is compared with when nobody names one. */
import {
  LIMITS,
  listTasksParamsSchema,
  parseTargets,
  type Quality,
  ScanmqError,
  STOPS_THE_GATE,
  type TaskRecord,
} from '@scanmq/contract';
import type { QueueSystem } from '@scanmq/queue';

/**
 * The newest earlier task of the same schedule, or else of the same targets, scan type and principal. One that could not be judged itself
 * is passed over: beside a scan that saw half, everything in the other half looks new.
 */
export async function previousTask(
  queue: Pick<QueueSystem, 'list'>,
  head: TaskRecord,
): Promise<TaskRecord | undefined> {
  const targets = targetsOf(head);
  let byTargets: TaskRecord | undefined;
  let looked = 0;
  let cursor: string | undefined;
  while (looked < LIMITS.gateBaselineTasks) {
    const page = await queue.list(
      listTasksParamsSchema.parse({
        status_filter: 'completed',
        principal: head.principal,
        created_before: head.created_at,
        limit: LIMITS.listLimitMax,
        cursor,
      }),
    );
    for (const task of page.tasks) {
      if (task.task_id === head.task_id || !isJudgeable(task) || task.simulator !== head.simulator) continue;
      if (task.schedule_id !== null && task.schedule_id === head.schedule_id) return task;
      if (targets !== undefined && task.scan_type === head.scan_type && targetsOf(task) === targets)
        byTargets ??= task;
    }
    if (byTargets && head.schedule_id === null) return byTargets;
    if (page.nextCursor === null) break;
    looked += page.tasks.length;
    cursor = page.nextCursor;
  }
  return byTargets;
}

/** True where both mean the same addresses and names, however they are written. */
export function sameTargets(a: TaskRecord, b: TaskRecord): boolean {
  const targets = targetsOf(a);
  return targets !== undefined && targets === targetsOf(b);
}

/** Reasons of a verdict that leave a gate unable to judge. */
export function doubtsOf(quality: Quality): Quality['reasons'] {
  const doubts = quality.reasons.filter((reason) => STOPS_THE_GATE[reason]);
  return doubts.length === 0 && quality.verdict === 'unusable' ? ['nothing_scanned'] : doubts;
}

function isJudgeable({ quality, partial_results }: TaskRecord): boolean {
  return quality !== null && !partial_results && doubtsOf(quality).length === 0;
}

/** One text for a set of targets; undefined for an import of which nobody knows them. */
function targetsOf({ targets }: TaskRecord): string | undefined {
  try {
    return parseTargets(targets)
      .map((target) =>
        target.kind === 'name' ? target.text : `${target.family}:${target.first}-${target.last}`,
      )
      .sort()
      .join();
  } catch (error) {
    if (error instanceof ScanmqError) return undefined;
    throw error;
  }
}
