import { type HousekeepingReport, housekeepingBodySchema, housekeepingReportSchema } from '@scanmq/contract';
import type { FastifyInstance } from 'fastify';
import type { ZodTypeProvider } from 'fastify-type-provider-zod';
import * as examples from '../openapi/examples/administration.js';
import { operation } from '../openapi/operation.js';

/** `/api/v1/housekeeping`: what is past its retention; a dry run unless the body says otherwise. */
export function housekeepingRoutes(
  app: FastifyInstance,
  keepHouse: (dryRun: boolean) => Promise<HousekeepingReport>,
): void {
  app.withTypeProvider<ZodTypeProvider>().post(
    '/housekeeping',
    {
      schema: operation({
        operationId: 'keepHouse',
        tag: 'administration',
        summary: 'Remove what is past its retention',
        description:
          'Only tells what would go, unless the body says `"dry_run": false`. Workers do it by themselves every hour.',
        body: housekeepingBodySchema,
        bodyOptional: true,
        examples: { look: { value: { dry_run: true } } },
        answers: {
          200: {
            description: 'What went, or would go',
            schema: housekeepingReportSchema,
            examples: { look: { value: examples.HOUSEKEEPING } },
          },
        },
      }),
    },
    async (request) => await keepHouse(request.body.dry_run),
  );
}
