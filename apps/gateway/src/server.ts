import { type Settings, watchScannersConfig } from '@scanmq/config';
import { ScanmqError } from '@scanmq/contract';
import type { Logger } from '@scanmq/observability';
import {
  createHealthMonitor,
  createTargetPolicy,
  hideConfiguredSecrets,
  poolShapes,
} from '@scanmq/processor';
import { openQueueSystem } from '@scanmq/queue';
import { createScannerRegistry } from '@scanmq/scanners';
import { buildApp } from './app.js';
import { isLoopback } from './plugins/host-guard.js';
import { createScanService } from './scan-service.js';
import { createTaskWaiter } from './task-waiter.js';

export interface GatewayOptions {
  readonly settings: Settings;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly log: Logger;
  readonly version: string;
}

export interface Gateway {
  /** `http://127.0.0.1:8835`, with the real port. */
  readonly url: string;
  /** Reads `scanners.yaml` again (SIGHUP). */
  reload(): Promise<void>;
  /** Stops accepting, lets requests in progress finish, closes everything. */
  close(): Promise<void>;
}

const REDIS_WAIT_MS = 30_000;

/**
 * Starts the HTTP process.
 * @throws ScanmqError when the configuration forbids it, Redis is away, or the port is taken.
 */
export async function startGateway(options: GatewayOptions): Promise<Gateway> {
  const { settings, env, log } = options;
  if (!isLoopback(settings.host)) {
    throw new ScanmqError(
      'forbidden',
      `HOST is ${settings.host}, but there is no authentication yet: whoever reaches the gateway could start scans. Bind to 127.0.0.1 and put an authenticating proxy in front.`,
    );
  }
  const scanners = await watchScannersConfig(settings, env, {
    onChange: (config) => {
      registry.update(config);
      hideConfiguredSecrets(log, settings, registry.instances());
      void queue
        .applyLimits(poolShapes(registry))
        .then(() => dashboard.refresh())
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
    role: 'gateway',
    connectWaitMs: REDIS_WAIT_MS,
    onError: (what, error) => log.warn({ event: 'dependency.error', what, err: error }, 'dependency error'),
    onWarning: (message) => log.warn({ event: 'redis.settings' }, message),
  });
  await queue.applyLimits(poolShapes(registry));
  const waiter = await createTaskWaiter(queue);
  const monitor = createHealthMonitor({
    registry,
    health: queue.health,
    intervalMs: settings.healthIntervalMs,
    log,
    role: 'gateway',
  });
  const service = createScanService({
    queue,
    registry,
    monitor,
    waiter,
    settings,
    policy: createTargetPolicy(settings),
    now: () => new Date(),
  });
  const { app, dashboard } = await buildApp({
    service,
    queue,
    dataDir: settings.dataDir,
    version: options.version,
    log,
  });
  monitor.start();

  async function close(): Promise<void> {
    scanners.close();
    // requests that wait for a task answer now, or closing would take as long as they may wait
    waiter.close();
    // a connection whose answer goes out after closing began would otherwise be kept for the next request
    const idle = setInterval(() => app.server.closeIdleConnections(), 50);
    await app.close();
    clearInterval(idle);
    await monitor.stop();
    await registry.close();
    await queue.close();
  }
  try {
    const url = await app.listen({ host: settings.host, port: settings.port });
    log.info(
      { event: 'gateway.listening', url, dashboard: `${url}/dashboard`, mcp: `${url}/mcp` },
      'gateway is listening',
    );
    return { url, reload: () => scanners.reload(), close };
  } catch (error) {
    await close();
    if (error instanceof Error && 'code' in error && error.code === 'EADDRINUSE') {
      throw new ScanmqError(
        'unavailable',
        `Port ${settings.port} on ${settings.host} is taken. Set PORT to another one (0 = any free).`,
        { cause: error, retryable: 'no' },
      );
    }
    throw error;
  }
}
