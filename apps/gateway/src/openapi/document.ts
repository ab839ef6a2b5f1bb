/** The OpenAPI document, made from the declarations of the routes (`operation.ts`) and the zod schemas. */
import swagger from '@fastify/swagger';
import type { FastifyInstance } from 'fastify';
import { createJsonSchemaTransform, createJsonSchemaTransformObject } from 'fastify-type-provider-zod';
import { tidyComponents } from './components.js';
import { DOCUMENTED_DELIVERIES } from './deliveries.js';
import { toJsonSchema } from './json-schema.js';
import { namedSchemas } from './named-schemas.js';
import { type Answer, declarationOf, type Examples, type Operation, type OtherContent } from './operation.js';
import { documentedHeaders, problemResponses, problemsOf, sharedComponents } from './problems.js';
import { TAGS } from './tags.js';

const JSON_TYPE = 'application/json';

const DESCRIPTION = `Queues and runs Nessus scans. The names are those of the MCP tools; times are ISO 8601 in UTC.

**Errors** are problem documents (RFC 9457) of the type \`application/problem+json\`, with a \`code\` that is never renamed, the \`trace_id\` of the
request, and for bad input every mistake at once in \`errors\`. A path with another method is answered 405, with those that there are in \`Allow\`.

**Keys.** Everything but health needs an API key (or a token of the issuer): 401 without a good one, 403 where it may not. What belongs to others answers like
what does not exist. While there is no key at all, the service is open to its own machine only.

**Lists** have a \`next_cursor\`: hand it back as \`cursor\` for the next page, until it is null. What a cursor holds may change.

**Polling** is cheap with \`If-None-Match\`; \`GET /api/v1/scans/{id}?wait=60\` holds the answer until the scan has ended, and
\`GET /api/v1/scans/{id}/events\` tells of each change.

**Repeating** a submission with the same \`Idempotency-Key\` starts no second scan.

Long answers are compressed for clients that accept gzip or Brotli.`;

/** An operation as OpenAPI has it; only what is filled in here. */
interface DocumentedOperation {
  operationId?: string;
  requestBody?: { required?: boolean; content: Record<string, Record<string, unknown>> };
  responses: Record<string, unknown>;
  security?: unknown;
}

interface Document {
  paths?: Record<string, Record<string, DocumentedOperation>>;
  webhooks?: object;
  components?: { schemas?: Record<string, unknown> };
}

/** Collects the routes that are registered after it. @param version of the program. */
export async function installDocument(app: FastifyInstance, version: string): Promise<void> {
  const declared = new Map<string, Operation>();
  const conversion = { schemaRegistry: namedSchemas(), zodToJsonConfig: { override: toJsonSchema } };
  const transform = createJsonSchemaTransform(conversion);
  const transformObject = createJsonSchemaTransformObject(conversion);
  await app.register(swagger, {
    hideUntagged: true,
    convertConstToEnum: false,
    openapi: {
      openapi: '3.1.1',
      info: {
        title: 'scanmq',
        version,
        description: DESCRIPTION,
        license: { name: 'MIT', identifier: 'MIT' },
        contact: { name: 'Whoever runs this service' },
      },
      servers: [{ url: '/', description: 'This service' }],
      tags: Object.entries(TAGS).map(([name, description]) => ({ name, description })),
      components: {
        securitySchemes: {
          bearer: {
            type: 'http',
            scheme: 'bearer',
            description: 'An API key as bearer token, or a token of the issuer that the service trusts',
          },
          apiKey: { type: 'apiKey', in: 'header', name: 'X-API-Key', description: 'An API key' },
        },
      },
      security: [{ bearer: [] }, { apiKey: [] }],
    },
    transform: (route) => {
      const operation = declarationOf(route.schema);
      if (!operation) return { schema: { hide: true }, url: route.url };
      declared.set(operation.operationId, operation);
      const { operation: _, ...schema } = route.schema as typeof route.schema & { operation: unknown };
      return transform({
        ...route,
        schema: {
          ...schema,
          ...(operation.body && { body: operation.body }),
          response: Object.fromEntries(
            Object.entries<Answer>(operation.answers).flatMap(([status, answer]) =>
              answer.schema ? [[status, answer.schema]] : [],
            ),
          ),
        },
      } as Parameters<typeof transform>[0]);
    },
    transformObject: (made) => {
      const document = transformObject(made) as Document;
      for (const path of Object.values(document.paths ?? {}))
        for (const operation of Object.values(path)) {
          const facts = declared.get(operation.operationId ?? '');
          if (facts) complete(operation, facts);
        }
      document.webhooks = DOCUMENTED_DELIVERIES;
      document.components = {
        ...document.components,
        ...sharedComponents([...declared.values()].flatMap(problemsOf)),
      };
      return tidyComponents(document) as ReturnType<typeof transformObject>;
    },
  });
}

/** Adds what the schemas do not tell: examples, headers, other media types, errors. */
function complete(documented: DocumentedOperation, operation: Operation): void {
  const { body, otherBodies, examples, answers } = operation;
  if (body || otherBodies) {
    const json = documented.requestBody?.content[JSON_TYPE];
    documented.requestBody = {
      required: operation.bodyOptional !== true,
      content: {
        ...(json && { [JSON_TYPE]: withExamples({ schema: json.schema }, examples) }),
        ...otherContent(otherBodies),
      },
    };
  }
  const made = documented.responses as Record<string, { content?: Record<string, { schema: unknown }> }>;
  documented.responses = {
    ...problemResponses(problemsOf(operation)),
    // in their own words where they have some, as the health of the service does
    ...Object.fromEntries(
      Object.entries<Answer>(answers).map(([status, answer]) => [
        status,
        completeAnswer(answer, made[status]?.content?.[JSON_TYPE]?.schema),
      ]),
    ),
  };
  if (operation.open) documented.security = [];
}

function completeAnswer(answer: Answer, schema: unknown): Record<string, unknown> {
  const content = {
    ...(schema !== undefined && answer.schema && { [JSON_TYPE]: withExamples({ schema }, answer.examples) }),
    ...otherContent(answer.content),
  };
  return {
    description: answer.description,
    headers: documentedHeaders(answer.headers ?? []),
    ...(Object.keys(content).length > 0 && { content }),
  };
}

function otherContent(content: Readonly<Record<string, OtherContent>> = {}): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries(content).map(([type, { schema, examples }]) => [type, withExamples({ schema }, examples)]),
  );
}

function withExamples(media: { schema: unknown }, examples: Examples | undefined): Record<string, unknown> {
  return examples ? { ...media, examples } : media;
}
