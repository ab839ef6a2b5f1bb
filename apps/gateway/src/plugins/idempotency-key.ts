import { LIMITS, ScanmqError } from '@scanmq/contract';
import type { FastifyRequest } from 'fastify';

/** The `Idempotency-Key` header, where there is one. @throws ScanmqError `invalid_request` when it cannot be one. */
export function idempotencyKeyOf(request: FastifyRequest): { idempotencyKey?: string } {
  const header = request.headers['idempotency-key'];
  if (header === undefined) return {};
  if (typeof header !== 'string' || header.length === 0 || header.length > LIMITS.idempotencyKeyChars)
    throw new ScanmqError(
      'invalid_request',
      `The Idempotency-Key header must have 1 to ${LIMITS.idempotencyKeyChars} characters.`,
    );
  return { idempotencyKey: header };
}
