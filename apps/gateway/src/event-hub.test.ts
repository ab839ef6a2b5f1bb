import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { type AddressInfo, connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, jest } from '@jest/globals';
import { LIMITS, scanRequestSchema } from '@scanmq/contract';
import { createLogger } from '@scanmq/observability';
import type { QueueSystem } from '@scanmq/queue';
import { openTestQueue, until } from '@scanmq/testkit';
import Fastify from 'fastify';
import { createEventHub, type EventHub, type SentEvent } from './event-hub.js';
import { installCompilers } from './openapi/compilers.js';
import { eventRoutes } from './routes/events.js';

/** Everything but intervals: the hub looks now and then of its own accord, here only when a test says so. */
const REAL = [
  'Date',
  'hrtime',
  'nextTick',
  'performance',
  'queueMicrotask',
  'setImmediate',
  'clearImmediate',
  'setTimeout',
  'clearTimeout',
] as const;
/** So long that the hub looks by itself, and beats. */
const passTime = (): void => void jest.advanceTimersByTime(LIMITS.eventHeartbeatMs);

let directory: string;
let queue: QueueSystem;
let hub: EventHub;
/** Tasks that the hub looked at, one for each look. */
let looks: string[];
/** Called when a look has its page, before the hub has it. */
let onLook: () => void;

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'scanmq-hub-'));
  queue = await openTestQueue({ role: 'gateway', directory, settings: { credentialsKey: randomBytes(32) } });
});
afterAll(async () => {
  await queue.close();
  await rm(directory, { recursive: true, force: true });
});
beforeEach(async () => {
  jest.useFakeTimers({ doNotFake: [...REAL] });
  looks = [];
  onLook = () => undefined;
  const events: QueueSystem['events'] = {
    after: async (taskId, id) => {
      looks.push(taskId);
      const page = await queue.events.after(taskId, id);
      onLook();
      return page;
    },
  };
  hub = await createEventHub({
    queue: { ...queue, events },
    describe: async (task) => ({ task_id: task.task_id, status: task.state }),
    log: createLogger({ name: 'test', level: 'silent' }),
  });
});
afterEach(() => {
  hub.close();
  jest.useRealTimers();
});

async function submit(): Promise<string> {
  const request = scanRequestSchema.parse({ targets: '192.0.2.1', name: 'test' });
  const placement = { scannerType: 'nessus', pool: 'nessus', pinnedInstance: null };
  return (await queue.submit(request, placement, { principal: 'tester' })).task.task_id;
}

function follow(taskId: string, lastId?: number) {
  const told: SentEvent[] = [];
  let ended = false;
  let stop = (): void => {};
  stop = hub.follow(taskId, lastId, {
    send: (event) => told.push(event),
    beat: () => undefined,
    end: () => {
      ended = true;
      stop();
    },
  });
  return { told, stop: () => stop(), ended: () => ended };
}

const line = (message: string) => ({ type: 'log', message }) as const;

describe('those who follow a task', () => {
  it('cost one look for whatever happens to it, however many they are', async () => {
    const taskId = await submit();
    const followers = Array.from({ length: 50 }, () => follow(taskId));
    await until('all have the beginning', () => followers.every(({ told }) => told.length === 1));
    looks.length = 0;
    await queue.tasks.tell(taskId, line('Something.'));
    await until('all are told', () => followers.every(({ told }) => told.length === 2));
    expect(looks).toEqual([taskId]);
    // nobody follows the other
    const other = await submit();
    for (const { stop } of followers) stop();
    expect([hub.topics, hub.streams]).toEqual([0, 0]);
    await queue.tasks.tell(taskId, line('Nobody hears it.'));
    expect(looks).not.toContain(other);
  });

  it('are told from the beginning also when they come while others are looked after', async () => {
    const taskId = await submit();
    const first = follow(taskId);
    await until('the first has the beginning', () => first.told.length === 1);
    let late: ReturnType<typeof follow> | undefined;
    onLook = () => {
      late ??= follow(taskId);
    };
    await queue.tasks.tell(taskId, line('Something.'));
    await until('both are told', () => first.told.length === 2 && late?.told.length === 2);
    expect(late?.told.map(({ id, type }) => [id, type])).toEqual([
      [1, 'state'],
      [2, 'log'],
    ]);
  });

  it('are told what no message announced', async () => {
    const taskId = await submit();
    const { told } = follow(taskId);
    await until('it has the beginning', () => told.length === 1);
    // as when the subscription was broken in that moment
    const event = '[2,"log",{"at":"2026-01-01T00:00:00.000Z","message":"Unheard.","code":null}]';
    await queue.redis
      .multi()
      .rpush(queue.keys.events(taskId), event)
      .hset(queue.keys.record(taskId), 'events', 2)
      .exec();
    passTime();
    await until('it is told', () => told.length === 2);
    expect(told[1]).toMatchObject({ id: 2, data: expect.stringContaining('Unheard.') });
  });

  it('are let go when the task ends, is gone, or the gateway closes', async () => {
    const [ends, goes, stays] = [await submit(), await submit(), await submit()];
    const followers = [follow(ends), follow(goes), follow(stays)];
    await until('all have the beginning', () => followers.every(({ told }) => told.length === 1));
    await queue.cancel(ends, { reason: '', by: 'tester', keepResults: false });
    await queue.redis.del(queue.keys.record(goes), queue.keys.events(goes));
    passTime();
    await until('two are let go', () => followers.filter(({ ended }) => ended()).length === 2);
    hub.close();
    expect(followers.map(({ ended }) => ended())).toEqual([true, true, true]);
    expect(follow(stays).ended()).toBe(true);
    expect(hub.streams).toBe(0);
  });

  it('are let go when they do not read, before much is kept for them', async () => {
    const app = Fastify();
    installCompilers(app);
    eventRoutes(app, () => ({ events: hub }));
    await app.listen({ host: '127.0.0.1', port: 0 });
    const { port } = app.server.address() as AddressInfo;
    const taskId = await submit();
    const deaf = connect(port, '127.0.0.1');
    await once(deaf, 'connect');
    deaf.on('error', () => undefined);
    deaf.pause();
    deaf.write(`GET /scans/${taskId}/events HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n`);
    await until('it follows', () => hub.streams === 1);
    // more than the buffers of the operating system take
    const long = line('x'.repeat(200_000));
    for (let lines = 0; lines < 150 && hub.streams === 1; lines += 1) await queue.tasks.tell(taskId, long);
    await until('it is let go', () => hub.streams === 0);
    deaf.destroy();
    await app.close();
  });
});
