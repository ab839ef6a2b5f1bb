import type { Readable } from 'node:stream';
import multipart from '@fastify/multipart';
import {
  InvalidRequestError,
  importAnswerSchema,
  parseOrThrow,
  scanImportRequestSchema,
  uploadParamsSchema,
} from '@scanmq/contract';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import type { Services } from '../access/services.js';
import type { ImportAnswer } from '../import-service.js';
import * as examples from '../openapi/examples/imports.js';
import { RAW_EXPORT } from '../openapi/examples/results.js';
import { idempotencyHeaders } from '../openapi/headers.js';
import { operation } from '../openapi/operation.js';
import { idempotencyKeyOf } from '../plugins/idempotency-key.js';

const BINARY = { schema: { type: 'string', contentMediaType: 'application/xml' } };

const importResults = operation({
  operationId: 'importResults',
  tag: 'imports',
  summary: 'Bring in results',
  description:
    'A `.nessus` file, as the body or as a file of a form, or JSON that names a scan of a scanner. A worker reads and checks it: the answer is a task, which is completed then like any other, or fails with `invalid_export`. Name, description and profile of an upload stand in the query, or in fields of the form.',
  headers: idempotencyHeaders,
  querystring: uploadParamsSchema,
  body: scanImportRequestSchema,
  examples: { scan: { summary: 'A scan that was made in the scanner itself', value: examples.SCAN_IMPORT } },
  otherBodies: {
    'application/octet-stream': { ...BINARY, examples: { file: { value: RAW_EXPORT } } },
    'application/xml': BINARY,
    'multipart/form-data': {
      schema: {
        type: 'object',
        properties: {
          file: {
            type: 'string',
            contentMediaType: 'application/octet-stream',
            description: 'The .nessus file',
          },
          name: { type: 'string' },
          description: { type: 'string' },
          schema_profile: { type: 'string' },
        },
        required: ['file'],
      },
    },
  },
  answers: {
    202: {
      description: 'It is taken in, or was before with this key',
      schema: importAnswerSchema,
      examples: { scan: { value: examples.IMPORTED } },
      headers: ['Location', 'Idempotency-Replayed'],
    },
  },
  problems: ['too_large', 'idempotency_conflict'],
});

/**
 * `POST /api/v1/imports`: a `.nessus` file as the body or as a form field of a file, or JSON that names a scan of a
 * scanner. In a scope of its own, because here bodies are streams.
 */
export async function importRoutes(
  api: FastifyInstance,
  servicesOf: (request: FastifyRequest) => Pick<Services, 'imports'>,
  maxBytes: number,
): Promise<void> {
  await api.register(async (app) => {
    // the size is limited while the file is written, where the limit can be told
    await app.register(multipart, { limits: { files: 1, fields: 10, fileSize: Number.POSITIVE_INFINITY } });
    app.removeContentTypeParser('text/plain');
    app.addContentTypeParser('*', (_request, payload, done) => done(null, payload));

    app.post(
      '/imports',
      { schema: importResults, bodyLimit: maxBytes + 1024 * 1024 },
      async (request, reply) => {
        const service = servicesOf(request).imports;
        const context = { traceId: request.traceId };
        const key = idempotencyKeyOf(request);
        if (request.isMultipart()) {
          const file = await request.file().catch(asBadForm);
          if (!file)
            throw new InvalidRequestError('The form has no file.', [
              { path: 'file', message: 'expected a .nessus file, for example: curl -F file=@scan.nessus' },
            ]);
          const fields = Object.fromEntries(
            Object.entries(file.fields).flatMap(([name, field]) =>
              field && !Array.isArray(field) && field.type === 'field' ? [[name, field.value]] : [],
            ),
          );
          const params = parseOrThrow(
            uploadParamsSchema,
            { file_name: cleanName(file.filename), ...asObject(request.query), ...fields },
            'form',
          );
          return answer(reply, await service.upload(file.file, { ...params, ...key }, context));
        }
        if (isStream(request.body)) {
          const params = parseOrThrow(uploadParamsSchema, request.query, 'query');
          return answer(reply, await service.upload(request.body, { ...params, ...key }, context));
        }
        if (request.body === undefined || request.body === null)
          throw new InvalidRequestError('There is nothing to import.', [
            { path: 'body', message: 'expected a .nessus file, or JSON with scanner and scan_id' },
          ]);
        const body = parseOrThrow(scanImportRequestSchema, request.body);
        return answer(
          reply,
          await service.fromScanner(
            key.idempotencyKey === undefined ? body : { ...body, idempotency_key: key.idempotencyKey },
            context,
          ),
        );
      },
    );
  });
}

function answer(reply: FastifyReply, { task, replay }: ImportAnswer): FastifyReply {
  reply.code(202).header('location', `/api/v1/scans/${task.task_id}`);
  if (replay) reply.header('idempotency-replayed', 'true');
  return reply.send({ ...task, idempotent_replay: replay });
}

/** What is wrong with a form is known to whoever reads it, and tells nothing that the sender does not know. */
function asBadForm(error: unknown): never {
  if (error instanceof Error && 'statusCode' in error) throw error;
  throw new InvalidRequestError('The form cannot be read.', [
    { path: 'file', message: 'expected a form with one .nessus file, and its end' },
  ]);
}

/** The last part of a file's name as a browser sends it, without what cannot be shown. */
function cleanName(name: string): string | undefined {
  return name.split(/[\\/]/).at(-1)?.replace(/\p{C}/gu, '').slice(0, 255) || undefined;
}

function isStream(body: unknown): body is Readable {
  return body !== null && typeof body === 'object' && 'pipe' in body;
}

function asObject(value: unknown): object {
  return value !== null && typeof value === 'object' ? value : {};
}
