/** A task as tools answer it: with the call that makes sense next. */
import { type ScanStatus, scanStatusSchema } from '@scanmq/contract';
import { z } from 'zod';
import { shortTargets } from './budget.js';

/** Characters of the targets in the status of a task; lists of tasks show fewer. */
const TARGETS_CHARS = 2_000;

export const nextSchema = z.string().meta({ description: 'The call that makes sense now' });

/** A task as a tool answers it. */
export const statusSchema = scanStatusSchema.extend({ next: nextSchema });
/** The task as a model needs it: the whole of its targets is in REST. */
export function toldStatus(status: ScanStatus): z.input<typeof statusSchema> {
  return { ...status, targets: shortTargets(status.targets, TARGETS_CHARS), next: nextStep(status) };
}

/** The call that makes sense now, written out. */
export function nextStep(
  status: Pick<ScanStatus, 'task_id' | 'status' | 'paused' | 'error' | 'partial_results'>,
): string {
  const id = JSON.stringify(status.task_id);
  switch (status.status) {
    case 'queued':
    case 'running':
      return status.paused
        ? `control_scan {"task_id":${id},"action":"resume"} lets it go on; it is paused.`
        : `wait_for_scan {"task_id":${id}}, again and again until it has ended.`;
    case 'completed':
      return findings(id);
    case 'failed':
    case 'timeout':
    case 'cancelled':
      if (status.partial_results)
        return `${findings(id)} The scan was stopped early: what is missing says nothing.`;
      return status.error?.retryable
        ? `control_scan {"task_id":${id},"action":"retry"} runs it again.`
        : `Nothing was scanned to the end. Read error and troubleshooting; control_scan {"task_id":${id},"action":"retry"} once the cause is gone.`;
  }
}

function findings(id: string): string {
  return `search_findings {"task_id":${id},"group_by":"plugin","severity":">=medium"}, then search_findings with plugin_id for the hosts, get_finding for one finding.`;
}
