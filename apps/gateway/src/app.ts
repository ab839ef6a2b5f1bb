import type { Access } from '@scanmq/access';
import type { Settings } from '@scanmq/config';
import { LIMITS } from '@scanmq/contract';
import type { Logger, Tracing } from '@scanmq/observability';
import Fastify, { type FastifyBaseLogger, type FastifyInstance, LogController } from 'fastify';
import { auditOf, installAccess, principalOf } from './access/install-access.js';
import { createServices } from './access/services.js';
import { createHolds, installHolds } from './holds.js';
import { installMcp, MCP_PATH } from './mcp/mount.js';
import { installDocument } from './openapi/document.js';
import { installBodyTimeout } from './plugins/body-timeout.js';
import { installConnectionLimit, SERVER_LIMITS } from './plugins/connection-limits.js';
import { installErrors } from './plugins/errors.js';
import { installHostGuard, isLoopback } from './plugins/host-guard.js';
import { installRequestMetrics } from './plugins/request-metrics.js';
import { installSecurityHeaders } from './plugins/security-headers.js';
import { installTraces } from './plugins/traces.js';
import { type RestDeps, restRoutes } from './rest.js';
import { type Dashboard, installDashboard } from './routes/dashboard.js';
import { documentationPages } from './routes/documentation.js';

export interface AppDeps extends RestDeps {
  readonly access: Access;
  readonly settings: Settings;
  readonly log: Logger;
  readonly tracing: Tracing;
}

/** Puts the HTTP application together; starting it is `server.ts`. */
export async function buildApp(deps: AppDeps): Promise<{ app: FastifyInstance; dashboard: Dashboard }> {
  const { access, settings, log } = deps;
  const app = Fastify({
    loggerInstance: deps.log as FastifyBaseLogger,
    // one line per request is written below, in our own words
    logController: new LogController({ disableRequestLogging: true }),
    bodyLimit: LIMITS.requestBodyBytes,
    ...SERVER_LIMITS,
    // a slow body is ended by `installBodyTimeout`: an upload may take longer than any other request
    requestTimeout: 0,
    routerOptions: { maxParamLength: 200 },
    forceCloseConnections: 'idle',
  });
  installTraces(app, deps.tracing);
  installErrors(app);
  installRequestMetrics(app, deps.metrics);
  installSecurityHeaders(app, settings.publicUrl);
  installConnectionLimit(app, settings.maxConnections);
  installHostGuard(app, { publicUrl: settings.publicUrl, anyHost: !isLoopback(settings.host) });
  // before every route: none is reached around it
  await installAccess(app, { access, settings, log });
  const servicesFor = createServices(deps);
  installBodyTimeout(app);
  const holds = createHolds(settings);
  installHolds(app, holds, (request) => principalOf(request).name);
  // before the routes: it collects them as they come
  await installDocument(app, deps.version);
  await app.register(async (rest) => await restRoutes(rest, deps, servicesFor));
  await app.register(documentationPages);
  installMcp(app, async () => {
    const { createScanmqMount } = await import('./mcp/scanmq-mount.js');
    return createScanmqMount({
      ...deps,
      holds,
      contextOf: (request) => {
        const principal = principalOf(request);
        return {
          ...servicesFor(principal),
          principal,
          traceId: request.traceId,
          audit: (entry) => access.audit.write({ ...auditOf(request), ...entry }),
        };
      },
    });
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
