/** Fixture server of `@modelcontextprotocol/sdk`, for protocols up to 2025-11-25. */
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
  SetLevelRequestSchema,
  SubscribeRequestSchema,
  UnsubscribeRequestSchema,
} from '@modelcontextprotocol/sdk/types.js';
import {
  COMPLETION,
  EMPTY_INPUT,
  LISTS,
  PLAIN_TOOLS,
  PROMPTS,
  readResource,
  SCHEMA_2020_12,
  text,
} from './fixture-content.mjs';

// without sessions nothing can be asked of the client: these say so at once instead of waiting for an answer
const ASKING = [
  'test_sampling',
  'test_elicitation',
  'test_elicitation_sep1034_defaults',
  'test_elicitation_sep1330_enums',
];

const notify = async (extra, method, messages) => {
  for (const params of messages) await extra.sendNotification({ method, params });
};

const TOOLS = {
  ...PLAIN_TOOLS,
  ...Object.fromEntries(
    ASKING.map((name) => [
      name,
      () => ({ isError: true, ...text('A stateless server cannot ask its client.') }),
    ]),
  ),
  json_schema_2020_12_tool: () => text('ok'),
  test_reconnection: () => text('There is nothing to reconnect to: the answer is whole.'),
  test_tool_with_logging: async (extra) => {
    const said = ['Tool execution started', 'Tool processing data', 'Tool execution completed'];
    await notify(
      extra,
      'notifications/message',
      said.map((data) => ({ level: 'info', data })),
    );
    return text('done');
  },
  test_tool_with_progress: async (extra) => {
    const progressToken = extra._meta?.progressToken ?? 0;
    const steps = [0, 50, 100].map((progress) => ({ progressToken, progress, total: 100 }));
    await notify(extra, 'notifications/progress', steps);
    return text('done');
  },
};

/** A server for one request. */
export function legacyFixture() {
  const server = new Server(
    { name: 'fixture', version: '1.0.0' },
    {
      capabilities: { tools: {}, prompts: {}, resources: { subscribe: true }, completions: {}, logging: {} },
    },
  );
  server.setRequestHandler(ListToolsRequestSchema, () => ({
    tools: Object.keys(TOOLS).map((name) => ({
      name,
      description: `Fixture ${name}`,
      inputSchema: name === 'json_schema_2020_12_tool' ? SCHEMA_2020_12 : EMPTY_INPUT,
    })),
  }));
  server.setRequestHandler(CallToolRequestSchema, async ({ params }, extra) => {
    const tool = TOOLS[params.name];
    if (!tool) throw new McpError(ErrorCode.InvalidParams, `Unknown tool: ${params.name}`);
    return await tool(extra);
  });
  server.setRequestHandler(ListPromptsRequestSchema, () => ({ prompts: LISTS.prompts }));
  server.setRequestHandler(GetPromptRequestSchema, ({ params }) => {
    const prompt = PROMPTS[params.name];
    if (!prompt) throw new McpError(ErrorCode.InvalidParams, `Unknown prompt: ${params.name}`);
    return prompt.render(params.arguments ?? {});
  });
  server.setRequestHandler(ListResourcesRequestSchema, () => ({ resources: LISTS.resources }));
  server.setRequestHandler(ListResourceTemplatesRequestSchema, () => ({
    resourceTemplates: LISTS.resourceTemplates,
  }));
  server.setRequestHandler(ReadResourceRequestSchema, ({ params: { uri } }) => {
    const found = readResource(uri);
    if (!found) throw new McpError(ErrorCode.InvalidParams, `There is no resource ${uri}.`, { uri });
    return found;
  });
  server.setRequestHandler(SubscribeRequestSchema, () => ({}));
  server.setRequestHandler(UnsubscribeRequestSchema, () => ({}));
  server.setRequestHandler(SetLevelRequestSchema, () => ({}));
  server.setRequestHandler(CompleteRequestSchema, () => COMPLETION);
  return server;
}
