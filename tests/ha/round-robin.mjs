/** A proxy for TCP, as small as can be: connections go to one gateway after the other, past those that take none. */
import { once } from 'node:events';
import { connect, createServer } from 'node:net';

/** @param ports of the gateways on 127.0.0.1. */
export async function startRoundRobin(ports) {
  let next = 0;
  const sockets = new Set();
  const server = createServer((client) => {
    sockets.add(client);
    client.on('close', () => sockets.delete(client));
    client.on('error', () => undefined);
    const tryNext = (left) => {
      if (left === 0) return client.destroy();
      next = (next + 1) % ports.length;
      const gateway = connect(ports[next], '127.0.0.1');
      const passOn = () => tryNext(left - 1);
      gateway.once('error', passOn);
      gateway.once('connect', () => {
        gateway.off('error', passOn);
        gateway.on('error', () => client.destroy());
        gateway.on('close', () => client.destroy());
        client.on('close', () => gateway.destroy());
        client.pipe(gateway).pipe(client);
      });
    };
    tryNext(ports.length);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    url: `http://127.0.0.1:${server.address().port}`,
    async close() {
      for (const socket of sockets) socket.destroy();
      server.close();
    },
  };
}
