/** What one client can take of the server: connections, and how long and how large a request may be before it is one. */
import { type Server, STATUS_CODES } from 'node:http';
import type { Socket } from 'node:net';
import { LIMITS, newTraceId, ScanmqError, toProblem } from '@scanmq/contract';
import type { FastifyHttpOptions, FastifyInstance, FastifyRequest } from 'fastify';
import { sendProblem } from './errors.js';
import { NO_PAGE } from './security-headers.js';

/**
 * For `Fastify()`. How many requests come on one connection is not limited: they count for their principal, and a new
 * connection costs more than a request on an old one.
 */
export const SERVER_LIMITS = {
  http: {
    maxHeaderSize: LIMITS.headerBytes,
    headersTimeout: LIMITS.headersMs,
    // how late after that a slow one may be found
    connectionsCheckingInterval: LIMITS.headersMs / 4,
  },
  keepAliveTimeout: LIMITS.keepAliveMs,
  connectionTimeout: LIMITS.silentConnectionMs,
  clientErrorHandler: (error, socket) => refuse(socket, error.code),
  // an address that cannot be decoded has no route, and so none of the hooks
  frameworkErrors: (_error, request, reply) => {
    const traceId = newTraceId();
    request.traceId = traceId;
    reply.headers({
      'x-trace-id': traceId,
      'content-security-policy': NO_PAGE,
      'x-content-type-options': 'nosniff',
      'cache-control': 'no-store',
    });
    sendProblem(request, reply, new ScanmqError('invalid_request', 'The address cannot be decoded.'));
  },
} as const satisfies FastifyHttpOptions<Server>;

const REFUSALS: Readonly<Record<string, readonly [status: number, message: string]>> = {
  HPE_HEADER_OVERFLOW: [431, `The headers are larger than ${LIMITS.headerBytes / 1_024} KiB.`],
  ERR_HTTP_REQUEST_TIMEOUT: [408, `The headers took longer than ${LIMITS.headersMs / 1_000} seconds.`],
};

/** What is no request is answered as far as there is somebody to answer, and its connection ended. */
function refuse(socket: Socket, code: string | undefined): void {
  // where an answer has begun there is no place for another; Node's own way to know
  if (code === 'ECONNRESET' || !socket.writable || Reflect.get(socket, '_httpMessage')) {
    socket.destroy();
    return;
  }
  const [status, message] = REFUSALS[code ?? ''] ?? [400, 'This is no HTTP request that can be read.'];
  const traceId = newTraceId();
  const body = JSON.stringify({
    ...toProblem(new ScanmqError('invalid_request', message), traceId),
    status,
  });
  socket.end(
    [
      `HTTP/1.1 ${status} ${STATUS_CODES[status]}`,
      'Content-Type: application/problem+json; charset=utf-8',
      `Content-Length: ${Buffer.byteLength(body)}`,
      `X-Trace-Id: ${traceId}`,
      `Content-Security-Policy: ${NO_PAGE}`,
      'X-Content-Type-Options: nosniff',
      'Cache-Control: no-store',
      'Connection: close',
      '',
      body,
    ].join('\r\n'),
  );
  // whoever goes on sending does not keep it
  setTimeout(() => socket.destroy(), LINGER_MS).unref();
}

const LINGER_MS = 1_000;

/** Connections above the limit that are still told why: beyond these, they are ended without a word. */
const TOLD_WHY = 256;

/** Answers what comes on connections above the limit with `unavailable`, and ends them; whoever looks at our health may. */
export function installConnectionLimit(app: FastifyInstance, most: number): void {
  const beyond = new WeakSet<Socket>();
  let open = 0;
  app.server.maxConnections = most + TOLD_WHY;
  app.server.on('connection', (socket: Socket) => {
    open += 1;
    if (open > most) beyond.add(socket);
    socket.once('close', () => {
      open -= 1;
    });
  });
  app.addHook('onRequest', async (request: FastifyRequest, reply) => {
    if (!beyond.has(request.raw.socket)) return;
    reply.header('connection', 'close');
    if (request.url.startsWith('/health')) return;
    throw new ScanmqError('unavailable', `There are more than ${most} connections (MAX_CONNECTIONS).`, {
      retryAfterSeconds: 1,
    });
  });
}
