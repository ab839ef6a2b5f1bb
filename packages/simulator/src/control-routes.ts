/** The control address: what a test or a demonstration does to the simulator while it runs. */
import { readFileSync } from 'node:fs';
import type { FastifyInstance } from 'fastify';
import { z } from 'zod';
import { FAULTS, faultNameSchema, faultSchema } from './faults.js';
import { PRODUCTS } from './options.js';
import type { Simulator } from './simulator-api.js';

const ms = z.number().min(0).max(3_600_000);
const byScan = z.object({ scan_id: z.union([z.number().int(), z.literal('all')]) });

export function controlRoutes(app: FastifyInstance, simulator: Simulator): void {
  app.setErrorHandler((error, _request, reply) =>
    reply.code(400).send({
      error:
        error instanceof z.ZodError
          ? z.prettifyError(error)
          : error instanceof Error
            ? error.message
            : 'error',
    }),
  );
  // a page in a browser must not reach it, not even by a name that points here
  app.addHook('onRequest', async (request, reply) => {
    const ours = /^(127\.0\.0\.1|localhost)(:\d+)?$/.test(request.headers.host ?? '');
    if (!ours || request.headers.origin !== undefined)
      return reply.code(403).send({ error: 'The control address serves programs of this machine only.' });
  });
  app.get('/control', async () => ({
    simulator: true,
    faults: FAULTS,
    calls:
      'GET stats, scans, faults; PUT faults; DELETE faults; POST reset-stats, restart, loading, status, product, expire-sessions, rotate-token, next-export, abort, finish',
  }));
  app.get('/control/stats', async () => ({ ...simulator.stats(), by_scan: simulator.scans() }));
  app.post('/control/reset-stats', async () => {
    simulator.resetStats();
    return { done: true };
  });
  app.get('/control/scans', async () => simulator.scans());
  app.get('/control/faults', async () => ({ set: simulator.faults(), known: FAULTS }));
  app.put('/control/faults', async (request) => {
    simulator.setFault(faultSchema.parse(request.body));
    return { set: simulator.faults() };
  });
  app.delete('/control/faults', async (request) => {
    const { name } = z.object({ name: faultNameSchema.optional() }).parse(request.query);
    simulator.clearFaults(name);
    return { set: simulator.faults() };
  });
  app.post('/control/restart', async (request) => {
    const { down_ms, loading_ms } = z
      .object({ down_ms: ms.default(500), loading_ms: ms.default(500) })
      .parse(request.body ?? {});
    await simulator.restart({ downMs: down_ms, loadingMs: loading_ms });
    return { restarted: true };
  });
  app.post('/control/loading', async (request) => {
    simulator.load(z.object({ for_ms: ms }).parse(request.body).for_ms);
    return { loading: true };
  });
  app.post('/control/status', async (request) => {
    simulator.setServerStatus(z.object({ word: z.string() }).parse(request.body).word);
    return { done: true };
  });
  app.post('/control/product', async (request) => {
    const { product } = z.object({ product: z.enum(PRODUCTS).exclude(['tenable_vm']) }).parse(request.body);
    simulator.setProduct(product);
    return { done: true };
  });
  app.post('/control/expire-sessions', async () => {
    simulator.expireSessions();
    return { done: true };
  });
  app.post('/control/rotate-token', async () => {
    simulator.rotateToken();
    return { done: true };
  });
  app.post('/control/next-export', async (request) => {
    const body = z
      .union([z.object({ path: z.string() }), z.object({ bytes_base64: z.string() })])
      .parse(request.body);
    simulator.nextExport('path' in body ? readFileSync(body.path) : Buffer.from(body.bytes_base64, 'base64'));
    return { done: true };
  });
  for (const [path, status] of [
    ['abort', 'aborted'],
    ['finish', 'completed'],
  ] as const) {
    app.post(`/control/${path}`, async (request) => ({
      ended: simulator.endScans(byScan.parse(request.body).scan_id, status),
    }));
  }
}
