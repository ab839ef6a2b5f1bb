/** The surface on `@modelcontextprotocol/server`: protocol 2026-07-28, with the tasks extension. */
import {
  acceptedContent,
  type InputRequiredResult,
  inputRequired,
  ProtocolError,
  ProtocolErrorCode,
  Server,
  type ServerContext,
} from '@modelcontextprotocol/server';
import type { FastifyRequest } from 'fastify';
import { asAnswerable } from '../plugins/errors.js';
import { ConfirmationRequiredError } from '../tools/confirmation.js';
import { mayUse } from '../tools/permissions.js';
import type { Progress, Tool, ToolContext } from '../tools/tool.js';
import {
  isTaskIdArgument,
  listedPrompts,
  listedTemplates,
  listedTools,
  type McpSurface,
  outcomeOf,
  resourceOf,
} from './surface.js';
import {
  addTasksExtension,
  clientCapabilities,
  declaresTasks,
  TASKS_EXTENSION,
  taskHandle,
} from './tasks-extension.js';

/** How long clients may keep lists: for one key they change with a new version of scanmq only. */
const LISTS = { ttlMs: 300_000, cacheScope: 'private' } as const;
/** Name of the question that is put to the user. */
const CONFIRM = 'confirm';

/** @returns makes the server of one request; what does not depend on the request is made once. */
export function modernServers(surface: McpSurface): (request: FastifyRequest) => Server {
  const tools = listedTools(surface.tools);
  const prompts = listedPrompts(surface.prompts);
  const resourceTemplates = listedTemplates(surface.resources);
  const toolByName = new Map(surface.tools.map((tool) => [tool.name, tool]));
  const promptByName = new Map(surface.prompts.map((prompt) => [prompt.name, prompt]));

  async function callTool(
    tool: Tool,
    args: unknown,
    context: ToolContext,
    ctx: ServerContext,
    ask?: (error: unknown) => InputRequiredResult | undefined,
  ) {
    try {
      const answer = await tool.call(args, context);
      const taskId = tool.startsTask && declaresTasks(ctx) ? answer.structured.task_id : undefined;
      // the record is in Redis before its id is known here: whoever has the handle can read it
      return typeof taskId === 'string' ? taskHandle(await surface.task(taskId, context)) : outcomeOf(answer);
    } catch (error) {
      return ask?.(error) ?? surface.refuse(error, tool.name, context);
    }
  }

  /** As `callTool`, but has the user asked where a scan has to be confirmed and the client can ask. */
  async function callToolAsking(tool: Tool, args: object, context: ToolContext, ctx: ServerContext) {
    const { inputResponses } = ctx.mcpReq;
    const state = ctx.mcpReq.requestState<string>();
    if (state !== undefined && inputResponses !== undefined) {
      const answer = acceptedContent<{ confirm?: unknown }>(inputResponses, CONFIRM);
      // the state is a plan token: sealed, and bound to who asks and to the plan
      return answer?.confirm === true
        ? await callTool(tool, { ...args, plan_token: state }, context, ctx)
        : surface.refuse(ConfirmationRequiredError.declined(), tool.name, context);
    }
    return await callTool(tool, args, context, ctx, canAsk(ctx) ? askUser : undefined);
  }

  return (request) => {
    const context = surface.contextOf(request);
    const usable = tools.filter(({ name }) => mayUse(context.principal, name));
    const server = new Server(
      { name: 'scanmq', version: surface.version },
      {
        capabilities: {
          tools: {},
          prompts: {},
          resources: {},
          completions: {},
          extensions: { [TASKS_EXTENSION]: {} },
        },
        instructions: surface.instructions,
        cacheHints: {
          'tools/list': LISTS,
          'prompts/list': LISTS,
          'resources/list': LISTS,
          'resources/templates/list': LISTS,
          'server/discover': LISTS,
        },
      },
    );
    server.setRequestHandler('tools/list', () => ({ tools: usable }));
    server.setRequestHandler('tools/call', async ({ params }, ctx) => {
      const tool = toolByName.get(params.name);
      if (!tool) throw new ProtocolError(ProtocolErrorCode.InvalidParams, `Unknown tool: ${params.name}`);
      const progressToken = ctx.mcpReq._meta?.progressToken;
      const called: ToolContext = {
        ...context,
        signal: ctx.mcpReq.signal,
        onProgress:
          progressToken === undefined
            ? undefined
            : (progress: Progress): void => {
                // the client may be gone: the scan goes on
                ctx.mcpReq
                  .notify({ method: 'notifications/progress', params: { progressToken, ...progress } })
                  .catch(() => undefined);
              },
      };
      const args = params.arguments ?? {};
      return tool.startsTask
        ? await callToolAsking(tool, args, called, ctx)
        : await callTool(tool, args, called, ctx);
    });
    server.setRequestHandler('prompts/list', () => ({ prompts }));
    server.setRequestHandler('prompts/get', async ({ params }) => {
      const prompt = promptByName.get(params.name);
      if (!prompt) throw new ProtocolError(ProtocolErrorCode.InvalidParams, `Unknown prompt: ${params.name}`);
      const text = await protocolErrors(prompt.render(params.arguments ?? {}, context));
      return {
        description: prompt.description,
        messages: [{ role: 'user' as const, content: { type: 'text' as const, text } }],
      };
    });
    server.setRequestHandler('resources/list', () => ({ resources: [] }));
    server.setRequestHandler('resources/templates/list', () => ({ resourceTemplates }));
    server.setRequestHandler('resources/read', async ({ params: { uri } }) => {
      const found = resourceOf(surface.resources, uri);
      if (!found)
        throw new ProtocolError(ProtocolErrorCode.InvalidParams, `There is no resource ${uri}.`, { uri });
      const value = await protocolErrors(found.resource.read(found.taskId, context));
      return { contents: [{ uri, mimeType: 'application/json', text: JSON.stringify(value) }] };
    });
    server.setRequestHandler('completion/complete', async ({ params: { argument } }) => {
      const values = isTaskIdArgument(argument.name)
        ? await protocolErrors(surface.completeTaskId(argument.value, context))
        : [];
      return { completion: { values: [...values], hasMore: false } };
    });
    addTasksExtension(server, surface, context, protocolErrors);
    return server;
  };
}

/** The question that a scan needs an answer to before it is queued; undefined for any other error. */
function askUser(error: unknown): InputRequiredResult | undefined {
  if (!(error instanceof ConfirmationRequiredError)) return undefined;
  const { question, planToken } = error;
  if (question === undefined || planToken === undefined) return undefined;
  return inputRequired({
    requestState: planToken,
    inputRequests: {
      [CONFIRM]: inputRequired.elicit({
        message: question,
        requestedSchema: {
          type: 'object',
          properties: { confirm: { type: 'boolean', title: 'Scan these targets' } },
          required: ['confirm'],
        },
      }),
    },
  });
}

/** True when the client can put a form before its user. */
function canAsk(ctx: ServerContext): boolean {
  const elicitation = clientCapabilities(ctx)?.elicitation;
  // an empty declaration means forms
  return elicitation !== undefined && ('form' in elicitation || Object.keys(elicitation).length === 0);
}

/** Where the protocol has no place for an error of ours but its own. */
async function protocolErrors<T>(work: Promise<T>): Promise<T> {
  try {
    return await work;
  } catch (thrown) {
    const error = asAnswerable(thrown);
    throw new ProtocolError(
      error.code === 'internal' || error.code === 'unavailable'
        ? ProtocolErrorCode.InternalError
        : ProtocolErrorCode.InvalidParams,
      error.message,
      { code: error.code },
    );
  }
}
