import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { z } from 'zod';
import { isAtLeast } from '../options.js';
import type { NessusContext } from './context.js';
import { NessusRefusal, notFound } from './refusal.js';

const FORMATS = ['nessus', 'csv', 'html', 'pdf', 'db'] as const;
const exportSchema = z.object({ format: z.enum(FORMATS), password: z.string().optional() });

/** Exports: asked for, waited for, fetched (nessus-api.md section 6). Every format answers with the `.nessus` bytes. */
export function exportRoutes(app: FastifyInstance, context: NessusContext): void {
  const { settings, engine, exports, cloud, login, idOf, scanOf, runOf, bodyOf, conflict } = context;

  app.post('/scans/:id/export', async (request) => {
    login(request);
    const scan = scanOf(request);
    const { format, password } = bodyOf(request, exportSchema);
    if (format === 'db' && !password) throw new NessusRefusal(400, "Invalid 'password' field");
    const run = runOf(request, scan);
    if (!run) throw notFound();
    if (run.endedAtMs === undefined) throw conflict('Can not export running scans');
    engine.stats.exports_requested += 1;
    return exports.request(scan, run);
  });

  function status(reply: FastifyReply, file: string, scanId: number | undefined): unknown {
    const found = exports.status(file, scanId);
    if (found === undefined) throw notFound();
    return found === 'error' ? reply.code(500).send({ status: 'error' }) : { status: found };
  }

  function download(reply: FastifyReply, file: string, scanId: number | undefined): FastifyReply {
    const found = exports.download(file, scanId);
    if (!found) throw notFound();
    engine.stats.downloads += 1;
    if (found.cut) {
      // the answer begins as any other; its connection ends before it does
      reply.raw.writeHead(200, { 'content-type': 'application/octet-stream' });
      found.body.pipe(reply.raw, { end: false });
      found.body.once('end', () => setTimeout(() => reply.raw.socket?.destroy(), 20));
      return reply.hijack();
    }
    return reply
      .type('application/octet-stream')
      .header('content-disposition', `attachment; filename="${found.fileName}"`)
      .send(found.body);
  }

  const fileOf = (request: FastifyRequest): string => (request.params as { file: string }).file;
  /** Before 10.12 whoever knew the token was let in. */
  const loginForToken = (request: FastifyRequest): void => {
    if (cloud) throw notFound();
    if (isAtLeast(settings.uiVersion, 10, 12)) login(request);
  };

  app.get('/scans/:id/export/:file/status', async (request, reply) => {
    login(request);
    return status(reply, fileOf(request), idOf(request));
  });
  app.get('/scans/:id/export/:file/download', async (request, reply) => {
    login(request);
    return download(reply, fileOf(request), idOf(request));
  });
  app.get('/tokens/:file/status', async (request, reply) => {
    loginForToken(request);
    return status(reply, fileOf(request), undefined);
  });
  app.get('/tokens/:file/download', async (request, reply) => {
    loginForToken(request);
    return download(reply, fileOf(request), undefined);
  });
}
