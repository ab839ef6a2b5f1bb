import { once } from 'node:events';
import { connect } from 'node:net';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { type ScanEvent, scanEventSchema, type TaskState } from '@scanmq/contract';
import { freePort } from '@scanmq/local-redis';
import type { Simulator } from '@scanmq/simulator';
import { createService, type RunningProgram, restClient, type TestService, until } from '@scanmq/testkit';
import { EventSource } from 'eventsource';
import { createParser } from 'eventsource-parser';
import { Redis } from 'ioredis';

let service: TestService;
let simulator: Simulator;
let gateways: { url: string; program: RunningProgram }[];
let worker: RunningProgram;
let api: ReturnType<typeof restClient>;
let redis: Redis;

beforeAll(async () => {
  redis = new Redis(process.env.SCANMQ_TEST_REDIS_URL ?? '');
  service = await createService({
    redisUrl: process.env.SCANMQ_TEST_REDIS_URL ?? '',
    scanners: [
      // a scan ends when the test says so
      { limit: 20, scanDurationMs: 600_000 },
      { pool: 'quick', scanDurationMs: 2_000 },
    ],
  });
  const [ours] = service.simulators;
  if (!ours) throw new Error('no simulator');
  simulator = ours;
  // the first one is started again at its port
  const [first, second, started] = await Promise.all([
    service.startGateway({ PORT: String(await freePort()) }),
    service.startGateway(),
    service.startWorker(),
  ]);
  gateways = [first, second];
  worker = started;
});
afterAll(async () => {
  for (const source of sources) source.close();
  redis.disconnect();
  await service.close();
});
beforeEach(() => {
  api = restClient(gateways[0]?.url ?? '');
});

const pathOf = (taskId: string): string => `/api/v1/scans/${taskId}/events`;
const keyOf = (taskId: string): string => `${service.prefix}:tasks.events:${taskId}`;
const submit = async (targets = '192.0.2.1'): Promise<string> =>
  (await api.submit({ targets, name: 'events' })).task_id;
const running = (taskId: string) =>
  until(`${taskId} runs`, async () => (await api.status(taskId)).scanner_status === 'running');
const endScan = (taskId: string, status: 'completed' | 'aborted' = 'completed'): void => {
  for (const scan of simulator.scans())
    if (scan.name.includes(taskId) && scan.status === 'running') simulator.endScans(scan.scan_id, status);
};

const sources = new Set<EventSource>();

/** A browser's client, as it comes from npm: it connects again by itself, with the id of the last event. */
function listen(url: string, options: { fetch?: typeof fetch } = {}) {
  const events: ScanEvent[] = [];
  // closed again below, whatever becomes of the test
  const source = new EventSource(url, options.fetch ? { fetch: options.fetch } : {});
  sources.add(source);
  const onEvent = ({ type, lastEventId, data }: MessageEvent): void => {
    events.push(scanEventSchema.parse({ id: Number(lastEventId), type, data: JSON.parse(data) }));
  };
  for (const type of ['state', 'progress', 'log', 'snapshot']) source.addEventListener(type, onEvent);
  return { events, source, closed: () => source.readyState === EventSource.CLOSED };
}

/** All that one answer tells, until the service ends it. */
async function read(url: string, headers: Record<string, string> = {}) {
  const response = await fetch(url, { headers });
  const events: ScanEvent[] = [];
  const parser = createParser({
    onEvent: ({ id, event, data }) =>
      events.push(scanEventSchema.parse({ id: Number(id), type: event, data: JSON.parse(data) })),
  });
  parser.feed(await response.text());
  return { status: response.status, headers: response.headers, events };
}

const states = (events: readonly ScanEvent[]): TaskState[] =>
  events.flatMap((event) => (event.type === 'state' ? [event.data.status] : []));

/** Nothing told twice or out of order, and each state begins where the one before ended. */
function expectUnbroken(events: readonly ScanEvent[]): void {
  const ids = events.map(({ id }) => id);
  expect(ids).toEqual([...new Set(ids)].sort((a, b) => a - b));
  let before: TaskState | null = null;
  for (const event of events) {
    if (event.type !== 'state') continue;
    expect(event.data.previous_status).toBe(before);
    before = event.data.status;
  }
}

describe('the events of a scan', () => {
  it('tell its whole life, and end with it so that a browser stops asking', async () => {
    const request = { targets: '192.0.2.1-192.0.2.3', name: 'life', scanner_pool: 'quick' };
    const { task_id: taskId } = await api.submit(request);
    const { events, closed } = listen(`${api.url}${pathOf(taskId)}`);
    await until('the client stops', closed);
    expectUnbroken(events);
    expect(states(events)).toEqual(['queued', 'running', 'completed']);
    expect(events.at(-1)).toMatchObject({
      type: 'state',
      data: { status: 'completed', progress: 100, scanner_instance: 'scanner2', attempts: 1, error: null },
    });
    const lines = events.flatMap((event) => (event.type === 'log' ? [event.data.message] : []));
    expect(lines.join('\n')).toMatch(
      /Assigned to quick:scanner2\..*created on quick:scanner2\..*launched\..*completed on the scanner\..*Fetched the export.*Stored: \d+ findings on 3 hosts\./s,
    );
    const progress = events.flatMap((event) => (event.type === 'progress' ? [event.data] : []));
    expect(progress.map((one) => one.progress)).toEqual(
      [...progress.map((one) => one.progress)].sort((a, b) => a - b),
    );
    const withHosts = progress.find(({ hosts }) => hosts.length > 0);
    expect(withHosts?.hosts[0]).toEqual({
      host: expect.stringMatching(/^192\.0\.2\.[123]$/),
      progress: expect.any(Number),
      severity_breakdown: expect.objectContaining({ critical: expect.any(Number) }),
    });

    // afterwards the same history, from the beginning or from anywhere in it
    const whole = await read(`${api.url}${pathOf(taskId)}`);
    expect(states(whole.events)).toEqual(states(events));
    expect(whole.headers.get('content-type')).toBe('text/event-stream; charset=utf-8');
    expect(whole.headers.get('cache-control')).toBe('no-store');
    expect(whole.headers.get('x-accel-buffering')).toBe('no');
    expect(whole.headers.get('content-encoding')).toBeNull();
    const [, second] = whole.events;
    const rest = await read(`${api.url}${pathOf(taskId)}?last_event_id=${second?.id}`);
    expect(rest.events).toEqual(whole.events.slice(2));
    const lastId = String(whole.events.at(-1)?.id);
    // the header is newer than the address when a browser connects again
    const over = await read(`${api.url}${pathOf(taskId)}?last_event_id=0`, { 'last-event-id': lastId });
    expect([over.status, over.events]).toEqual([204, []]);
  });

  it('are complete and without repeats while gateway and worker are killed, and over a retry', async () => {
    const first = gateways[0];
    if (!first) throw new Error('no gateway');
    const taskId = await submit();
    const { events, closed } = listen(`${first.url}${pathOf(taskId)}`);
    await running(taskId);
    await until('it is told', () => states(events).includes('running'));

    first.program.kill('SIGKILL');
    await first.program.ended;
    worker.kill('SIGKILL');
    await worker.ended;
    // what happens meanwhile is told afterwards
    worker = await service.startWorker();
    const other = restClient(gateways[1]?.url ?? '');
    endScan(taskId, 'aborted');
    await until('it is tried again', async () => {
      const { attempts, scanner_status } = await other.status(taskId);
      return attempts === 2 && scanner_status === 'running';
    });
    gateways[0] = await service.startGateway({ PORT: new URL(first.url).port });
    await other.call('POST', `/api/v1/scans/${taskId}/cancel`, {});
    await until('the client stops', closed);
    expectUnbroken(events);
    expect(states(events)).toEqual(['queued', 'running', 'queued', 'running', 'cancelled']);
    expect(events.some((event) => event.type === 'log' && event.data.code === 'scan_aborted')).toBe(true);

    await other.call('POST', `/api/v1/scans/${taskId}/retry`);
    const again = listen(`${first.url}${pathOf(taskId)}?last_event_id=${events.at(-1)?.id}`);
    await running(taskId);
    endScan(taskId);
    await until('the client stops again', again.closed);
    const all = [...events, ...again.events];
    expectUnbroken(all);
    expect(states(again.events)).toEqual(['queued', 'running', 'completed']);
  }, 240_000);

  it('go on at another gateway, wherever a client connects again', async () => {
    const taskId = await submit();
    let connections = 0;
    // each connection goes to the other gateway, and breaks after its first event
    const { events, closed } = listen(`${api.url}${pathOf(taskId)}`, {
      fetch: async (url, init) => {
        const { origin, pathname } = new URL(gateways[connections % 2]?.url + new URL(String(url)).pathname);
        connections += 1;
        const response = await fetch(`${origin}${pathname}`, init);
        if (!response.body) return response;
        const reader = response.body.getReader();
        let told = '';
        const body = new ReadableStream({
          async pull(controller) {
            const { done, value } = await reader.read();
            if (!done) controller.enqueue(value);
            told += Buffer.from(value ?? '').toString();
            if (!done && !/^data: /m.test(told)) return;
            controller.close();
            await reader.cancel();
          },
          cancel: () => reader.cancel(),
        });
        const { status, headers } = response;
        const broken = new Response(body, { status, headers });
        Object.defineProperty(broken, 'url', { value: response.url });
        return broken;
      },
    });
    await running(taskId);
    await until('it connected again', () => connections > 2);
    endScan(taskId);
    // two seconds between connections, each of which brings one event at least
    await until('the client stops', closed, 120_000);
    expect(connections).toBeGreaterThan(3);
    expectUnbroken(events);
    expect(states(events)).toEqual(['queued', 'running', 'completed']);
  }, 240_000);

  it('begin with a snapshot where those asked for are not kept any more', async () => {
    const taskId = await submit();
    await running(taskId);
    await redis.ltrim(keyOf(taskId), -2, -1);
    const follower = listen(`${api.url}${pathOf(taskId)}?last_event_id=1`);
    const fresh = listen(`${api.url}${pathOf(taskId)}`);
    const unknown = listen(`${api.url}${pathOf(taskId)}?last_event_id=of-another-service`);
    const clients = [follower, fresh, unknown];
    await until('all have one', () => clients.every(({ events }) => events.length > 0));
    endScan(taskId);
    await until('all stop', () => clients.every(({ closed }) => closed()));
    for (const { events } of clients) {
      expect(events[0]).toMatchObject({
        type: 'snapshot',
        data: { task_id: taskId, status: 'running', targets: '192.0.2.1' },
      });
      expect(events.filter(({ type }) => type === 'snapshot')).toHaveLength(1);
      expect(states(events)).toEqual(['completed']);
      expect(events.map(({ id }) => id)).toEqual([...events.map(({ id }) => id)].sort((a, b) => a - b));
    }

    // long after the end nothing is kept
    await redis.del(keyOf(taskId));
    const late = await read(`${api.url}${pathOf(taskId)}`);
    expect(late.events).toMatchObject([{ type: 'snapshot', data: { status: 'completed' } }]);
    const lastId = String(late.events[0]?.id);
    expect((await read(`${api.url}${pathOf(taskId)}`, { 'last-event-id': lastId })).status).toBe(204);
  });

  it('are refused before they begin for a task that does not exist, and for a bad question', async () => {
    const none = await api.call('GET', pathOf('ne_ness_20260101_000000_00000000'));
    expect(none.json()).toMatchObject({ status: 404, code: 'not_found', trace_id: expect.any(String) });
    expect(none.headers.get('content-type')).toContain('application/problem+json');
    const bad = await api.call('GET', `${pathOf(await submit())}?since=1`);
    expect(bad.json()).toMatchObject({ status: 400, code: 'invalid_request' });
  });

  it('reach many clients at once, of which those that go away or read nothing leave nothing behind', async () => {
    const gateway = await service.startGateway();
    const port = Number(new URL(gateway.url).port);
    const taskId = await submit();
    await running(taskId);
    const clients = Array.from({ length: 100 }, () => listen(`${gateway.url}${pathOf(taskId)}`));
    await until('all follow', () => clients.every(({ events }) => states(events).includes('running')));
    const open = async (): Promise<number> =>
      Number(
        /scanmq_event_streams (\d+)/.exec((await (await fetch(`${gateway.url}/metrics`)).text()) ?? '')?.[1],
      );
    expect(await open()).toBe(100);
    // one that connects and never reads
    const deaf = connect(port, '127.0.0.1');
    await once(deaf, 'connect');
    deaf.pause();
    deaf.write(`GET ${pathOf(taskId)} HTTP/1.1\r\nHost: 127.0.0.1:${port}\r\n\r\n`);
    await until('it follows too', async () => (await open()) === 101);
    deaf.destroy();
    for (const { source } of clients.slice(0, 60)) source.close();
    await until('they are forgotten', async () => (await open()) === 40);

    // a gateway that is stopped does not wait for streams
    gateway.program.kill('SIGTERM');
    expect(await gateway.program.ended).toEqual({ code: 0, signal: null });
    // they would last as long as the scan, which goes on
    expect((await api.status(taskId)).status).toBe('running');
    for (const { source } of clients) source.close();
    endScan(taskId);
  });
});
