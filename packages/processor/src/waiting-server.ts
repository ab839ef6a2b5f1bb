/** What a program answers while it waits for what it needs: that it lives, and that it cannot serve anybody yet. */
import { createServer } from 'node:http';
import { LIMITS, newTraceId, ScanmqError, toProblem } from '@scanmq/contract';

export interface WaitingServer {
  /** Frees the port for the program itself. */
  close(): Promise<void>;
}

const RETRY_AFTER_SECONDS = 5;

/** @throws errors of listening: the port is taken. */
export async function startWaitingServer(host: string, port: number): Promise<WaitingServer> {
  const server = createServer((request, response) => {
    const path = request.url?.split('?')[0];
    const answer = (status: number, type: string, body: object): void => {
      response
        .writeHead(status, {
          'content-type': type,
          connection: 'close',
          'retry-after': String(RETRY_AFTER_SECONDS),
        })
        .end(JSON.stringify(body));
    };
    if (path === '/health/live') return answer(200, 'application/json', { status: 'alive' });
    if (path === '/health/ready') return answer(503, 'application/json', { status: 'not_ready' });
    if (request.method === 'GET' && request.headers['last-event-id'] !== undefined) {
      // a browser that follows a scan would give up at an error; so it comes back
      response.writeHead(200, { 'content-type': 'text/event-stream; charset=utf-8', connection: 'close' });
      return void response.end(`retry: ${LIMITS.eventRetryMs}\n\n`);
    }
    const error = new ScanmqError('unavailable', 'The service is starting: it waits for what it needs.', {
      retryAfterSeconds: RETRY_AFTER_SECONDS,
    });
    answer(error.httpStatus, 'application/problem+json', toProblem(error, newTraceId()));
  });
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(port, host, resolve);
  });
  return {
    async close() {
      server.closeAllConnections();
      await new Promise<void>((resolve) => server.close(() => resolve()));
    },
  };
}
