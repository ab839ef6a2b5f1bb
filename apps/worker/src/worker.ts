import { randomUUID } from 'node:crypto';
import { type Settings, watchScannersConfig } from '@scanmq/config';
import { ScanmqError } from '@scanmq/contract';
import type { Logger } from '@scanmq/observability';
import {
  createHealthMonitor,
  createScanProcessor,
  createTargetPolicy,
  hideConfiguredSecrets,
  poolShapes,
  startScanWorkers,
} from '@scanmq/processor';
import { openQueueSystem } from '@scanmq/queue';
import { createScannerRegistry } from '@scanmq/scanners';
import { startHealthServer } from './health-server.js';

export interface WorkerProcessOptions {
  readonly settings: Settings;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly log: Logger;
}

export interface WorkerProcess {
  /** Address of `/health*`. */
  readonly url: string;
  /** Reads `scanners.yaml` again (SIGHUP). */
  reload(): Promise<void>;
  /** Hands running scans to other workers and ends. @returns false when the grace time was not enough. */
  close(): Promise<boolean>;
}

/** A worker may be started before Redis is. */
const REDIS_WAIT_MS = 60_000;
const SWEEP_INTERVAL_MS = 60_000;

/**
 * Starts the scan process.
 * @throws ScanmqError when the configuration is broken, Redis stays away, or the port is taken.
 */
export async function startWorkerProcess(options: WorkerProcessOptions): Promise<WorkerProcess> {
  const { settings, env } = options;
  const log = options.log.child({ worker: randomUUID().slice(0, 8) });
  const scanners = await watchScannersConfig(settings, env, {
    onChange: (config) => {
      registry.update(config);
      hideConfiguredSecrets(log, settings, registry.instances());
      void workers
        .update(poolShapes(registry))
        .catch((error: unknown) =>
          log.error({ event: 'config.apply_failed', err: error }, 'the new scanners could not be applied'),
        );
      log.info({ event: 'config.reloaded', pools: registry.pools() }, 'scanners.yaml was read again');
    },
    onError: (error) =>
      log.error(
        { event: 'config.rejected', err: error },
        'the new scanners.yaml is broken; the old one stays in force',
      ),
  });
  const registry = createScannerRegistry(scanners.current);
  hideConfiguredSecrets(log, settings, registry.instances());
  const queue = await openQueueSystem({
    settings,
    role: 'worker',
    connectWaitMs: REDIS_WAIT_MS,
    onError: (what, error) => log.warn({ event: 'dependency.error', what, err: error }, 'dependency error'),
    onWarning: (message) => log.warn({ event: 'redis.settings' }, message),
  });
  const processor = createScanProcessor({
    queue,
    registry,
    settings,
    policy: createTargetPolicy(settings),
    log,
    now: () => new Date(),
  });
  const monitor = createHealthMonitor({
    registry,
    health: queue.health,
    intervalMs: settings.healthIntervalMs,
    log,
    role: 'worker',
  });
  // what a scanner can do must be known before tasks are assigned
  await monitor.ensureKnown(registry.instances(), settings.healthIntervalMs);
  monitor.start();
  const stopListening = await queue.listenControl(({ task_id: taskId, action }) => {
    if (action === 'cancel') processor.interrupt(taskId, 'cancel');
    else processor.interrupt(taskId, 'deadline');
  });
  const workers = await startScanWorkers({
    queue,
    processor,
    settings,
    log,
    sweepIntervalMs: SWEEP_INTERVAL_MS,
  });
  await workers.update(poolShapes(registry));
  const health = await startHealthServer({
    host: settings.host,
    port: settings.workerPort,
    isReady: async () => (await queue.redis.ping()) === 'PONG',
    runningScans: () => processor.size,
  }).catch(async (error: unknown) => {
    await closeAll();
    throw portError(error, settings.workerPort);
  });
  log.info({ event: 'worker.started', url: health.url, pools: registry.pools() }, 'worker takes jobs');

  async function closeAll(): Promise<boolean> {
    scanners.close();
    stopListening();
    const handedOver = await workers.close();
    await monitor.stop();
    await registry.close();
    await queue.close();
    return handedOver;
  }

  return {
    url: health.url,
    reload: () => scanners.reload(),
    async close() {
      log.info({ event: 'worker.stopping', running: processor.size }, 'worker hands over its scans');
      const handedOver = await closeAll();
      await health.close();
      log.info({ event: 'worker.stopped', handed_over: handedOver }, 'worker ended');
      return handedOver;
    },
  };
}

function portError(error: unknown, port: number): unknown {
  if (!(error instanceof Error && 'code' in error && error.code === 'EADDRINUSE')) return error;
  return new ScanmqError(
    'unavailable',
    `Port ${port} for the worker's health is taken. Set WORKER_PORT to another one (0 = any free).`,
    {
      cause: error,
      retryable: 'no',
    },
  );
}
