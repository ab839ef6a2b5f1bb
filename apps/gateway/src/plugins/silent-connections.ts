import type { Socket } from 'node:net';
import type { FastifyInstance } from 'fastify';

/**
 * Ends connections on which nothing was ever asked, when the gateway closes: browsers open some in advance, and Node counts
 * them as busy, not as idle, until their headers are overdue after a minute.
 * @returns ends them.
 */
export function installSilentConnections(app: FastifyInstance): () => void {
  const silent = new Set<Socket>();
  app.server.on('connection', (socket: Socket) => {
    silent.add(socket);
    socket.once('close', () => silent.delete(socket));
  });
  app.server.on('request', ({ socket }) => silent.delete(socket));
  return () => {
    for (const socket of silent) socket.destroy();
  };
}
