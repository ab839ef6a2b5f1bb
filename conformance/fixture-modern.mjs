/** Fixture server of `@modelcontextprotocol/server`, for protocol 2026-07-28. */
import {
  createRequestStateCodec,
  inputRequired,
  MissingRequiredClientCapabilityError,
  ProtocolError,
  ProtocolErrorCode,
  Server,
} from '@modelcontextprotocol/server';
import { clientCapabilities, TASKS_EXTENSION } from '../apps/gateway/dist/mcp/tasks-extension.js';
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
import { addFixtureTasks, TASK_TOOLS } from './fixture-tasks.mjs';

const codec = createRequestStateCodec({ key: new Uint8Array(32).fill(7), ttlSeconds: 600 });

const form = (message, property, type = 'string') =>
  inputRequired.elicit({
    message,
    requestedSchema: { type: 'object', properties: { [property]: { type } }, required: [property] },
  });
const sampling = (question) => ({
  method: 'sampling/createMessage',
  params: { messages: [{ role: 'user', content: { type: 'text', text: question } }], maxTokens: 100 },
});
const ROOTS = { method: 'roots/list', params: {} };

/** Asks until everything asked for was answered, then ends. */
function asks(inputRequests, end, state) {
  return async (ctx) => {
    const answers = ctx.mcpReq.inputResponses ?? {};
    const missing = Object.keys(inputRequests).filter((key) => answers[key] === undefined);
    if (missing.length === 0) return end(answers, ctx);
    return inputRequired({ inputRequests, ...(state ? { requestState: await codec.mint(state) } : {}) });
  };
}

async function multiRound(ctx) {
  const answers = ctx.mcpReq.inputResponses ?? {};
  const state = ctx.mcpReq.requestState() ?? { step: 0 };
  if (state.step === 0 || (state.step === 1 && !answers.step1))
    return inputRequired({
      inputRequests: { step1: form('Step 1: What is your name?', 'name') },
      requestState: await codec.mint({ step: 1 }),
    });
  if (state.step === 1)
    return inputRequired({
      inputRequests: { step2: form('Step 2: What is your favorite color?', 'color') },
      requestState: await codec.mint({ step: 2, name: answers.step1.content?.name }),
    });
  return text(`${state.name} likes ${answers.step2?.content?.color}`);
}

const ASKED = {
  test_input_required_result_elicitation: asks(
    { user_name: form('What is your name?', 'name') },
    ({ user_name }) => text(`Hello, ${user_name.content?.name}!`),
  ),
  test_input_required_result_sampling: asks(
    { capital_question: sampling('What is the capital of France?') },
    ({ capital_question }) => text(`The model said: ${capital_question.content?.text}`),
  ),
  test_input_required_result_list_roots: asks({ client_roots: ROOTS }, ({ client_roots }) =>
    text(`Roots: ${client_roots.roots?.map(({ uri }) => uri).join(', ')}`),
  ),
  test_input_required_result_request_state: asks(
    { confirm: form('Please confirm', 'ok', 'boolean') },
    (_, ctx) => text(ctx.mcpReq.requestState()?.kept === 1 ? 'state-ok' : 'no state'),
    { kept: 1 },
  ),
  test_input_required_result_multiple_inputs: asks(
    {
      user_name: form('What is your name?', 'name'),
      greeting: sampling('Generate a greeting'),
      client_roots: ROOTS,
    },
    ({ user_name, greeting }) => text(`${greeting.content?.text} ${user_name.content?.name}`),
    { kept: 1 },
  ),
  test_input_required_result_multi_round: multiRound,
  test_input_required_result_tampered_state: asks(
    { confirm: form('Please confirm', 'ok', 'boolean') },
    () => text('state-ok'),
    { kept: 1 },
  ),
  test_input_required_result_capabilities: (ctx) => {
    const can = clientCapabilities(ctx) ?? {};
    const answers = ctx.mcpReq.inputResponses;
    if (answers) return text('done');
    const inputRequests = {
      ...(can.sampling ? { question: sampling('What is the capital of France?') } : {}),
      ...(can.elicitation ? { name: form('What is your name?', 'name') } : {}),
      ...(can.roots ? { roots: ROOTS } : {}),
    };
    return Object.keys(inputRequests).length > 0 ? inputRequired({ inputRequests }) : text('nothing to ask');
  },
  test_streaming_elicitation: asks({ name: form('What is your name?', 'name') }, () => text('done')),
};

const TOOLS = {
  ...PLAIN_TOOLS,
  ...ASKED,
  json_schema_2020_12_tool: () => text('ok'),
  test_tool_with_logging: async (ctx) => {
    for (const data of ['Tool execution started', 'Tool processing data', 'Tool execution completed'])
      await ctx.mcpReq.log('info', data);
    return text('done');
  },
  test_logging_tool: async (ctx) => {
    await ctx.mcpReq.log('info', 'only for those who asked for it');
    return text('done');
  },
  test_tool_with_progress: async (ctx) => {
    const progressToken = ctx.mcpReq._meta?.progressToken ?? 0;
    for (const progress of [0, 50, 100])
      await ctx.mcpReq.notify({
        method: 'notifications/progress',
        params: { progressToken, progress, total: 100 },
      });
    return text('done');
  },
  test_missing_capability: (ctx) => {
    if (!clientCapabilities(ctx)?.sampling)
      throw new MissingRequiredClientCapabilityError({ requiredCapabilities: { sampling: {} } });
    return text('done');
  },
};

const FIXTURE_PROMPTS = {
  ...PROMPTS,
  test_input_required_result_prompt: {
    arguments: [],
    asks: asks(
      { user_context: form('What context should the prompt use?', 'context') },
      ({ user_context }) => ({
        messages: [
          { role: 'user', content: { type: 'text', text: `Context: ${user_context.content?.context}` } },
        ],
      }),
    ),
  },
};

const cached = { ttlMs: 60_000, cacheScope: 'private' };

/** A server for one request. */
export function modernFixture() {
  const server = new Server(
    { name: 'fixture', version: '1.0.0' },
    {
      capabilities: {
        tools: {},
        prompts: {},
        resources: {},
        completions: {},
        logging: {},
        extensions: { [TASKS_EXTENSION]: {} },
      },
      requestState: { verify: codec.verify },
      cacheHints: {
        'tools/list': cached,
        'prompts/list': cached,
        'resources/list': cached,
        'resources/templates/list': cached,
        'resources/read': cached,
        'server/discover': cached,
      },
    },
  );
  server.setRequestHandler('tools/list', () => ({
    tools: [...Object.keys(TOOLS), ...Object.keys(TASK_TOOLS)].map((name) => ({
      name,
      description: `Fixture ${name}`,
      inputSchema: name === 'json_schema_2020_12_tool' ? SCHEMA_2020_12 : EMPTY_INPUT,
    })),
  }));
  server.setRequestHandler('tools/call', async ({ params }, ctx) => {
    const tool = TOOLS[params.name] ?? TASK_TOOLS[params.name];
    if (!tool) throw new ProtocolError(ProtocolErrorCode.InvalidParams, `Unknown tool: ${params.name}`);
    return await tool(ctx, params.arguments ?? {});
  });
  server.setRequestHandler('prompts/list', () => ({
    prompts: [
      ...LISTS.prompts,
      { name: 'test_input_required_result_prompt', description: 'Asks for its context', arguments: [] },
    ],
  }));
  server.setRequestHandler('prompts/get', async ({ params }, ctx) => {
    const prompt = FIXTURE_PROMPTS[params.name];
    if (!prompt) throw new ProtocolError(ProtocolErrorCode.InvalidParams, `Unknown prompt: ${params.name}`);
    return prompt.asks ? await prompt.asks(ctx) : prompt.render(params.arguments ?? {});
  });
  server.setRequestHandler('resources/list', () => ({ resources: LISTS.resources }));
  server.setRequestHandler('resources/templates/list', () => ({
    resourceTemplates: LISTS.resourceTemplates,
  }));
  server.setRequestHandler('resources/read', ({ params: { uri } }) => {
    const found = readResource(uri);
    if (!found)
      throw new ProtocolError(ProtocolErrorCode.InvalidParams, `There is no resource ${uri}.`, { uri });
    return found;
  });
  server.setRequestHandler('completion/complete', () => COMPLETION);
  addFixtureTasks(server);
  return server;
}
