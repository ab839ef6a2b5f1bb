/** The web server of a simulated Nessus: what holds for every end point (nessus-api.md section 1.1). */
import { Readable } from 'node:stream';
import { createGzip } from 'node:zlib';
import multipart from '@fastify/multipart';
import Fastify, { type FastifyInstance } from 'fastify';
import { runRoutes } from '../tenable-vm/run-routes.js';
import { createContext, type NessusContext, type NessusDeps } from './context.js';
import { editorRoutes } from './editor-routes.js';
import { exportRoutes } from './export-routes.js';
import { NessusRefusal, notFound } from './refusal.js';
import { scanRoutes } from './scan-routes.js';
import { serverRoutes } from './server-routes.js';
import { sessionRoutes } from './session-routes.js';

const BODY_LIMIT_BYTES = 20 * 1024 * 1024;
const UPLOAD_LIMIT_BYTES = 10 * 1024 * 1024;
/** Answers of more are compressed when the client accepts that. */
const COMPRESSED_FROM_CHARS = 1_400;

const HEADERS = {
  server: 'scanmq-simulator',
  'cache-control': 'no-cache, no-store, must-revalidate',
  pragma: 'no-cache',
  expires: '0',
  'x-frame-options': 'DENY',
  'x-content-type-options': 'nosniff',
  'strict-transport-security': 'max-age=31536000',
};

export async function createNessusApp(deps: NessusDeps): Promise<FastifyInstance> {
  const app = Fastify({ bodyLimit: BODY_LIMIT_BYTES });
  const context = createContext(deps);
  await app.register(multipart, { limits: { fileSize: UPLOAD_LIMIT_BYTES, files: 1 } });
  parseBodies(app);
  refuse(app, context);
  answer(app, context);
  sessionRoutes(app, context);
  serverRoutes(app, context);
  editorRoutes(app, context);
  scanRoutes(app, context);
  exportRoutes(app, context);
  if (context.cloud) runRoutes(app, context);
  await app.ready();
  return app;
}

function parseBodies(app: FastifyInstance): void {
  // an empty body is none, also when its type says JSON
  app.addContentTypeParser('application/json', { parseAs: 'string' }, (_request, body, done) => {
    try {
      done(null, body === '' ? undefined : JSON.parse(String(body)));
    } catch {
      done(new NessusRefusal(400, "Invalid 'body' field"));
    }
  });
  app.addContentTypeParser(
    'application/x-www-form-urlencoded',
    { parseAs: 'string' },
    (_request, body, done) => done(null, Object.fromEntries(new URLSearchParams(String(body)))),
  );
}

function refuse(app: FastifyInstance, { faults, cut }: NessusContext): void {
  const known: RegExp[] = [];
  app.addHook('onRoute', ({ url }) => {
    known.push(new RegExp(`^${url.replaceAll('.', '\\.').replace(/:\w+/g, '[^/]+')}$`));
  });
  app.setNotFoundHandler((request) => {
    const [path = ''] = request.url.split('?');
    throw known.some((pattern) => pattern.test(path))
      ? new NessusRefusal(405, 'The requested method is not supported.')
      : notFound();
  });
  app.setErrorHandler((error, _request, reply) => {
    if (error instanceof NessusRefusal) {
      if (error.status === 412) {
        if (faults.hits('reset_on_412')) return cut(reply);
        reply.header('connection', 'close');
      }
      return reply.code(error.status).send({ error: error.message });
    }
    const status =
      error instanceof Error && 'statusCode' in error && typeof error.statusCode === 'number'
        ? error.statusCode
        : 500;
    return reply.code(status).send({ error: status >= 500 ? 'Internal error' : "Invalid 'body' field" });
  });
}

function answer(app: FastifyInstance, { engine, faults, state, cut }: NessusContext): void {
  app.addHook('onRequest', async (request, reply) => {
    engine.stats.requests += 1;
    reply.headers(HEADERS);
    if (faults.hits('stalled_socket')) return reply.hijack();
    const slow = faults.take('slow_answer');
    if (slow) await new Promise((resolve) => setTimeout(resolve, slow.ms ?? 1_000).unref());
    if (request.method === 'GET' && faults.hits('drop_connection')) return cut(reply);
    const limited = faults.take('rate_limited');
    if (limited) {
      // its body is HTML (developer.tenable.com/docs/rate-limiting)
      reply.header('retry-after', Math.ceil((limited.ms ?? 1_000) / 1_000));
      return reply.code(429).type('text/html').send('<html>Too Many Requests</html>');
    }
    if (faults.hits('unavailable_non_json'))
      return reply.code(503).type('text/html').send('<html>Service Unavailable</html>');
    if (faults.hits('http_503')) return reply.code(503).send({ error: 'The server is busy' });
    if (state.loading && !request.url.startsWith('/server/'))
      return reply.code(503).send({ error: 'Nessus is loading' });
  });
  app.addHook('onSend', async (request, reply, payload) => {
    if (String(reply.getHeader('content-type')).startsWith('application/json'))
      reply.header('content-type', 'application/json');
    const compress =
      typeof payload === 'string' &&
      payload.length > COMPRESSED_FROM_CHARS &&
      /\bgzip\b/.test(String(request.headers['accept-encoding']));
    if (!compress) return payload;
    reply.header('content-encoding', 'gzip').removeHeader('content-length');
    return Readable.from([payload]).pipe(createGzip());
  });
}
