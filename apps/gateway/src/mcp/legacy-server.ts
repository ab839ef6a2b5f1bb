/** The surface on `@modelcontextprotocol/sdk`: protocols up to 2025-11-25. */
import { Server } from '@modelcontextprotocol/sdk/server/index.js';
import {
  CallToolRequestSchema,
  CompleteRequestSchema,
  ErrorCode,
  GetPromptRequestSchema,
  ListPromptsRequestSchema,
  ListResourcesRequestSchema,
  ListResourceTemplatesRequestSchema,
  ListToolsRequestSchema,
  McpError,
  ReadResourceRequestSchema,
} from '@modelcontextprotocol/sdk/types.js';
import { AjvJsonSchemaValidator } from '@modelcontextprotocol/sdk/validation/ajv';
import type { FastifyRequest } from 'fastify';
import { asAnswerable } from '../plugins/errors.js';
import { mayUse } from '../tools/permissions.js';
import type { Progress } from '../tools/tool.js';
import {
  isTaskIdArgument,
  listedPrompts,
  listedTemplates,
  listedTools,
  type McpSurface,
  outcomeOf,
  resourceOf,
} from './surface.js';

// shared by all requests: to make one for each costs as much as answering it
const validator = new AjvJsonSchemaValidator();

/** @returns makes the server of one request; what does not depend on the request is made once. */
export function legacyServers(surface: McpSurface): (request: FastifyRequest) => Server {
  const tools = listedTools(surface.tools);
  const prompts = listedPrompts(surface.prompts);
  const resourceTemplates = listedTemplates(surface.resources);
  const toolByName = new Map(surface.tools.map((tool) => [tool.name, tool]));
  const promptByName = new Map(surface.prompts.map((prompt) => [prompt.name, prompt]));

  return (request) => {
    const context = surface.contextOf(request);
    const usable = tools.filter(({ name }) => mayUse(context.principal, name));
    const server = new Server(
      { name: 'scanmq', version: surface.version },
      {
        capabilities: { tools: {}, prompts: {}, resources: {}, completions: {} },
        instructions: surface.instructions,
        jsonSchemaValidator: validator,
      },
    );
    server.setRequestHandler(ListToolsRequestSchema, () => ({ tools: usable }));
    server.setRequestHandler(CallToolRequestSchema, async ({ params }, extra) => {
      const tool = toolByName.get(params.name);
      if (!tool) throw new McpError(ErrorCode.InvalidParams, `Unknown tool: ${params.name}`);
      const progressToken = extra._meta?.progressToken;
      const onProgress =
        progressToken === undefined
          ? undefined
          : (progress: Progress): void => {
              // the client may be gone: the scan goes on
              extra
                .sendNotification({
                  method: 'notifications/progress',
                  params: { progressToken, ...progress },
                })
                .catch(() => undefined);
            };
      try {
        return outcomeOf(await tool.call(params.arguments, { ...context, signal: extra.signal, onProgress }));
      } catch (error) {
        return surface.refuse(error, tool.name, context);
      }
    });
    server.setRequestHandler(ListPromptsRequestSchema, () => ({ prompts }));
    server.setRequestHandler(GetPromptRequestSchema, async ({ params }) => {
      const prompt = promptByName.get(params.name);
      if (!prompt) throw new McpError(ErrorCode.InvalidParams, `Unknown prompt: ${params.name}`);
      const text = await protocolErrors(prompt.render(params.arguments ?? {}, context));
      return {
        description: prompt.description,
        messages: [{ role: 'user' as const, content: { type: 'text' as const, text } }],
      };
    });
    server.setRequestHandler(ListResourcesRequestSchema, () => ({ resources: [] }));
    server.setRequestHandler(ListResourceTemplatesRequestSchema, () => ({ resourceTemplates }));
    server.setRequestHandler(ReadResourceRequestSchema, async ({ params: { uri } }) => {
      const found = resourceOf(surface.resources, uri);
      if (!found) throw new McpError(ErrorCode.InvalidParams, `There is no resource ${uri}.`, { uri });
      const value = await protocolErrors(found.resource.read(found.taskId, context));
      return { contents: [{ uri, mimeType: 'application/json', text: JSON.stringify(value) }] };
    });
    server.setRequestHandler(CompleteRequestSchema, async ({ params: { argument } }) => {
      const values = isTaskIdArgument(argument.name)
        ? await protocolErrors(surface.completeTaskId(argument.value, context))
        : [];
      return { completion: { values: [...values], hasMore: false } };
    });
    return server;
  };
}

/** Where the protocol has no place for an error of ours but its own. */
async function protocolErrors<T>(work: Promise<T>): Promise<T> {
  try {
    return await work;
  } catch (thrown) {
    const error = asAnswerable(thrown);
    throw new McpError(
      error.code === 'internal' || error.code === 'unavailable'
        ? ErrorCode.InternalError
        : ErrorCode.InvalidParams,
      error.message,
      { code: error.code },
    );
  }
}
