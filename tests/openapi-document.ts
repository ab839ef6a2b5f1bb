/** The OpenAPI document as a judge: was this answer announced, and is it what was announced? */

import { Ajv2020 } from 'ajv/dist/2020.js';
import addFormats from 'ajv-formats';

interface Media {
  readonly schema: object;
  readonly examples?: Record<string, { value?: unknown }>;
}

interface Parameter {
  readonly name: string;
  readonly in: 'path' | 'query' | 'header';
  readonly schema: { type?: string };
  readonly example?: unknown;
}

interface Operation {
  readonly operationId: string;
  readonly parameters?: Parameter[];
  readonly requestBody?: { required: boolean; content: Record<string, Media> };
  readonly responses: Record<
    string,
    { headers?: Record<string, unknown>; content?: Record<string, Media>; description: string }
  >;
}

export interface OpenapiDocument {
  readonly openapi: string;
  readonly paths: Record<string, Record<string, Operation>>;
  readonly components: {
    readonly schemas: Record<string, object>;
    readonly examples: Record<string, { value: unknown }>;
    readonly headers: Record<string, unknown>;
  };
}

export interface DocumentedOperation extends Operation {
  readonly path: string;
  readonly method: string;
}

export interface Answer {
  readonly status: number;
  readonly headers: Headers;
  readonly text: string;
}

/** Headers that are there whenever they are announced; the others only in some cases. */
const SURE_HEADERS = ['Location', 'ETag', 'X-Trace-Id'];

export function readDocument(document: OpenapiDocument) {
  const operations = new Map<string, DocumentedOperation>();
  for (const [path, item] of Object.entries(document.paths))
    for (const [method, operation] of Object.entries(item)) {
      if (operations.has(operation.operationId)) throw new Error(`twice: ${operation.operationId}`);
      operations.set(operation.operationId, { ...operation, path, method: method.toUpperCase() });
    }
  // clients have to take fields that they do not know; here one that is not announced is a mistake
  const strict = judge(withoutUnknownFields(document) as OpenapiDocument);
  const exact = judge(document);

  return {
    document,
    operations,

    /** Everything that is wrong with an answer. */
    faultsOf({ method, path, responses }: DocumentedOperation, answer: Answer): string[] {
      const announced = responses[String(answer.status)];
      const where = `${method} ${path} → ${answer.status}`;
      if (!announced) return [`${where} is not announced: ${answer.text.slice(0, 300)}`];
      const faults = Object.keys(announced.headers ?? {})
        .filter((name) => SURE_HEADERS.includes(name) && answer.headers.get(name) === null)
        .map((name) => `${where} lacks ${name}`);
      if (!announced.content)
        return answer.text === '' ? faults : [...faults, `${where} has a body: ${answer.text.slice(0, 200)}`];
      const type = answer.headers.get('content-type')?.split(';')[0] ?? '';
      if (!announced.content[type]) return [...faults, `${where} came as '${type}', which is not announced`];
      const body: unknown = isJson(type) ? JSON.parse(answer.text) : answer.text;
      if (body === '') return [...faults, `${where} is empty`];
      const pointer = [
        'paths',
        path,
        method.toLowerCase(),
        'responses',
        String(answer.status),
        'content',
        type,
      ];
      return [...faults, ...strict(pointer, body).map((fault) => `${where}: ${fault}`)];
    },

    /** Everything that is wrong with the examples of the document. */
    exampleFaults(): string[] {
      const faults: string[] = [];
      const check = (pointer: string[], media: Media | undefined): void => {
        for (const [name, example] of Object.entries(media?.examples ?? {}))
          if (example.value !== undefined)
            faults.push(
              ...exact(pointer, example.value).map((fault) => `${pointer.join(' ')}, ${name}: ${fault}`),
            );
      };
      for (const { path, method, requestBody, responses } of operations.values()) {
        const at = ['paths', path, method.toLowerCase()];
        for (const [type, media] of Object.entries(requestBody?.content ?? {}))
          check([...at, 'requestBody', 'content', type], media);
        for (const [status, { content }] of Object.entries(responses))
          for (const [type, media] of Object.entries(content ?? {}))
            check([...at, 'responses', status, 'content', type], media);
      }
      for (const [name, { value }] of Object.entries(document.components.examples))
        faults.push(
          ...exact(['components', 'schemas', 'Problem'], value, '').map((fault) => `${name}: ${fault}`),
        );
      return faults;
    },
  };
}

/** Tells what is wrong with a value, by the schema at a place of the document. */
function judge(document: OpenapiDocument) {
  const ajv = new Ajv2020({ strict: false, allErrors: true });
  addFormats.default(ajv);
  ajv.addSchema(document, 'document');
  return (pointer: readonly string[], value: unknown, part = '/schema'): string[] => {
    const path = pointer.map((one) => encodeURIComponent(one.replaceAll('~', '~0').replaceAll('/', '~1')));
    const validate = ajv.compile({ $ref: `document#/${path.join('/')}${part}` });
    validate(value);
    return (validate.errors ?? []).map(
      ({ instancePath, message, params }) => `${instancePath} ${message} ${JSON.stringify(params)}`,
    );
  };
}

function withoutUnknownFields(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(withoutUnknownFields);
  if (value === null || typeof value !== 'object') return value;
  const inner = Object.fromEntries(
    Object.entries(value).map(([key, part]) => [key, withoutUnknownFields(part)]),
  );
  const isObject = inner.type === 'object' && typeof inner.properties === 'object';
  return isObject && !('additionalProperties' in inner) ? { ...inner, additionalProperties: false } : inner;
}

function isJson(type: string): boolean {
  return type === 'application/json' || type.endsWith('+json');
}
