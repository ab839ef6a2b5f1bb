import { ScanmqError } from '@scanmq/contract';
import type { FastifyRequest } from 'fastify';
import Negotiator from 'negotiator';

/**
 * The media type to answer with, by `Accept` (RFC 9110, section 12.5.1). Browsers, which ask for pages, get the first.
 * @param offered what there is; the first where the client does not mind.
 * @throws ScanmqError `not_acceptable`, which says what there is.
 */
export function mediaTypeFor(request: FastifyRequest, offered: readonly [string, ...string[]]): string {
  const { accept } = request.headers;
  const [usual] = offered;
  if (accept === undefined || accept.trim() === '' || accept.includes('text/html')) return usual;
  const [best] = new Negotiator(request).mediaTypes([...offered]);
  if (best !== undefined) return best;
  throw new ScanmqError('not_acceptable', `There is no answer of the types in Accept.`, {
    next: `Accept one of ${offered.join(', ')}, or name a format in the query.`,
  });
}
