import { randomUUID } from 'node:crypto';
import { accessKeys } from '@scanmq/access';
import type { Environment, Settings } from '@scanmq/config';
import { targetSet } from '@scanmq/contract';
import { type Logger, openMetrics } from '@scanmq/observability';
import {
  configuredShapes,
  createAdmission,
  createScanProcessor,
  createTargetPolicy,
  createWebhookDeliverer,
  describeListenError,
  followFolders,
  keepHouse,
  runScheduleJob,
  settleAbandoned,
  startScanWorkers,
  startService,
} from '@scanmq/processor';
import type { QueueSystem } from '@scanmq/queue';
import { createWebhookSender } from '@scanmq/webhooks';
import { startHealthServer } from './health-server.js';

export interface WorkerProcessOptions {
  readonly settings: Settings;
  readonly env: Environment;
  readonly log: Logger;
  readonly version: string;
}

export interface WorkerProcess {
  /** Address of `/health*`. */
  readonly url: string;
  /** Reads `scanners.yaml` again (SIGHUP). */
  reload(): Promise<void>;
  /** Hands running scans to other workers and ends. @returns false when the grace time was not enough. */
  close(): Promise<boolean>;
}

/**
 * Starts the scan process.
 * @throws ScanmqError when the configuration is broken, Redis stays away, or the port is taken.
 */
export async function startWorkerProcess(options: WorkerProcessOptions): Promise<WorkerProcess> {
  const { settings, env } = options;
  const log = options.log.child({ worker: randomUUID().slice(0, 8) });
  const { core, tracing, waiting } = await startService({
    settings,
    env,
    log,
    role: 'worker',
    version: options.version,
    port: settings.workerPort,
    portVariable: 'WORKER_PORT',
  });
  const { queue, files, registry, monitor } = core;
  const policy = createTargetPolicy(settings);
  const metrics = await openMetrics('worker');
  const now = (): Date => new Date();
  const admission = createAdmission({ queue, registry, settings, policy, log, now });
  const processor = createScanProcessor({
    queue,
    files,
    registry,
    settings,
    policy,
    meter: metrics,
    tracing,
    admission,
    applyLimits: () => core.applyLimits(),
    suspect: (instanceKey) => monitor.suspect(instanceKey),
    log,
    now,
  });
  // what a scanner can do must be known before tasks are assigned
  await monitor.ensureKnown(registry.instances(), settings.healthIntervalMs);
  monitor.start();
  // a scanner that is back, or a slot more than before
  monitor.onRound((changed) => {
    if (changed) admission.request();
  });
  const stopListening = await queue.listenControl((message) => {
    switch (message.action) {
      case 'admit':
        return admission.request();
      case 'wake':
        return processor.wake(message.task_id);
      case 'cancel':
        return processor.interrupt(message.task_id, 'cancel');
      case 'look':
        // the sweep asks to look at tasks past their time limit only
        return processor.interrupt(message.task_id, 'deadline');
    }
  });
  const deliverer = createWebhookDeliverer({
    queue,
    sender: createWebhookSender({
      allow: targetSet(settings.webhookAllowNetworks),
      timeoutMs: settings.webhookTimeoutMs,
      now,
    }),
    settings,
    log,
    meter: metrics,
    now,
    random: Math.random,
  });
  const workers = await startScanWorkers({
    queue,
    processor,
    settings,
    log,
    meter: metrics,
    sweepIntervalMs: settings.sweepIntervalMs,
    settle: () => settleAbandoned({ queue, registry, admission, log, now }),
    follow: () => followFolders({ queue, registry, log, now }),
    followIntervalMs: settings.followIntervalMs,
    keepHouse: async () => {
      const report = await keepHouse({ queue, files, registry, settings, log, now }, false);
      metrics.count('nessus_ttl_deletions_total', {}, report.tasks.length);
      // the lists are in the log; the dashboard shows the figures
      return {
        tasks: report.tasks.length,
        directories: report.directories.length,
        scans: report.scans.length,
      };
    },
    housekeepingIntervalMs: settings.housekeepingIntervalMs,
    runSchedule: (job, token) =>
      runScheduleJob(
        { queue, registry, monitor, policy, meter: metrics, tracing, log, now: () => new Date() },
        job,
        token,
      ),
    deliverer,
  });
  const webhooks = queue.readWebhooks({
    onGap: (position) =>
      log.warn(
        { event: 'webhooks.gap', position },
        'the change log was cut before webhooks were told of all of it; they are told of what is left',
      ),
    onError: (error) => log.warn({ event: 'webhooks.error', err: error }, 'webhooks cannot be told now'),
  });
  workers.serve(configuredShapes(registry));
  core.onFleetChange(() => {
    workers.serve(configuredShapes(registry));
    // windows and limits may be others, for those that wait and for those that run
    admission.request();
    processor.wakeAll();
  });

  async function closeScans(): Promise<boolean> {
    stopListening();
    await webhooks.close();
    const handedOver = await workers.close();
    await admission.close();
    await core.close();
    await tracing.close();
    return handedOver;
  }

  await waiting.close();
  const health = await startHealthServer({
    host: settings.host,
    port: settings.workerPort,
    version: options.version,
    queue,
    files,
    registry,
    settings,
    now,
    runningScans: () => processor.size,
    askedAt: () => workers.askedAt(),
    wordsOnly: () => hasKeys(settings, queue),
    metrics,
  }).catch(async (error: unknown) => {
    await closeScans();
    throw describeListenError(error, 'WORKER_PORT', settings.workerPort);
  });
  log.info({ event: 'worker.started', url: health.url, pools: registry.pools() }, 'worker takes jobs');

  return {
    url: health.url,
    reload: () => core.reload(),
    async close() {
      log.info({ event: 'worker.stopping', running: processor.size }, 'worker hands over its scans');
      const handedOver = await closeScans();
      await health.close();
      log.info({ event: 'worker.stopped', handed_over: handedOver }, 'worker ended');
      return handedOver;
    },
  };
}

/** Whether the gateways want a key. A file of keys need not be here as well. */
async function hasKeys(settings: Settings, { redis }: QueueSystem): Promise<boolean> {
  if (settings.oidc !== undefined || settings.apiKeysFile !== undefined) return true;
  return (await redis.hlen(accessKeys(settings.queuePrefix).apiKeys)) > 0;
}
