import {
  type deadLetterListSchema,
  deadLettersQuerySchema,
  parseOrThrow,
  retryManySchema,
} from '@scanmq/contract';
import type { QueueSystem } from '@scanmq/queue';
import type { FastifyInstance } from 'fastify';
import type { z } from 'zod';
import { queryOf } from '../plugins/errors.js';

interface ById {
  Params: { id: string };
}

/** `/api/v1/dead-letters`: what failed or ran out of time (contract section 5). */
export function deadLetterRoutes(app: FastifyInstance, queue: QueueSystem): void {
  app.get('/dead-letters', async (request): Promise<z.input<typeof deadLetterListSchema>> => {
    const page = await queue.deadLetters.list(queryOf(deadLettersQuerySchema, request));
    return {
      dead_letters: [...page.deadLetters],
      total: page.total,
      by_code: page.byCode,
      next_cursor: page.nextCursor,
    };
  });
  app.get<ById>('/dead-letters/:id', async (request) => await queue.deadLetters.inspect(request.params.id));
  app.post(
    '/dead-letters/retry',
    async (request) => await queue.deadLetters.retryMany(parseOrThrow(retryManySchema, request.body ?? {})),
  );
  app.post(
    '/dead-letters/discard',
    async (request) => await queue.deadLetters.discardMany(parseOrThrow(retryManySchema, request.body ?? {})),
  );
  app.delete<ById>('/dead-letters/:id', async (request, reply) => {
    await queue.deadLetters.discard(request.params.id);
    return await reply.code(204).send();
  });
  app.post<ById>('/dead-letters/:id/retry', async (request) => {
    // a cancelled task is retried by its own route: here only what is a dead letter
    await queue.deadLetters.inspect(request.params.id);
    return await queue.retry(request.params.id);
  });
}
