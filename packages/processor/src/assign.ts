/** Gives a task its scanner, or says what it has to wait for. The same at its turn and when it is called out of the waiting room. */
import type { TargetRules } from '@scanmq/config';
import {
  ERROR_CODES,
  type InstanceKey,
  ScanmqError,
  ScannerError,
  type TaskRecord,
  type WaitingFor,
} from '@scanmq/contract';
import { type BindingLimits, type JobLock, mayHaveScan, NO_LIMITS, type QueueSystem } from '@scanmq/queue';
import type { ScannerRegistry } from '@scanmq/scanners';
import { type Availability, availability, type FleetView, refuseUnlessLaunchable } from './fleet.js';
import { UPLOAD_KEY } from './import-results.js';
import type { TargetPolicy } from './target-policy.js';
import { closedWindow, rulesFor } from './target-rules.js';

export type Assignment =
  | { readonly kind: 'assigned'; readonly instanceKey: InstanceKey }
  /** @param delayMs after which it looks again, should nobody call it before. */
  | { readonly kind: 'wait'; readonly waitingFor: WaitingFor; readonly delayMs: number }
  /** No scanner can ever take it. */
  | { readonly kind: 'refused'; readonly error: ScanmqError }
  /** The scanners were away for too long: this attempt has failed. */
  | { readonly kind: 'failed'; readonly error: ScanmqError };

export interface AssignDeps {
  readonly queue: QueueSystem;
  readonly registry: ScannerRegistry;
  readonly policy: Pick<TargetPolicy, 'resolve'>;
  readonly settings: { readonly scannerOutageMs: number };
  readonly now: () => Date;
}

/** Whoever waits is called when something changes; this is how long a call that got lost costs. */
const LOOK_AGAIN_MS = 60_000;

/**
 * @param lock of the job, from whoever has it in its hands. Left out by whoever calls tasks out of the waiting room in
 *   their order: nobody else goes past those before it that wait for the same.
 */
export async function assign(
  deps: AssignDeps,
  task: TaskRecord,
  view: FleetView,
  lock?: JobLock,
): Promise<Assignment> {
  const { registry, queue } = deps;
  // an import takes no slot: it only reads
  if (task.imported)
    return { kind: 'assigned', instanceKey: (task.imported.scanner as InstanceKey | null) ?? UPLOAD_KEY };
  const holder = mayHaveScan(task) ? registry.instance(task.checkpoint?.instance_key ?? '') : undefined;
  if (holder) {
    // its scan lives there, whatever became of the instance; limits of others were kept when it began
    const candidate = { instanceKey: holder.instanceKey, limit: holder.maxConcurrentScans };
    const { bound } = await queue.bindings.bind(task, [candidate], NO_LIMITS);
    return bound === undefined
      ? wait(deps, task, 'scanner_full', `${holder.instanceKey}, which has its scan, has no free slot`)
      : { kind: 'assigned', instanceKey: bound };
  }
  const bound = await queue.bindings.of(task.task_id);
  // it has its slot, and may have begun since we looked: what becomes of it is for the one who has its job
  if (!lock && bound !== undefined) return { kind: 'assigned', instanceKey: bound };
  // a task that is stopped needs no scanner
  if (task.pause_requested && !task.cancel_requested)
    return wait(deps, task, 'hold', `${task.pause_requested.by} paused it`);
  const rules = await rulesFor(registry, task, deps.policy.resolve);
  const closed = closedWindow(registry, task.scanner_pool, rules, deps.now());
  if (closed)
    return wait(deps, task, 'window', `the window of ${closed.of} is closed`, { until: closed.opensAt });
  if (lock && bound === undefined) {
    const blocker = await queue.waitingRoom.earlier(task, blockersOf(task, rules));
    if (blocker !== undefined)
      return wait(deps, task, kindOf(blocker), 'others before it wait for the same', { blocker });
  }
  return await bindToScanner(deps, task, view, rules, lock);
}

const SLOT = 'slot';
const ofPrincipal = (principal: string): string => `principal ${principal}`;
const ofTarget = (name: string): string => `target ${name}`;

/** What a task may have to wait for together with others. A task that asks for one instance has a queue of its own. */
function blockersOf(task: TaskRecord, rules: readonly TargetRules[]): readonly string[] {
  return [
    ...(task.pinned_instance === null ? [SLOT] : []),
    ofPrincipal(task.principal),
    ...rules.map((rule) => ofTarget(rule.name)),
  ];
}

function kindOf(blocker: string): WaitingFor['kind'] {
  if (blocker === SLOT) return 'scanner_full';
  return blocker.startsWith('principal ') ? 'principal_limit' : 'target_limit';
}

async function bindToScanner(
  deps: AssignDeps,
  task: TaskRecord,
  view: FleetView,
  rules: readonly TargetRules[],
  lock: JobLock | undefined,
): Promise<Assignment> {
  const { registry, queue } = deps;
  const wanted = registry
    .instances(task.scanner_pool)
    .filter((instance) => task.pinned_instance === null || instance.instanceId === task.pinned_instance);
  const states = wanted.map((instance) => ({ instance, state: availability(view, instance) }));
  const candidates = states
    .filter(({ state }) => state.usable)
    .map(({ instance }) => ({ instanceKey: instance.instanceKey, limit: instance.maxConcurrentScans }));
  if (candidates.length === 0) {
    return withoutScanner(
      deps,
      task,
      view,
      states.map(({ state }) => state),
    );
  }
  const limits = limitsOf(registry, task, rules);
  let answer = await queue.bindings.bind(task, candidates, limits);
  if (
    lock &&
    answer.bound !== undefined &&
    !candidates.some(({ instanceKey }) => instanceKey === answer.bound)
  ) {
    // bound before, to an instance that takes no new scan any more
    await queue.bindings.giveBack(task.task_id, lock);
    answer = await queue.bindings.bind(task, candidates, limits);
  }
  if (answer.bound !== undefined) return { kind: 'assigned', instanceKey: answer.bound };
  switch (answer.because) {
    case 'principal':
      return wait(
        deps,
        task,
        'principal_limit',
        `${task.principal} already runs ${answer.used} of its ${limits.ofPrincipal} scans at once`,
        { blocker: ofPrincipal(task.principal) },
      );
    case 'target': {
      const name = answer.limit;
      const max = limits.ofTargets.find((limit) => limit.name === name)?.max;
      return wait(
        deps,
        task,
        'target_limit',
        `the target network '${name}' is scanned ${max} times at once already, which is its limit`,
        { blocker: ofTarget(name) },
      );
    }
    case 'full':
      return wait(
        deps,
        task,
        'scanner_full',
        task.pinned_instance === null
          ? `every scanner of pool '${task.scanner_pool}' that is available is full`
          : `${task.scanner_pool}:${task.pinned_instance}, which it asks for, is full`,
        { blocker: task.pinned_instance === null ? SLOT : null },
      );
  }
}

/** Limits beside those of the instances. */
export function limitsOf(
  registry: ScannerRegistry,
  task: Pick<TaskRecord, 'principal'>,
  rules: readonly TargetRules[],
): BindingLimits {
  return {
    ofPrincipal: registry.principalRules(task.principal).maxConcurrentScans,
    ofTargets: rules
      .filter((rule) => rule.maxConcurrentScans !== undefined)
      .map((rule) => ({ name: rule.name, max: rule.maxConcurrentScans ?? 0 })),
  };
}

/** None of the instances takes a task now: refuse, fail or wait, whichever is honest. */
function withoutScanner(
  deps: AssignDeps,
  task: TaskRecord,
  view: FleetView,
  states: readonly Availability[],
): Assignment {
  const what =
    task.pinned_instance === null
      ? `pool '${task.scanner_pool}'`
      : `'${task.scanner_pool}:${task.pinned_instance}'`;
  const reasons = states.map((state) => (state.usable ? '' : state.reason));
  const reason = reasons.length === 0 ? `${what} is not configured any more` : reasons.join('; ');
  const bad = states.filter((state) => !state.usable);
  // somebody may switch it on again, or end the drain: no error
  if (bad.some((state) => state.kind === 'held' || (state.kind === 'never' && state.code === 'no_scanner')))
    return wait(deps, task, 'no_scanner', reason, { blocker: task.pinned_instance === null ? SLOT : null });
  if (bad.length > 0 && bad.every((state) => state.kind === 'never')) {
    try {
      refuseUnlessLaunchable(
        view,
        view.registry
          .instances(task.scanner_pool)
          .filter(
            (instance) => task.pinned_instance === null || instance.instanceId === task.pinned_instance,
          ),
        what,
      );
    } catch (error) {
      if (error instanceof ScanmqError) return { kind: 'refused', error };
      throw error;
    }
  }
  const needsOperator = bad.find((state) => state.kind === 'operator');
  if (needsOperator && bad.every((state) => state.kind === 'operator' || state.kind === 'never')) {
    const message = `No scanner can take the task: ${reason}.`;
    // a name that does not exist may be one of a resolver that is ill
    return ERROR_CODES[needsOperator.code].retryable === 'yes'
      ? { kind: 'failed', error: new ScanmqError(needsOperator.code, message) }
      : { kind: 'refused', error: new ScanmqError(needsOperator.code, message, { retryable: 'no' }) };
  }
  const since = task.waiting_for?.kind === 'no_scanner' ? Date.parse(task.waiting_for.since) : undefined;
  const waitedMs = since === undefined ? 0 : deps.now().getTime() - since;
  // one that compiles its plugins may take an hour, and says so; one that does not answer may never come back
  const patienceMs = bad.some((state) => state.kind === 'loading')
    ? Math.max(task.timeout_ms, deps.settings.scannerOutageMs)
    : deps.settings.scannerOutageMs;
  if (waitedMs < patienceMs) {
    const waiting = wait(deps, task, 'no_scanner', reason, {
      blocker: task.pinned_instance === null ? SLOT : null,
    });
    return { ...waiting, delayMs: Math.min(waiting.delayMs, patienceMs - waitedMs + 1) };
  }
  return {
    kind: 'failed',
    error:
      bad.length === 0
        ? new ScanmqError('no_scanner', `No scanner can take the task: ${reason}.`)
        : new ScannerError(
            'scanner_unreachable',
            `No scanner of ${what} could be used for ${Math.round(waitedMs / 1_000)} s: ${reason}.`,
          ),
  };
}

function wait(
  { now }: Pick<AssignDeps, 'now'>,
  task: TaskRecord,
  kind: WaitingFor['kind'],
  reason: string,
  { until, blocker = null }: { readonly until?: Date; readonly blocker?: string | null } = {},
): Extract<Assignment, { kind: 'wait' }> {
  const at = now();
  const before = task.waiting_for;
  return {
    kind: 'wait',
    waitingFor: {
      kind,
      reason,
      since: before?.kind === kind ? before.since : at.toISOString(),
      until: until?.toISOString() ?? null,
      blocker,
    },
    // a timer may fire a moment early, and would find the window still closed
    delayMs:
      until === undefined
        ? LOOK_AGAIN_MS
        : Math.min(LOOK_AGAIN_MS, Math.max(1, until.getTime() - at.getTime() + 5)),
  };
}
