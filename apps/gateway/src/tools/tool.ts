/** Tools, free of any MCP SDK: the adapters on the wire only carry them. */
import type { Decision } from '@scanmq/access';
import {
  abandonedScanSchema,
  errorCodeSchema,
  importedSchema,
  LIMITS,
  operatorStateSchema,
  type Principal,
  parseOrThrow,
  qualitySchema,
  resultsSummarySchema,
  scanStatusSchema,
  taskIdSchema,
} from '@scanmq/contract';
import { z } from 'zod';
import type { Services } from '../access/services.js';
import { cleanValue, isPlainJson } from './untrusted.js';

export interface Progress {
  readonly progress: number;
  readonly total: number;
  readonly message: string;
}

/** Who calls, and what there is for them. */
export interface ToolContext extends Pick<Services, 'scans' | 'results' | 'schedules' | 'plans'> {
  readonly principal: Principal;
  readonly traceId: string;
  /** Writes an entry of the audit log about this call. */
  readonly audit: (entry: Pick<Decision, 'action' | 'decision'> & Partial<Decision>) => Promise<void>;
  /** Aborted when the client is gone: for what waits. A scan goes on. */
  readonly signal?: AbortSignal | undefined;
  /** Tells the client of progress, where it asked for that; each value is higher than the one before. */
  readonly onProgress?: ((progress: Progress) => void) | undefined;
}

/** The four hints of MCP; every tool sets all of them, the defaults of the protocol are the pessimistic ones. */
export interface ToolAnnotations {
  readonly readOnlyHint: boolean;
  readonly destructiveHint: boolean;
  readonly idempotentHint: boolean;
  readonly openWorldHint: boolean;
}

export interface ToolAnswer {
  /** Fits the output schema of the tool. */
  readonly structured: Record<string, unknown>;
  /** The same as text: its JSON, or the lines of the earlier version. */
  readonly text: string;
  /** Some of it was written by a scanned host. */
  readonly untrusted?: boolean;
}

export interface Tool {
  readonly name: string;
  readonly title: string;
  readonly description: string;
  readonly inputSchema: Record<string, unknown>;
  readonly outputSchema: Record<string, unknown>;
  readonly annotations: ToolAnnotations;
  /** Its answer names a task that goes on: with the tasks extension the call is that task. */
  readonly startsTask: boolean;
  /** It tells of progress while it is carried out. */
  readonly streams: boolean;
  /** @throws ScanmqError; the adapter turns it into a result with `isError`. */
  call(args: unknown, context: ToolContext): Promise<ToolAnswer>;
}

export interface ToolDefinition<I extends z.ZodType, O extends z.ZodType> {
  readonly name: string;
  readonly title: string;
  readonly description: string;
  readonly input: I;
  readonly output: O;
  readonly annotations: ToolAnnotations;
  readonly startsTask?: boolean;
  readonly streams?: boolean;
  /** The input is the same as that of another tool, whose schema says what each field means. */
  readonly terseInput?: boolean;
  readonly run: (
    input: z.output<I>,
    context: ToolContext,
  ) => Promise<{ structured: z.input<O>; text?: string; untrusted?: boolean }>;
}

/** Makes a tool out of its definition; the schemas are converted once, not per request. */
export function defineTool<I extends z.ZodType, O extends z.ZodType>(definition: ToolDefinition<I, O>): Tool {
  const { name, title, description, annotations } = definition;
  return {
    name,
    title,
    description,
    annotations,
    startsTask: definition.startsTask ?? false,
    streams: definition.streams ?? false,
    inputSchema: toSchema(definition.input, 'input', definition.terseInput),
    outputSchema: toSchema(definition.output, 'output'),
    async call(args, context) {
      const { structured, text, untrusted } = await definition.run(
        parseOrThrow(definition.input, args ?? {}, 'call'),
        context,
      );
      // without undefined fields, as it goes over the wire; and nothing in it that people would not see
      const plain = fitTexts(structured);
      return { structured: plain.value, text: text ?? plain.json, ...(untrusted ? { untrusted } : {}) };
    },
  };
}

/** How much of each text is shown, where an answer of one item does not fit otherwise. */
const TEXT_CAPS = [LIMITS.mcpTextChars, 1_000, 250, 80] as const;

/** An answer of one item has nothing to cut but its texts; lists were cut on whole items before. */
function fitTexts(value: unknown): { readonly value: Record<string, unknown>; readonly json: string } {
  let json = JSON.stringify(value);
  // most answers: short, and of nothing but letters that everybody sees
  if (json.length <= LIMITS.mcpTextChars && isPlainJson(json))
    return { value: value as Record<string, unknown>, json };
  let fitted: unknown = value;
  for (const cap of TEXT_CAPS) {
    fitted = cleanValue(value, cap);
    json = JSON.stringify(fitted);
    if (json.length <= LIMITS.mcpAnswerChars) break;
  }
  return { value: fitted as Record<string, unknown>, json };
}

/** Parts of answers that many tools have, described by the fields that matter most; the answers have all of them. */
const BRIEFLY: ReadonlyMap<unknown, readonly string[]> = new Map<unknown, readonly string[]>([
  [qualitySchema, ['verdict', 'reasons']],
  [importedSchema, ['source']],
  [resultsSummarySchema, ['hosts_scanned', 'total_vulnerabilities', 'total_findings', 'severity_breakdown']],
  [abandonedScanSchema, ['reason']],
  [operatorStateSchema, ['state', 'reason']],
  [scanStatusSchema, ['task_id', 'status', 'progress', 'name', 'targets', 'created_at', 'quality']],
]);

/** What costs a model tokens and tells it little: the zod schema checks it, and its message says what was wrong. */
const BOUNDS = [
  'pattern',
  'minLength',
  'maxLength',
  'minItems',
  'maxItems',
  'propertyNames',
  'format',
] as const;
const NUMBER_BOUNDS = ['minimum', 'maximum', 'exclusiveMinimum', 'exclusiveMaximum'] as const;

/** JSON schema as a model needs it: a client that validates gets no less than the truth, but not all of it. */
function toSchema(schema: z.ZodType, io: 'input' | 'output', terse = false): Record<string, unknown> {
  const { $schema: _, ...rest } = z.toJSONSchema(schema, {
    io,
    override({ zodSchema, jsonSchema, path }) {
      for (const bound of BOUNDS) delete jsonSchema[bound];
      if (terse) {
        delete jsonSchema.description;
        delete jsonSchema.examples;
      }
      // told at so many places that the description has to do
      if (zodSchema === taskIdSchema) delete jsonSchema.examples;
      if (io === 'input') {
        if (jsonSchema.minimum === Number.MIN_SAFE_INTEGER) delete jsonSchema.minimum;
        if (jsonSchema.maximum === Number.MAX_SAFE_INTEGER) delete jsonSchema.maximum;
        return;
      }
      for (const bound of NUMBER_BOUNDS) delete jsonSchema[bound];
      // answers may gain fields; a client that validates must not refuse them then. That all fields are always there is
      // true, and costs a model six hundred tokens to be told
      delete jsonSchema.additionalProperties;
      delete jsonSchema.required;
      if (path.length === 0) return;
      // thirty words, of which an answer has one
      if (zodSchema === errorCodeSchema) delete jsonSchema.enum;
      // parts are told by the names of their fields
      const fields = BRIEFLY.get(zodSchema) ?? Object.keys(jsonSchema.properties ?? {});
      if (jsonSchema.properties) {
        delete jsonSchema.properties;
        jsonSchema.description = [jsonSchema.description, fields.join(', ')].filter(Boolean).join(': ');
      }
    },
  });
  return io === 'output' ? (withoutDetours(rest) as Record<string, unknown>) : rest;
}

/** `{"type":["string","null"]}` instead of a choice between two schemas. */
function withoutDetours(schema: unknown): unknown {
  if (Array.isArray(schema)) return schema.map(withoutDetours);
  if (schema === null || typeof schema !== 'object') return schema;
  const plain = Object.fromEntries(
    Object.entries(schema).map(([key, value]) => [key, withoutDetours(value)]),
  );
  const { anyOf, ...around } = plain as { anyOf?: Record<string, unknown>[] };
  const [one, nothing, ...more] = anyOf ?? [];
  if (!one || nothing?.type !== 'null' || more.length > 0 || typeof one.type !== 'string') return plain;
  if (Array.isArray(one.enum))
    return { ...one, ...around, type: [one.type, 'null'], enum: [...one.enum, null] };
  const description = [(around as { description?: unknown }).description, one.description]
    .filter(Boolean)
    .join(': ');
  return { ...one, ...around, type: [one.type, 'null'], ...(description ? { description } : {}) };
}

/** Only looks. Its text comes from scanners and scanned hosts, hence the open world. */
export const READS: ToolAnnotations = {
  readOnlyHint: true,
  destructiveHint: false,
  idempotentHint: true,
  openWorldHint: true,
};

/** Makes a scanner send packets to hosts: not to be done lightly. */
export const SCANS: ToolAnnotations = {
  readOnlyHint: false,
  destructiveHint: true,
  idempotentHint: false,
  openWorldHint: true,
};

/** Ends something; asking twice changes nothing more. */
export const STOPS: ToolAnnotations = {
  readOnlyHint: false,
  destructiveHint: true,
  idempotentHint: true,
  openWorldHint: true,
};
