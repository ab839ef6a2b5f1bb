import type { TaskRecord } from '@scanmq/contract';

/** What `task.json` says of a task. The run token is a fence between processes, not a fact about it. */
export function taskFileText({ run_token: _, ...kept }: TaskRecord): string {
  return `${JSON.stringify(kept, null, 2)}\n`;
}
