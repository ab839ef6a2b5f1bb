import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { createServer as createTcpServer } from 'node:net';
import { afterEach, describe, expect, it } from '@jest/globals';
import { targetSet, toWebhookSecret } from '@scanmq/contract';
import { Webhook as StandardWebhook } from 'standardwebhooks';
import type { ResolveName } from './connection.js';
import { createWebhookSender } from './sender.js';

const SECRET = toWebhookSecret(Buffer.alloc(32, 7));
const MESSAGE = { id: 'msg_1', body: '{"type":"ping"}' };
const loopback = ['127.0.0.0/8', '::1'];
const never = new AbortController().signal;

const servers: { close(): void; closeAllConnections?(): void }[] = [];
afterEach(() => {
  for (const server of servers.splice(0)) {
    server.closeAllConnections?.();
    server.close();
  }
});

interface Received {
  readonly method: string | undefined;
  readonly headers: Record<string, string>;
  readonly body: string;
}

async function receiver(answer: (request: IncomingMessage, response: ServerResponse) => void) {
  const received: Received[] = [];
  const server: Server = createServer((request, response) => {
    let body = '';
    request.on('data', (chunk) => {
      body += chunk;
    });
    request.on('end', () => {
      received.push({ method: request.method, headers: request.headers as Record<string, string>, body });
      answer(request, response);
    });
  });
  servers.push(server);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  return { url: `http://127.0.0.1:${port}/hook`, port, received };
}

const sender = (options: { allow?: string[]; timeoutMs?: number; resolve?: ResolveName } = {}) =>
  createWebhookSender({
    allow: targetSet(options.allow ?? loopback),
    timeoutMs: options.timeoutMs ?? 30_000,
    now: () => new Date(),
    ...(options.resolve ? { resolve: options.resolve } : {}),
  });

describe('a delivery', () => {
  it('is a POST that an independent implementation of Standard Webhooks accepts', async () => {
    const { url, received } = await receiver((_, response) => response.writeHead(204).end());
    expect(await sender().send(url, SECRET, MESSAGE, never)).toMatchObject({
      status_code: 204,
      error: null,
      answer_bytes: 0,
    });
    expect(received).toHaveLength(1);
    const [{ method, headers, body } = { method: '', headers: {}, body: '' }] = received;
    expect({ method, body }).toEqual({ method: 'POST', body: MESSAGE.body });
    expect(headers).toMatchObject({ 'webhook-id': 'msg_1', 'content-type': 'application/json' });
    expect(new StandardWebhook(SECRET).verify(body, headers)).toEqual({ type: 'ping' });
    expect(() => new StandardWebhook(SECRET).verify(`${body} `, headers)).toThrow();
    expect(() => new StandardWebhook(toWebhookSecret(Buffer.alloc(32, 8))).verify(body, headers)).toThrow();
  });

  it('does not follow redirects', async () => {
    const second = await receiver((_, response) => response.end('here'));
    for (const status of [301, 302, 303, 307, 308]) {
      const first = await receiver((_, response) =>
        response.writeHead(status, { location: second.url }).end(),
      );
      expect(await sender().send(first.url, SECRET, MESSAGE, never)).toMatchObject({
        status_code: status,
        error: 'redirect',
      });
    }
    expect(second.received).toEqual([]);
  });

  it('reads no more of an answer than it has to, and is not held up by one without end', async () => {
    const { url } = await receiver((_, response) => {
      response.writeHead(200);
      response.write('x'.repeat(100_000));
    });
    expect(await sender({ timeoutMs: 60_000 }).send(url, SECRET, MESSAGE, never)).toMatchObject({
      status_code: 200,
      error: null,
      answer_bytes: 1_024,
    });
    const dripping = await receiver((_, response) => {
      response.writeHead(200);
      response.write('x');
    });
    // enough for the beginning of the answer, however busy the machine is
    expect(await sender({ timeoutMs: 1_000 }).send(dripping.url, SECRET, MESSAGE, never)).toMatchObject({
      status_code: 200,
      error: null,
      answer_bytes: 1,
    });
  });

  it('tells in a word what went wrong', async () => {
    const send = async (url: string, options = {}) => await sender(options).send(url, SECRET, MESSAGE, never);
    const failing = await receiver((_, response) => response.writeHead(500).end('secret of the receiver'));
    expect(await send(failing.url)).toMatchObject({ status_code: 500, error: 'status' });
    const silent = await receiver(() => undefined);
    expect(await send(silent.url, { timeoutMs: 300 })).toMatchObject({ status_code: null, error: 'timeout' });
    expect(await send(silent.url.replace('http:', 'https:'))).toMatchObject({ error: 'tls' });
    const rude = createTcpServer((socket) => {
      // who is answered so hangs up, perhaps in the middle of it
      socket.on('error', () => undefined);
      socket.resume().end('220 mail.example.com ESMTP\r\n');
    });
    servers.push(rude);
    await new Promise<void>((resolve) => rude.listen(0, '127.0.0.1', resolve));
    const { port } = rude.address() as AddressInfo;
    expect(await send(`http://127.0.0.1:${port}/`)).toMatchObject({ error: 'not_http' });
    rude.close();
    expect(await send(`http://127.0.0.1:${port}/`)).toMatchObject({ error: 'refused' });
    const resolve: ResolveName = async () => {
      throw Object.assign(new Error('no'), { code: 'ENOTFOUND' });
    };
    expect(await send('https://gone.example/', { resolve })).toMatchObject({ error: 'name_not_found' });
  });

  it('that is aborted is no attempt', async () => {
    const { url } = await receiver(() => undefined);
    const aborting = new AbortController();
    const sending = sender().send(url, SECRET, MESSAGE, aborting.signal);
    aborting.abort(new Error('stopped'));
    await expect(sending).rejects.toThrow('stopped');
  });
});

describe('an address that must not be called', () => {
  it.each([
    ['http://127.0.0.1:PORT/', '127.0.0.1 is not in the list', ['10.0.0.0/8']],
    ['http://127.0.0.1:PORT/', 'there is no list', []],
    ['http://2130706433:PORT/', 'a number stands for it', []],
    ['http://[::ffff:127.0.0.1]:PORT/', 'it is mapped', []],
    ['http://localhost:PORT/', 'the name stands for it', []],
  ])('is not connected to: %s (%s)', async (template, _, allow) => {
    const { port, received } = await receiver((_request, response) => response.end());
    const url = template.replace('PORT', String(port));
    expect(await sender({ allow }).send(url, SECRET, MESSAGE, never)).toMatchObject({
      status_code: null,
      error: 'address_refused',
    });
    expect(received).toEqual([]);
  });

  it('is found out when the connection is made, however the name was answered before', async () => {
    const { port, received } = await receiver((_, response) => response.end());
    const answers = [
      ['127.0.0.1'],
      ['10.0.0.1'],
      ['8.8.8.8', '127.0.0.1'],
      ['fe80::1'],
      ['::ffff:127.0.0.1'],
    ];
    let asked = 0;
    const resolve: ResolveName = async () => answers[asked++] ?? [];
    for (const _ of answers)
      expect(
        await sender({ allow: ['10.99.0.0/16'], resolve }).send(
          `https://rebinding.example:${port}/`,
          SECRET,
          MESSAGE,
          never,
        ),
      ).toMatchObject({ error: 'address_refused' });
    expect(asked).toBe(answers.length);
    expect(received).toEqual([]);
  });

  it('gets no plain http, unless the operator named its network', async () => {
    const { port, received } = await receiver((_, response) => response.end());
    const url = `http://builds.example:${port}/`;
    const leadsTo =
      (address: string): ResolveName =>
      async () => [address];
    expect(await sender({ resolve: leadsTo('8.8.8.8') }).send(url, SECRET, MESSAGE, never)).toMatchObject({
      error: 'https_required',
    });
    expect(await sender({ resolve: leadsTo('127.0.0.1') }).send(url, SECRET, MESSAGE, never)).toMatchObject({
      status_code: 200,
      error: null,
    });
    expect(received).toHaveLength(1);
  });

  it('is not reached through a proxy of the environment', async () => {
    const proxy = await receiver((_, response) => response.end());
    const before = { ...process.env };
    for (const name of ['http_proxy', 'HTTP_PROXY', 'https_proxy', 'HTTPS_PROXY', 'ALL_PROXY'])
      process.env[name] = proxy.url;
    try {
      expect(await sender({ allow: [] }).send(proxy.url, SECRET, MESSAGE, never)).toMatchObject({
        error: 'address_refused',
      });
    } finally {
      process.env = before;
    }
    expect(proxy.received).toEqual([]);
  });
});
