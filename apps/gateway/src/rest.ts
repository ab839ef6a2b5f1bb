import type { Settings } from '@scanmq/config';
import type { HousekeepingReport } from '@scanmq/contract';
import type { QueueSystem } from '@scanmq/queue';
import type { FastifyInstance, FastifyRequest } from 'fastify';
import type { EventHub } from './event-hub.js';
import type { GateService } from './gate-service.js';
import type { ImportService } from './import-service.js';
import { installCompilers } from './openapi/compilers.js';
import { insistOnDeclarations } from './openapi/declared.js';
import { documentRoutes } from './openapi/document-routes.js';
import { installCompression } from './plugins/compression.js';
import { installUnchanged } from './plugins/unchanged.js';
import type { ResultService } from './result-service.js';
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
import type { ScanService } from './scan-service.js';
import type { ScheduleService } from './schedule-service.js';
import type { WebhookService } from './webhook-service.js';

export interface RestDeps {
  readonly service: ScanService;
  readonly events: EventHub;
  readonly results: ResultService;
  readonly gate: GateService;
  readonly imports: ImportService;
  readonly schedules: ScheduleService;
  readonly webhooks: WebhookService;
  readonly settings: Pick<Settings, 'importMaxBytes'>;
  readonly queue: QueueSystem;
  readonly keepHouse: (dryRun: boolean) => Promise<HousekeepingReport>;
  readonly dataDir: string;
  readonly version: string;
}

/** Every route that the OpenAPI document describes, with what they share. Wants a scope of its own. */
export async function restRoutes(
  rest: FastifyInstance,
  deps: RestDeps,
  principal: (request: FastifyRequest) => string,
): Promise<void> {
  installCompilers(rest);
  insistOnDeclarations(rest);
  installUnchanged(rest);
  await installCompression(rest);
  metricsRoutes(rest, deps);
  healthRoutes(rest, deps);
  documentRoutes(rest);
  await rest.register(
    async (api) => {
      scanRoutes(api, deps.service, principal);
      eventRoutes(api, deps.events);
      resultRoutes(api, deps.results);
      gateRoutes(api, deps.gate);
      await importRoutes(api, deps.imports, deps.settings.importMaxBytes, principal);
      fleetRoutes(api, deps.service, principal);
      deadLetterRoutes(api, deps.queue);
      housekeepingRoutes(api, deps.keepHouse);
      credentialRoutes(api, deps.queue, principal);
      scheduleRoutes(api, deps.schedules, principal);
      webhookRoutes(api, deps.webhooks, (request) => ({ principal: principal(request), all: false }));
    },
    { prefix: '/api/v1' },
  );
}
