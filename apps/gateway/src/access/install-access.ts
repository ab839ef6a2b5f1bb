/**
 * Stands before every route: who asks, whether they may, how often, and the entry in the audit log. Routes find the
 * principal at `principalOf(request)`.
 */
import fastifyCookie from '@fastify/cookie';
import {
  type Access,
  challenge,
  type Decision,
  isChanging,
  protectedResourceMetadata,
  RESOURCE_METADATA_PATH,
} from '@scanmq/access';
import type { Settings } from '@scanmq/config';
import { may, type Principal, ScanmqError } from '@scanmq/contract';
import type { Logger } from '@scanmq/observability';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { asAnswerable, sendProblem } from '../plugins/errors.js';
import { loginFor, loginRoutes } from './login-page.js';
import { listedRule, type RouteRule, ruleOf } from './route-rules.js';
import { sessionCookie } from './session-cookie.js';

declare module 'fastify' {
  interface FastifyRequest {
    /** Who asks; null on routes that are open to everybody. */
    principal: Principal | null;
  }
}

export interface InstallAccessDeps {
  readonly access: Access;
  readonly settings: Pick<Settings, 'publicUrl' | 'oidc'>;
  readonly log: Logger;
}

const MCP_PATH = '/mcp';

/** Who sent this request. Only for routes that are not open. */
export function principalOf(request: FastifyRequest): Principal {
  if (!request.principal)
    throw new Error(`${request.routeOptions.url} has no principal: is it an open route?`);
  return request.principal;
}

/** After `installErrors` and `installHostGuard`, before any route. */
export async function installAccess(app: FastifyInstance, deps: InstallAccessDeps): Promise<void> {
  const { access, log } = deps;
  const { publicUrl, oidc } = deps.settings;
  const cookie = sessionCookie(publicUrl?.startsWith('https:') ?? false);
  app.decorateRequest('principal', null);
  await app.register(fastifyCookie);

  app.addHook('onRoute', ({ method, url }) => {
    for (const one of [method].flat())
      if (one !== 'HEAD' && one !== 'OPTIONS' && !listedRule(one, url))
        log.warn(
          { event: 'access.unlisted_route', route: `${one} ${url}` },
          'only administrators may use this route: it is not in route-rules.ts',
        );
  });

  app.addHook('onRequest', async (request, reply) => {
    const rule = ruleOf(request.method, request.routeOptions.url);
    if (rule.needs === 'open') return rule.tellsMore ? await recognise(request, reply) : undefined;
    try {
      await admit(request, reply, rule);
    } catch (thrown) {
      let error = asAnswerable(thrown);
      if (error.code === 'unauthenticated') {
        const login = wantsPage(request) ? loginFor(request.url) : undefined;
        if (login !== undefined) return await reply.redirect(login, 303);
        // without anything shown there is nothing to guess, and nothing to count
        const guessed = hasProof(request);
        reply.header('www-authenticate', challengeFor(request, guessed ? 'invalid_token' : undefined));
        if (guessed) {
          await noteGuess(request, error).catch((limited: unknown) => {
            error = asAnswerable(limited);
          });
        }
      }
      if (error.code === 'forbidden')
        reply.header('www-authenticate', challengeFor(request, 'insufficient_scope'));
      // not thrown: the dashboard has an error handler of its own, which would make a 500 of it
      return sendProblem(request, reply, error);
    }
    return undefined;
  });

  /** @throws ScanmqError `rate_limited` when there were too many. */
  async function noteGuess(request: FastifyRequest, { message }: ScanmqError): Promise<void> {
    log.warn(
      { event: 'access.refused', from: request.ip, reason: message, trace_id: request.traceId },
      'a key or token was refused',
    );
    await access.limits.failure(request.ip);
  }

  /** Who asks at an open route; nobody in particular where nothing good is shown, or nobody can be asked. */
  async function recognise(request: FastifyRequest, reply: FastifyReply): Promise<void> {
    try {
      if (hasProof(request) || (await access.mode()) === 'local') await identify(request, reply);
    } catch (thrown) {
      const error = asAnswerable(thrown);
      if (error.code === 'unauthenticated') await noteGuess(request, error).catch(() => undefined);
    }
  }

  async function identify(request: FastifyRequest, reply: FastifyReply): Promise<Principal> {
    const { headers } = request;
    const { principal, renewedSession } = await access.identify({
      bearer: bearerOf(headers.authorization),
      apiKey: single(headers['x-api-key']),
      session: cookie.of(request),
      fromHere: isFromHere(request),
      request: {
        method: request.method,
        site: single(headers['sec-fetch-site']),
        origin: headers.origin,
        host: headers.host,
      },
    });
    request.principal = principal;
    if (renewedSession !== undefined) cookie.set(reply, renewedSession, access.sessionSeconds);
    return principal;
  }

  async function admit(request: FastifyRequest, reply: FastifyReply, rule: RouteRule): Promise<void> {
    const principal = await identify(request, reply);
    if (rule.needs !== 'open' && !may(principal, rule.needs))
      throw new ScanmqError(
        'forbidden',
        `This needs the permission ${rule.needs}, which a key with the role ${principal.role}${principal.scopes.tasks === null ? '' : ` that sees ${principal.scopes.tasks} tasks`} does not have.`,
      );
    await access.limits.request(principal, changes(request, rule));
  }

  // before it is done: what cannot be written down is not done
  app.addHook('preHandler', async (request, reply) => {
    if (!request.principal || !changes(request, ruleOf(request.method, request.routeOptions.url)))
      return undefined;
    try {
      await access.audit.write({ ...auditOf(request), decision: 'allowed' });
      return undefined;
    } catch (thrown) {
      return sendProblem(request, reply, asAnswerable(thrown));
    }
  });

  app.addHook('onResponse', async (request, reply) => {
    if (reply.statusCode < 400 || !changes(request, ruleOf(request.method, request.routeOptions.url))) return;
    const { problem } = request;
    // without a good key: the log has it, and strangers do not fill the disk
    if (!request.principal || problem?.code === 'rate_limited') return;
    await access.audit
      .write({
        ...auditOf(request),
        decision: 'refused',
        code: problem?.code,
        reason: problem?.message ?? `answered with ${reply.statusCode}`,
      })
      .catch((error: unknown) =>
        log.error(
          { event: 'audit.failed', err: error, trace_id: request.traceId },
          'a refusal could not be written down',
        ),
      );
  });

  if (oidc) {
    const metadata = (request: FastifyRequest, path: string) =>
      protectedResourceMetadata({
        publicUrl: publicUrl ?? originOfRequest(request),
        path,
        issuer: oidc.issuer,
      });
    app.get(RESOURCE_METADATA_PATH, async (request) => metadata(request, ''));
    app.get(`${RESOURCE_METADATA_PATH}${MCP_PATH}`, async (request) => metadata(request, MCP_PATH));
  }
  await loginRoutes(app, { access, publicUrl, cookie });

  function challengeFor(
    request: FastifyRequest,
    error: 'invalid_token' | 'insufficient_scope' | undefined,
  ): string {
    return challenge({
      error,
      metadataUrl: oidc && `${publicUrl ?? originOfRequest(request)}${RESOURCE_METADATA_PATH}${MCP_PATH}`,
    });
  }

  function hasProof(request: FastifyRequest): boolean {
    const { headers } = request;
    return (
      headers.authorization !== undefined ||
      headers['x-api-key'] !== undefined ||
      cookie.of(request) !== undefined
    );
  }
}

/** What the audit log tells of a request, whatever becomes of it. */
export function auditOf(request: FastifyRequest): Omit<Decision, 'decision'> {
  const params = Object.values((request.params ?? {}) as Record<string, string>);
  const body =
    request.body !== null && typeof request.body === 'object'
      ? (request.body as Record<string, unknown>)
      : {};
  return {
    action: `${request.method} ${request.routeOptions.url ?? '(unknown)'}`,
    principal: request.principal ?? undefined,
    object: params.length > 0 ? params.join(' ') : undefined,
    targets: typeof body.targets === 'string' ? body.targets : undefined,
    name: typeof body.name === 'string' ? body.name : undefined,
    from: request.ip,
    client: request.headers['user-agent'],
    traceId: request.traceId,
  };
}

function changes(request: FastifyRequest, rule: RouteRule): boolean {
  return rule.changes ?? isChanging(request.method);
}

/** An empty text where something else than a bearer token was sent: it is no token, but something was shown. */
function bearerOf(authorization: string | undefined): string | undefined {
  if (authorization === undefined) return undefined;
  return /^Bearer +(\S+) *$/i.exec(authorization)?.[1] ?? '';
}

function single(header: string | string[] | undefined): string | undefined {
  return Array.isArray(header) ? header.join(', ') : header;
}

/** By the connection, never by a header. */
function isFromHere({ raw }: FastifyRequest): boolean {
  const address = raw.socket.remoteAddress;
  // tests that inject requests have no connection
  return address === undefined || /^(::ffff:)?127\.|^::1$/.test(address);
}

function wantsPage({ method, headers }: FastifyRequest): boolean {
  return method === 'GET' && (headers.accept ?? '').includes('text/html');
}

function originOfRequest({ headers, protocol }: FastifyRequest): string {
  const { host = '' } = headers;
  // it ends up in a header: only what is a host
  return URL.canParse(`${protocol}://${host}`) ? new URL(`${protocol}://${host}`).origin : '';
}
