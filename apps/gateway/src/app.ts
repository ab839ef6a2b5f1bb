import type { Settings } from '@scanmq/config';
import { type HousekeepingReport, LIMITS } from '@scanmq/contract';
import type { Logger } from '@scanmq/observability';
import type { QueueSystem } from '@scanmq/queue';
import Fastify, { type FastifyBaseLogger, type FastifyInstance, LogController } from 'fastify';
import type { ImportService } from './import-service.js';
import { legacyServers } from './mcp/legacy-server.js';
import { modernServers } from './mcp/modern-server.js';
import { installMcp, MCP_PATH } from './mcp/mount.js';
import { scanmqSurface } from './mcp/scanmq-surface.js';
import { installCompilers } from './openapi/compilers.js';
import { insistOnDeclarations } from './openapi/declared.js';
import { installDocument } from './openapi/document.js';
import { documentRoutes } from './openapi/document-routes.js';
import type { PlanService } from './plan-service.js';
import { installBodyTimeout } from './plugins/body-timeout.js';
import { installCompression } from './plugins/compression.js';
import { installErrors } from './plugins/errors.js';
import { installHostGuard } from './plugins/host-guard.js';
import { installUnchanged } from './plugins/unchanged.js';
import type { ResultService } from './result-service.js';
import { credentialRoutes } from './routes/credentials.js';
import { type Dashboard, installDashboard } from './routes/dashboard.js';
import { deadLetterRoutes } from './routes/dead-letters.js';
import { fleetRoutes } from './routes/fleet.js';
import { healthRoutes } from './routes/health.js';
import { housekeepingRoutes } from './routes/housekeeping.js';
import { importRoutes } from './routes/imports.js';
import { metricsRoutes } from './routes/metrics.js';
import { resultRoutes } from './routes/results.js';
import { scanRoutes } from './routes/scans.js';
import { scheduleRoutes } from './routes/schedules.js';
import type { ScanService } from './scan-service.js';
import type { ScheduleService } from './schedule-service.js';

export interface AppDeps {
  readonly service: ScanService;
  readonly results: ResultService;
  readonly imports: ImportService;
  readonly schedules: ScheduleService;
  readonly plans: PlanService;
  readonly settings: Settings;
  readonly queue: QueueSystem;
  readonly keepHouse: (dryRun: boolean) => Promise<HousekeepingReport>;
  readonly dataDir: string;
  readonly version: string;
  readonly log: Logger;
}

/** Whoever asks, as long as there are no API keys: then the gateway binds to loopback only. */
const LOCAL_PRINCIPAL = 'local';

/** Everything but MCP and the dashboard, with what these routes share. In a scope of its own. */
export async function restRoutes(rest: FastifyInstance, deps: AppDeps): Promise<void> {
  installCompilers(rest);
  installUnchanged(rest);
  await installCompression(rest);
  metricsRoutes(rest, deps);
  healthRoutes(rest, { queue: deps.queue, dataDir: deps.dataDir });
  await rest.register(
    async (api) => {
      insistOnDeclarations(api);
      scanRoutes(api, deps.service, () => LOCAL_PRINCIPAL);
      resultRoutes(api, deps.results);
      await importRoutes(api, deps.imports, deps.settings.importMaxBytes, () => LOCAL_PRINCIPAL);
      fleetRoutes(api, deps.service, () => LOCAL_PRINCIPAL);
      deadLetterRoutes(api, deps.queue);
      housekeepingRoutes(api, deps.keepHouse);
      credentialRoutes(api, deps.queue, () => LOCAL_PRINCIPAL);
      scheduleRoutes(api, deps.schedules, () => LOCAL_PRINCIPAL);
    },
    { prefix: '/api/v1' },
  );
  await documentRoutes(rest);
}

/** Puts the HTTP application together; starting it is `server.ts`. */
export async function buildApp(deps: AppDeps): Promise<{ app: FastifyInstance; dashboard: Dashboard }> {
  const app = Fastify({
    loggerInstance: deps.log as FastifyBaseLogger,
    // one line per request is written below, in our own words
    logController: new LogController({ disableRequestLogging: true }),
    bodyLimit: LIMITS.requestBodyBytes,
    // a slow body is ended by `installBodyTimeout`: an upload may take longer than any other request
    requestTimeout: 0,
    routerOptions: { maxParamLength: 200 },
    forceCloseConnections: 'idle',
  });
  installErrors(app);
  installHostGuard(app);
  installBodyTimeout(app);
  // before the routes: it collects them as they come
  await installDocument(app, deps.version);
  await app.register(async (rest) => await restRoutes(rest, deps));
  const surface = scanmqSurface({
    ...deps,
    scans: deps.service,
    contextOf: (request) => ({ principal: LOCAL_PRINCIPAL, traceId: request.traceId, from: request.ip }),
  });
  const streaming = new Set(surface.tools.filter((tool) => tool.streams).map((tool) => tool.name));
  installMcp(app, {
    legacy: legacyServers(surface),
    modern: modernServers(surface),
    streams: (name) => streaming.has(name),
  });
  const dashboard = await installDashboard(app, deps.queue);
  app.addHook('onResponse', async (request, reply) => {
    if (request.url.startsWith('/health') || request.url.startsWith('/dashboard')) return;
    // agents ask again and again; what they change has a record of its own (mcp/guard.ts)
    const level = request.url === MCP_PATH && reply.statusCode < 400 ? 'debug' : 'info';
    deps.log[level](
      {
        event: 'http.request',
        method: request.method,
        path: request.url.split('?')[0],
        status: reply.statusCode,
        ms: Math.round(reply.elapsedTime),
        trace_id: request.traceId,
      },
      'request',
    );
  });
  return { app, dashboard };
}
