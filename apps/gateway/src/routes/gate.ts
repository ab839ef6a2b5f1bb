import {
  type GateFormat,
  type GateRequest,
  gateFields,
  gateFormatSchema,
  gateRequestSchema,
  LIMITS,
  parseOrThrow,
} from '@scanmq/contract';
import type { FastifyInstance, FastifyReply } from 'fastify';
import { z } from 'zod';
import type { GateService } from '../gate-service.js';
import { queryOf } from '../plugins/errors.js';
import { sendDownload } from './results.js';

interface ById {
  Params: { id: string };
}

const formatField = {
  format: gateFormatSchema.default('json').meta({
    description:
      'json: the judgement; sarif, junit and code-quality: all findings, as they were judged; baseline: those that fit the criteria, as a baseline file',
  }),
} as const;
const gateQuerySchema = z.strictObject({ ...gateFields, ...formatField });
const formatQuerySchema = z.strictObject(formatField);

/** The gate (contract section 5). POST takes what comes from files besides: known findings and rules. */
export function gateRoutes(app: FastifyInstance, service: GateService): void {
  app.get<ById>('/scans/:id/gate', async (request, reply) => {
    const { format, ...policy } = queryOf(gateQuerySchema, request);
    return await answer(reply, request.params.id, policy, format);
  });

  app.post<ById>('/scans/:id/gate', { bodyLimit: LIMITS.gateBodyBytes }, async (request, reply) => {
    const { format } = queryOf(formatQuerySchema, request);
    const policy = parseOrThrow(gateRequestSchema, request.body ?? {});
    return await answer(reply, request.params.id, policy, format);
  });

  async function answer(
    reply: FastifyReply,
    taskId: string,
    policy: GateRequest,
    format: GateFormat,
  ): Promise<unknown> {
    if (format === 'json') return await service.judge(taskId, policy);
    return await sendDownload(reply, await service.document(taskId, policy, format));
  }
}
