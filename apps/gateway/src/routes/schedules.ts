import {
  createScheduleSchema,
  scheduleListSchema,
  scheduleSchema,
  submittedScanSchema,
} from '@scanmq/contract';
import type { FastifyInstance, FastifyRequest } from 'fastify';
import type { ZodTypeProvider } from 'fastify-type-provider-zod';
import type { Services } from '../access/services.js';
import * as examples from '../openapi/examples/schedules.js';
import { conditionalHeaders, idempotencyHeaders } from '../openapi/headers.js';
import { operation } from '../openapi/operation.js';
import { byScheduleId } from '../openapi/params.js';
import { idempotencyKeyOf } from '../plugins/idempotency-key.js';

/** `/api/v1/schedules` (contract section 5). */
export function scheduleRoutes(
  app: FastifyInstance,
  servicesOf: (request: FastifyRequest) => Pick<Services, 'schedules'>,
): void {
  const api = app.withTypeProvider<ZodTypeProvider>();

  api.get(
    '/schedules',
    {
      schema: operation({
        operationId: 'listSchedules',
        tag: 'schedules',
        summary: 'List recurring scans',
        description: 'All of them, the oldest first; there can be a thousand.',
        headers: conditionalHeaders,
        answers: {
          200: {
            description: 'All schedules',
            schema: scheduleListSchema,
            examples: { weekly: { value: examples.SCHEDULES } },
            headers: ['ETag'],
          },
          304: { description: 'Nothing changed', headers: ['ETag'] },
        },
      }),
    },
    async (request) => await servicesOf(request).schedules.list(),
  );

  api.post(
    '/schedules',
    {
      schema: operation({
        operationId: 'createSchedule',
        tag: 'schedules',
        summary: 'Make a scan recur',
        description:
          'By a cron expression with its time zone, or by an interval. What a submission would be refused for is refused now. Credentials are named, not kept.',
        body: createScheduleSchema,
        examples: { weekly: { value: examples.SCHEDULE_REQUEST } },
        answers: {
          201: {
            description: 'The schedule',
            schema: scheduleSchema,
            examples: { weekly: { value: examples.SCHEDULE } },
            headers: ['Location'],
          },
        },
        problems: ['target_refused', 'invalid_state', 'no_scanner', 'scanner_export_only', 'not_found'],
      }),
    },
    async (request, reply) => {
      const schedule = await servicesOf(request).schedules.create(request.body);
      reply.code(201).header('location', `/api/v1/schedules/${schedule.schedule_id}`);
      return schedule;
    },
  );

  api.get(
    '/schedules/:id',
    {
      schema: operation({
        operationId: 'getSchedule',
        tag: 'schedules',
        summary: 'Look at a recurring scan',
        description: 'With what came of its last run, and when the next is due.',
        params: byScheduleId,
        answers: {
          200: {
            description: 'The schedule',
            schema: scheduleSchema,
            examples: { weekly: { value: examples.SCHEDULE } },
          },
        },
        problems: ['not_found'],
      }),
    },
    async (request) => await servicesOf(request).schedules.get(request.params.id),
  );

  api.delete(
    '/schedules/:id',
    {
      schema: operation({
        operationId: 'removeSchedule',
        tag: 'schedules',
        summary: 'End a recurring scan',
        description: 'Scans that it has submitted stay as they are.',
        params: byScheduleId,
        answers: { 204: { description: 'It is gone' } },
        problems: ['not_found'],
      }),
    },
    async (request, reply) => {
      await servicesOf(request).schedules.remove(request.params.id);
      return await reply.code(204).send();
    },
  );

  api.post(
    '/schedules/:id/pause',
    {
      schema: operation({
        operationId: 'pauseSchedule',
        tag: 'schedules',
        summary: 'Hold a recurring scan',
        description: 'No run is due until it is resumed.',
        params: byScheduleId,
        answers: {
          200: {
            description: 'The schedule',
            schema: scheduleSchema,
            examples: { paused: { value: examples.PAUSED_SCHEDULE } },
          },
        },
        problems: ['not_found'],
      }),
    },
    async (request) => await servicesOf(request).schedules.pause(request.params.id),
  );

  api.post(
    '/schedules/:id/resume',
    {
      schema: operation({
        operationId: 'resumeSchedule',
        tag: 'schedules',
        summary: 'Let a held recurring scan go on',
        description: 'Runs that were missed are not made up for.',
        params: byScheduleId,
        answers: {
          200: {
            description: 'The schedule',
            schema: scheduleSchema,
            examples: { weekly: { value: examples.SCHEDULE } },
          },
        },
        problems: ['not_found'],
      }),
    },
    async (request) => await servicesOf(request).schedules.resume(request.params.id),
  );

  api.post(
    '/schedules/:id/run',
    {
      schema: operation({
        operationId: 'runSchedule',
        tag: 'schedules',
        summary: 'Submit the scan of a schedule now',
        description:
          'Whatever became of the scan before, and even while the schedule is paused. Its next run stays as it is.',
        params: byScheduleId,
        headers: idempotencyHeaders,
        answers: {
          202: {
            description: 'The scan is queued, or was before with this key',
            schema: submittedScanSchema,
            examples: { queued: { value: examples.SCHEDULED_RUN } },
            headers: ['Location', 'Idempotency-Replayed'],
          },
        },
        problems: [
          'not_found',
          'target_refused',
          'idempotency_conflict',
          'no_scanner',
          'scanner_export_only',
        ],
      }),
    },
    async (request, reply) => {
      const { submission, task } = await servicesOf(request).schedules.run(request.params.id, {
        traceId: request.traceId,
        ...idempotencyKeyOf(request),
      });
      reply.code(202).header('location', `/api/v1/scans/${submission.task_id}`);
      if (submission.idempotent_replay) reply.header('idempotency-replayed', 'true');
      return { ...task, ...submission };
    },
  );
}
