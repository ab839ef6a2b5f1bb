/** Answers of both SDKs. Loaded with the first request. */
import type { Server as LegacyServer } from '@modelcontextprotocol/sdk/server/index.js';
import type { McpServer as LegacyMcpServer } from '@modelcontextprotocol/sdk/server/mcp.js';
import { WebStandardStreamableHTTPServerTransport } from '@modelcontextprotocol/sdk/server/webStandardStreamableHttp.js';
import {
  classifyInboundRequest,
  createMcpHandler,
  type McpServer,
  type Server,
} from '@modelcontextprotocol/server';
import type { FastifyReply, FastifyRequest } from 'fastify';

export interface McpMount {
  /** A server of `@modelcontextprotocol/sdk` for one request, up to protocol 2025-11-25. */
  readonly legacy: (request: FastifyRequest) => LegacyServer | LegacyMcpServer;
  /** A server of `@modelcontextprotocol/server` for one request, from protocol 2026-07-28 on. */
  readonly modern: (request: FastifyRequest) => Server | McpServer;
  /** True for a tool that tells of its progress: older clients get its answer as a stream. */
  readonly streams: (toolName: string) => boolean;
}

/** What is looked at of a message before the SDK has it. */
export interface Message {
  readonly id?: unknown;
  readonly method?: unknown;
  readonly params?: { readonly name?: unknown; readonly taskId?: unknown };
}

export interface McpAnswers {
  /** By the protocols up to 2025-11-25, or of none. */
  isLegacy(request: FastifyRequest): boolean;
  legacy(request: FastifyRequest, reply: FastifyReply): Promise<Response>;
  modern(request: FastifyRequest, reply: FastifyReply): Promise<Response>;
  close(): void;
}

export function createAnswers(mount: McpMount): McpAnswers {
  const requests = new WeakMap<Request, FastifyRequest>();
  const modern = createMcpHandler(
    ({ requestInfo }) => {
      const request = requestInfo && requests.get(requestInfo);
      if (!request) throw new Error('an MCP request without its HTTP request');
      return mount.modern(request);
    },
    { legacy: 'reject' },
  );
  return {
    isLegacy,
    async legacy(request, reply) {
      const server = mount.legacy(request);
      // without a session id generator the transport is stateless
      const transport = new WebStandardStreamableHTTPServerTransport({
        enableJsonResponse: !callsStreaming(request.body, mount.streams),
      });
      whenGone(reply, () => void server.close());
      await server.connect(transport);
      return await transport.handleRequest(toWebRequest(request), { parsedBody: request.body });
    },
    async modern(request, reply) {
      const gone = new AbortController();
      whenGone(reply, () => gone.abort());
      const web = toWebRequest(request, gone.signal);
      requests.set(web, request);
      return await modern.fetch(web, { parsedBody: request.body });
    },
    close: () => void modern.close(),
  };
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

function toWebRequest(request: FastifyRequest, signal?: AbortSignal): Request {
  const headers = new Headers();
  for (const [name, value] of Object.entries(request.headers)) {
    for (const one of Array.isArray(value) ? value : [value])
      if (one !== undefined) headers.append(name, one);
  }
  return new Request(`http://gateway.internal${request.url}`, {
    method: request.method,
    headers,
    ...(signal ? { signal } : {}),
  });
}
