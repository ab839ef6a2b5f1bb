import '@fastify/cookie';
import type { FastifyReply, FastifyRequest } from 'fastify';

/** The cookie of a login: out of the reach of scripts, and sent from our own pages only. */
export interface SessionCookie {
  of(request: FastifyRequest): string | undefined;
  set(reply: FastifyReply, value: string, maxAgeSeconds: number): void;
  clear(reply: FastifyReply): void;
}

/** @param secure whether browsers reach the gateway over TLS. */
export function sessionCookie(secure: boolean): SessionCookie {
  // with this prefix a browser takes it from nobody but this very host, over TLS
  const name = secure ? '__Host-scanmq_session' : 'scanmq_session';
  const options = { httpOnly: true, sameSite: 'strict', secure, path: '/' } as const;
  return {
    of: (request) => request.cookies[name],
    set: (reply, value, maxAge) => void reply.setCookie(name, value, { ...options, maxAge }),
    clear: (reply) => void reply.clearCookie(name, options),
  };
}
