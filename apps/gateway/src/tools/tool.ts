/** Tools, free of any MCP SDK: the adapters on the wire only carry them. */
import {
  abandonedScanSchema,
  errorCodeSchema,
  importedSchema,
  operatorStateSchema,
  parseOrThrow,
  qualitySchema,
  resultsSummarySchema,
  scanStatusSchema,
} from '@scanmq/contract';
import { z } from 'zod';

export interface ToolContext {
  readonly principal: string;
  readonly traceId: string;
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
  /** The same as text; JSON of `structured` when left out. */
  readonly text?: string;
}

export interface Tool {
  readonly name: string;
  readonly title: string;
  readonly description: string;
  readonly inputSchema: Record<string, unknown>;
  readonly outputSchema: Record<string, unknown>;
  readonly annotations: ToolAnnotations;
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
  readonly run: (
    input: z.output<I>,
    context: ToolContext,
  ) => Promise<{ structured: z.input<O>; text?: string }>;
}

/** Makes a tool out of its definition; the schemas are converted once, not per request. */
export function defineTool<I extends z.ZodType, O extends z.ZodType>(definition: ToolDefinition<I, O>): Tool {
  const { name, title, description, annotations } = definition;
  return {
    name,
    title,
    description,
    annotations,
    inputSchema: toSchema(definition.input, 'input'),
    outputSchema: toSchema(definition.output, 'output'),
    async call(args, context) {
      const { structured, text } = await definition.run(
        parseOrThrow(definition.input, args ?? {}, 'call'),
        context,
      );
      // an object without a prototype of its own, and without undefined fields, as it goes over the wire
      const plain = JSON.parse(JSON.stringify(structured)) as Record<string, unknown>;
      return text === undefined ? { structured: plain } : { structured: plain, text };
    },
  };
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

/** JSON schema without what costs a model tokens and tells it nothing: bounds of every integer, patterns of dates. */
function toSchema(schema: z.ZodType, io: 'input' | 'output'): Record<string, unknown> {
  const { $schema: _, ...rest } = z.toJSONSchema(schema, {
    io,
    override({ zodSchema, jsonSchema, path }) {
      // only where it is a part: a tool whose answer it is tells all of it
      const shown = io === 'output' && path.length > 0 ? BRIEFLY.get(zodSchema) : undefined;
      if (shown && jsonSchema.properties) {
        jsonSchema.properties = Object.fromEntries(
          Object.entries(jsonSchema.properties).filter(([name]) => shown.includes(name)),
        );
      }
      // thirty words, of which an answer has one
      if (io === 'output' && zodSchema === errorCodeSchema) delete jsonSchema.enum;
      if (jsonSchema.format === 'date-time') delete jsonSchema.pattern;
      if (jsonSchema.minimum === Number.MIN_SAFE_INTEGER) delete jsonSchema.minimum;
      if (jsonSchema.maximum === Number.MAX_SAFE_INTEGER) delete jsonSchema.maximum;
      // answers may gain fields; a client that validates must not refuse them then. That all fields are always there is
      // true, and costs a model six hundred tokens to be told
      if (io === 'output') {
        if (jsonSchema.additionalProperties === false) delete jsonSchema.additionalProperties;
        delete jsonSchema.required;
      }
    },
  });
  return rest;
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
