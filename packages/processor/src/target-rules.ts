/** Limits and opening hours of target networks, as they apply to one task (`target_limits` in scanners.yaml). */
import { hoursStatus, type TargetRules } from '@scanmq/config';
import { parseTargets, setTouches, type TaskRecord } from '@scanmq/contract';
import type { ScannerRegistry } from '@scanmq/scanners';
import { namesOf, type ResolveName, resolveNames } from './resolve-names.js';

/** The rules whose targets a task touches. A name counts by itself and by the addresses it stands for now. */
export async function rulesFor(
  registry: ScannerRegistry,
  task: Pick<TaskRecord, 'targets'>,
  resolve: ResolveName,
): Promise<readonly TargetRules[]> {
  const rules = registry.targetRules();
  if (rules.length === 0) return [];
  const targets = parseTargets(task.targets);
  // names that take too long are judged by themselves, as those that nobody knows
  const known = await resolveNames(namesOf(targets), resolve).catch(() => undefined);
  return rules.filter((rule) =>
    targets.some((target) => setTouches(rule.targets, target, known?.get(target.text)?.addresses ?? [])),
  );
}

/** A closed window that concerns a task. */
export interface ClosedWindow {
  /** Whose: `pool 'nessus'`, `target network 'plant'`. */
  readonly of: string;
  readonly opensAt: Date;
}

/**
 * The window that is closed now and opens last; undefined when all that concern the task are open.
 * @param pausing only windows that pause running scans when they close.
 */
export function closedWindow(
  registry: ScannerRegistry,
  pool: string,
  rules: readonly TargetRules[],
  now: Date,
  { pausing = false }: { readonly pausing?: boolean } = {},
): ClosedWindow | undefined {
  let closed: ClosedWindow | undefined;
  const concerned = [
    { of: `pool '${pool}'`, hours: registry.poolRules(pool).hours },
    ...rules.map((rule) => ({ of: `target network '${rule.name}'`, hours: rule.hours })),
  ];
  for (const { of, hours } of concerned) {
    if (!hours || (pausing && hours.atClose === 'continue')) continue;
    const status = hoursStatus(hours, now);
    if (!status.open && (!closed || status.opensAt > closed.opensAt))
      closed = { of, opensAt: status.opensAt };
  }
  return closed;
}
