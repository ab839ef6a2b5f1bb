import type { ServerResponse } from 'node:http';
import { eventsQuerySchema, LIMITS } from '@scanmq/contract';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import type { EventHub, SentEvent } from '../event-hub.js';
import { asAnswerable, queryOf } from '../plugins/errors.js';

interface ById {
  Params: { id: string };
}

/**
 * `/api/v1/scans/{id}/events`: Server-Sent Events. The stream ends after the event of a terminal state; whoever asks again
 * with the id of that event, as EventSource does by itself, gets 204, which tells it to stop.
 */
export function eventRoutes(app: FastifyInstance, hub: EventHub): void {
  // a HEAD of our making would open a stream that nobody reads
  app.get<ById>('/scans/:id/events', { exposeHeadRoute: false }, async (request, reply) => {
    const { id } = request.params;
    const lastId = lastIdOf(request);
    try {
      if (!(await hub.hasMore(id, lastId))) return reply.code(204).send();
    } catch (error) {
      // EventSource never asks again after an error status: whoever is there already is let come back
      if (!isResumed(request) || asAnswerable(error).code !== 'unavailable') throw error;
      begin(reply).end();
      return reply;
    }
    follow(begin(reply), hub, id, lastId);
    return reply;
  });
}

/** True for a client that followed before, and connects again by itself. */
function isResumed(request: FastifyRequest): boolean {
  return request.headers['last-event-id'] !== undefined;
}

/** An id that cannot be one of ours is behind every other: what follows is a snapshot. */
const UNKNOWN = Number.MAX_SAFE_INTEGER;

/** @returns undefined for a client that has nothing yet. */
function lastIdOf(request: FastifyRequest): number | undefined {
  const query = queryOf(eventsQuerySchema, request).last_event_id;
  const header = request.headers['last-event-id'];
  // a client that connects again changes the header, and not the address
  const text = (typeof header === 'string' && header !== '' ? header : query) ?? '';
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

function follow(raw: ServerResponse, hub: EventHub, taskId: string, lastId: number | undefined): void {
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
