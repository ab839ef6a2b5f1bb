import { listScannersParamsSchema } from '@scanmq/contract';
import type { FastifyInstance } from 'fastify';
import { queryOf } from '../plugins/errors.js';
import type { ScanService } from '../scan-service.js';

interface ByPool {
  Params: { pool: string };
}

/** `/api/v1/scanners`, `/pools`, `/queues` (contract section 5). */
export function fleetRoutes(app: FastifyInstance, service: ScanService): void {
  app.get(
    '/scanners',
    async (request) => await service.scanners(queryOf(listScannersParamsSchema, request).scanner_pool),
  );
  app.get('/pools', async () => service.pools());
  app.get<ByPool>('/pools/:pool', async (request) => await service.poolStatus(request.params.pool));
  app.get<ByPool>('/queues/:pool', async (request) => await service.queueStatus(request.params.pool));
}
