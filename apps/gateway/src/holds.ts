/** Answers that are held open: streams of events, and requests that wait for a scan. Each principal has so many at once. */
import type { Settings } from '@scanmq/config';
import { ScanmqError } from '@scanmq/contract';
import type { FastifyInstance, FastifyRequest } from 'fastify';

const KINDS = {
  stream: { what: 'streams of events', setting: 'MAX_STREAMS_PER_PRINCIPAL' },
  wait: { what: 'requests that wait for a scan', setting: 'MAX_WAITS_PER_PRINCIPAL' },
} as const;
type Kind = keyof typeof KINDS;

/** Of this gateway: what it holds is its own memory. */
export interface Holds {
  /** @returns gives it back. @throws ScanmqError `rate_limited` */
  take(kind: Kind, principal: string): () => void;
}

export type HoldLimits = Pick<Settings, 'maxStreamsPerPrincipal' | 'maxWaitsPerPrincipal'>;

const RETRY_SECONDS = 5;

export function createHolds(settings: HoldLimits): Holds {
  const most = { stream: settings.maxStreamsPerPrincipal, wait: settings.maxWaitsPerPrincipal };
  const held = { stream: new Map<string, number>(), wait: new Map<string, number>() };
  return {
    take(kind, principal) {
      const counts = held[kind];
      const count = counts.get(principal) ?? 0;
      const { what, setting } = KINDS[kind];
      if (count >= most[kind]) {
        throw new ScanmqError('rate_limited', `You have ${count} ${what} already, the limit (${setting}).`, {
          retryAfterSeconds: RETRY_SECONDS,
          next: `End one, or try again in ${RETRY_SECONDS} seconds.`,
        });
      }
      counts.set(principal, count + 1);
      let given = false;
      return () => {
        if (given) return;
        given = true;
        const left = (counts.get(principal) ?? 1) - 1;
        if (left === 0) counts.delete(principal);
        else counts.set(principal, left);
      };
    },
  };
}

const STREAM_URL = '/api/v1/scans/:id/events';
const WAIT_URL = '/api/v1/scans/:id';

/** For REST; tools hold theirs in `mcp/guard.ts`. */
export function installHolds(
  app: FastifyInstance,
  holds: Holds,
  principal: (request: FastifyRequest) => string,
): void {
  // when it is known who asks, and the query was checked
  app.addHook('preHandler', async (request, reply) => {
    const kind = kindOf(request);
    if (kind === undefined) return;
    const giveBack = holds.take(kind, principal(request));
    reply.raw.once('close', giveBack);
  });
}

function kindOf({ routeOptions, query }: FastifyRequest): Kind | undefined {
  if (routeOptions.url === STREAM_URL) return 'stream';
  const waits = routeOptions.url === WAIT_URL && Number((query as { wait?: unknown }).wait) > 0;
  return waits ? 'wait' : undefined;
}
