import type { ServerResponse } from 'node:http';
import { eventsHeadersSchema, eventsQuerySchema, LIMITS } from '@scanmq/contract';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import type { ZodTypeProvider } from 'fastify-type-provider-zod';
import type { Services } from '../access/services.js';
import type { SentEvent } from '../event-hub.js';
import * as examples from '../openapi/examples/events.js';
import { operation } from '../openapi/operation.js';
import { byTaskId } from '../openapi/params.js';
import { asAnswerable } from '../plugins/errors.js';

/**
 * `/api/v1/scans/{id}/events`: Server-Sent Events. The stream ends after the event of a terminal state; whoever asks again
 * with the id of that event, as EventSource does by itself, gets 204, which tells it to stop.
 */
export function eventRoutes(
  app: FastifyInstance,
  servicesOf: (request: FastifyRequest) => Pick<Services, 'events'>,
): void {
  const route = {
    // a HEAD of our making would open a stream that nobody reads
    exposeHeadRoute: false,
    schema: operation({
      operationId: 'followScan',
      tag: 'scans',
      summary: 'Follow a scan by its events',
      description: `Server-Sent Events, from the beginning or after the event whose id is sent back; the id of an event is opaque. \`state\`: each change of state, once and in order. \`progress\`: how far the scan and its hosts are, of which only the newest is kept. \`log\`: what was done. \`snapshot\`: the whole task as \`getScan\` answers it, instead of events that are not kept any more; what happens afterwards follows. Data is JSON in one line; there may come events of other names. A comment comes every ${LIMITS.eventHeartbeatMs / 1_000} s. The stream ends after a terminal state, and may end before: then ask again with the last id, as EventSource does by itself. A task that is retried goes on in the same stream.`,
      params: byTaskId,
      querystring: eventsQuerySchema,
      headers: eventsHeadersSchema,
      answers: {
        200: {
          description: 'The stream',
          content: {
            'text/event-stream': {
              schema: { type: 'string' },
              examples: { completed: { value: examples.EVENTS } },
            },
          },
        },
        204: { description: 'The task has ended, and the event with this id was its last change of state' },
      },
      problems: ['not_found'],
    }),
  } as const;
  app.withTypeProvider<ZodTypeProvider>().get('/scans/:id/events', route, async (request, reply) => {
    const { id } = request.params;
    const hub = servicesOf(request).events;
    const lastId = lastIdOf(request.headers['last-event-id'], request.query.last_event_id);
    try {
      if (!(await hub.hasMore(id, lastId))) return reply.code(204).send();
    } catch (error) {
      // EventSource never asks again after an error status: whoever is there already is let come back
      if (request.headers['last-event-id'] === undefined || asAnswerable(error).code !== 'unavailable')
        throw error;
      begin(reply).end();
      return reply;
    }
    follow(begin(reply), hub, id, lastId);
    return reply;
  });
}

/** An id that cannot be one of ours is behind every other: what follows is a snapshot. */
const UNKNOWN = Number.MAX_SAFE_INTEGER;

/** @returns undefined for a client that has nothing yet. */
function lastIdOf(header: string | undefined, query: string | undefined): number | undefined {
  // a client that connects again changes the header, and not the address
  const text = header || (query ?? '');
  if (text === '') return undefined;
  return /^\d{1,15}$/.test(text) ? Number(text) : UNKNOWN;
}

/** Writes past Fastify: nothing that works on answers (compression, conditional requests) may hold back an event. */
function begin(reply: FastifyReply): ServerResponse {
  const { raw } = reply;
  reply.hijack();
  for (const [name, value] of Object.entries(reply.getHeaders()))
    if (value !== undefined) raw.setHeader(name, value);
  raw.writeHead(200, {
    'content-type': 'text/event-stream; charset=utf-8',
    'cache-control': 'no-store',
    // nginx would collect events before it passes them on
    'x-accel-buffering': 'no',
    // a gateway that is being stopped must not be asked again on it: a browser gives up at its 503
    connection: 'close',
  });
  raw.write(`retry: ${LIMITS.eventRetryMs}\n\n`);
  return raw;
}

function follow(
  raw: ServerResponse,
  hub: Services['events'],
  taskId: string,
  lastId: number | undefined,
): void {
  let stop = (): void => {};
  const write = (text: string): void => {
    if (raw.destroyed || raw.writableEnded) return;
    // one that reads too slowly comes back with the id of what it has read
    if (raw.writableLength > LIMITS.eventBufferBytes) raw.destroy();
    else raw.write(text);
  };
  raw.once('close', () => stop());
  stop = hub.follow(taskId, lastId, {
    send: (event) => write(frameOf(event)),
    beat: () => write(':\n\n'),
    end: () => {
      stop();
      raw.end();
    },
  });
}

function frameOf({ id, type, data }: SentEvent): string {
  return `id: ${id}\nevent: ${type}\ndata: ${data}\n\n`;
}
