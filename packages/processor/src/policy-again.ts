import { parseTargets, ScanmqError } from '@scanmq/contract';
import type { Meter } from '@scanmq/observability';
import type { RunContext } from './run-context.js';
import { checkTargetPolicy } from './target-policy.js';

/** The policy once more, after the submission: a name may lead elsewhere by now. @throws as `checkTargetPolicy`. */
export async function checkPolicyAgain(ctx: RunContext, stage: 'create' | 'launch'): Promise<void> {
  const { deps, task } = ctx;
  try {
    await checkTargetPolicy(parseTargets(task.targets), deps.policy, task.target_scope);
  } catch (error) {
    countRefusal(deps.meter, stage, error);
    throw error;
  }
}

export function countRefusal(meter: Meter, stage: 'submission' | 'create' | 'launch', error: unknown): void {
  if (error instanceof ScanmqError && error.code === 'target_refused')
    meter.count('scanmq_policy_refusals_total', { stage });
}
