/**
 * The route of MCP: Streamable HTTP for both generations of the protocol, chosen by what the request says of itself.
 * Stateless for both: no sessions, any gateway answers any request; what lasts lives behind the task id.
 */
import type { Server as LegacyServer } from '@modelcontextprotocol/sdk/server/index.js';
import type { McpServer as LegacyMcpServer } from '@modelcontextprotocol/sdk/server/mcp.js';
import { WebStandardStreamableHTTPServerTransport } from '@modelcontextprotocol/sdk/server/webStandardStreamableHttp.js';
import {
  classifyInboundRequest,
  createMcpHandler,
  type McpServer,
  type Server,
} from '@modelcontextprotocol/server';
import { LIMITS } from '@scanmq/contract';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';

export const MCP_PATH = '/mcp';

export interface McpMount {
  /** A server of `@modelcontextprotocol/sdk` for one request, up to protocol 2025-11-25. */
  readonly legacy: (request: FastifyRequest) => LegacyServer | LegacyMcpServer;
  /** A server of `@modelcontextprotocol/server` for one request, from protocol 2026-07-28 on. */
  readonly modern: (request: FastifyRequest) => Server | McpServer;
  /** True for a tool that tells of its progress: older clients get its answer as a stream. */
  readonly streams: (toolName: string) => boolean;
}

/** `Mcp-Name` differs from the body, in the words of the protocol 2026-07-28. */
const HEADER_MISMATCH = -32_020;

export function installMcp(app: FastifyInstance, mount: McpMount): void {
  const requests = new WeakMap<Request, FastifyRequest>();
  const modern = createMcpHandler(
    ({ requestInfo }) => {
      const request = requestInfo && requests.get(requestInfo);
      if (!request) throw new Error('an MCP request without its HTTP request');
      return mount.modern(request);
    },
    { legacy: 'reject' },
  );

  async function answerLegacy(request: FastifyRequest, reply: FastifyReply): Promise<Response> {
    const server = mount.legacy(request);
    // without a session id generator the transport is stateless
    const transport = new WebStandardStreamableHTTPServerTransport({
      enableJsonResponse: !callsStreaming(request.body, mount.streams),
    });
    whenGone(reply, () => void server.close());
    await server.connect(transport);
    return await transport.handleRequest(toWebRequest(request), { parsedBody: request.body });
  }

  // without sessions there is no stream to open and nothing to end; clients take 405 for an answer
  app.route({
    method: ['GET', 'DELETE'],
    url: MCP_PATH,
    handler: async (_request, reply) =>
      reply
        .code(405)
        .header('allow', 'POST')
        .send(problem(-32_000, 'Method not allowed: this server is stateless, use POST.', null)),
  });
  app.route({
    method: 'POST',
    url: MCP_PATH,
    bodyLimit: LIMITS.mcpBodyBytes,
    handler: async (request, reply) => {
      if (isLegacy(request)) return reply.send(await answerLegacy(request, reply));
      const mistake = wrongTaskName(request);
      if (mistake) return reply.code(400).send(mistake);
      const gone = new AbortController();
      whenGone(reply, () => gone.abort());
      const web = toWebRequest(request, gone.signal);
      requests.set(web, request);
      return reply.send(await modern.fetch(web, { parsedBody: request.body }));
    },
  });
  app.addHook('preClose', async () => modern.close());
}

interface Message {
  readonly id?: unknown;
  readonly method?: unknown;
  readonly params?: { readonly name?: unknown; readonly taskId?: unknown };
}

/** As `isLegacyRequest` of the SDK, without the web request that it takes. */
function isLegacy({ method, headers, body }: FastifyRequest): boolean {
  if (body === undefined) return true;
  const text = (name: string): string | undefined => {
    const value = headers[name];
    return Array.isArray(value) ? value.join(', ') : value;
  };
  const version = text('mcp-protocol-version');
  const mcpMethod = text('mcp-method');
  const name = text('mcp-name');
  const outcome = classifyInboundRequest({
    httpMethod: method,
    ...(version === undefined ? {} : { protocolVersionHeader: version }),
    ...(mcpMethod === undefined ? {} : { mcpMethodHeader: mcpMethod }),
    ...(name === undefined ? {} : { mcpNameHeader: name }),
    body,
  });
  return outcome.kind === 'legacy';
}

/** For a client that goes before it has its whole answer; after that there is nothing left to end. */
function whenGone({ raw }: FastifyReply, end: () => void): void {
  raw.once('close', () => {
    if (!raw.writableFinished) end();
  });
}

function callsStreaming(body: unknown, streams: (toolName: string) => boolean): boolean {
  return ((Array.isArray(body) ? body : [body]) as (Message | null | undefined)[]).some(
    (message) => message?.method === 'tools/call' && streams(String(message.params?.name)),
  );
}

/** Of the tasks extension; there are others of older revisions, which are not known here. */
const TASK_METHODS: ReadonlySet<string> = new Set(['tasks/get', 'tasks/update', 'tasks/cancel']);

/** `Mcp-Name` of the methods of the tasks extension is the task id; the SDK does not check it for these. */
function wrongTaskName({ body, headers }: FastifyRequest): object | undefined {
  const { id, method, params } = (body ?? {}) as Message;
  if (typeof method !== 'string' || !TASK_METHODS.has(method)) return undefined;
  const name = headers['mcp-name'];
  return name === params?.taskId
    ? undefined
    : problem(HEADER_MISMATCH, 'The Mcp-Name header is not the taskId of the body.', id ?? null);
}

function problem(code: number, message: string, id: unknown): object {
  return { jsonrpc: '2.0', error: { code, message }, id };
}

function toWebRequest(request: FastifyRequest, signal?: AbortSignal): Request {
  const headers = new Headers();
  for (const [name, value] of Object.entries(request.headers)) {
    for (const one of Array.isArray(value) ? value : [value])
      if (one !== undefined) headers.append(name, one);
  }
  return new Request(`http://gateway.internal${MCP_PATH}`, {
    method: request.method,
    headers,
    ...(signal ? { signal } : {}),
  });
}
