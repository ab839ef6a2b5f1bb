import type { ScannerInstanceConfig } from '@scanmq/config';
import type { Logger } from '@scanmq/observability';
import type { HealthStore } from '@scanmq/queue';
import type { ScannerRegistry } from '@scanmq/scanners';

export interface HealthMonitorDeps {
  readonly registry: ScannerRegistry;
  readonly health: HealthStore;
  readonly intervalMs: number;
  readonly log: Logger;
  /**
   * `worker`: keeps the health of every instance fresh. `gateway`: fills in what no worker has found out yet, and
   * keeps its own failures to itself: it may stand where it cannot reach a scanner that workers can.
   */
  readonly role: 'worker' | 'gateway';
}

export interface HealthMonitor {
  start(): void;
  /** Asks those instances of which nothing is known, waiting for at most `waitMs`. */
  ensureKnown(instances: readonly ScannerInstanceConfig[], waitMs: number): Promise<void>;
  stop(): Promise<void>;
}

/** Asks every enabled instance for version, readiness and licence, once per interval over all processes. */
export function createHealthMonitor(deps: HealthMonitorDeps): HealthMonitor {
  const { registry, health, intervalMs, log, role } = deps;
  const stopped = new AbortController();
  let timer: NodeJS.Timeout | undefined;
  let current: Promise<void> = Promise.resolve();

  async function ask(instance: ScannerInstanceConfig, signal: AbortSignal): Promise<void> {
    const before = await health.get(instance.instanceKey);
    const found = await registry.scanner(instance.instanceKey).probe(signal);
    if (signal.aborted || (role === 'gateway' && !found.healthy)) return;
    await health.set(found);
    if (before?.healthy === found.healthy && before.mode === found.mode) return;
    log[found.healthy ? 'info' : 'warn'](
      {
        event: 'scanner.health',
        instance: instance.instanceKey,
        healthy: found.healthy,
        readiness: found.readiness,
        mode: found.mode,
        version: found.version,
        reason: found.reason,
      },
      found.healthy ? 'scanner is ready' : 'scanner is not ready',
    );
  }

  async function round(): Promise<void> {
    const known = await health.all();
    const due = registry
      .instances()
      .filter((instance) => instance.enabled && (role === 'worker' || !known.has(instance.instanceKey)));
    await Promise.all(
      due.map(async (instance) => {
        if (
          role === 'worker' &&
          known.has(instance.instanceKey) &&
          !(await health.takeTurn(instance.instanceKey, intervalMs))
        )
          return;
        await ask(instance, stopped.signal);
      }),
    );
  }

  function loop(): void {
    current = round()
      .catch((error: unknown) =>
        log.warn({ event: 'scanner.health', err: error }, 'could not poll the health of the scanners'),
      )
      .finally(() => {
        if (stopped.signal.aborted) return;
        timer = setTimeout(loop, intervalMs);
      });
  }

  return {
    start: loop,
    async ensureKnown(instances, waitMs) {
      const known = await health.all();
      const unknown = instances.filter((instance) => instance.enabled && !known.has(instance.instanceKey));
      if (unknown.length === 0) return;
      const signal = AbortSignal.any([stopped.signal, AbortSignal.timeout(waitMs)]);
      await Promise.all(unknown.map((instance) => ask(instance, signal)));
    },
    async stop() {
      stopped.abort();
      clearTimeout(timer);
      await current;
    },
  };
}
