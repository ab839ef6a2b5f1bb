import { randomBytes } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { LIMITS, type ProgressEvent, scanRequestSchema, type TaskEvent } from '@scanmq/contract';
import { openTestQueue } from '@scanmq/testkit';
import type { ChangeMessage, QueueSystem } from './index.js';

let directory: string;
let queue: QueueSystem;

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'scanmq-queue-'));
  queue = await openTestQueue({ directory, settings: { credentialsKey: randomBytes(32) } });
});

afterAll(async () => {
  await queue.close();
  await rm(directory, { recursive: true, force: true });
});

async function submit(): Promise<string> {
  const request = scanRequestSchema.parse({ targets: '192.0.2.1', name: 'test' });
  const placement = { scannerType: 'nessus', pool: 'nessus', pinnedInstance: null };
  return (await queue.submit(request, placement, { principal: 'tester' })).task.task_id;
}

async function eventsOf(taskId: string, after = 0): Promise<readonly TaskEvent[]> {
  return (await queue.events.after(taskId, after))?.events ?? [];
}

const progress = (percent: number): Omit<ProgressEvent, 'at'> => ({
  progress: percent,
  scanner_status: 'running',
  hosts_seen: 0,
  hosts_done: 0,
  hosts: [],
  hosts_omitted: 0,
});
const inShort = (events: readonly TaskEvent[]): unknown[] =>
  events.map(({ id, type, data }) => [
    id,
    type === 'state' ? data.status : type === 'log' ? data.message : data.progress,
  ]);

describe('the events of a task', () => {
  it('tell each state with what belongs to it, from its submission on', async () => {
    const taskId = await submit();
    await queue.tasks.transition(taskId, 'running', { attempts: 1, scanner_instance: 'scanner1' });
    await queue.tasks.transition(
      taskId,
      'failed',
      { error: { code: 'scan_aborted', message: 'It was aborted.', retryable: true } },
      { news: [{ type: 'log', message: 'Failed.', code: 'scan_aborted' }] },
    );
    const at = expect.any(String);
    expect(await eventsOf(taskId)).toEqual([
      {
        id: 1,
        type: 'state',
        data: {
          at,
          status: 'queued',
          previous_status: null,
          attempts: 0,
          progress: 0,
          scanner_instance: null,
          error: null,
        },
      },
      {
        id: 2,
        type: 'state',
        data: expect.objectContaining({
          status: 'running',
          previous_status: 'queued',
          attempts: 1,
          scanner_instance: 'scanner1',
        }),
      },
      { id: 3, type: 'log', data: { at, message: 'Failed.', code: 'scan_aborted' } },
      {
        id: 4,
        type: 'state',
        data: expect.objectContaining({
          status: 'failed',
          previous_status: 'running',
          error: { code: 'scan_aborted', message: 'It was aborted.', retryable: true },
        }),
      },
    ]);
    expect(inShort(await eventsOf(taskId, 2))).toEqual([
      [3, 'Failed.'],
      [4, 'failed'],
    ]);
  });

  it('are neither written nor counted by a change that is refused', async () => {
    const taskId = await submit();
    const news = [{ type: 'log', message: 'No.' }] as const;
    await expect(queue.tasks.transition(taskId, 'completed', {}, { news })).rejects.toMatchObject({
      code: 'invalid_state',
    });
    await expect(queue.tasks.update(taskId, {}, { runToken: 'another', news })).rejects.toThrow('owns');
    await queue.tasks.tell(taskId, news[0], { runToken: 'another' });
    expect(inShort(await eventsOf(taskId))).toEqual([[1, 'queued']]);
    expect((await queue.tasks.withPosition(taskId))?.position).toBe(1);
  });

  it('keep of progress only the newest, and its place among the others', async () => {
    const taskId = await submit();
    await queue.tasks.transition(taskId, 'running', {});
    for (const percent of [1, 2, 3])
      await queue.tasks.update(
        taskId,
        { progress: percent },
        { news: [{ type: 'progress', progress: progress(percent) }] },
      );
    await queue.tasks.tell(taskId, { type: 'log', message: 'Something.' });
    await queue.tasks.update(taskId, {}, { news: [{ type: 'progress', progress: progress(4) }] });
    const expected = [
      [1, 'queued'],
      [2, 'running'],
      [5, 3],
      [6, 'Something.'],
      [7, 4],
    ];
    expect(inShort(await eventsOf(taskId))).toEqual(expected);
    // whoever has seen one that is gone by now goes on after it
    const page = await queue.events.after(taskId, 3);
    expect(page?.reaches(3)).toBe(true);
    expect(inShort(page?.events ?? [])).toEqual(expected.slice(2));
  });

  it('are bounded; whoever is further behind than they reach is told so', async () => {
    const taskId = await submit();
    for (let line = 0; line < LIMITS.taskEvents + 10; line += 1)
      await queue.tasks.tell(taskId, { type: 'log', message: `Line ${line}.` });
    const page = await queue.events.after(taskId, 0);
    expect(page?.events).toHaveLength(LIMITS.taskEvents);
    expect(page?.newest).toBe(LIMITS.taskEvents + 11);
    expect([0, 10, 11, page?.newest ?? 0].map((id) => page?.reaches(id))).toEqual([false, false, true, true]);
    // an id of the future was never given
    expect(page?.reaches((page?.newest ?? 0) + 1)).toBe(false);
  });

  it('go some time after the end, and never while the task lives', async () => {
    const taskId = await submit();
    const ttl = () => queue.redis.pttl(queue.keys.events(taskId));
    expect(await ttl()).toBe(-1);
    await queue.tasks.transition(taskId, 'failed', {
      error: { code: 'internal', message: 'Failed.', retryable: false },
    });
    await queue.tasks.tell(taskId, { type: 'log', message: 'Afterwards.' });
    expect(await ttl()).toBeGreaterThan(LIMITS.endedTaskEventsMs - 60_000);
    await queue.retry(taskId);
    expect(await ttl()).toBe(-1);
    expect(inShort(await eventsOf(taskId)).at(-1)).toEqual([5, 'queued']);
  });

  it('count on where they have gone in between', async () => {
    const taskId = await submit();
    await queue.tasks.transition(taskId, 'cancelled', {});
    await queue.redis.del(queue.keys.events(taskId));
    const page = await queue.events.after(taskId, 1);
    expect(page).toMatchObject({ events: [], newest: 2, state: 'cancelled' });
    expect([page?.reaches(1), page?.reaches(2)]).toEqual([false, true]);
    await queue.retry(taskId);
    expect(inShort(await eventsOf(taskId))).toEqual([
      [3, expect.any(String)],
      [4, 'queued'],
    ]);
  });

  it('go with their task', async () => {
    const taskId = await submit();
    await queue.cancel(taskId, { reason: '', by: 'tester', keepResults: false });
    await queue.purge(taskId);
    expect(await queue.redis.exists(queue.keys.events(taskId))).toBe(0);
    expect(await queue.events.after(taskId, 0)).toBeUndefined();
    await queue.tasks.tell(taskId, { type: 'log', message: 'Too late.' });
    expect(await queue.redis.exists(queue.keys.events(taskId), queue.keys.record(taskId))).toBe(0);
  });

  it('are announced, changes of state apart from all others, on one connection', async () => {
    const all: ChangeMessage[] = [];
    const changes: ChangeMessage[] = [];
    const connections = async (): Promise<number> =>
      (await queue.redis.pubsub('NUMSUB', queue.keys.changes))[1] as number;
    const stopAll = await queue.listenEvents((message) => all.push(message));
    const stopChanges = await queue.listenChanges((message) => changes.push(message));
    expect(await connections()).toBe(1);
    const taskId = await submit();
    await queue.tasks.tell(taskId, { type: 'log', message: 'Something.' });
    const marker = await submit();
    // messages come in order: with that of the last step all others are here
    await new Promise<void>((resolve) => {
      const look = (): void => {
        if (all.some((message) => message.task_id === marker)) resolve();
        else setTimeout(look, 5);
      };
      look();
    });
    const own = (message: ChangeMessage): boolean => message.task_id === taskId;
    expect(all.filter(own)).toEqual([
      { task_id: taskId, event: 1, state: 'queued', changed: true },
      { task_id: taskId, event: 2, state: 'queued', changed: false },
    ]);
    expect(changes.filter(own)).toHaveLength(1);
    stopAll();
    stopChanges();
  });
});
