/** `ETag` and `If-None-Match` (RFC 9110): an answer that the client has already is not sent again. */
import { hash } from 'node:crypto';
import type { FastifyInstance, FastifyReply, FastifyRequest, onSendHookHandler } from 'fastify';
import { declarationOf } from '../openapi/operation.js';

const TAG_CHARS = 22;

/** A weak validator: answers with the same tag say the same, if not in the same bytes. */
export function etagOf(...parts: readonly string[]): string {
  return `W/"${hash('sha256', parts.join('\u0000'), 'base64url').slice(0, TAG_CHARS)}"`;
}

/**
 * For answers whose tag is known before they are made. Sets the tag.
 * @returns true when the client has this answer: then it is 304.
 */
export function isUnchanged(request: FastifyRequest, reply: FastifyReply, tag: string): boolean {
  reply.header('etag', tag);
  return hasTag(request.headers['if-none-match'], tag);
}

/** Gives a tag to the answers of operations that declare 304, where the route has given none itself. */
export function installUnchanged(app: FastifyInstance): void {
  app.addHook('onRoute', (route) => {
    if (declarationOf(route.schema)?.answers[304] === undefined) return;
    // in front: what comes after may compress the answer
    route.onSend = [tagAnswer, ...[route.onSend ?? []].flat()];
  });
}

const tagAnswer: onSendHookHandler = (request, reply, payload, done) => {
  if (reply.statusCode !== 200) return done(null, payload);
  const given = reply.getHeader('etag');
  if (given === undefined && typeof payload !== 'string') return done(null, payload);
  const tag = typeof given === 'string' ? given : etagOf(String(payload));
  if (!isUnchanged(request, reply, tag)) return done(null, payload);
  reply.code(304).removeHeader('content-type');
  done(null, null);
};

/** Weak comparison: whether a tag is strong does not matter for reading. */
function hasTag(header: string | undefined, tag: string): boolean {
  if (header === undefined) return false;
  const plain = tag.replace(/^W\//, '');
  return header.split(',').some((one) => {
    const known = one.trim();
    return known === '*' || known.replace(/^W\//, '') === plain;
  });
}
