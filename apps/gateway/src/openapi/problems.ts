/** Which errors an operation can answer with, and how the document tells them. */
import { ERROR_CODES, type ErrorCode, ScanmqError, toProblem } from '@scanmq/contract';
import { RESPONSE_HEADERS, type ResponseHeader } from './headers.js';
import type { Operation } from './operation.js';

export const PROBLEM_TYPE = 'application/problem+json';

/** Any request can meet these. */
const ALWAYS = [
  'forbidden',
  'rate_limited',
  'unavailable',
  'internal',
] as const satisfies readonly ErrorCode[];

/** What the examples say; a real answer is more exact. */
const DETAILS: Partial<Record<ErrorCode, string>> = {
  invalid_request: 'The request is not valid: name: Invalid input: expected string, received undefined.',
  not_found: 'There is no task ne_ness_20261123_152923_0a1b2c3d.',
  unavailable:
    'Redis is away; nothing was accepted for sure. Repeat the request with the same idempotency key.',
  internal: 'Unexpected error inside scanmq; the log has the details.',
};

/** Every code that the operation can answer with. */
export function problemsOf({
  open,
  params,
  querystring,
  headers,
  body,
  otherBodies,
  problems,
}: Operation): ErrorCode[] {
  const codes = new Set<ErrorCode>(problems);
  if (params || querystring || headers || body || otherBodies) codes.add('invalid_request');
  if (!open) codes.add('unauthenticated');
  for (const code of ALWAYS) codes.add(code);
  return [...codes];
}

/** Their answers by HTTP status, as OpenAPI. */
export function problemResponses(codes: readonly ErrorCode[]): Record<string, Record<string, unknown>> {
  const byStatus = new Map<number, ErrorCode[]>();
  for (const code of codes) {
    const { httpStatus } = ERROR_CODES[code];
    byStatus.set(httpStatus, [...(byStatus.get(httpStatus) ?? []), code]);
  }
  return Object.fromEntries(
    [...byStatus].map(([status, some]) => [
      String(status),
      {
        description: some.map((code) => `\`${code}\`: ${ERROR_CODES[code].title}`).join('; '),
        headers: documentedHeaders(status === 429 || status === 503 ? ['Retry-After'] : []),
        content: {
          [PROBLEM_TYPE]: {
            schema: { $ref: '#/components/schemas/Problem' },
            examples: Object.fromEntries(
              some.map((code) => [code, { $ref: `#/components/examples/${code}` }]),
            ),
          },
        },
      },
    ]),
  );
}

/** Headers of an answer as OpenAPI; every answer has the trace id. */
export function documentedHeaders(names: readonly ResponseHeader[]): Record<string, unknown> {
  return Object.fromEntries(
    [...names, 'X-Trace-Id' as const].map((name) => [name, { $ref: `#/components/headers/${name}` }]),
  );
}

/** What the answers refer to. */
export function sharedComponents(codes: Iterable<ErrorCode>): Record<string, Record<string, unknown>> {
  return {
    headers: { ...RESPONSE_HEADERS },
    examples: Object.fromEntries(
      [...new Set(codes)]
        .sort()
        .map((code) => [code, { summary: ERROR_CODES[code].title, value: exampleOf(code) }]),
    ),
  };
}

function exampleOf(code: ErrorCode): unknown {
  const issues =
    code === 'invalid_request'
      ? { issues: [{ path: 'name', message: 'Invalid input: expected string, received undefined' }] }
      : {};
  return toProblem(
    new ScanmqError(code, DETAILS[code] ?? `${ERROR_CODES[code].title}.`, issues),
    '4bf92f3577b34da6a3ce929d0e0e4736',
  );
}
