import {
  baselineFileSchema,
  codeQualitySchema,
  type GateFormat,
  type GateRequest,
  gateAnswerSchema,
  gateFormatQuerySchema,
  gateQuerySchema,
  gateRequestSchema,
  LIMITS,
} from '@scanmq/contract';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import type { ZodTypeProvider } from 'fastify-type-provider-zod';
import { z } from 'zod';
import type { Services } from '../access/services.js';
import * as examples from '../openapi/examples/gate.js';
import { operation } from '../openapi/operation.js';
import { byTaskId } from '../openapi/params.js';
import { sendDownload } from './results.js';

const ANSWERS = {
  200: {
    description:
      'The judgement, also when the gate failed: `passed` tells; or a file in the `format` asked for',
    schema: z.union([gateAnswerSchema, codeQualitySchema, baselineFileSchema]),
    examples: { failed: { value: examples.FAILED } },
    content: {
      'application/sarif+json': { schema: { type: 'object', description: 'SARIF 2.1.0' } },
      'application/xml': { schema: { type: 'string', description: 'JUnit' } },
    },
    headers: ['Content-Disposition'],
  },
} as const;

/** The gate (contract section 5). POST takes what comes from files besides: known findings and rules. */
export function gateRoutes(
  app: FastifyInstance,
  servicesOf: (request: FastifyRequest) => Pick<Services, 'gate'>,
): void {
  const api = app.withTypeProvider<ZodTypeProvider>();

  async function answer(
    service: Services['gate'],
    reply: FastifyReply,
    taskId: string,
    policy: GateRequest,
    format: GateFormat,
  ): Promise<z.output<typeof gateAnswerSchema> | FastifyReply> {
    if (format === 'json') return await service.judge(taskId, policy);
    return await sendDownload(reply, await service.document(taskId, policy, format));
  }

  api.get(
    '/scans/:id/gate',
    {
      schema: operation({
        operationId: 'judgeScan',
        tag: 'results',
        summary: 'Judge a scan for a pipeline',
        description:
          'Whether its findings let a build pass. A finding breaks the gate by any of the criteria. A scan that did not see everything and breaks nothing could not be judged, and does not pass unless `on_doubt` says so.',
        params: byTaskId,
        querystring: gateQuerySchema,
        answers: ANSWERS,
        problems: ['not_found', 'invalid_state', 'invalid_export'],
      }),
    },
    async (request, reply) => {
      const { format, ...policy } = request.query;
      return await answer(servicesOf(request).gate, reply, request.params.id, policy, format);
    },
  );

  api.post(
    '/scans/:id/gate',
    {
      bodyLimit: LIMITS.gateBodyBytes,
      schema: operation({
        operationId: 'judgeScanWithFiles',
        tag: 'results',
        summary: 'Judge a scan, with an ignore file or a baseline file',
        description: `As the GET, with the policy in the body, and what comes from files: rules that leave findings out, each with a reason and an end at most ${LIMITS.ignoreDays} days ahead, and ids of findings that are known. Nothing is changed by it.`,
        params: byTaskId,
        querystring: gateFormatQuerySchema,
        body: gateRequestSchema,
        bodyOptional: true,
        examples: { ignore: { value: examples.WITH_IGNORE } },
        answers: ANSWERS,
        problems: ['not_found', 'invalid_state', 'invalid_export'],
      }),
    },
    async (request, reply) =>
      await answer(servicesOf(request).gate, reply, request.params.id, request.body, request.query.format),
  );
}
