/**
 * The tasks extension (`io.modelcontextprotocol/tasks`): a scan is a task of the protocol under the same id. Our record
 * is its only store. The SDK has nothing for it yet; when it does, this file goes.
 */
import {
  CLIENT_CAPABILITIES_META_KEY,
  type ClientCapabilities,
  MissingRequiredClientCapabilityError,
  type Server,
  type ServerContext,
} from '@modelcontextprotocol/server';
import { z } from 'zod';
import type { ToolContext } from '../tools/tool.js';
import type { McpSurface, TaskView } from './surface.js';

export const TASKS_EXTENSION = 'io.modelcontextprotocol/tasks';

/** How often clients should ask. */
const POLL_MS = 15_000;

const params = z.looseObject({ taskId: z.string().max(200) });
const result = z.looseObject({});

/** What the client of this request can do; every request says it anew. */
export function clientCapabilities(ctx: ServerContext): ClientCapabilities | undefined {
  const envelope: Readonly<Record<string, unknown>> | undefined = ctx.mcpReq.envelope;
  return envelope?.[CLIENT_CAPABILITIES_META_KEY] as ClientCapabilities | undefined;
}

/** True when this request says that it understands tasks. */
export function declaresTasks(ctx: ServerContext): boolean {
  return clientCapabilities(ctx)?.extensions?.[TASKS_EXTENSION] !== undefined;
}

function fieldsOf({ taskId, status, statusMessage, createdAt, lastUpdatedAt, ttlMs }: TaskView) {
  return { taskId, status, statusMessage, createdAt, lastUpdatedAt, ttlMs, pollIntervalMs: POLL_MS };
}

/** The answer to a call that is carried out as a task. */
export function taskHandle(view: TaskView) {
  return { resultType: 'task' as const, content: [], ...fieldsOf(view) };
}

export function addTasksExtension(
  server: Server,
  surface: McpSurface,
  context: ToolContext,
  protocolErrors: <T>(work: Promise<T>) => Promise<T>,
): void {
  function checkDeclared(ctx: ServerContext): void {
    if (!declaresTasks(ctx))
      throw new MissingRequiredClientCapabilityError({
        requiredCapabilities: { extensions: { [TASKS_EXTENSION]: {} } },
      });
  }
  server.setRequestHandler('tasks/get', { params, result }, async ({ taskId }, ctx) => {
    checkDeclared(ctx);
    const view = await protocolErrors(surface.task(taskId, context));
    return {
      resultType: 'complete',
      ...fieldsOf(view),
      ...(view.result === undefined ? {} : { result: view.result }),
    };
  });
  // a scan asks nothing while it runs: whatever is answered is acknowledged and has no effect
  server.setRequestHandler('tasks/update', { params, result }, async ({ taskId }, ctx) => {
    checkDeclared(ctx);
    await protocolErrors(surface.task(taskId, context));
    return { resultType: 'complete' };
  });
  server.setRequestHandler('tasks/cancel', { params, result }, async ({ taskId }, ctx) => {
    checkDeclared(ctx);
    await protocolErrors(surface.cancelTask(taskId, context));
    return { resultType: 'complete' };
  });
}
