import { originOf } from '@scanmq/access';
import { ScanmqError } from '@scanmq/contract';
import type { FastifyInstance } from 'fastify';
import { sendProblem } from './errors.js';

const LOOPBACK = new Set(['localhost', '127.0.0.1', '[::1]', '::1']);

/** True for a host that only this machine can reach. */
export function isLoopback(host: string): boolean {
  return LOOPBACK.has(host) || /^127\.\d+\.\d+\.\d+$/.test(host);
}

export interface HostGuardOptions {
  /** Where a proxy is reached that stands before the gateway. */
  readonly publicUrl?: string | undefined;
  /** Bound beyond loopback: it has many names, of which nobody knows all. */
  readonly anyHost?: boolean;
}

/**
 * Lets a browser talk to a gateway on loopback only from its own pages: a foreign page that resolves its own name to
 * 127.0.0.1 (DNS rebinding), or that posts across origins, is refused before anything else is looked at. Beyond loopback
 * a key is needed, which no foreign page has.
 */
export function installHostGuard(
  app: FastifyInstance,
  { publicUrl, anyHost = false }: HostGuardOptions = {},
): void {
  const publicHost = publicUrl && new URL(publicUrl).host;
  // clients say the same again and again
  let allowed: string | undefined;

  function refusalOf(host: string, origin: string | undefined): ScanmqError | undefined {
    if (host !== allowed) {
      if (!anyHost && host !== publicHost && !isLoopback(hostname(host)))
        return new ScanmqError('forbidden', 'The Host header does not name this machine.');
      allowed = host;
    }
    if (origin === undefined || originOf({ site: undefined, origin, host }, publicUrl) !== 'foreign')
      return undefined;
    if (!anyHost && URL.canParse(origin) && isLoopback(new URL(origin).hostname)) return undefined;
    return new ScanmqError('forbidden', 'Requests from pages of another origin are not allowed.');
  }

  app.addHook('onRequest', async (request, reply) => {
    const refusal = refusalOf(request.headers.host ?? '', request.headers.origin);
    // not thrown: the dashboard has an error handler of its own, which would make a 500 of it
    return refusal && sendProblem(request, reply, refusal);
  });
}

function hostname(hostHeader: string): string {
  return URL.canParse(`http://${hostHeader}`) ? new URL(`http://${hostHeader}`).hostname : '';
}
