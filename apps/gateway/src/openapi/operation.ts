/**
 * How a route declares itself: the zod schemas that check what comes in, and what the OpenAPI document says beside them.
 *
 *     api.get('/things/:id', { schema: operation({ operationId: 'getThing', … }) }, async (request) => …)
 *
 * `request.params`, `.query`, `.body` and what the handler returns get their types from the schemas.
 */
import type { ErrorCode } from '@scanmq/contract';
import type { FastifySchema } from 'fastify';
import type { z } from 'zod';
import type { ResponseHeader } from './headers.js';
import type { Tag } from './tags.js';

/** By name; each fits the schema beside it, which `tests/openapi.test.ts` checks. */
export type Examples = Readonly<Record<string, { readonly summary?: string; readonly value: unknown }>>;

/** A body that is not JSON, as JSON schema: zod does not see it. */
export interface OtherContent {
  readonly schema: Readonly<Record<string, unknown>>;
  readonly examples?: Examples;
}

/** An answer that is not an error. */
export interface Answer {
  readonly description: string;
  /** Of the JSON; left out where there is no body, or none in JSON. */
  readonly schema?: z.ZodType;
  readonly examples?: Examples;
  /** Other media types, by name. */
  readonly content?: Readonly<Record<string, OtherContent>>;
  readonly headers?: readonly ResponseHeader[];
}

export interface Operation {
  /** Name in generated clients; unique. */
  readonly operationId: string;
  readonly tag: Tag;
  /** One line, without a full stop. */
  readonly summary: string;
  readonly description: string;
  readonly params?: z.ZodType;
  readonly querystring?: z.ZodType;
  /** Names in lower case; of a loose object, because requests have many more. */
  readonly headers?: z.ZodType;
  readonly body?: z.ZodType;
  /** Of the body. */
  readonly examples?: Examples;
  /** No body stands for `{}`. */
  readonly bodyOptional?: true;
  /** Bodies of other media types; the route reads and checks them itself. */
  readonly otherBodies?: Readonly<Record<string, OtherContent>>;
  readonly answers: Readonly<Record<number, Answer>>;
  /** Codes of errors beside those that every operation can answer with (`problems.ts`). */
  readonly problems?: readonly ErrorCode[];
  /** Anybody may ask, without a key. */
  readonly open?: true;
}

/** Where the answer is JSON and nothing else, what the handler returns is checked against its schema. */
type AnswerSchema<A> = A extends { readonly content: unknown }
  ? z.ZodAny
  : A extends { readonly schema: infer S extends z.ZodType }
    ? S
    : z.ZodUndefined;

type Given<O, K extends keyof Operation> = O extends { readonly [P in K]: infer S extends z.ZodType }
  ? S
  : undefined;

/** `schema` of a Fastify route. */
export interface OperationSchema<O extends Operation> extends FastifySchema {
  readonly params: Given<O, 'params'>;
  readonly querystring: Given<O, 'querystring'>;
  readonly headers: Given<O, 'headers'>;
  readonly body: O extends { readonly otherBodies: unknown } ? undefined : Given<O, 'body'>;
  readonly response: { [S in keyof O['answers']]: AnswerSchema<O['answers'][S]> };
  readonly operation: Operation;
}

/** The declaration of a route as Fastify wants it. */
export function operation<const O extends Operation>(declared: O): OperationSchema<O> {
  const { params, querystring, headers, body, otherBodies, operationId, summary, description, tag } =
    declared;
  const schema = {
    ...(params && { params }),
    ...(querystring && { querystring }),
    ...(headers && { headers }),
    // where there are several media types the route decides what it reads
    ...(body && !otherBodies && { body }),
    operationId,
    summary,
    description,
    tags: [tag],
    operation: declared,
  };
  return schema as unknown as OperationSchema<O>;
}

/** The declaration that a route was made with. */
export function declarationOf(schema: FastifySchema | undefined): Operation | undefined {
  return (schema as { operation?: Operation } | undefined)?.operation;
}
