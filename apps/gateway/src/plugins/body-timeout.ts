import type { FastifyInstance } from 'fastify';

/** Longest that the body of a request may take; bodies are small. */
const BODY_MS = 30_000;
/** Uploads have a limit of their own, on the time in which nothing comes. */
const UPLOADS = '/api/v1/imports';

/** Ends connections that send their body too slowly, so that nobody can hold many of them open. */
export function installBodyTimeout(app: FastifyInstance): void {
  app.addHook('onRequest', async (request) => {
    const { raw } = request;
    if (raw.complete || request.routeOptions.url === UPLOADS) return;
    const timer = setTimeout(() => {
      if (!raw.complete) raw.destroy();
    }, BODY_MS);
    timer.unref();
    raw.once('close', () => clearTimeout(timer));
    raw.once('end', () => clearTimeout(timer));
  });
}
