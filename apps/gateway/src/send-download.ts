import { Readable } from 'node:stream';
import type { FastifyReply } from 'fastify';
import type { Download } from './result-service.js';

/** A file that is made while it is sent. */
export async function sendDownload(
  reply: FastifyReply,
  { mediaType, fileName, body }: Download,
  disposition: 'inline' | 'attachment' = 'attachment',
): Promise<FastifyReply> {
  reply
    .type(mediaType)
    .header('content-disposition', `${disposition}; filename="${fileName}"`)
    .header('x-content-type-options', 'nosniff');
  return await send(reply, body);
}

/** Waits for the first piece, so that what goes wrong at once is an error answer and not a broken stream. */
export async function send(reply: FastifyReply, pieces: AsyncIterable<string>): Promise<FastifyReply> {
  const iterator = pieces[Symbol.asyncIterator]();
  const first = await iterator.next();
  async function* all(): AsyncGenerator<string> {
    try {
      for (let next = first; !next.done; next = await iterator.next()) yield next.value;
    } finally {
      await iterator.return?.();
    }
  }
  return reply.send(Readable.from(all(), { objectMode: false }));
}
