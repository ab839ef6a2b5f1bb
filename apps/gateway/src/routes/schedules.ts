import { createScheduleSchema, parseOrThrow } from '@scanmq/contract';
import type { FastifyInstance, FastifyRequest } from 'fastify';
import { idempotencyKeyOf } from '../plugins/idempotency-key.js';
import type { ScheduleService } from '../schedule-service.js';

interface ById {
  Params: { id: string };
}

/** `/api/v1/schedules` (contract section 5). */
export function scheduleRoutes(
  app: FastifyInstance,
  service: ScheduleService,
  principal: (request: FastifyRequest) => string,
): void {
  app.get('/schedules', async () => await service.list());

  app.post('/schedules', async (request, reply) => {
    const schedule = await service.create(
      parseOrThrow(createScheduleSchema, request.body),
      principal(request),
    );
    reply.code(201).header('location', `/api/v1/schedules/${schedule.schedule_id}`);
    return schedule;
  });

  app.get<ById>('/schedules/:id', async (request) => await service.get(request.params.id));

  app.delete<ById>('/schedules/:id', async (request, reply) => {
    await service.remove(request.params.id);
    return reply.code(204).send();
  });

  app.post<ById>('/schedules/:id/pause', async (request) => await service.pause(request.params.id));
  app.post<ById>('/schedules/:id/resume', async (request) => await service.resume(request.params.id));

  app.post<ById>('/schedules/:id/run', async (request, reply) => {
    const { submission, task } = await service.run(request.params.id, {
      traceId: request.traceId,
      ...idempotencyKeyOf(request),
    });
    reply.code(202).header('location', `/api/v1/scans/${submission.task_id}`);
    if (submission.idempotent_replay) reply.header('idempotency-replayed', 'true');
    return { ...task, ...submission };
  });
}
