import {
  controlAnswerSchema,
  deadLetterListSchema,
  deadLetterSchema,
  deadLettersQuerySchema,
  discardManyAnswerSchema,
  retryManyAnswerSchema,
  retryManySchema,
} from '@scanmq/contract';
import type { FastifyInstance, FastifyRequest } from 'fastify';
import type { ZodTypeProvider } from 'fastify-type-provider-zod';
import type { Services } from '../access/services.js';
import * as examples from '../openapi/examples/dead-letters.js';
import { operation } from '../openapi/operation.js';
import { byTaskId } from '../openapi/params.js';

/** `/api/v1/dead-letters`: what failed or ran out of time (contract section 5). */
export function deadLetterRoutes(
  app: FastifyInstance,
  servicesOf: (request: FastifyRequest) => Pick<Services, 'deadLetters'>,
): void {
  const api = app.withTypeProvider<ZodTypeProvider>();

  api.get(
    '/dead-letters',
    {
      schema: operation({
        operationId: 'listDeadLetters',
        tag: 'dead-letters',
        summary: 'List dead letters',
        description:
          'Tasks whose retries are used up, whose error cannot be cured by retrying, or whose time is over.',
        querystring: deadLettersQuerySchema,
        answers: {
          200: {
            description: 'One page, with counts by error code over all',
            schema: deadLetterListSchema,
            examples: { timeout: { value: examples.DEAD_LETTERS } },
          },
        },
      }),
    },
    async (request) => {
      const page = await servicesOf(request).deadLetters.list(request.query);
      return {
        dead_letters: [...page.deadLetters],
        total: page.total,
        by_code: page.byCode,
        next_cursor: page.nextCursor,
      };
    },
  );

  api.get(
    '/dead-letters/:id',
    {
      schema: operation({
        operationId: 'getDeadLetter',
        tag: 'dead-letters',
        summary: 'Look at a dead letter',
        description: 'With every failed attempt that is remembered, and the log of the job.',
        params: byTaskId,
        answers: {
          200: {
            description: 'The dead letter',
            schema: deadLetterSchema,
            examples: { timeout: { value: examples.DEAD_LETTER } },
          },
        },
        problems: ['not_found'],
      }),
    },
    async (request) => await servicesOf(request).deadLetters.inspect(request.params.id),
  );

  api.post(
    '/dead-letters/retry',
    {
      schema: operation({
        operationId: 'retryDeadLetters',
        tag: 'dead-letters',
        summary: 'Retry many dead letters',
        description:
          'Some by id, or all that match a filter. Those that cannot be retried are told, with the reason.',
        body: retryManySchema,
        examples: { unreachable: { summary: 'After an outage', value: { code: 'scanner_unreachable' } } },
        answers: {
          200: {
            description: 'What is queued again, and what is not',
            schema: retryManyAnswerSchema,
            examples: { one: { value: examples.RETRIED } },
          },
        },
      }),
    },
    async (request) => await servicesOf(request).deadLetters.retryMany(request.body),
  );

  api.post(
    '/dead-letters/discard',
    {
      schema: operation({
        operationId: 'discardDeadLetters',
        tag: 'dead-letters',
        summary: 'Discard many dead letters',
        description:
          'Takes the same selection as the retry of many. Their tasks stay, with their records and files.',
        body: retryManySchema,
        examples: { timeouts: { summary: 'Those whose time was over', value: { code: 'timeout' } } },
        answers: {
          200: {
            description: 'What is discarded, and what is not',
            schema: discardManyAnswerSchema,
            examples: { one: { value: examples.DISCARDED } },
          },
        },
      }),
    },
    async (request) => await servicesOf(request).deadLetters.discardMany(request.body),
  );

  api.delete(
    '/dead-letters/:id',
    {
      schema: operation({
        operationId: 'discardDeadLetter',
        tag: 'dead-letters',
        summary: 'Discard a dead letter',
        description: 'Takes it off the list; the task stays, with its record and files.',
        params: byTaskId,
        answers: { 204: { description: 'It is off the list' } },
        problems: ['not_found', 'invalid_state'],
      }),
    },
    async (request, reply) => {
      await servicesOf(request).deadLetters.discard(request.params.id);
      return await reply.code(204).send();
    },
  );

  api.post(
    '/dead-letters/:id/retry',
    {
      schema: operation({
        operationId: 'retryDeadLetter',
        tag: 'dead-letters',
        summary: 'Retry a dead letter',
        description: 'The same task is queued once more; its id stays.',
        params: byTaskId,
        answers: {
          200: {
            description: 'It is queued again',
            schema: controlAnswerSchema,
            examples: { queued: { value: examples.RETRIED_ONE } },
          },
        },
        problems: ['not_found', 'invalid_state'],
      }),
    },
    async (request) => {
      return await servicesOf(request).deadLetters.retry(request.params.id);
    },
  );
}
