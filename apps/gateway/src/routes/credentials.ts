import { parseOrThrow, storeCredentialSchema } from '@scanmq/contract';
import type { QueueSystem } from '@scanmq/queue';
import type { FastifyInstance, FastifyRequest } from 'fastify';

interface ByName {
  Params: { name: string };
}

/** `/api/v1/credentials`: stored once by an administrator, named by `credential_ref`. No answer has a secret. */
export function credentialRoutes(
  app: FastifyInstance,
  queue: QueueSystem,
  principal: (request: FastifyRequest) => string,
): void {
  app.get('/credentials', async () => ({ credentials: await queue.storedCredentials.list() }));
  app.post('/credentials', async (request, reply) => {
    const view = await queue.storedCredentials.store(
      parseOrThrow(storeCredentialSchema, request.body),
      principal(request),
    );
    reply.code(201);
    return view;
  });
  app.delete<ByName>('/credentials/:name', async (request, reply) => {
    await queue.storedCredentials.remove(request.params.name);
    return await reply.code(204).send();
  });
}
