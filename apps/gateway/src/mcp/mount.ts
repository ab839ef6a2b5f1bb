/**
 * The route of MCP: Streamable HTTP for both generations of the protocol, chosen by what the request says of itself.
 * Stateless for both: no sessions, any gateway answers any request; what lasts lives behind the task id.
 */
import { LIMITS } from '@scanmq/contract';
import type { FastifyInstance, FastifyRequest } from 'fastify';
import type { McpAnswers, McpMount, Message } from './answers.js';

export const MCP_PATH = '/mcp';

/** `Mcp-Name` differs from the body, in the words of the protocol 2026-07-28. */
const HEADER_MISMATCH = -32_020;

/** @param makeMount called with the first request: the SDKs are a tenth of the start of a gateway that no agent may ask. */
export function installMcp(app: FastifyInstance, makeMount: () => Promise<McpMount>): void {
  let loading: Promise<McpAnswers> | undefined;
  const load = (): Promise<McpAnswers> => {
    loading ??= (async () => {
      const [{ createAnswers }, mount] = await Promise.all([import('./answers.js'), makeMount()]);
      return createAnswers(mount);
    })().catch((error: unknown) => {
      // the next request tries again
      loading = undefined;
      throw error;
    });
    return loading;
  };

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
      const answers = await load();
      if (answers.isLegacy(request)) return reply.send(await answers.legacy(request, reply));
      const mistake = wrongTaskName(request);
      if (mistake) return reply.code(400).send(mistake);
      return reply.send(await answers.modern(request, reply));
    },
  });
  app.addHook('preClose', async () => {
    const answers = await loading?.catch(() => undefined);
    answers?.close();
  });
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
