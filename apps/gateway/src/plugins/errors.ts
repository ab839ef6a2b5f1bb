import { newTraceId, parseOrThrow, ScanmqError, toProblem, toScanmqError } from '@scanmq/contract';
import type { FastifyError, FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import type { z } from 'zod';

declare module 'fastify' {
  interface FastifyRequest {
    /** 32 hex digits; of the caller's `traceparent` where it sent one (W3C Trace Context). */
    traceId: string;
  }
}

const TRACEPARENT = /^00-([0-9a-f]{32})-[0-9a-f]{16}-[0-9a-f]{2}$/;

/** Trace ids for every request, and every error as a problem document (RFC 9457) at this one place. */
export function installErrors(app: FastifyInstance): void {
  app.decorateRequest('traceId', '');
  app.addHook('onRequest', async (request, reply) => {
    const header = request.headers.traceparent;
    request.traceId = (typeof header === 'string' && TRACEPARENT.exec(header)?.[1]) || newTraceId();
    reply.header('x-trace-id', request.traceId);
  });
  app.setNotFoundHandler((request, reply) =>
    sendProblem(
      request,
      reply,
      new ScanmqError(
        'not_found',
        `There is nothing at ${request.method} ${request.url.split('?')[0]?.slice(0, 200)}.`,
      ),
    ),
  );
  app.setErrorHandler((thrown, request, reply) =>
    sendProblem(request, reply, ofFramework(thrown) ?? ofRedis(thrown) ?? toScanmqError(thrown)),
  );
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

/** Redis away: the gateway fails fast, and the client may repeat with the same idempotency key. */
function ofRedis(thrown: unknown): ScanmqError | undefined {
  if (!(thrown instanceof Error)) return undefined;
  const away =
    thrown.name === 'MaxRetriesPerRequestError' ||
    /Connection is closed|enableOfflineQueue|Command timed out|ECONNREFUSED/.test(thrown.message);
  return away
    ? new ScanmqError(
        'unavailable',
        'Redis is away; nothing was accepted for sure. Repeat the request with the same idempotency key.',
        { cause: thrown, retryAfterSeconds: 2 },
      )
    : undefined;
}

/** Answers with an error; for hooks of scopes that have an error handler of their own. Everything else throws. */
export function sendProblem(request: FastifyRequest, reply: FastifyReply, error: ScanmqError): FastifyReply {
  if (error.httpStatus >= 500) request.log.error({ err: error, trace_id: request.traceId }, 'request failed');
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

/** The query of a request, checked. @throws InvalidRequestError */
export function queryOf<S extends z.ZodType>(schema: S, request: FastifyRequest): z.output<S> {
  return parseOrThrow(schema, request.query, 'query');
}
