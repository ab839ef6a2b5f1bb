import { randomUUID } from 'node:crypto';
import { type Environment, type Settings, watchScannersConfig } from '@scanmq/config';
import { ScanmqError } from '@scanmq/contract';
import type { Logger, Tracing } from '@scanmq/observability';
import {
  type ConnectionRole,
  openQueueSystem,
  type QueueSystem,
  type QueueSystemOptions,
} from '@scanmq/queue';
import { createScannerRegistry, type ScannerRegistry } from '@scanmq/scanners';
import { openResultStore, type ResultStore } from '@scanmq/store';
import { lookAtFleet, poolShapes } from './fleet.js';
import { createHealthMonitor, type HealthMonitor } from './health-monitor.js';
import { createLocalCredentials } from './local-credentials.js';
import { hideConfiguredSecrets } from './log-secrets.js';
import { untilUsable } from './until-usable.js';

export interface ServiceCoreOptions {
  readonly settings: Settings;
  readonly env: Environment;
  readonly log: Logger;
  readonly role: ConnectionRole;
  readonly tracing: Tracing;
}

/** What a gateway and a worker have in common: the configured scanners, Redis, and the health of the scanners. */
export interface ServiceCore {
  readonly registry: ScannerRegistry;
  readonly queue: QueueSystem;
  /** Where the files of tasks are. */
  readonly files: ResultStore;
  readonly monitor: HealthMonitor;
  /** Applies the limits of the fleet, as it is now, to the queues of all processes. */
  applyLimits(): Promise<void>;
  /** Called after another `scanners.yaml` came into force. */
  onFleetChange(listener: () => Promise<void> | void): void;
  /** Reads `scanners.yaml` again (SIGHUP). */
  reload(): Promise<void>;
  close(): Promise<void>;
}

/** How often a worker says which credentials it has. */
const OFFER_INTERVAL_MS = 30_000;

/**
 * Waits for what is needed, and says what for.
 * @throws ConfigError; ScanmqError `unavailable` when Redis or the store of the results stays away, or Redis would lose jobs.
 */
export async function openServiceCore(options: ServiceCoreOptions): Promise<ServiceCore> {
  const { settings, env, log, role, tracing } = options;
  const listeners: (() => Promise<void> | void)[] = [];

  const scanners = await watchScannersConfig(settings, env, {
    onChange: (config) => {
      registry.update(config);
      hideConfiguredSecrets(log, settings, registry.instances());
      void applyFleet();
    },
    onError: (error) =>
      log.error(
        { event: 'config.rejected', err: error },
        'the new scanners.yaml is broken; the old one stays in force',
      ),
  });
  const registry = createScannerRegistry(scanners.current);
  hideConfiguredSecrets(log, settings, registry.instances());
  const files = await openResultStore(settings);
  await untilUsable(files, settings.startWaitMs, log).catch(async (error: unknown) => {
    scanners.close();
    await files.close();
    throw error;
  });
  const local =
    role === 'worker'
      ? createLocalCredentials(settings, env, (mistakes) => {
          const event = 'credentials.mistakes';
          if (mistakes.length > 0) log.warn({ event, mistakes }, 'credentials of this worker are not usable');
        })
      : undefined;
  const queue = await openQueueSystem({
    settings,
    store: files,
    role,
    tracing,
    ...(local ? { localCredentials: local } : {}),
    connectWaitMs: settings.startWaitMs,
    ...toldInLog(log),
  });
  const now = (): Date => new Date();
  const monitor = createHealthMonitor({
    registry,
    health: queue.health,
    operatorStates: queue.operatorStates,
    intervalMs: settings.healthIntervalMs,
    circuitFailures: settings.circuitFailures,
    circuitOpenMs: settings.circuitOpenMs,
    log,
    role,
    now,
  });
  await applyLimits();
  // what runs on a scanner that takes no new task gets less with time
  monitor.onRound(() => {
    applyLimits().catch((error: unknown) =>
      log.warn({ event: 'limits.failed', err: error }, 'the limits of the queues could not be applied'),
    );
  });

  // gateways know by this which credentials the workers have; who falls silent has none
  const worker = randomUUID();
  const offer = async (): Promise<void> => {
    if (local) await queue.storedCredentials.offer(worker);
  };
  await offer();
  const offering = setInterval(() => {
    offer().catch((error: unknown) =>
      log.warn(
        { event: 'credentials.offer_failed', err: error },
        'the names of credentials could not be told',
      ),
    );
  }, OFFER_INTERVAL_MS);
  offering.unref();

  async function applyLimits(): Promise<void> {
    const view = await lookAtFleet(registry, queue);
    const bound = await queue.tasks.getMany(await queue.bindings.taskIds());
    const pinned = new Map<string, number>();
    for (const task of bound)
      if (task?.pinned_instance != null)
        pinned.set(task.scanner_pool, (pinned.get(task.scanner_pool) ?? 0) + 1);
    await queue.applyLimits(poolShapes(view, await queue.bindings.load(), pinned));
  }

  async function applyFleet(): Promise<void> {
    try {
      await applyLimits();
      monitor.recheck();
      for (const listener of listeners) await listener();
      log.info({ event: 'config.reloaded', pools: registry.pools() }, 'scanners.yaml was read again');
    } catch (error) {
      log.error({ event: 'config.apply_failed', err: error }, 'the new scanners could not be applied');
    }
  }

  return {
    registry,
    queue,
    files,
    monitor,
    applyLimits,
    onFleetChange: (listener) => void listeners.push(listener),
    async reload() {
      await scanners.reload();
      await offer();
    },
    async close() {
      clearInterval(offering);
      if (local) await queue.storedCredentials.withdraw(worker).catch(() => undefined);
      scanners.close();
      await monitor.stop();
      await registry.close();
      await queue.close();
      await files.close();
    },
  };
}

/** What Redis and the queues tell, as lines of the log. */
export function toldInLog(log: Logger): Pick<QueueSystemOptions, 'onWaiting' | 'onError' | 'onWarning'> {
  return {
    onWaiting: (message) => log.info({ event: 'start.waiting' }, message),
    onError: (what, error) => log.warn({ event: 'dependency.error', what, err: error }, 'dependency error'),
    onWarning: (message) => log.warn({ event: 'redis.settings' }, message),
  };
}

/** A clear error where a port is taken; any other error as it is. */
export function describeListenError(error: unknown, variable: string, port: number): unknown {
  if (!(error instanceof Error && 'code' in error && error.code === 'EADDRINUSE')) return error;
  return new ScanmqError(
    'unavailable',
    `Port ${port} is taken. Set ${variable} to another one (0 = any free).`,
    {
      cause: error,
      retryable: 'no',
    },
  );
}
