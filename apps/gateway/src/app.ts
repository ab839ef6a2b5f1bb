import type { Settings } from '@scanmq/config';
import { LIMITS } from '@scanmq/contract';
import type { Logger } from '@scanmq/observability';
import Fastify, { type FastifyBaseLogger, type FastifyInstance, LogController } from 'fastify';
import { legacyServers } from './mcp/legacy-server.js';
import { modernServers } from './mcp/modern-server.js';
import { installMcp, MCP_PATH } from './mcp/mount.js';
import { scanmqSurface } from './mcp/scanmq-surface.js';
import { installDocument } from './openapi/document.js';
import type { PlanService } from './plan-service.js';
import { installBodyTimeout } from './plugins/body-timeout.js';
import { installErrors } from './plugins/errors.js';
import { installHostGuard } from './plugins/host-guard.js';
import { type RestDeps, restRoutes } from './rest.js';
import { type Dashboard, installDashboard } from './routes/dashboard.js';
import { documentationPages } from './routes/documentation.js';

export interface AppDeps extends RestDeps {
  readonly plans: PlanService;
  readonly settings: Settings;
  readonly log: Logger;
}

/** Whoever asks, as long as there are no API keys: then the gateway binds to loopback only. */
const LOCAL_PRINCIPAL = 'local';

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
  await app.register(async (rest) => await restRoutes(rest, deps, () => LOCAL_PRINCIPAL));
  await app.register(documentationPages);
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
