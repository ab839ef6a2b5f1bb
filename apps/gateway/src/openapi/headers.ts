/** Headers that the document describes. */
import { LIMITS } from '@scanmq/contract';
import { z } from 'zod';

interface DescribedHeader {
  readonly description: string;
  readonly schema: Readonly<Record<string, unknown>>;
}

/** Of answers. */
export const RESPONSE_HEADERS = {
  Location: {
    description: 'Path of what was made',
    schema: {
      type: 'string',
      format: 'uri-reference',
      examples: ['/api/v1/scans/ne_ness_20261123_152923_0a1b2c3d'],
    },
  },
  'Idempotency-Replayed': {
    description: '`true` when the key was used before: this is the first answer again',
    schema: { type: 'string', enum: ['true'] },
  },
  ETag: {
    description:
      'Names this state of the resource; send it back in `If-None-Match` to be answered 304 while it lasts',
    schema: { type: 'string', examples: ['W/"5d2b1c9f0e"'] },
  },
  'Retry-After': {
    description: 'Seconds after which trying again makes sense',
    schema: { type: 'integer', minimum: 0 },
  },
  'X-Trace-Id': {
    description: 'Id of this request in the logs: 32 hex digits, of `traceparent` where the request has it',
    schema: { type: 'string', pattern: '^[0-9a-f]{32}$' },
  },
  'Content-Disposition': {
    description: 'Name of the file',
    schema: { type: 'string', examples: ['attachment; filename="ne_ness_20261123_152923_0a1b2c3d.csv"'] },
  },
} as const satisfies Record<string, DescribedHeader>;
export type ResponseHeader = keyof typeof RESPONSE_HEADERS;

/** Requests that make something, and can be repeated without making it twice. */
export const idempotencyHeaders = z.looseObject({
  'idempotency-key': z
    .string()
    .min(1)
    .max(LIMITS.idempotencyKeyChars)
    .optional()
    .meta({
      description: `Any text of yours of up to ${LIMITS.idempotencyKeyChars} characters: repeating the same request with the same key answers with what the first one made, and makes nothing`,
      examples: ['nightly-2026-11-23'],
    }),
});

/** Requests that are made again and again to see whether something changed. */
export const conditionalHeaders = z.looseObject({
  'if-none-match': z
    .string()
    .max(2_000)
    .optional()
    .meta({ description: '`ETag` of an answer before: 304 without a body when nothing changed since' }),
});
