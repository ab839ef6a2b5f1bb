import { once } from 'node:events';
import type { RequestListener } from 'node:http';
import { createServer as createHttpsServer } from 'node:https';
import { createServer, type Server, type Socket } from 'node:net';
import { ScanmqError } from '@scanmq/contract';

/** What a scanner says to somebody who forgets the s of https (nessus-api.md section 1.1). */
const PLAIN_HTTP =
  "You're speaking plain HTTP to an SSL-enabled server port.\nInstead use the HTTPS scheme to access this URL, please.\n";
const TLS_HANDSHAKE = 0x16;

/** A TLS port that can be closed and opened again, as a restart does. */
export interface TlsListener {
  readonly port: number;
  open(): Promise<void>;
  /** Refuses connections from now on, and breaks those that are open. */
  shut(): Promise<void>;
}

export async function createTlsListener(options: {
  host: string;
  port: number;
  certPem: string;
  keyPem: string;
  onRequest: RequestListener;
}): Promise<TlsListener> {
  const https = createHttpsServer(
    { cert: options.certPem, key: options.keyPem, minVersion: 'TLSv1.2' },
    options.onRequest,
  );
  https.on('tlsClientError', () => undefined);
  const sockets = new Set<Socket>();
  let port = options.port;
  let server: Server | undefined;

  function accept(socket: Socket): void {
    sockets.add(socket);
    socket.once('close', () => sockets.delete(socket));
    socket.on('error', () => undefined);
    // the first byte tells TLS from plain HTTP
    socket.once('data', (first: Buffer) => {
      if (first[0] !== TLS_HANDSHAKE) {
        socket.end(
          `HTTP/1.1 400 Bad Request\r\nServer: scanmq-simulator\r\nContent-Type: text/plain\r\nConnection: close\r\nContent-Length: ${PLAIN_HTTP.length}\r\n\r\n${PLAIN_HTTP}`,
        );
        return;
      }
      socket.pause();
      socket.unshift(first);
      https.emit('connection', socket);
    });
  }

  async function open(): Promise<void> {
    const next = createServer(accept);
    next.listen(port, options.host);
    try {
      await once(next, 'listening');
    } catch (error) {
      throw new ScanmqError(
        'unavailable',
        `The simulator cannot listen on port ${port}: ${error instanceof Error ? error.message : String(error)}.`,
        { cause: error, retryable: 'no' },
      );
    }
    server = next;
    const address = next.address();
    if (address && typeof address === 'object') port = address.port;
  }

  await open();
  return {
    get port() {
      return port;
    },
    open,
    async shut() {
      const closing = server;
      server = undefined;
      if (!closing) return;
      closing.close();
      for (const socket of sockets) socket.destroy();
      await once(closing, 'close');
    },
  };
}
