import { InvalidRequestError, parseOrThrow } from '@scanmq/contract';
import type { FastifyInstance } from 'fastify';
import type { z } from 'zod';

/** What a part of a request is called in error messages. */
const PART: Readonly<Record<string, string>> = {
  body: 'request',
  querystring: 'query',
  params: 'path',
  headers: 'headers',
};

/**
 * Has the zod schemas of routes check what comes in, with our own error that lists every mistake. What goes out is
 * written as it is: that answers are as documented is shown by tests, and not checked at each request.
 */
export function installCompilers(app: FastifyInstance): void {
  app.setValidatorCompiler<z.ZodType>(({ schema, httpPart = '' }) => (data) => {
    try {
      // no body is a body without fields: then the answer tells which are missing
      const given = httpPart === 'body' ? (data ?? {}) : data;
      return { value: parseOrThrow(schema, given, PART[httpPart] ?? 'request') };
    } catch (error) {
      // the framework writes into errors that it is handed
      if (error instanceof InvalidRequestError) return { error };
      throw error;
    }
  });
  app.setSerializerCompiler(() => (data) => JSON.stringify(data));
}
