import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { isIPv4 } from 'node:net';
import { type Answer, AUTHORITATIVE_ANSWER, decode, encode, type Packet } from 'dns-packet';

/** What a name is said to be: its addresses, not there, a failure of the server, or no answer at all. */
export type DnsAnswer = readonly string[] | 'not_there' | 'failure' | 'silence';

export interface DnsStub {
  /** For `DNS_SERVERS`. */
  readonly address: string;
  readonly host: string;
  readonly port: number;
  /** Names that were asked for, in order, once for each kind of address. */
  readonly asked: readonly string[];
  close(): Promise<void>;
}

const RCODES = { not_there: 3, failure: 2 } as const;

/**
 * A DNS server on loopback that says what a test wants, over UDP.
 * @param answer asked anew for each query. @param kind `A` or `AAAA`; only addresses of that kind are sent.
 */
export async function startDnsStub(answer: (name: string, kind: string) => DnsAnswer): Promise<DnsStub> {
  const socket = createSocket('udp4');
  const asked: string[] = [];
  socket.on('message', (message, from) => {
    const query = decode(message);
    const question = query.questions?.[0];
    if (!question) return;
    const { name, type } = question;
    asked.push(name);
    const said = answer(name.toLowerCase(), type);
    if (said === 'silence') return;
    const answers: Answer[] =
      typeof said === 'string'
        ? []
        : said
            .filter((address) => isIPv4(address) === (type === 'A'))
            .map((data) => ({ type: type === 'A' ? 'A' : 'AAAA', name, ttl: 0, data }));
    const packet: Packet = {
      type: 'response',
      id: query.id ?? 0,
      flags: AUTHORITATIVE_ANSWER | (typeof said === 'string' ? RCODES[said] : 0),
      questions: [question],
      answers,
    };
    socket.send(encode(packet), from.port, from.address);
  });
  socket.bind(0, '127.0.0.1');
  await once(socket, 'listening');
  const { port } = socket.address();
  return {
    address: `127.0.0.1:${port}`,
    host: '127.0.0.1',
    port,
    asked,
    close: async () => {
      socket.close();
      await once(socket, 'close');
    },
  };
}
