/** Webhooks with real programs, and receivers as strangers would write them. */
import { randomBytes } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import { createServer, type RequestListener, type Server } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import {
  type CreatedWebhook,
  type Delivery,
  type DeliveryList,
  LIMITS,
  type ScanStatus,
  toWebhookSecret,
  type Webhook,
  type WebhookPayload,
  webhookPayloadSchema,
} from '@scanmq/contract';
import {
  createService,
  filesBelow,
  redisDump,
  restClient,
  startProgram,
  type TestService,
  until,
} from '@scanmq/testkit';
import { Redis } from 'ioredis';
import { generate } from 'selfsigned';
import { Webhook as StandardWebhook } from 'standardwebhooks';

const redisUrl = process.env.SCANMQ_TEST_REDIS_URL ?? '';
const redis = new Redis(redisUrl, { lazyConnect: true });
const scan = { targets: '192.0.2.1', name: 'told' };

let service: TestService;
let api: ReturnType<typeof restClient>;
const servers: Server[] = [];
/** With a worker, for tests that want nothing of their own; each finds it without webhooks. */
let shared: { readonly service: TestService; readonly url: string };

beforeAll(async () => {
  shared = await start();
  await service.startWorker();
});
afterEach(async () => {
  for (const { webhook_id: id } of (await api.call('GET', '/api/v1/webhooks')).json().webhooks ?? [])
    await api.call('DELETE', `/api/v1/webhooks/${id}`);
  for (const server of servers.splice(0)) {
    server.closeAllConnections();
    server.close();
  }
  if (service !== shared.service) await service.close();
  ({ service } = shared);
  api = restClient(shared.url);
});
afterAll(async () => {
  await shared.service.close();
  redis.disconnect();
});

interface Received {
  readonly path: string;
  readonly headers: Record<string, string>;
  readonly body: string;
}

/** What a receiver answers: a status, or nothing at all. */
type Answer = number | 'nothing';

interface Receiver {
  readonly url: string;
  readonly port: number;
  readonly received: Received[];
  /** Connections, whatever came of them. */
  connections(): number;
  /** Most requests that waited for an answer at once. */
  mostAtOnce(): number;
  /** The messages, each checked by an independent implementation of Standard Webhooks. */
  verified(secret: string): { readonly id: string; readonly payload: WebhookPayload }[];
}

async function startReceiver(
  answer: (count: number, path: string, messageId: string) => Answer = () => 204,
  tls?: { readonly cert: string; readonly key: string },
): Promise<Receiver> {
  const received: Received[] = [];
  let connections = 0;
  let waiting = 0;
  let mostAtOnce = 0;
  const listener: RequestListener = (request, response) => {
    let body = '';
    waiting += 1;
    mostAtOnce = Math.max(mostAtOnce, waiting);
    response.on('close', () => {
      waiting -= 1;
    });
    request.on('data', (chunk) => {
      body += chunk;
    });
    request.on('end', () => {
      const path = request.url ?? '';
      received.push({ path, headers: request.headers as Record<string, string>, body });
      const status = answer(received.length, path, String(request.headers['webhook-id']));
      if (status !== 'nothing')
        response.writeHead(status, status < 400 && status >= 300 ? { location: '/elsewhere' } : {}).end();
    });
  };
  const server: Server = tls ? createTlsServer(tls, listener) : createServer(listener);
  server.on('connection', () => {
    connections += 1;
  });
  servers.push(server);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  return {
    port,
    url: `${tls ? 'https' : 'http'}://127.0.0.1:${port}/hook`,
    received,
    connections: () => connections,
    mostAtOnce: () => mostAtOnce,
    verified: (secret) =>
      received.map(({ headers, body }) => ({
        id: headers['webhook-id'] ?? '',
        payload: webhookPayloadSchema.parse(new StandardWebhook(secret).verify(body, headers)),
      })),
  };
}

async function start(env: Record<string, string> = {}, scanDurationMs = 400): Promise<typeof shared> {
  service = await createService({
    redisUrl,
    scanners: [{ limit: 5, scanDurationMs }],
    env: {
      WEBHOOK_ALLOW_NETWORKS: '127.0.0.0/8',
      WEBHOOK_RETRY_SECONDS: '0.02',
      ...env,
    },
  });
  const { url } = await service.startGateway();
  api = restClient(url);
  return { service, url };
}

const post = async (path: string, body?: unknown) => await api.call('POST', `/api/v1/webhooks${path}`, body);
async function create(body: Record<string, unknown>): Promise<CreatedWebhook> {
  const answer = await post('', { events: ['*'], ...body });
  if (answer.status !== 201) throw new Error(`answered ${answer.status}: ${answer.text}`);
  return answer.json();
}
async function act(path: string): Promise<Delivery> {
  const answer = await post(path);
  if (answer.status !== 202) throw new Error(`answered ${answer.status}: ${answer.text}`);
  return answer.json();
}
const look = async (id: string): Promise<Webhook> => (await api.call('GET', `/api/v1/webhooks/${id}`)).json();
const log = async (id: string): Promise<Delivery[]> => {
  const answer = await api.call('GET', `/api/v1/webhooks/${id}/deliveries?limit=100`);
  return (answer.json() as DeliveryList).deliveries;
};
/** The delivery when it has ended. */
const ended = async (id: string, deliveryId: string): Promise<Delivery> =>
  await until('the delivery ends', async () =>
    (await log(id)).find(({ delivery_id, status }) => delivery_id === deliveryId && status !== 'pending'),
  );

describe('a scan', () => {
  it('is told from its submission to its end, by messages that anybody can check', async () => {
    const receiver = await startReceiver();
    const answer = await post('', { url: receiver.url, events: ['*'], description: 'tests' });
    expect(answer.status).toBe(201);
    const webhook: CreatedWebhook = answer.json();
    expect(answer.headers.get('location')).toBe(`/api/v1/webhooks/${webhook.webhook_id}`);
    expect(answer.headers.get('cache-control')).toBe('no-store');
    const task = await api.submit(scan);
    const end: ScanStatus = await api.ended(task.task_id);
    expect(end.status).toBe('completed');
    // the receiver has a message a moment before the log says so
    const deliveries = await until('all is told', async () => {
      const noted = await log(webhook.webhook_id);
      return noted.length >= 3 && noted.every(({ status }) => status === 'delivered') && noted;
    });
    const messages = receiver
      .verified(webhook.secret)
      .sort((a, b) => a.payload.timestamp.localeCompare(b.payload.timestamp));
    expect(messages.map(({ payload }) => payload.type)).toEqual([
      'scan.queued',
      'scan.started',
      'scan.completed',
    ]);
    expect(new Set(messages.map(({ id }) => id)).size).toBe(3);
    expect(messages.at(-1)?.payload).toMatchObject({
      version: 1,
      data: {
        task_id: task.task_id,
        status: 'completed',
        previous_status: 'running',
        name: 'told',
        scan_type: 'untrusted',
        scanner_pool: 'nessus',
        principal: 'local',
        attempts: 1,
        results_summary: end.results_summary,
        quality: { verdict: end.quality?.verdict },
        error: null,
        links: { task: `/api/v1/scans/${task.task_id}` },
      },
    });
    const last = messages.at(-1)?.payload;
    if (last?.type !== 'scan.completed') throw new Error('the last message is another');
    for (const path of Object.values(last.data.links))
      expect((await api.call('GET', path ?? '')).status).toBe(200);

    expect((await look(webhook.webhook_id)).last_success_at).not.toBeNull();
    expect(deliveries).toHaveLength(3);
    expect(deliveries[0]).toMatchObject({
      webhook_id: webhook.webhook_id,
      task_id: task.task_id,
      attempts: [{ status_code: 204, error: null }],
      next_attempt_at: null,
    });
    expect(deliveries.map(({ message_id }) => message_id).sort()).toEqual(
      messages.map(({ id }) => id).sort(),
    );
  });

  it('that fails is told with its error, and that it runs again when somebody retries it', async () => {
    await start({}, 600_000);
    const receiver = await startReceiver();
    const webhook = await create({
      url: receiver.url,
      events: ['scan.cancelled', 'scan.retried'],
    });
    const { task_id: id } = await api.submit(scan);
    await api.call('POST', `/api/v1/scans/${id}/cancel`, { reason: 'not needed' });
    await api.call('POST', `/api/v1/scans/${id}/retry`);
    // no worker was there: it is told of what happened before it came
    await service.startWorker();
    await until('both are told', () => receiver.received.length === 2);
    const messages = receiver.verified(webhook.secret).map(({ payload }) => payload);
    expect(messages.find(({ type }) => type === 'scan.cancelled')).toMatchObject({
      data: { status: 'cancelled', previous_status: 'queued' },
    });
    expect(messages.find(({ type }) => type === 'scan.retried')).toMatchObject({
      data: { status: 'queued', previous_status: 'cancelled', results_summary: null },
    });
  });
});

describe('a receiver', () => {
  it('that fails gets the same message again, until it takes it', async () => {
    const receiver = await startReceiver((count) => (count < 3 ? 500 : 200));
    const { webhook_id: id, secret } = await create({ url: receiver.url });
    const ping = await act(`/${id}/test`);
    expect(ping).toMatchObject({ type: 'ping', status: 'pending', task_id: null, attempts: [] });
    expect(await ended(id, ping.delivery_id)).toMatchObject({
      status: 'delivered',
      attempts: [
        { status_code: 500, error: 'status' },
        { status_code: 500, error: 'status' },
        { status_code: 200, error: null },
      ],
    });
    const messages = receiver.verified(secret);
    expect(messages.map((message) => message.id)).toEqual(Array(3).fill(ping.message_id));
    expect(new Set(receiver.received.map(({ body }) => body)).size).toBe(1);
  });

  it('that does not answer is given up in time, and holds up nobody else', async () => {
    await start({ WEBHOOK_TIMEOUT_SECONDS: '3', WEBHOOK_RETRY_SECONDS: '600' });
    await service.startWorker();
    const silent = await startReceiver(() => 'nothing');
    let silentSeen = 0;
    const good = await startReceiver(() => {
      silentSeen = silent.received.length;
      return 204;
    });
    const slow = await create({ url: silent.url });
    const fast = await create({ url: good.url });
    for (let n = 0; n < 60; n += 1) await act(`/${slow.webhook_id}/test`);
    await until('it is being told', () => silent.received.length > 0);
    const ping = await act(`/${fast.webhook_id}/test`);
    expect((await ended(fast.webhook_id, ping.delivery_id)).status).toBe('delivered');
    // it came long after those, and did not wait for them
    expect(silentSeen).toBeLessThan(40);
    expect(silent.mostAtOnce()).toBeLessThanOrEqual(4);
    const failing = await until('one is given up for now', async () =>
      (await log(slow.webhook_id)).find(({ attempts }) => attempts.length > 0),
    );
    expect(failing).toMatchObject({
      status: 'pending',
      attempts: [{ status_code: null, error: 'timeout' }],
      next_attempt_at: expect.any(String),
    });
    expect((await look(slow.webhook_id)).failing_since).not.toBeNull();
    // what waits goes with it
    expect((await api.call('DELETE', `/api/v1/webhooks/${slow.webhook_id}`)).status).toBe(204);
    const left = await redis.keys(`${service.prefix}:scanmq.webhooks:dlv_${slow.webhook_id.slice(3)}*`);
    // beside those that are being sent, a worker may just have others in its hands to give them a time
    expect(left.filter((key) => !key.endsWith(':lock')).length).toBeLessThanOrEqual(
      LIMITS.webhookDeliveriesAtOnce,
    );
    expect((await api.call('GET', `/api/v1/webhooks/${slow.webhook_id}/deliveries`)).status).toBe(404);
  });

  it('cannot send us elsewhere', async () => {
    const receiver = await startReceiver((_, path) => (path === '/hook' ? 307 : 204));
    const { webhook_id: id } = await create({ url: receiver.url });
    await act(`/${id}/test`);
    const { attempts } = await until('it was tried', async () =>
      (await log(id)).find((delivery) => delivery.attempts.length > 0),
    );
    expect(attempts[0]).toMatchObject({ status_code: 307, error: 'redirect' });
    expect([...new Set(receiver.received.map(({ path }) => path))]).toEqual(['/hook']);
  });

  it('has to show a certificate that we trust', async () => {
    const certificate = async () => {
      const { cert, private: key } = await generate([{ name: 'commonName', value: 'receiver' }], {
        keyType: 'ec',
        curve: 'P-256',
        algorithm: 'sha256',
        extensions: [{ name: 'subjectAltName', altNames: [{ type: 7, ip: '127.0.0.1' }] }],
      });
      return { cert, key };
    };
    const [known, unknown] = [await certificate(), await certificate()];
    await start({ WEBHOOK_RETRY_SECONDS: '600', NODE_TLS_REJECT_UNAUTHORIZED: '0' });
    const authority = join(service.directory, 'authority.pem');
    await writeFile(authority, known.cert);
    const worker = startProgram(['worker'], { ...service.env, NODE_EXTRA_CA_CERTS: authority });
    try {
      await worker.event('worker.started');
      const [trusted, stranger] = [
        await startReceiver(undefined, known),
        await startReceiver(undefined, unknown),
      ];
      const one = await create({ url: trusted.url });
      const two = await create({ url: stranger.url });
      const { delivery_id } = await act(`/${one.webhook_id}/test`);
      await act(`/${two.webhook_id}/test`);
      expect((await ended(one.webhook_id, delivery_id)).status).toBe('delivered');
      expect(trusted.verified(one.secret)).toHaveLength(1);
      const { attempts } = await until('it was tried', async () =>
        (await log(two.webhook_id)).find((delivery) => delivery.attempts.length > 0),
      );
      expect(attempts).toMatchObject([{ status_code: null, error: 'tls' }]);
      expect(stranger.received).toEqual([]);
    } finally {
      worker.kill('SIGKILL');
      await worker.ended;
    }
  });
});

describe('an address inside', () => {
  it('is refused, at once by its number and when it is called by its name', async () => {
    await start({ WEBHOOK_ALLOW_NETWORKS: '', WEBHOOK_RETRY_SECONDS: '600' });
    await service.startWorker();
    const receiver = await startReceiver();
    for (const url of [
      receiver.url,
      receiver.url.replace('http:', 'https:'),
      `https://2130706433:${receiver.port}/`,
      `https://[::ffff:7f00:1]:${receiver.port}/`,
      `https://0x7f.1:${receiver.port}/`,
      'https://169.254.169.254/latest/meta-data/',
      `http://localhost:${receiver.port}/`,
    ]) {
      const answer = await post('', { url, events: ['*'] });
      expect({ url, ...answer.json() }).toMatchObject({
        url,
        status: 400,
        code: 'invalid_request',
        errors: [{ path: 'url' }],
      });
    }
    const { webhook_id: id } = await create({ url: `https://localhost:${receiver.port}/` });
    await act(`/${id}/test`);
    const { attempts } = await until('it was tried', async () =>
      (await log(id)).find((delivery) => delivery.attempts.length > 0),
    );
    expect(attempts).toMatchObject([{ status_code: null, error: 'address_refused', answer_bytes: 0 }]);
    expect(receiver.connections()).toBe(0);
  });
});

describe('a worker that is killed', () => {
  it('between an event and its delivery loses none; each message has one id', async () => {
    // the times are so long that they cannot be what ends the worker below
    await start({ WEBHOOK_TIMEOUT_SECONDS: '300', SHUTDOWN_GRACE_SECONDS: '300' });
    let answering = false;
    const receiver = await startReceiver(() => (answering ? 204 : 'nothing'));
    const { secret, webhook_id: id } = await create({
      url: receiver.url,
      events: ['scan.queued', 'scan.started', 'scan.completed'],
    });
    const first = await service.startWorker();
    const tasks = [await api.submit(scan), await api.submit(scan)];
    // a message is on its way, and its outcome is not known
    await until('something is sent', () => receiver.received.length > 0);
    first.kill('SIGKILL');
    await first.ended;
    // these are in the log of changes only
    tasks.push(await api.submit(scan));
    // before it starts: as soon as it has, it may have sent as much as it sends at once
    const before = receiver.received.length;
    const second = await service.startWorker();
    await until('it goes on', () => receiver.received.length > before);
    // this one is asked to end: it hands over what it is sending, and does not wait for the receiver
    const endingAt = Date.now();
    second.kill('SIGTERM');
    expect((await second.ended).code).toBe(0);
    expect(Date.now() - endingAt).toBeLessThan(60_000);
    answering = true;
    await service.startWorker();
    for (const { task_id } of tasks) expect((await api.ended(task_id)).status).toBe('completed');
    await until('all is delivered', async () => {
      const deliveries = await log(id);
      return deliveries.length >= 9 && deliveries.every(({ status }) => status === 'delivered');
    });
    const ids = new Map<string, Set<string>>();
    for (const { id: message, payload } of receiver.verified(secret)) {
      if (payload.type === 'ping') throw new Error('nobody asked for a ping');
      // an attempt that was handed over begins anew, and is told anew
      const event = `${payload.data.task_id} ${payload.type} ${payload.timestamp}`;
      ids.set(event, (ids.get(event) ?? new Set()).add(message));
    }
    expect([...ids.values()].every((messages) => messages.size === 1)).toBe(true);
    for (const { task_id } of tasks)
      for (const type of ['scan.queued', 'scan.started', 'scan.completed'])
        expect([...ids.keys()].some((event) => event.startsWith(`${task_id} ${type} `))).toBe(true);
    for (const { task_id } of tasks)
      for (const type of ['scan.queued', 'scan.completed'])
        expect([...ids.keys()].filter((event) => event.startsWith(`${task_id} ${type} `))).toHaveLength(1);
  }, 300_000);
});

describe('a webhook that only fails', () => {
  it('is disabled after some time, says why, and goes on when it is enabled; what it missed can be replayed', async () => {
    await start({ WEBHOOK_DISABLE_HOURS: '0.0002' });
    const worker = await service.startWorker();
    let status = 503;
    const receiver = await startReceiver(() => status);
    const { webhook_id: id, secret } = await create({ url: receiver.url, events: ['scan.queued'] });
    await act(`/${id}/test`);
    const disabled = await until('it is disabled', async () => {
      const webhook = await look(id);
      return webhook.disabled ? webhook : undefined;
    });
    expect(disabled).toMatchObject({
      disabled: { reason: 'failing_too_long', message: expect.stringContaining('WEBHOOK_DISABLE_HOURS') },
      failing_since: expect.any(String),
    });
    await worker.event('webhook.disabled');
    expect((await post(`/${id}/test`)).json()).toMatchObject({ status: 409, code: 'invalid_state' });
    const tries = receiver.received.length;
    const { task_id } = await api.submit(scan);
    const skipped = await until('it is noted', async () =>
      (await log(id)).find((delivery) => delivery.task_id === task_id),
    );
    expect(skipped).toMatchObject({ status: 'skipped', skipped_because: 'disabled', attempts: [] });
    expect(receiver.received.length).toBe(tries);

    status = 204;
    const enabled = await post(`/${id}/enable`);
    expect(enabled.status).toBe(200);
    expect(enabled.json()).toMatchObject({ disabled: null, failing_since: null });
    const replay = await act(`/${id}/deliveries/${skipped.delivery_id}/replay`);
    expect(replay).toMatchObject({ replay_of: skipped.delivery_id, message_id: skipped.message_id });
    expect((await ended(id, replay.delivery_id)).status).toBe('delivered');
    const again = await act(`/${id}/deliveries/${skipped.delivery_id}/replay`);
    expect((await ended(id, again.delivery_id)).status).toBe('delivered');
    // the ping, which has waited for another attempt, may come in between
    const replays = receiver.received.filter(({ headers }) => headers['webhook-id'] === skipped.message_id);
    expect(replays).toHaveLength(2);
    expect(replays[0]?.body).toBe(replays[1]?.body);
    const verified = receiver.verified(secret).filter((message) => message.id === skipped.message_id);
    expect(verified.map(({ payload }) => payload)).toEqual([skipped.payload, skipped.payload]);
  });

  it('is disabled at once when the receiver says that it is gone', async () => {
    const receiver = await startReceiver(() => 410);
    const { webhook_id: id } = await create({ url: receiver.url });
    const { delivery_id } = await act(`/${id}/test`);
    expect(await ended(id, delivery_id)).toMatchObject({
      status: 'failed',
      attempts: [{ status_code: 410 }],
    });
    expect(await look(id)).toMatchObject({ disabled: { reason: 'gone' } });
    expect(receiver.received).toHaveLength(1);
  });
});

describe('a secret', () => {
  it('is shown once, and is nowhere else', async () => {
    await start({ LOG_LEVEL: 'trace' });
    // each message once in vain: several that fail again and again would be waited for for minutes
    const failed = new Set<string>();
    const receiver = await startReceiver((_count, _path, messageId) => {
      if (failed.has(messageId)) return 204;
      failed.add(messageId);
      return 500;
    });
    const worker = await service.startWorker();
    const given = toWebhookSecret(randomBytes(32));
    const webhooks = [
      await create({ url: receiver.url }),
      await create({ url: receiver.url, secret: given }),
    ];
    expect(webhooks[1]?.secret).toBe(given);
    const refused = await post('', { url: 'https://127.0.0.1/', events: ['*'], secret: `${given}x` });
    expect(refused.status).toBe(400);
    const task = await api.submit(scan);
    await api.ended(task.task_id);
    const answers: string[] = [refused.text];
    for (const { webhook_id: id } of webhooks) {
      await until('all is told', async () => {
        const deliveries = await log(id);
        return deliveries.length >= 3 && deliveries.every(({ status }) => status === 'delivered');
      });
      for (const path of [`/${id}`, `/${id}/deliveries`, ''])
        answers.push((await api.call('GET', `/api/v1/webhooks${path}`)).text);
      answers.push((await post(`/${id}/enable`)).text, (await post(`/${id}/test`)).text);
    }
    // the log tells of a delivery a moment before its job is among the completed
    const board = await until('the dashboard shows it', async () => {
      const answer = await api.call(
        'GET',
        '/dashboard/api/queues?activeQueue=scanmq.webhooks&status=completed',
      );
      return answer.text.includes(webhooks[0]?.webhook_id ?? 'none') && answer;
    });
    expect(board.text).toContain('scanmq.webhooks');
    answers.push(board.text, (await api.call('GET', '/openapi.json')).text);
    const dump = await redisDump(redis, `${service.prefix}:*`);
    expect(dump.some((text) => text.includes('webhook-secret'))).toBe(true);
    const written = await filesBelow(service.directory);
    expect(worker.output()).toContain('webhook.delivered');
    for (const { secret } of webhooks) {
      const key = Buffer.from(secret.slice('whsec_'.length), 'base64');
      const forms = [
        key.toString('base64'),
        key.toString('base64url'),
        key.toString('hex'),
        key.toString('latin1'),
      ];
      const places = { dump, answers, written, logs: [worker.output()] };
      for (const [place, texts] of Object.entries(places))
        expect({ place, found: forms.some((form) => texts.some((text) => text.includes(form))) }).toEqual({
          place,
          found: false,
        });
    }
  });

  it('cannot be kept without a key: then there are no webhooks', async () => {
    await start({ CREDENTIALS_KEY: '' });
    const answer = await post('', { url: 'https://ci.example.com/', events: ['*'] });
    expect(answer.json()).toMatchObject({
      status: 503,
      code: 'unavailable',
      detail: expect.stringContaining('CREDENTIALS_KEY'),
    });
  });
});

describe('a request', () => {
  it('that is wrong is told what is wrong', async () => {
    const url = 'https://ci.example.com/';
    for (const [body, path] of [
      [{}, 'url'],
      [{ url, events: [] }, 'events'],
      [{ url, events: ['scan.unknown'] }, 'events.0'],
      [{ url, events: ['*'], secret: 'whsec_short' }, 'secret'],
      [{ url: `${url}#x`, events: ['*'] }, 'url'],
      [{ url, events: ['*'], surprise: 1 }, 'surprise'],
    ] as const) {
      const answer = (await post('', body)).json();
      expect(answer).toMatchObject({ status: 400, code: 'invalid_request' });
      expect(answer.errors.map((error: { path: string }) => error.path)).toContain(path);
    }
    for (const [method, path] of [
      ['GET', ''],
      ['DELETE', ''],
      ['POST', '/enable'],
      ['POST', '/test'],
      ['GET', '/deliveries'],
      ['POST', '/deliveries/dlv_0000000000000000_1_0/replay'],
    ] as const)
      for (const id of ['wh_0000000000000000', '..%2F..', '__proto__'])
        expect((await api.call(method, `/api/v1/webhooks/${id}${path}`)).json()).toMatchObject({
          status: 404,
          code: 'not_found',
        });
    expect((await api.call('GET', '/api/v1/webhooks')).json()).toEqual({ webhooks: [], total: 0 });
  });
});

describe('the command', () => {
  const command = async (...args: string[]) => {
    const program = startProgram(['webhooks', ...args], { SCANMQ_URL: api.url });
    const { code } = await program.ended;
    return { code, output: program.output() };
  };
  const json = async <T>(...args: string[]): Promise<T> => {
    const { code, output } = await command(...args, '--json');
    if (code !== 0) throw new Error(`ended with ${code}: ${output}`);
    return JSON.parse(output);
  };

  it('makes, lists, shows, tests, enables, replays and removes webhooks', async () => {
    const receiver = await startReceiver();
    const made = await command('create', receiver.url, '--events', 'scan.completed', 'scan.failed');
    expect(made.code).toBe(0);
    expect(made.output).toContain('scan.completed, scan.failed');
    const [secret] = /whsec_\S+/.exec(made.output) ?? [];
    const [id = ''] = /wh_[0-9a-f]{16}/.exec(made.output) ?? [];
    const file = join(service.directory, 'secret');
    const given = toWebhookSecret(randomBytes(24));
    await writeFile(file, `${given}\n`);
    const second = await command('create', receiver.url, '--secret-file', file);
    expect(second.code).toBe(0);
    expect(second.output).not.toContain('whsec_');

    expect((await command('list')).output).toContain(id);
    expect((await command('show', id)).output).toContain('enabled');
    expect((await command('show', id)).output).not.toContain('whsec_');
    const ping = await json<Delivery>('test', id);
    await ended(id, ping.delivery_id);
    expect(receiver.verified(secret ?? '')).toMatchObject([{ payload: { type: 'ping' } }]);
    expect((await command('deliveries', id)).output).toMatch(/ping .*delivered/);
    const replay = await json<Delivery>('replay', id, ping.delivery_id);
    expect(replay.replay_of).toBe(ping.delivery_id);
    expect((await json<Webhook>('enable', id)).disabled).toBeNull();
    expect((await command('remove', id)).code).toBe(0);
    const gone = await command('show', id);
    expect(gone).toMatchObject({ code: 4, output: expect.stringContaining('There is no webhook') });
    expect((await command('create', 'https://10.0.0.1/')).code).toBe(2);
    expect((await command('create', receiver.url, '--events', 'nonsense')).code).toBe(2);
  }, 180_000);
});
