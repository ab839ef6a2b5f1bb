import {
  listScannersParamsSchema,
  OPERATOR_ACTIONS,
  operatorBodySchema,
  parseOrThrow,
} from '@scanmq/contract';
import type { FastifyInstance, FastifyRequest } from 'fastify';
import { queryOf } from '../plugins/errors.js';
import type { ScanService } from '../scan-service.js';

interface ByPool {
  Params: { pool: string };
}

interface ByInstance {
  /** `pool:instance_id`, or the id of the instance where only one has it. */
  Params: { instance: string };
}

/** `/api/v1/scanners`, `/pools`, `/queues` (contract section 5). */
export function fleetRoutes(
  app: FastifyInstance,
  service: ScanService,
  principal: (request: FastifyRequest) => string,
): void {
  app.get(
    '/scanners',
    async (request) => await service.scanners(queryOf(listScannersParamsSchema, request).scanner_pool),
  );
  for (const action of OPERATOR_ACTIONS) {
    app.post<ByInstance>(`/scanners/:instance/${action}`, async (request) => {
      const { reason } = parseOrThrow(operatorBodySchema, request.body ?? {});
      return await service.operate(request.params.instance, action, { reason, by: principal(request) });
    });
  }
  app.get('/pools', async () => service.pools());
  app.get<ByPool>('/pools/:pool', async (request) => await service.poolStatus(request.params.pool));
  app.get<ByPool>('/queues/:pool', async (request) => await service.queueStatus(request.params.pool));
}
