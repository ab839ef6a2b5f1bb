/**
 * `scanmq mcp`: MCP over standard input and output, for clients that start their servers. It carries messages to the
 * gateway at SCANMQ_URL and back; whoever ends it ends nothing there.
 */
import { StreamableHTTPClientTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js';
import { StdioServerTransport } from '@modelcontextprotocol/sdk/server/stdio.js';
import type { Transport } from '@modelcontextprotocol/sdk/shared/transport.js';
import { ErrorCode, type JSONRPCMessage } from '@modelcontextprotocol/sdk/types.js';
import { EXIT } from '../exit-codes.js';
import type { ProgramIo } from '../program-io.js';
import { untilStopped } from '../until-stopped.js';

export async function runMcp(io: ProgramIo, url: string): Promise<number> {
  const key = io.env.SCANMQ_API_KEY;
  const gateway = new StreamableHTTPClientTransport(new URL(`${url}/mcp`), {
    fetch: (input, init) => fetch(input, { ...init, headers: withEnvelopeHeaders(init) }),
    ...(key === undefined ? {} : { requestInit: { headers: { authorization: `Bearer ${key}` } } }),
  });
  const client = new StdioServerTransport();
  // standard output belongs to the protocol
  const say = (text: string): void => void io.stderr.write(`scanmq mcp: ${text}\n`);
  const answer = (message: JSONRPCMessage): void =>
    void client.send(message).catch((error: unknown) => say(String(error)));

  let initialize: string | number | undefined;
  gateway.onmessage = (message) => {
    // later requests have to name the version that was agreed upon
    if ('result' in message && message.id === initialize) {
      const { protocolVersion } = message.result;
      if (typeof protocolVersion === 'string') gateway.setProtocolVersion(protocolVersion);
    }
    answer(message);
  };
  client.onmessage = (message) => {
    if ('method' in message && message.method === 'initialize' && 'id' in message) initialize = message.id;
    gateway.send(message).catch((error: unknown) => {
      say(`no answer from ${url}: ${reasonOf(error)}`);
      if (!('method' in message && 'id' in message)) return;
      answer({
        jsonrpc: '2.0',
        id: message.id,
        error: {
          code: ErrorCode.InternalError,
          message: `The scanmq gateway at ${url} gave no answer: ${reasonOf(error)}. Is it running, and is SCANMQ_URL right?`,
        },
      });
    });
  };
  // a transport that serves many requests tells of the troubles of single ones here; they are answered above
  gateway.onerror = () => undefined;
  client.onerror = (error) => say(error.message);
  await gateway.start();
  const ended = new Promise<void>((resolve) => {
    process.stdin.once('end', resolve);
    process.stdin.once('close', resolve);
  });
  await client.start();
  await Promise.race([ended, untilStopped({})]);
  await Promise.all([client, gateway].map((transport: Pick<Transport, 'close'>) => transport.close()));
  return EXIT.passed;
}

/**
 * From 2026-07-28 on each message says its version, and over HTTP its headers repeat what is in the body; this
 * transport is older than that.
 */
function withEnvelopeHeaders(init: RequestInit | undefined): Headers {
  const headers = new Headers(init?.headers);
  const body = typeof init?.body === 'string' ? (JSON.parse(init.body) as Message) : undefined;
  const version = body?.params?._meta?.[PROTOCOL_VERSION_KEY];
  if (!body || typeof version !== 'string') return headers;
  headers.set('mcp-protocol-version', version);
  if (body.method !== undefined) headers.set('mcp-method', body.method);
  const { name, uri, taskId } = body.params ?? {};
  const named = name ?? uri ?? taskId;
  if (typeof named === 'string') headers.set('mcp-name', named);
  return headers;
}

const PROTOCOL_VERSION_KEY = 'io.modelcontextprotocol/protocolVersion';

interface Message {
  readonly method?: string;
  readonly params?: {
    readonly name?: unknown;
    readonly uri?: unknown;
    readonly taskId?: unknown;
    readonly _meta?: Readonly<Record<string, unknown>>;
  };
}

/** What happened, without addresses of inner things or a stack. */
function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return 'unknown error';
  const { cause } = error as { cause?: { code?: unknown } };
  return typeof cause?.code === 'string' ? cause.code : (error.message.split('\n')[0]?.slice(0, 200) ?? '');
}
