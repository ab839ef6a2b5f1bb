/** What browsers are told about every answer: to run, load, frame, guess, refer and keep as little as possible. */
import type { FastifyInstance, onSendHookHandler } from 'fastify';

/** For what is no page: nothing of it is ever run, and nothing loaded. Pages bring a policy of their own. */
export const NO_PAGE = "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

const YEAR_SECONDS = 365 * 86_400;

const ALWAYS = {
  'content-security-policy': NO_PAGE,
  'x-content-type-options': 'nosniff',
  // for browsers that do not know frame-ancestors
  'x-frame-options': 'DENY',
  // addresses name tasks
  'referrer-policy': 'no-referrer',
  'cross-origin-resource-policy': 'same-origin',
  'cross-origin-opener-policy': 'same-origin',
  'permissions-policy':
    'accelerometer=(), camera=(), display-capture=(), geolocation=(), gyroscope=(), magnetometer=(), microphone=(), midi=(), payment=(), usb=()',
  'cache-control': 'no-store',
};

/**
 * Before everything that answers: a route that needs something else sets that itself.
 * @param publicUrl where clients reach the gateway; where that is https, they shall come by nothing else.
 */
export function installSecurityHeaders(app: FastifyInstance, publicUrl: string | undefined): void {
  const headers = publicUrl?.startsWith('https:')
    ? // not for the names below: they may be others' services
      { ...ALWAYS, 'strict-transport-security': `max-age=${YEAR_SECONDS}` }
    : ALWAYS;
  app.addHook('onRequest', async (_request, reply) => {
    reply.headers(headers);
  });
  app.addHook('onRoute', (route) => {
    // behind whatever gives a tag to the answer
    route.onSend = [...[route.onSend ?? []].flat(), keepWhatHasTag];
  });
}

/** An answer with a tag may be kept, by whom it was meant for, if it is asked for again each time. */
const keepWhatHasTag: onSendHookHandler = (_request, reply, payload, done) => {
  if (reply.hasHeader('etag') && reply.getHeader('cache-control') === ALWAYS['cache-control'])
    reply.header('cache-control', 'private, no-cache');
  done(null, payload);
};
