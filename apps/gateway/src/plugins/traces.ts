import { newTraceId } from '@scanmq/contract';
import { type OpenSpan, type Tracing, traceIdOf } from '@scanmq/observability';
import type { FastifyInstance, FastifyRequest } from 'fastify';

declare module 'fastify' {
  interface FastifyRequest {
    /** 32 hex digits; of the caller's `traceparent` where it sent one (W3C Trace Context). */
    traceId: string;
    /** Of this request, where it is traced. */
    span: OpenSpan | null;
  }
}

/** Asked all the time by machines, and nothing that anybody looks for in a trace. */
const NOT_TRACED = /^\/(health|metrics|dashboard|docs)(\/|$)/;

/** A trace id for every request, before anything else; where traces are on, it is that of a span around the request. */
export function installTraces(app: FastifyInstance, tracing: Tracing): void {
  app.decorateRequest('traceId', '');
  app.decorateRequest('span', null);
  app.addHook('onRequest', async (request, reply) => {
    const { traceparent } = request.headers;
    const theirs = traceIdOf(traceparent);
    if (tracing.on && isTraced(request)) request.span = beginSpan(request, theirs && String(traceparent));
    request.traceId = request.span?.traceId || theirs || newTraceId();
    reply.header('x-trace-id', request.traceId);
  });
  if (!tracing.on) return;
  // what follows runs within the span; reading a body leaves it, so that it is entered again
  app.addHook('onRequest', (request, _reply, done) => enter(request, done));
  app.addHook('preValidation', (request, _reply, done) => enter(request, done));
  app.addHook('onResponse', async ({ span, problem }, reply) => {
    span?.set({ 'http.response.status_code': reply.statusCode });
    span?.end(reply.statusCode >= 500 ? (problem?.code ?? String(reply.statusCode)) : undefined);
  });

  function beginSpan({ method, routeOptions }: FastifyRequest, under: string | undefined): OpenSpan {
    const route = routeOptions.url ?? 'none';
    return tracing.begin(
      `${method} ${route}`,
      { 'http.request.method': method, 'http.route': route },
      { under, kind: 'server' },
    );
  }
}

function enter({ span }: FastifyRequest, done: () => void): void {
  if (span) span.within(done);
  else done();
}

/** A stream of events lasts as long as a scan. */
function isTraced({ routeOptions }: FastifyRequest): boolean {
  const { url } = routeOptions;
  return url === undefined || !(NOT_TRACED.test(url) || url.endsWith('/events'));
}
