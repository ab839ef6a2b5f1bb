import { credentialListSchema, credentialViewSchema, storeCredentialSchema } from '@scanmq/contract';
import type { QueueSystem } from '@scanmq/queue';
import type { FastifyInstance } from 'fastify';
import type { ZodTypeProvider } from 'fastify-type-provider-zod';
import { principalOf } from '../access/install-access.js';
import * as examples from '../openapi/examples/administration.js';
import { operation } from '../openapi/operation.js';
import { byCredentialName } from '../openapi/params.js';

/** `/api/v1/credentials`: stored once by an administrator, named by `credential_ref`. No answer has a secret. */
export function credentialRoutes(app: FastifyInstance, queue: QueueSystem): void {
  const api = app.withTypeProvider<ZodTypeProvider>();

  api.get(
    '/credentials',
    {
      schema: operation({
        operationId: 'listCredentials',
        tag: 'administration',
        summary: 'List stored credentials',
        description: 'Their names and users; no secret.',
        answers: {
          200: {
            description: 'All of them',
            schema: credentialListSchema,
            examples: { one: { value: examples.CREDENTIALS } },
          },
        },
      }),
    },
    async () => ({ credentials: [...(await queue.storedCredentials.list())] }),
  );

  api.post(
    '/credentials',
    {
      schema: operation({
        operationId: 'storeCredential',
        tag: 'administration',
        summary: 'Store a credential',
        description:
          'Scans name it in `credential_ref` instead of bringing secrets along. It is kept encrypted; storing under a name that is taken replaces what it had.',
        body: storeCredentialSchema,
        examples: { ssh: { value: examples.CREDENTIAL_REQUEST } },
        answers: {
          201: {
            description: 'What is told of it',
            schema: credentialViewSchema,
            examples: { ssh: { value: examples.CREDENTIAL } },
          },
        },
      }),
    },
    async (request, reply) => {
      const view = await queue.storedCredentials.store(request.body, principalOf(request).name);
      reply.code(201);
      return view;
    },
  );

  api.delete(
    '/credentials/:name',
    {
      schema: operation({
        operationId: 'removeCredential',
        tag: 'administration',
        summary: 'Remove a stored credential',
        description: 'What waits and names it fails when it begins.',
        params: byCredentialName,
        answers: { 204: { description: 'It is gone' } },
        problems: ['not_found'],
      }),
    },
    async (request, reply) => {
      await queue.storedCredentials.remove(request.params.name);
      return await reply.code(204).send();
    },
  );
}
