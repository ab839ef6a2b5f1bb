import { type HousekeepingReport, housekeepingBodySchema, parseOrThrow } from '@scanmq/contract';
import type { FastifyInstance } from 'fastify';

/** `/api/v1/housekeeping`: what is past its retention; a dry run unless the body says otherwise. */
export function housekeepingRoutes(
  app: FastifyInstance,
  keepHouse: (dryRun: boolean) => Promise<HousekeepingReport>,
): void {
  app.post(
    '/housekeeping',
    async (request) => await keepHouse(parseOrThrow(housekeepingBodySchema, request.body ?? {}).dry_run),
  );
}
