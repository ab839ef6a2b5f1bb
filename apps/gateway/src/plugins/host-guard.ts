import { ScanmqError } from '@scanmq/contract';
import type { FastifyInstance } from 'fastify';

const LOOPBACK = new Set(['localhost', '127.0.0.1', '[::1]', '::1']);

/** True for a host that only this machine can reach. */
export function isLoopback(host: string): boolean {
  return LOOPBACK.has(host) || /^127\.\d+\.\d+\.\d+$/.test(host);
}

/**
 * Lets a browser talk to a gateway on loopback only from its own pages: a foreign page that resolves its own name to
 * 127.0.0.1 (DNS rebinding), or that posts across origins, is refused before anything else is looked at.
 */
export function installHostGuard(app: FastifyInstance): void {
  // clients say the same again and again
  let allowed: string | undefined;
  app.addHook('onRequest', async (request) => {
    const { host = '' } = request.headers;
    if (host !== allowed) {
      if (!isLoopback(hostname(host)))
        throw new ScanmqError('forbidden', 'The Host header does not name this machine.');
      allowed = host;
    }
    const origin = request.headers.origin;
    if (origin !== undefined && !(URL.canParse(origin) && isLoopback(new URL(origin).hostname))) {
      throw new ScanmqError('forbidden', 'Requests from pages of another origin are not allowed.');
    }
  });
}

function hostname(hostHeader: string): string {
  return URL.canParse(`http://${hostHeader}`) ? new URL(`http://${hostHeader}`).hostname : '';
}
