import type { Environment, Settings } from '@scanmq/config';
import { ScanmqError, targetSet } from '@scanmq/contract';
import { createResultsStore } from '@scanmq/findings';
import type { Logger } from '@scanmq/observability';
import { createTargetPolicy, describeListenError, keepHouse, openServiceCore } from '@scanmq/processor';
import { buildApp } from './app.js';
import { createCompletedResults } from './completed-results.js';
import { createEventHub } from './event-hub.js';
import { createGateService } from './gate-service.js';
import { createImportService } from './import-service.js';
import { createPlanService } from './plan-service.js';
import { isLoopback } from './plugins/host-guard.js';
import { installSilentConnections } from './plugins/silent-connections.js';
import { createResultService } from './result-service.js';
import { createScanService } from './scan-service.js';
import { createScheduleService } from './schedule-service.js';
import { createTaskWaiter } from './task-waiter.js';
import { createWebhookService } from './webhook-service.js';

export interface GatewayOptions {
  readonly settings: Settings;
  readonly env: Environment;
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
  const { settings, env, log, version } = options;
  if (!isLoopback(settings.host)) {
    throw new ScanmqError(
      'forbidden',
      `HOST is ${settings.host}, but there is no authentication yet: whoever reaches the gateway could start scans. Bind to 127.0.0.1 and put an authenticating proxy in front.`,
    );
  }
  const core = await openServiceCore({ settings, env, log, role: 'gateway', redisWaitMs: REDIS_WAIT_MS });
  const { queue, registry, monitor } = core;
  const waiter = await createTaskWaiter(queue);
  const policy = createTargetPolicy(settings);
  const now = (): Date => new Date();
  const service = createScanService({
    queue,
    registry,
    monitor,
    waiter,
    policy,
    applyLimits: () => core.applyLimits(),
    now,
  });
  const events = await createEventHub({ queue, describe: (task) => service.describe(task), log });
  const store = await createResultsStore({
    memoryMb: settings.resultsMemoryMb,
    threads: settings.resultsThreads,
  });
  const completed = createCompletedResults({ queue, store, settings });
  const { app, dashboard } = await buildApp({
    service,
    results: createResultService({ queue, store, completed, settings, version, now }),
    gate: createGateService({ queue, store, completed, version, now }),
    events,
    imports: createImportService({ queue, registry, settings, now }),
    schedules: createScheduleService({ queue, registry, monitor, policy, scans: service, now }),
    plans: createPlanService({ queue, registry, monitor, policy, scans: service, settings, now }),
    webhooks: createWebhookService({ queue, allow: targetSet(settings.webhookAllowNetworks) }),
    settings,
    queue,
    keepHouse: (dryRun) => keepHouse({ queue, registry, settings, log, now }, dryRun),
    dataDir: settings.dataDir,
    version,
    log,
  });
  const endSilentConnections = installSilentConnections(app);
  core.onFleetChange(() => dashboard.refresh());
  monitor.start();

  async function close(): Promise<void> {
    // requests that wait for a task answer now, or closing would take as long as they may wait
    waiter.close();
    // and streams end: whoever follows goes on elsewhere, or here when we are back
    events.close();
    // a connection whose answer goes out after closing began would otherwise be kept for the next request
    const idle = setInterval(() => {
      app.server.closeIdleConnections();
      endSilentConnections();
    }, 50);
    await app.close();
    clearInterval(idle);
    await store.close();
    await core.close();
  }
  try {
    const url = await app.listen({ host: settings.host, port: settings.port });
    log.info(
      { event: 'gateway.listening', url, dashboard: `${url}/dashboard`, mcp: `${url}/mcp` },
      'gateway is listening',
    );
    return { url, reload: () => core.reload(), close };
  } catch (error) {
    await close();
    throw describeListenError(error, 'PORT', settings.port);
  }
}
