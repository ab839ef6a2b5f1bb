/**
 * Logs a browser in: turns a key into a session. Plain HTML without a script, made of constants only: nothing that was
 * sent comes back in it.
 */
import { randomBytes } from 'node:crypto';
import { type Access, originOf } from '@scanmq/access';
import { LIMITS, ScanmqError } from '@scanmq/contract';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { asAnswerable } from '../plugins/errors.js';
import type { SessionCookie } from './session-cookie.js';

export const LOGIN_PATH = '/login';
const LOGOUT_PATH = '/logout';

/** Where somebody can be on the way to; anything else would be a way to send people elsewhere. */
const DESTINATIONS = { dashboard: '/dashboard', docs: '/docs' } as const;
type Destination = keyof typeof DESTINATIONS;

export interface LoginDeps {
  readonly access: Access;
  readonly publicUrl: string | undefined;
  readonly cookie: SessionCookie;
}

/** The address of the login page for somebody who wanted to go there; undefined for what has no pages. */
export function loginFor(url: string): string | undefined {
  const to = (Object.keys(DESTINATIONS) as Destination[]).find((name) => {
    const path = DESTINATIONS[name];
    return url === path || url.startsWith(`${path}/`) || url.startsWith(`${path}?`);
  });
  return to && `${LOGIN_PATH}?to=${to}`;
}

export async function loginRoutes(app: FastifyInstance, deps: LoginDeps): Promise<void> {
  const { access, publicUrl, cookie } = deps;

  await app.register(async (scope) => {
    scope.addContentTypeParser(
      'application/x-www-form-urlencoded',
      { parseAs: 'string', bodyLimit: LIMITS.loginBodyBytes },
      (_request, body, done) => done(null, new URLSearchParams(String(body))),
    );

    scope.get(LOGIN_PATH, async (request, reply) => {
      const to = destinationOf(request);
      if ((await access.mode()) === 'local') return reply.redirect(DESTINATIONS[to], 303);
      return sendPage(reply, 200, (await isLoggedIn(request)) ? sessionPage(to) : page(to, undefined));
    });

    scope.post(LOGIN_PATH, { bodyLimit: LIMITS.loginBodyBytes }, async (request, reply) => {
      refuseForeign(request, publicUrl);
      const to = destinationOf(request);
      try {
        await access.limits.login(request.ip);
      } catch (thrown) {
        const error = asAnswerable(thrown);
        reply.header('retry-after', String(error.retryAfterSeconds ?? 1));
        return sendPage(reply, error.httpStatus, page(to, 'Too many attempts. Try again in a minute.'));
      }
      const given = request.body instanceof URLSearchParams ? (request.body.get('key') ?? '') : '';
      const begun = await access.login(given.trim());
      await access.audit.write({
        action: 'login',
        decision: begun ? 'allowed' : 'refused',
        ...(begun ? { principal: begun.principal } : { code: 'unauthenticated' as const }),
        from: request.ip,
        client: request.headers['user-agent'],
        traceId: request.traceId,
      });
      if (!begun) return sendPage(reply, 401, page(to, 'This key is not valid.'));
      cookie.set(reply, begun.cookie, access.sessionSeconds);
      return reply.redirect(DESTINATIONS[to], 303);
    });

    scope.post(LOGOUT_PATH, { bodyLimit: LIMITS.loginBodyBytes }, async (request, reply) => {
      refuseForeign(request, publicUrl);
      const held = cookie.of(request);
      if (held !== undefined) await access.logout(held);
      cookie.clear(reply);
      return reply.redirect(LOGIN_PATH, 303);
    });
  });

  async function isLoggedIn(request: FastifyRequest): Promise<boolean> {
    const session = cookie.of(request);
    if (session === undefined) return false;
    const known = await access
      .identify({
        bearer: undefined,
        apiKey: undefined,
        session,
        fromHere: false,
        request: { method: 'GET', site: undefined, origin: undefined, host: request.headers.host },
      })
      .catch(() => undefined);
    return known !== undefined;
  }
}

/** Another page must neither log somebody in (as somebody else) nor out. */
function refuseForeign(request: FastifyRequest, publicUrl: string | undefined): void {
  const { headers } = request;
  const site = headers['sec-fetch-site'];
  const from = {
    site: typeof site === 'string' ? site : undefined,
    origin: headers.origin,
    host: headers.host,
  };
  if (originOf(from, publicUrl) === 'foreign')
    throw new ScanmqError('forbidden', 'Log in from the login page of this service.');
}

function destinationOf(request: FastifyRequest): Destination {
  const { to } = request.query as { to?: unknown };
  return to === 'docs' ? 'docs' : 'dashboard';
}

function sendPage(reply: FastifyReply, status: number, make: (nonce: string) => string): FastifyReply {
  const nonce = randomBytes(16).toString('base64');
  return reply
    .code(status)
    .type('text/html; charset=utf-8')
    .headers({
      'cache-control': 'no-store',
      'content-security-policy': `default-src 'none'; style-src 'nonce-${nonce}'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'`,
      'x-content-type-options': 'nosniff',
      'x-frame-options': 'DENY',
      // the origin is what tells our own form from others
      'referrer-policy': 'same-origin',
    })
    .send(make(nonce));
}

function page(to: Destination, message: string | undefined): (nonce: string) => string {
  return document(
    'log in',
    `<form method="post" action="${LOGIN_PATH}?to=${to}">
${message === undefined ? '' : `<p role="alert">${message}</p>\n`}<label for="key">API key</label>
<input id="key" name="key" type="password" autocomplete="current-password" required autofocus>
<button type="submit">Log in</button>
</form>
<p>An administrator makes a key with <code>scanmq keys create</code>.</p>`,
  );
}

/** For a browser that is logged in already: on with it, or out. */
function sessionPage(to: Destination): (nonce: string) => string {
  return document(
    'logged in',
    `<p>This browser is logged in. <a href="${DESTINATIONS[to]}">Go on</a></p>
<form method="post" action="${LOGOUT_PATH}">
<button type="submit">Log out</button>
</form>`,
  );
}

function document(what: string, content: string): (nonce: string) => string {
  return (nonce) => `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>scanmq: ${what}</title>
<style nonce="${nonce}">
body { font: 1rem/1.5 system-ui, sans-serif; max-width: 24rem; margin: 15vh auto; padding: 0 1rem; color: #1a1a1a; background: #fff; }
label, input, button { display: block; width: 100%; box-sizing: border-box; }
input, button { font: inherit; padding: .5rem; margin: .25rem 0 1rem; }
a { color: inherit; }
[role=alert] { color: #a40000; }
@media (prefers-color-scheme: dark) { body { color: #eee; background: #1a1a1a; } [role=alert] { color: #ff9a9a; } }
</style>
</head>
<body>
<main>
<h1>scanmq</h1>
${content}
</main>
</body>
</html>
`;
}
