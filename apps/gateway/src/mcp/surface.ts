/** What is offered over MCP, free of any SDK; the two adapters only carry it. */
import { type ScanmqError, type TaskId, taskIdSchema } from '@scanmq/contract';
import type { FastifyRequest } from 'fastify';
import type { Tool, ToolAnswer, ToolContext } from '../tools/tool.js';

export interface PromptDefinition {
  readonly name: string;
  readonly title: string;
  readonly description: string;
  /** All required. */
  readonly arguments: readonly { readonly name: string; readonly description: string }[];
  /** @throws ScanmqError */
  readonly render: (args: Readonly<Record<string, string>>, context: ToolContext) => Promise<string>;
}

/** A kind of resource: one for each task. */
export interface ResourceDefinition {
  readonly name: string;
  readonly title: string;
  readonly description: string;
  /** With `{task_id}` in it. */
  readonly uriTemplate: string;
  /** @throws ScanmqError */
  readonly read: (taskId: TaskId, context: ToolContext) => Promise<Record<string, unknown>>;
}

/** What became of a task, for the tasks extension. */
export interface TaskView {
  readonly taskId: string;
  readonly status: 'working' | 'completed' | 'cancelled';
  readonly statusMessage: string;
  readonly createdAt: string;
  readonly lastUpdatedAt: string;
  readonly ttlMs: number | null;
  /** Of a completed one. */
  readonly result: ToolOutcome | undefined;
}

/** The result of a tool call in the words of the protocol. */
export interface ToolOutcome extends Record<string, unknown> {
  readonly isError?: boolean;
  readonly content: { type: 'text'; text: string }[];
  readonly structuredContent?: Record<string, unknown>;
}

export interface McpSurface {
  readonly version: string;
  readonly instructions: string;
  readonly tools: readonly Tool[];
  readonly prompts: readonly PromptDefinition[];
  readonly resources: readonly ResourceDefinition[];
  readonly contextOf: (request: FastifyRequest) => ToolContext;
  /** Ids of tasks that begin so, the newest first. */
  readonly completeTaskId: (start: string, context: ToolContext) => Promise<readonly string[]>;
  /** @throws ScanmqError */
  readonly task: (taskId: string, context: ToolContext) => Promise<TaskView>;
  readonly cancelTask: (taskId: string, context: ToolContext) => Promise<void>;
  /** An error as the answer of a tool; logs what is not ours. */
  readonly refuse: (thrown: unknown, tool: string, context: ToolContext) => ToolOutcome;
}

export function outcomeOf({ structured, text, untrusted }: ToolAnswer): ToolOutcome {
  return {
    content: [{ type: 'text', text }],
    structuredContent: structured,
    // for hosts that track where text comes from
    ...(untrusted ? { _meta: { integrity: 'untrusted' } } : {}),
  };
}

/** Tools as both protocols list them. */
export function listedTools(tools: readonly Tool[]) {
  return tools.map(({ name, title, description, inputSchema, outputSchema, annotations }) => ({
    name,
    title,
    description,
    inputSchema: { ...inputSchema, type: 'object' as const },
    outputSchema: { ...outputSchema, type: 'object' as const },
    annotations,
  }));
}

export function listedPrompts(prompts: readonly PromptDefinition[]) {
  return prompts.map(({ name, title, description, arguments: args }) => ({
    name,
    title,
    description,
    arguments: args.map((argument) => ({ ...argument, required: true })),
  }));
}

export function listedTemplates(resources: readonly ResourceDefinition[]) {
  return resources.map(({ name, title, description, uriTemplate }) => ({
    name,
    title,
    description,
    uriTemplate,
    mimeType: 'application/json',
  }));
}

const PLACE = '{task_id}';

/** The resource that a URI names; undefined when there is none of that form. */
export function resourceOf(
  resources: readonly ResourceDefinition[],
  uri: string,
): { readonly resource: ResourceDefinition; readonly taskId: TaskId } | undefined {
  for (const resource of resources) {
    const [before = '', after = ''] = resource.uriTemplate.split(PLACE);
    if (!uri.startsWith(before) || !uri.endsWith(after)) continue;
    const parsed = taskIdSchema.safeParse(uri.slice(before.length, uri.length - after.length));
    if (parsed.success) return { resource, taskId: parsed.data };
  }
  return undefined;
}

/** The argument that is completed: all that take one are task ids. */
export function isTaskIdArgument(name: string): boolean {
  return name === 'task_id';
}

/** What a model can act on: the stable code, what is wrong, where, and what to do next. */
export function errorAnswer(error: ScanmqError, context: ToolContext): Record<string, unknown> {
  return {
    code: error.code,
    message: error.message,
    retryable: error.retryable === 'yes',
    ...(error.issues && error.issues.length > 0 ? { errors: error.issues } : {}),
    ...(error.retryAfterSeconds === undefined ? {} : { retry_after_seconds: error.retryAfterSeconds }),
    ...(error.next === undefined ? {} : { next: error.next }),
    trace_id: context.traceId,
  };
}
