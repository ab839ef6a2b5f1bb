import type { ScannerInstanceConfig } from '@scanmq/config';
import type { InstanceHealth, ScannerProbe } from '@scanmq/contract';
import type { Logger } from '@scanmq/observability';
import type { HealthStore, OperatorStates } from '@scanmq/queue';
import type { ScannerRegistry } from '@scanmq/scanners';
import { isEnabled } from './fleet.js';

export interface HealthMonitorDeps {
  readonly registry: ScannerRegistry;
  readonly health: HealthStore;
  readonly operatorStates: OperatorStates;
  readonly intervalMs: number;
  /** Failed checks in a row that open the circuit of an instance. */
  readonly circuitFailures: number;
  /** How long it stays open at first. */
  readonly circuitOpenMs: number;
  readonly log: Logger;
  /**
   * `worker`: keeps the health of every instance fresh. `gateway`: fills in what no worker has found out yet, and
   * keeps its own failures to itself: it may stand where it cannot reach a scanner that workers can.
   */
  readonly role: 'worker' | 'gateway';
  readonly now: () => Date;
}

export interface HealthMonitor {
  start(): void;
  /** Called after every round of checks, and whenever an instance became usable or ceased to be. */
  onRound(listener: (changed: boolean) => void): void;
  /** Asks those instances of which nothing is known, waiting for at most `waitMs`. */
  ensureKnown(instances: readonly ScannerInstanceConfig[], waitMs: number): Promise<void>;
  /** A run found this instance away, or back: asks it soon, not only with the next round. */
  suspect(instanceKey: string): void;
  /** Asks all instances now, whatever their circuits: their configuration may be another. */
  recheck(): void;
  stop(): Promise<void>;
}

/** Runs that all lose the same scanner make one check. */
const SUSPICION_MS = 1_000;
/** One that has just failed is asked again sooner than others: tasks may wait for it. */
const AGAIN_MS = 5_000;
const LONGEST_OPEN_MS = 2 * 60_000;

/**
 * What a check means after those before it: the circuit opens after some failures in a row, lets one check through
 * after a while, and closes with the first that succeeds.
 */
export function nextHealth(
  before: InstanceHealth | undefined,
  found: ScannerProbe,
  options: Pick<HealthMonitorDeps, 'circuitFailures' | 'circuitOpenMs' | 'intervalMs'>,
  now: Date,
): InstanceHealth {
  if (found.healthy) return { ...found, circuit: 'closed', failures: 0, next_check_at: null };
  const failures = (before?.failures ?? 0) + 1;
  const beyond = failures - options.circuitFailures;
  const waitMs =
    beyond < 0
      ? Math.min(AGAIN_MS, options.intervalMs)
      : Math.min(
          Math.max(LONGEST_OPEN_MS, options.circuitOpenMs),
          options.circuitOpenMs * 2 ** Math.min(beyond, 20),
        );
  return {
    ...found,
    circuit: beyond < 0 ? 'closed' : 'open',
    failures,
    next_check_at: new Date(now.getTime() + waitMs).toISOString(),
  };
}

/** Asks every enabled instance for version, readiness and licence, once per interval over all processes. */
export function createHealthMonitor(deps: HealthMonitorDeps): HealthMonitor {
  const { registry, health, intervalMs, log, role, now } = deps;
  const stopped = new AbortController();
  const listeners: ((changed: boolean) => void)[] = [];
  const asking = new Set<Promise<unknown>>();
  /** Instances of which something is known. */
  const asked = new Set<string>();
  let timer: NodeJS.Timeout | undefined;
  let current: Promise<void> = Promise.resolve();

  const tell = (changed: boolean): void => {
    if (!stopped.signal.aborted) for (const listener of listeners) listener(changed);
  };

  /** @returns true when the instance became usable or ceased to be. */
  async function ask(instance: ScannerInstanceConfig, signal: AbortSignal): Promise<boolean> {
    const before = await health.get(instance.instanceKey);
    // seen by others while the one check is under way
    if (before?.circuit === 'open' && role === 'worker')
      await health.set({ ...before, circuit: 'half_open' });
    const found = await registry.scanner(instance.instanceKey).probe(signal);
    if (signal.aborted || (role === 'gateway' && !found.healthy)) return false;
    const next = nextHealth(before, found, deps, now());
    await health.set(next);
    if (before?.healthy === next.healthy && before.mode === next.mode && before.circuit === next.circuit)
      return false;
    log[next.healthy ? 'info' : 'warn'](
      {
        event: 'scanner.health',
        instance: instance.instanceKey,
        healthy: next.healthy,
        circuit: next.circuit,
        failures: next.failures,
        readiness: next.readiness,
        mode: next.mode,
        version: next.version,
        reason: next.reason,
      },
      next.healthy ? 'scanner is ready' : 'scanner is not ready',
    );
    return before === undefined || before.healthy !== next.healthy || before.mode !== next.mode;
  }

  async function round(): Promise<void> {
    const [known, operators] = await Promise.all([health.all(), deps.operatorStates.all()]);
    const due = registry.instances().filter((instance) => {
      const last = known.get(instance.instanceKey);
      if (!isEnabled({ operators }, instance)) return false;
      if (role === 'gateway') return last === undefined;
      return last?.next_check_at == null || Date.parse(last.next_check_at) <= now().getTime();
    });
    const changes = await Promise.all(
      due.map(async (instance) => {
        const last = known.get(instance.instanceKey);
        const mine =
          role === 'gateway' ||
          last === undefined ||
          (last.healthy
            ? await health.takeTurn(instance.instanceKey, 'regular', intervalMs)
            : await health.takeTurn(instance.instanceKey, 'suspicion', Math.min(SUSPICION_MS, intervalMs)));
        return mine && (await ask(instance, stopped.signal));
      }),
    );
    tell(changes.some(Boolean));
  }

  function loop(): void {
    current = round()
      .catch((error: unknown) =>
        log.warn({ event: 'scanner.health', err: error }, 'could not poll the health of the scanners'),
      )
      .finally(() => {
        if (stopped.signal.aborted) return;
        timer = setTimeout(loop, Math.min(intervalMs, AGAIN_MS));
      });
  }

  /** Beside the rounds; never throws. */
  function askSoon(instance: ScannerInstanceConfig): void {
    if (role === 'gateway' || stopped.signal.aborted) return;
    const work = (async () => {
      if (!(await health.takeTurn(instance.instanceKey, 'suspicion', SUSPICION_MS))) return;
      if (await ask(instance, stopped.signal)) tell(true);
    })().catch((error: unknown) =>
      log.warn({ event: 'scanner.health', err: error }, 'could not check a scanner'),
    );
    asking.add(work);
    void work.finally(() => asking.delete(work));
  }

  return {
    start: loop,
    onRound: (listener) => void listeners.push(listener),
    async ensureKnown(instances, waitMs) {
      // what was known once stays known, if not fresh
      if (instances.every((instance) => !instance.enabled || asked.has(instance.instanceKey))) return;
      const known = await health.all();
      for (const key of known.keys()) asked.add(key);
      const unknown = instances.filter((instance) => instance.enabled && !known.has(instance.instanceKey));
      if (unknown.length === 0) return;
      const signal = AbortSignal.any([stopped.signal, AbortSignal.timeout(waitMs)]);
      await Promise.all(unknown.map((instance) => ask(instance, signal)));
    },
    suspect(instanceKey) {
      const instance = registry.instance(instanceKey);
      if (instance) askSoon(instance);
    },
    recheck() {
      for (const instance of registry.instances()) askSoon(instance);
    },
    async stop() {
      stopped.abort();
      clearTimeout(timer);
      await current;
      await Promise.all(asking);
    },
  };
}
