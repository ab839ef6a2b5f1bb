/**
 * The least that answers `tools/call` with an MCP SDK: node mcp.mjs REDIS_URL RECORD_KEY TOOLS.
 * Paths: /legacy and /modern, each with /plain (three fields, made up), /read (three fields of a record in Redis) and
 * /whole (all fields of the record). Stateless as the product is: a server per request, what can be shared is shared.
 */
import { McpServer as LegacyMcpServer } from '@modelcontextprotocol/sdk/server/mcp.js';
import { WebStandardStreamableHTTPServerTransport } from '@modelcontextprotocol/sdk/server/webStandardStreamableHttp.js';
import { AjvJsonSchemaValidator } from '@modelcontextprotocol/sdk/validation/ajv';
import { createMcpHandler, McpServer } from '@modelcontextprotocol/server';
import Fastify from 'fastify';
import { Redis } from 'ioredis';
import { z } from 'zod';

const [, , redisUrl, recordKey, toolsText] = process.argv;
const redis = new Redis(redisUrl);
const validator = new AjvJsonSchemaValidator();
const info = { name: 'minimal', version: '1' };
const input = z.object({ task_id: z.string() });
const fields = z.object({ task_id: z.string(), status: z.string(), progress: z.number() });
const annotations = {
  readOnlyHint: true,
  destructiveHint: false,
  idempotentHint: true,
  openWorldHint: true,
};

async function record() {
  const found = await redis.hgetall(recordKey);
  return Object.fromEntries(Object.entries(found).map(([name, value]) => [name, JSON.parse(value)]));
}
const variants = {
  plain: { output: fields, answer: async (task_id) => ({ task_id, status: 'completed', progress: 100 }) },
  read: {
    output: fields,
    async answer() {
      const { task_id, state, progress } = await record();
      return { task_id, status: state, progress };
    },
  },
  whole: {
    output: z.looseObject(fields.shape),
    async answer() {
      const { state, ...rest } = await record();
      return { ...rest, status: state };
    },
  },
};

/** The same number of tools as the product has, of which one is called. */
function addTools(server, { output, answer }) {
  for (let number = 0; number < Number(toolsText); number += 1) {
    server.registerTool(
      number === 0 ? 'get_scan_status' : `tool${number}`,
      { title: 'Status', description: 'One task', inputSchema: input, outputSchema: output, annotations },
      async ({ task_id }) => {
        const structuredContent = await answer(task_id);
        return { content: [{ type: 'text', text: JSON.stringify(structuredContent) }], structuredContent };
      },
    );
  }
  return server;
}

function toWebRequest(request, signal) {
  const headers = new Headers();
  for (const [name, value] of Object.entries(request.headers)) headers.set(name, String(value));
  return new Request(`http://minimal.internal${request.url}`, { method: 'POST', headers, signal });
}

const app = Fastify();
for (const [name, variant] of Object.entries(variants)) {
  app.post(`/legacy/${name}`, async (request, reply) => {
    const server = addTools(new LegacyMcpServer(info, { jsonSchemaValidator: validator }), variant);
    const transport = new WebStandardStreamableHTTPServerTransport({ enableJsonResponse: true });
    reply.raw.once('close', () => void server.close());
    await server.connect(transport);
    return reply.send(await transport.handleRequest(toWebRequest(request), { parsedBody: request.body }));
  });
  const handler = createMcpHandler(() => addTools(new McpServer(info), variant), { legacy: 'reject' });
  app.post(`/modern/${name}`, async (request, reply) => {
    const gone = new AbortController();
    reply.raw.once('close', () => gone.abort());
    return reply.send(await handler.fetch(toWebRequest(request, gone.signal), { parsedBody: request.body }));
  });
}
process.stdout.write(`${await app.listen({ host: '127.0.0.1', port: 0 })}\n`);
