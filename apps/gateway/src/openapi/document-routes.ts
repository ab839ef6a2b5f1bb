import type { FastifyInstance } from 'fastify';
import type { ZodTypeProvider } from 'fastify-type-provider-zod';
import { etagOf } from '../plugins/unchanged.js';
import { conditionalHeaders } from './headers.js';
import { operation } from './operation.js';

/** `/openapi.json`. */
export function documentRoutes(app: FastifyInstance): void {
  let made: { readonly text: string; readonly tag: string } | undefined;
  app.withTypeProvider<ZodTypeProvider>().get(
    '/openapi.json',
    {
      schema: operation({
        operationId: 'getOpenapi',
        tag: 'service',
        summary: 'This document',
        description: 'OpenAPI 3.1; to read it in a browser there is `/docs`.',
        open: true,
        headers: conditionalHeaders,
        answers: {
          200: {
            description: 'OpenAPI 3.1',
            content: {
              'application/json': {
                schema: {
                  type: 'object',
                  properties: { openapi: { type: 'string' } },
                  required: ['openapi'],
                  additionalProperties: true,
                },
                examples: {
                  beginning: { value: { openapi: '3.1.1', info: { title: 'scanmq', version: '1.0.0' } } },
                },
              },
            },
            headers: ['ETag'],
          },
          304: { description: 'Nothing changed', headers: ['ETag'] },
        },
      }),
    },
    async (_request, reply) => {
      // it cannot change while the program runs
      const text = made?.text ?? JSON.stringify(app.swagger());
      made ??= { text, tag: etagOf(text) };
      return await reply.type('application/json; charset=utf-8').header('etag', made.tag).send(text);
    },
  );
}
