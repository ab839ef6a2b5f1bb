import type { Settings } from '@scanmq/config';
import { type HousekeepingReport, seesAllTasks } from '@scanmq/contract';
import type { Metrics } from '@scanmq/observability';
import type { ScannerRegistry } from '@scanmq/scanners';
import type { ResultStore } from '@scanmq/store';
import type { FastifyInstance, FastifyRequest } from 'fastify';
import { principalOf } from './access/install-access.js';
import type { Services, ServicesDeps, ServicesFor } from './access/services.js';
import { installCompilers } from './openapi/compilers.js';
import { insistOnDeclarations } from './openapi/declared.js';
import { documentRoutes } from './openapi/document-routes.js';
import { installCompression } from './plugins/compression.js';
import { installUnchanged } from './plugins/unchanged.js';
import { credentialRoutes } from './routes/credentials.js';
import { deadLetterRoutes } from './routes/dead-letters.js';
import { eventRoutes } from './routes/events.js';
import { fleetRoutes } from './routes/fleet.js';
import { gateRoutes } from './routes/gate.js';
import { healthRoutes } from './routes/health.js';
import { housekeepingRoutes } from './routes/housekeeping.js';
import { importRoutes } from './routes/imports.js';
import { metricsRoutes } from './routes/metrics.js';
import { resultRoutes } from './routes/results.js';
import { scanRoutes } from './routes/scans.js';
import { scheduleRoutes } from './routes/schedules.js';
import { webhookRoutes } from './routes/webhooks.js';
import type { WebhookService } from './webhook-service.js';

export interface RestDeps extends ServicesDeps {
  readonly webhooks: WebhookService;
  readonly settings: Pick<Settings, 'importMaxBytes' | 'dataDir' | 'minFreeDiskBytes' | 'sweepIntervalMs'>;
  readonly registry: ScannerRegistry;
  readonly keepHouse: (dryRun: boolean) => Promise<HousekeepingReport>;
  readonly files: Pick<ResultStore, 'check'>;
  readonly metrics: Metrics;
  readonly version: string;
}

/** Every route that the OpenAPI document describes, with what they share. Wants a scope of its own. */
export async function restRoutes(
  rest: FastifyInstance,
  deps: RestDeps,
  servicesFor: ServicesFor,
): Promise<void> {
  const servicesOf = (request: FastifyRequest): Services => servicesFor(principalOf(request));
  installCompilers(rest);
  insistOnDeclarations(rest);
  installUnchanged(rest);
  await installCompression(rest);
  metricsRoutes(rest, deps);
  healthRoutes(rest, deps);
  documentRoutes(rest);
  await rest.register(
    async (api) => {
      scanRoutes(api, servicesOf);
      eventRoutes(api, servicesOf);
      resultRoutes(api, servicesOf);
      gateRoutes(api, servicesOf);
      await importRoutes(api, servicesOf, deps.settings.importMaxBytes);
      fleetRoutes(api, servicesOf);
      deadLetterRoutes(api, servicesOf);
      housekeepingRoutes(api, deps.keepHouse);
      credentialRoutes(api, deps.queue);
      scheduleRoutes(api, servicesOf);
      webhookRoutes(api, deps.webhooks, (request) => {
        const principal = principalOf(request);
        return { principal: principal.name, all: seesAllTasks(principal) };
      });
    },
    { prefix: '/api/v1' },
  );
}
