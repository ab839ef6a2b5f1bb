import { ScanmqError, toProblem, toScanmqError } from '@scanmq/contract';
import { isRedisAway } from '@scanmq/queue';
import type { FastifyError, FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';

declare module 'fastify' {
  interface FastifyRequest {
    /** What it was answered with instead of an answer; the audit log tells why. */
    problem: ScanmqError | null;
  }
}

/** Every error as a problem document (RFC 9457) at this one place. */
export function installErrors(app: FastifyInstance): void {
  app.decorateRequest('problem', null);
  const methodsAt = watchRoutes(app);
  app.setNotFoundHandler((request, reply) => {
    const path = request.url.split('?')[0] ?? '';
    const allowed = methodsAt(path);
    const what = `${request.method} ${path.slice(0, 200)}`;
    if (allowed.length === 0)
      return sendProblem(request, reply, new ScanmqError('not_found', `There is nothing at ${what}.`));
    reply.header('allow', allowed.join(', '));
    return sendProblem(
      request,
      reply,
      new ScanmqError('method_not_allowed', `There is no ${what}; there is ${allowed.join(', ')}.`),
    );
  });
  app.setErrorHandler((thrown, request, reply) =>
    sendProblem(request, reply, ofFramework(thrown) ?? ofRedis(thrown) ?? toScanmqError(thrown)),
  );
}

/** Which methods a path has; routes with a wildcard have all there are. */
function watchRoutes(app: FastifyInstance): (path: string) => readonly string[] {
  const patterns = new Map<string, { readonly pattern: RegExp; readonly methods: Set<string> }>();
  app.addHook('onRoute', ({ url, method }) => {
    if (url.includes('*')) return;
    const known = patterns.get(url) ?? { pattern: patternOf(url), methods: new Set() };
    patterns.set(url, known);
    for (const one of [method].flat()) known.methods.add(one);
  });
  return (path) =>
    [
      ...new Set(
        [...patterns.values()].flatMap(({ pattern, methods }) => (pattern.test(path) ? [...methods] : [])),
      ),
    ].sort();
}

function patternOf(url: string): RegExp {
  const parts = url
    .split('/')
    .map((part) => (part.startsWith(':') ? '[^/]+' : part.replace(/[^\w-]/g, '\\$&')));
  return new RegExp(`^${parts.join('/')}$`);
}

/** Errors that Fastify itself raises while it reads a request: bad JSON, a body too large … */
function ofFramework(thrown: unknown): ScanmqError | undefined {
  const error = thrown as Partial<FastifyError> | undefined;
  if (typeof error?.code !== 'string' || !error.code.startsWith('FST_') || (error.statusCode ?? 500) >= 500)
    return undefined;
  const what =
    error.code === 'FST_ERR_CTP_BODY_TOO_LARGE'
      ? 'The body is too large.'
      : 'The request cannot be read; send JSON with content type application/json.';
  return new ScanmqError('invalid_request', what, { cause: thrown });
}

/** Redis away, or failing over: the gateway fails fast, and the client may repeat with the same idempotency key. */
function ofRedis(thrown: unknown): ScanmqError | undefined {
  return isRedisAway(thrown)
    ? new ScanmqError(
        'unavailable',
        'Redis is away; nothing was accepted for sure. Repeat the request with the same idempotency key.',
        { cause: thrown, retryAfterSeconds: 2 },
      )
    : undefined;
}

/** Answers with an error; for hooks of scopes that have an error handler of their own. Everything else throws. */
export function sendProblem(request: FastifyRequest, reply: FastifyReply, error: ScanmqError): FastifyReply {
  request.problem = error;
  if (error.httpStatus >= 500)
    request.log.error({ event: 'request.failed', err: error, trace_id: request.traceId }, 'request failed');
  if (error.retryAfterSeconds !== undefined) reply.header('retry-after', String(error.retryAfterSeconds));
  return reply
    .code(error.httpStatus)
    .type('application/problem+json; charset=utf-8')
    .send(toProblem(error, request.traceId));
}

/** Any thrown value as the error that a front answers with. */
export function asAnswerable(thrown: unknown): ScanmqError {
  return ofRedis(thrown) ?? toScanmqError(thrown);
}
