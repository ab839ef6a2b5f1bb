import { type Access, checkBinding, openAccess } from '@scanmq/access';
import type { Environment, Settings } from '@scanmq/config';
import { targetSet } from '@scanmq/contract';
import { createResultsStore } from '@scanmq/findings';
import { type Logger, openMetrics } from '@scanmq/observability';
import { createTargetPolicy, describeListenError, keepHouse, startService } from '@scanmq/processor';
import type { QueueSystem } from '@scanmq/queue';
import { buildApp } from './app.js';
import { createCompletedResults } from './completed-results.js';
import { createDiskGuard } from './disk-guard.js';
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

/**
 * Starts the HTTP process.
 * @throws ScanmqError when the configuration forbids it, Redis is away, or the port is taken.
 */
export async function startGateway(options: GatewayOptions): Promise<Gateway> {
  const { settings, env, log, version } = options;
  const { core, tracing, waiting } = await startService({
    settings,
    env,
    log,
    role: 'gateway',
    version,
    port: settings.port,
    portVariable: 'PORT',
  });
  const { queue, files, registry, monitor } = core;
  const access = await openGuard(options, queue.redis).catch(async (error: unknown) => {
    await waiting.close();
    await core.close();
    throw error;
  });
  const waiter = await createTaskWaiter(queue);
  const policy = createTargetPolicy(settings);
  const now = (): Date => new Date();
  const disk = createDiskGuard(settings);
  const metrics = await openMetrics('gateway');
  const admitting = { queue, registry, monitor, policy, meter: metrics };
  const service = createScanService({
    ...admitting,
    waiter,
    applyLimits: () => core.applyLimits(),
    disk,
    now,
  });
  const events = await createEventHub({ queue, describe: (task) => service.describe(task), log });
  const store = await createResultsStore({
    memoryMb: settings.resultsMemoryMb,
    threads: settings.resultsThreads,
  });
  const completed = createCompletedResults({ queue, files, store });
  const { app, dashboard } = await buildApp({
    service,
    results: createResultService({ queue, files, store, completed, version, now }),
    gate: createGateService({ queue, store, completed, version, now }),
    events,
    access,
    now,
    imports: createImportService({ queue, files, registry, settings, disk, now }),
    schedules: createScheduleService({ ...admitting, scans: service, now }),
    plans: createPlanService({ ...admitting, scans: service, settings, now }),
    webhooks: createWebhookService({ queue, allow: targetSet(settings.webhookAllowNetworks) }),
    settings,
    queue,
    registry,
    keepHouse: (dryRun) => keepHouse({ queue, files, registry, settings, log, now }, dryRun),
    files,
    metrics,
    tracing,
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
    await access.close();
    await core.close();
    await tracing.close();
  }
  try {
    await waiting.close();
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

/** @throws ScanmqError `forbidden` where the gateway would be open to others than those on this machine. */
async function openGuard({ settings, log }: GatewayOptions, redis: QueueSystem['redis']): Promise<Access> {
  const access = await openAccess({
    settings,
    redis,
    onProblem: (what, error) => log.warn({ event: 'access.problem', err: error }, what),
  });
  try {
    const mode = await access.mode();
    checkBinding(settings.host, isLoopback(settings.host), mode);
    if (mode === 'local')
      log.info(
        { event: 'access.local' },
        'there is no API key: the gateway binds to loopback only, and whoever is on this machine may do everything. scanmq keys create makes one',
      );
    return access;
  } catch (error) {
    await access.close();
    throw error;
  }
}
