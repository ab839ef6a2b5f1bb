/** Clients that take more than their part: each is told so, and the service answers everybody else meanwhile and afterwards. */
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { createService, restClient, type TestService, until } from '@scanmq/testkit';

let service: TestService;
let api: ReturnType<typeof restClient>;
let port = 0;
const CONNECTIONS = 40;

beforeAll(async () => {
  service = await createService({
    redisUrl: process.env.SCANMQ_TEST_REDIS_URL ?? '',
    env: {
      MAX_CONNECTIONS: String(CONNECTIONS),
      MAX_STREAMS_PER_PRINCIPAL: '3',
      MAX_WAITS_PER_PRINCIPAL: '2',
      MAX_QUEUED_PER_PRINCIPAL: '5',
    },
  });
  // no worker: what is submitted waits
  api = restClient((await service.startGateway()).url);
  port = Number(new URL(api.url).port);
});
afterAll(async () => await service.close());

/** A connection of which everything that comes is kept. */
async function dial(to = port): Promise<{ socket: Socket; heard: () => string; ended: Promise<unknown> }> {
  const socket = connect(to, '127.0.0.1');
  let text = '';
  socket.on('data', (chunk) => {
    text += String(chunk);
  });
  // a refusal may come as a reset, once it was read
  socket.on('error', () => undefined);
  const ended = new Promise((resolve) => socket.once('close', resolve));
  await once(socket, 'connect');
  return { socket, heard: () => text, ended };
}

const problemOf = (heard: string): unknown => JSON.parse(heard.slice(heard.indexOf('\r\n\r\n') + 4));
const alive = async (): Promise<void> => {
  expect((await api.call('GET', '/api/v1/scans')).status).toBe(200);
};
const submit = async (more: object = {}, headers: Record<string, string> = {}) =>
  await api.call(
    'POST',
    '/api/v1/scans',
    { scan_type: 'untrusted', targets: '192.0.2.1', name: 'x', ...more },
    headers,
  );

describe('a request', () => {
  let slowBody: Awaited<ReturnType<typeof dial>>;
  beforeAll(async () => {
    // it has half a minute, which passes while the others are looked at
    slowBody = await dial();
    slowBody.socket.write(
      'POST /api/v1/scans HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{',
    );
  });

  it('whose headers come too slowly is ended with 408', async () => {
    const { socket, heard, ended } = await dial();
    socket.write('GET /api/v1/scans HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Slow: ');
    await alive();
    await ended;
    expect(heard()).toMatch(/^HTTP\/1\.1 408 /);
    expect(problemOf(heard())).toMatchObject({
      code: 'invalid_request',
      status: 408,
      trace_id: expect.any(String),
    });
    await alive();
  });

  it('whose headers are too large is refused with 431', async () => {
    const { socket, heard, ended } = await dial();
    socket.write(`GET /api/v1/scans HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Large: ${'x'.repeat(40_000)}\r\n\r\n`);
    await ended;
    expect(heard()).toMatch(/^HTTP\/1\.1 431 /);
    expect(problemOf(heard())).toMatchObject({ code: 'invalid_request', status: 431 });
    await alive();
  });

  it('that is none is refused with 400', async () => {
    const { socket, heard, ended } = await dial();
    socket.write('\u0016\u0003\u0001 this is no HTTP\r\n\r\n');
    await ended;
    expect(heard()).toMatch(/^HTTP\/1\.1 400 /);
    expect(problemOf(heard())).toMatchObject({ code: 'invalid_request', status: 400 });
    await alive();
  });

  it('may have headers as long as a token of an issuer', async () => {
    const { status } = await api.call('GET', '/health', undefined, {
      authorization: `Bearer ${'x'.repeat(16_384)}`,
    });
    expect(status).toBe(200);
  });

  it('whose body comes too slowly is ended', async () => {
    await alive();
    await slowBody.ended;
    await alive();
  });
});

describe('connections above the limit', () => {
  it('are told so, and leave room again', async () => {
    const silent = await Promise.all(Array.from({ length: CONNECTIONS }, () => dial()));
    const { socket, heard, ended } = await dial();
    socket.write('GET /api/v1/scans HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n');
    await ended;
    expect(heard()).toMatch(/^HTTP\/1\.1 503 [\s\S]*retry-after: 1/i);
    expect(problemOf(heard())).toMatchObject({
      code: 'unavailable',
      detail: expect.stringContaining('MAX_CONNECTIONS'),
    });
    // whoever looks whether it is alive is not one too many
    const health = await dial();
    health.socket.write('GET /health HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n');
    await health.ended;
    expect(health.heard()).toMatch(/^HTTP\/1\.1 200 /);
    for (const one of silent) one.socket.destroy();
    await until('there is room again', async () => (await api.call('GET', '/api/v1/scans')).status === 200);
  });
});

describe('a principal', () => {
  let waiting = '';

  it('has so many tasks waiting and no more, until one of them does not wait any longer', async () => {
    const made = [];
    for (let index = 0; index < 5; index += 1)
      made.push((await submit({}, { 'idempotency-key': `limit-${index}` })).json().task_id);
    waiting = String(made[0]);
    const refused = await submit();
    expect(refused.status).toBe(429);
    expect(refused.headers.get('retry-after')).toBe('30');
    expect(refused.json()).toMatchObject({
      code: 'rate_limited',
      detail: expect.stringMatching(/5 tasks.*MAX_QUEUED_PER_PRINCIPAL/),
    });
    // an import is a task too
    const upload = await fetch(`${api.url}/api/v1/imports`, {
      method: 'POST',
      headers: { 'content-type': 'application/octet-stream' },
      body: '<x/>',
    });
    expect(upload.status).toBe(429);
    await upload.text();
    // what was accepted before is answered again
    const again = await submit({}, { 'idempotency-key': 'limit-4' });
    expect(again.json()).toMatchObject({ task_id: made[4], idempotent_replay: true });
    await api.call('POST', `/api/v1/scans/${made[4]}/cancel`);
    expect((await submit()).status).toBe(202);
    expect((await submit()).status).toBe(429);
  });

  it('has so many tasks waiting and no more, whoever asks at the same time', async () => {
    const { tasks } = (await api.call('GET', '/api/v1/scans?status_filter=queued')).json();
    for (const { task_id } of tasks.slice(1)) await api.call('POST', `/api/v1/scans/${task_id}/cancel`);
    const answers = await Promise.all(Array.from({ length: 20 }, () => submit()));
    expect(answers.filter(({ status }) => status === 202)).toHaveLength(4);
    expect(answers.filter(({ status }) => status === 429)).toHaveLength(16);
    waiting = tasks[0].task_id;
  });

  it('has so many streams of events, and may open one when another has ended', async () => {
    const path = `${api.url}/api/v1/scans/${waiting}/events`;
    const stops = [1, 2, 3].map(() => new AbortController());
    const streams = await Promise.all(stops.map(({ signal }) => fetch(path, { signal })));
    expect(streams.map(({ status }) => status)).toEqual([200, 200, 200]);
    const refused = await fetch(path);
    expect(refused.status).toBe(429);
    expect(await refused.json()).toMatchObject({
      code: 'rate_limited',
      detail: expect.stringContaining('MAX_STREAMS_PER_PRINCIPAL'),
    });
    stops[0]?.abort();
    const stop = new AbortController();
    await until(
      'there is room again',
      async () => (await fetch(path, { signal: stop.signal })).status === 200,
    );
    for (const one of [...stops, stop]) one.abort();
    await alive();
  });

  it('has so many requests that wait, over REST and MCP together', async () => {
    const path = `${api.url}/api/v1/scans/${waiting}`;
    const stop = new AbortController();
    // whoever asks below may be faster than one of these: it is refused then, and asks again
    const hold = async (): Promise<void> => {
      while (!stop.signal.aborted)
        await fetch(`${path}?wait=60`, { signal: stop.signal })
          .then((answer) => answer.text())
          .catch(() => undefined);
    };
    const held = [hold(), hold()];
    const refused = await until('both are held', async () => {
      const answer = await fetch(`${path}?wait=0.05`);
      if (answer.status === 429) return answer;
      await answer.text();
      return undefined;
    });
    expect(await refused.json()).toMatchObject({
      code: 'rate_limited',
      detail: expect.stringContaining('MAX_WAITS_PER_PRINCIPAL'),
    });
    const tool = await api.call(
      'POST',
      '/mcp',
      {
        jsonrpc: '2.0',
        id: 1,
        method: 'tools/call',
        params: { name: 'wait_for_scan', arguments: { task_id: waiting, timeout_seconds: 1 } },
      },
      { accept: 'application/json, text/event-stream' },
    );
    expect(tool.text).toContain('rate_limited');
    expect((await fetch(path)).status).toBe(200);
    stop.abort();
    await Promise.all(held);
    await until('there is room again', async () => (await fetch(`${path}?wait=0.05`)).status === 200);
  });
});

describe('a disk that is nearly full', () => {
  it('takes in neither scans nor uploads, and is still read from', async () => {
    const { url } = await service.startGateway({
      MIN_FREE_DISK_MB: '1073741824',
      MAX_QUEUED_PER_PRINCIPAL: '0',
    });
    const full = restClient(url);
    const scan = await full.call('POST', '/api/v1/scans', {
      scan_type: 'untrusted',
      targets: '192.0.2.1',
      name: 'x',
    });
    expect(scan.status).toBe(503);
    expect(scan.json()).toMatchObject({
      code: 'unavailable',
      detail: expect.stringContaining('MIN_FREE_DISK_MB'),
    });
    const upload = await fetch(`${url}/api/v1/imports`, {
      method: 'POST',
      headers: { 'content-type': 'application/octet-stream' },
      body: '<x/>',
    });
    expect(upload.status).toBe(503);
    await upload.text();
    expect((await full.call('GET', '/api/v1/scans')).status).toBe(200);
  });
});

describe('all principals together', () => {
  it('have so many tasks waiting and no more', async () => {
    const { url } = await service.startGateway({ MAX_QUEUED: '1', MAX_QUEUED_PER_PRINCIPAL: '0' });
    const refused = await restClient(url).call('POST', '/api/v1/scans', {
      scan_type: 'untrusted',
      targets: '192.0.2.1',
      name: 'x',
    });
    expect(refused.status).toBe(429);
    expect(refused.json()).toMatchObject({
      code: 'rate_limited',
      detail: expect.stringContaining('MAX_QUEUED'),
    });
  });
});
