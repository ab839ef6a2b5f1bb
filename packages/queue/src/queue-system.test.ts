import { randomBytes } from 'node:crypto';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it, jest } from '@jest/globals';
import { ScanmqError, type ScanRequest, scanRequestSchema, type TaskRecord } from '@scanmq/contract';
import { startLocalRedis } from '@scanmq/local-redis';
import { openTestQueue, type TestQueueOptions, until } from '@scanmq/testkit';
import { UnrecoverableError, Worker } from 'bullmq';
import { Redis } from 'ioredis';
import { NO_LIMITS, NotOwnerError, type QueueSystem } from './index.js';
import { rerunJob } from './retry.js';

const key = randomBytes(32);
let directory: string;
let queue: QueueSystem;

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'scanmq-queue-'));
  queue = await open();
  await queue.applyLimits([
    { pool: 'nessus', elsewhere: 0, instances: [{ instanceId: 'scanner1', limit: 2 }] },
  ]);
});

afterAll(async () => {
  await queue.close();
  await rm(directory, { recursive: true, force: true });
});

const open = async (options: TestQueueOptions = {}): Promise<QueueSystem> =>
  await openTestQueue({ directory, ...options, settings: { credentialsKey: key, ...options.settings } });
const at = (url: string) => ({
  url,
  sentinels: [],
  sentinelName: undefined,
  sentinelPassword: undefined,
  clusterNodes: [],
});

const request = (change: Partial<ScanRequest> = {}): ScanRequest =>
  scanRequestSchema.parse({ targets: '192.0.2.1', name: 'test', ...change });
const placement = { scannerType: 'nessus', pool: 'nessus', pinnedInstance: null };
const submit = (change: Partial<ScanRequest> = {}): Promise<{ task: TaskRecord; replay: boolean }> =>
  queue.submit(request(change), placement, { principal: 'tester' });

/** The copy of a new record is written beside the submission, not before its answer. */
const taskFile = (taskId: string): Promise<string> =>
  until('task.json is written', () => readFile(join(directory, taskId, 'task.json'), 'utf8'));

describe('a submission', () => {
  it('makes a record, a job of the same id, and a task.json', async () => {
    const { task, replay } = await submit();
    expect(replay).toBe(false);
    expect(await queue.tasks.get(task.task_id)).toEqual(task);
    expect((await queue.queues.forTask(task).getJob(task.task_id))?.data.task_id).toBe(task.task_id);
    const file = JSON.parse(await taskFile(task.task_id));
    expect(file).toMatchObject({ task_id: task.task_id, state: 'queued' });
  });

  it('is made once, however often one idempotency key comes at the same time', async () => {
    const answers = await Promise.all(Array.from({ length: 200 }, () => submit({ idempotency_key: 'once' })));
    expect(new Set(answers.map(({ task }) => task.task_id)).size).toBe(1);
    expect(answers.filter(({ replay }) => !replay)).toHaveLength(1);
  });

  it('is refused when its idempotency key was used for another request', async () => {
    await submit({ idempotency_key: 'mine' });
    await expect(submit({ idempotency_key: 'mine', targets: '192.0.2.2' })).rejects.toMatchObject({
      code: 'idempotency_conflict',
    });
  });

  it('keeps the keys of two principals apart', async () => {
    const { task } = await submit({ idempotency_key: 'shared' });
    const other = await queue.submit(request({ idempotency_key: 'shared' }), placement, {
      principal: 'another',
    });
    expect(other.task.task_id).not.toBe(task.task_id);
  });

  it('joins one that waits for the same only while its principal may scan the same as then', async () => {
    const scope = (...deny: string[]) => ({ allow: null, deny, max_hosts: null });
    const join = async (targetScope?: ReturnType<typeof scope>) =>
      await queue.submit(request({ coalesce: true }), placement, {
        principal: 'tester',
        ...(targetScope ? { targetScope } : {}),
      });
    const open = await join();
    const narrow = await join(scope('198.51.100.0/24'));
    expect([open.joined, narrow.joined]).toEqual([false, false]);
    expect(narrow.task.target_scope).toEqual(scope('198.51.100.0/24'));
    expect((await join(scope('198.51.100.0/24'))).task.task_id).toBe(narrow.task.task_id);
    expect((await join()).task.task_id).toBe(open.task.task_id);
    expect((await join(scope('203.0.113.0/24'))).joined).toBe(false);
  });

  it('gets its job from the sweep when the gateway crashed between record and job', async () => {
    const { task } = await submit();
    await queue.queues.forTask(task).remove(task.task_id);
    const later = new Date(Date.now() + 60_000);
    const old = { ...task, task_id: task.task_id };
    await queue.redis.hset(
      queue.keys.record(old.task_id),
      'created_at',
      JSON.stringify(new Date(later.getTime() - 120_000).toISOString()),
    );
    expect((await queue.sweep()).requeued).toContain(task.task_id);
    expect(await (await queue.queues.forTask(task).getJob(task.task_id))?.getState()).toBe('prioritized');
  });

  it('seals credentials so that nothing in Redis or on disk shows them', async () => {
    const canary = `canary-${randomBytes(8).toString('hex')}`;
    const { task } = await submit({ scan_type: 'authenticated', ssh_username: 'root', ssh_password: canary });
    // other test files use this Redis as well, each with prefixes like ours
    const notOfOthers = (key: string): boolean => key.includes(queue.prefix) || !/^t[0-9a-f]{8}\b/.test(key);
    for (const key of (await queue.redis.keys('*')).filter(notOfOthers)) {
      const type = await queue.redis.type(key);
      const text =
        type === 'hash'
          ? JSON.stringify(await queue.redis.hgetall(key))
          : type === 'string'
            ? await queue.redis.get(key)
            : type === 'stream'
              ? JSON.stringify(await queue.redis.xrange(key, '-', '+'))
              : '';
      expect(text).not.toContain(canary);
    }
    expect(await taskFile(task.task_id)).not.toContain(canary);
    expect(await queue.credentials.open(task.task_id)).toMatchObject({ ssh_password: canary });
    await queue.credentials.delete(task.task_id);
    expect(await queue.credentials.open(task.task_id)).toBeUndefined();
  });
});

describe('the state of a task', () => {
  it('changes only as the table allows', async () => {
    const { task } = await submit();
    await expect(queue.tasks.transition(task.task_id, 'completed', {})).rejects.toMatchObject({
      code: 'invalid_state',
    });
    await queue.tasks.transition(task.task_id, 'running', {});
    await queue.tasks.transition(task.task_id, 'completed', {});
    await expect(
      queue.tasks.transition(task.task_id, 'queued', {}, { cause: 'retry' }),
    ).rejects.toMatchObject({ code: 'invalid_state' });
  });

  it('is refused to a run that no longer owns the task', async () => {
    const { task } = await submit();
    const lock = { key: `${queue.prefix}:a-lock`, token: 'mine' };
    // whoever lost the lock of the job meanwhile does not take the task from the one who has it
    await expect(queue.tasks.beginRun(task.task_id, 'late', 1, lock)).rejects.toBeInstanceOf(NotOwnerError);
    await queue.redis.set(lock.key, 'another');
    await expect(queue.tasks.beginRun(task.task_id, 'late', 1, lock)).rejects.toBeInstanceOf(NotOwnerError);
    await queue.redis.set(lock.key, 'mine');
    expect(await queue.tasks.beginRun(task.task_id, 'first', 1, lock)).toEqual({ begun: true, crashes: 0 });
    expect(await queue.tasks.beginRun(task.task_id, 'second', 1, lock)).toEqual({ begun: true, crashes: 1 });
    await expect(
      queue.tasks.update(task.task_id, { progress: 5 }, { runToken: 'first' }),
    ).rejects.toBeInstanceOf(NotOwnerError);
    await queue.tasks.update(task.task_id, { progress: 5 }, { runToken: 'second' });
    expect((await queue.tasks.get(task.task_id)).progress).toBe(5);
  });
});

describe('binding', () => {
  const candidates = [
    { instanceKey: 'nessus:a', limit: 2 },
    { instanceKey: 'nessus:b', limit: 1 },
  ] as const;

  it('never exceeds a limit, takes the least loaded, keeps what is bound, and frees slots of ended tasks', async () => {
    const tasks = await Promise.all(Array.from({ length: 4 }, async () => (await submit()).task));
    const bound = [];
    for (const task of tasks) bound.push((await queue.bindings.bind(task, candidates, NO_LIMITS)).bound);
    expect(bound).toEqual(['nessus:a', 'nessus:b', 'nessus:a', undefined]);
    const [first, , , last] = tasks as [TaskRecord, TaskRecord, TaskRecord, TaskRecord];
    expect(await queue.bindings.bind(first, [candidates[1]], NO_LIMITS)).toEqual({ bound: 'nessus:a' });
    await queue.tasks.transition(first.task_id, 'cancelled', {});
    expect(await queue.bindings.bind(last, candidates, NO_LIMITS)).toEqual({ bound: 'nessus:a' });
    for (const task of tasks) await queue.bindings.release(task.task_id);
  });

  it('keeps the limits of principals and of target networks, and says which of them it was', async () => {
    const [first, second, third] = await Promise.all([0, 1, 2].map(async () => (await submit()).task));
    if (!first || !second || !third) throw new Error('no tasks');
    const many = [{ instanceKey: 'nessus:c', limit: 10 }] as const;
    const plant = [{ name: 'plant', max: 2 }];
    expect(await queue.bindings.bind(first, many, { ofPrincipal: 1, ofTargets: plant })).toMatchObject({
      bound: 'nessus:c',
    });
    expect(await queue.bindings.bind(second, many, { ofPrincipal: 1, ofTargets: plant })).toEqual({
      bound: undefined,
      because: 'principal',
      used: 1,
    });
    expect(await queue.bindings.bind(second, many, { ofPrincipal: 9, ofTargets: plant })).toMatchObject({
      bound: 'nessus:c',
    });
    expect(await queue.bindings.bind(third, many, { ofPrincipal: 9, ofTargets: plant })).toEqual({
      bound: undefined,
      because: 'target',
      limit: 'plant',
    });
    for (const task of [first, second, third]) await queue.bindings.release(task.task_id);
  });

  it('is given back only by whoever has the job in its hands, and taken by nobody who has ended', async () => {
    const { task } = await submit();
    const scans = queue.queues.forTask(task);
    const lock = { key: scans.toKey(`${task.task_id}:lock`), token: 'mine' };
    await queue.redis.set(lock.key, lock.token);
    const slot = async () => await queue.bindings.of(task.task_id);
    await queue.bindings.bind(task, candidates, NO_LIMITS);
    await queue.bindings.giveBack(task.task_id, { ...lock, token: 'of another' });
    expect(await slot()).toBe('nessus:a');
    await queue.bindings.giveBack(task.task_id, lock);
    expect(await slot()).toBeUndefined();
    await queue.tasks.transition(task.task_id, 'cancelled', {});
    expect(await queue.bindings.bind(task, candidates, NO_LIMITS)).toEqual({
      bound: undefined,
      because: 'full',
    });
    expect(await slot()).toBeUndefined();
    await queue.redis.del(lock.key);
  });

  it('counts a scan that was given up until it is settled', async () => {
    const { task } = await submit();
    const one = [{ instanceKey: 'nessus:d', limit: 1 }] as const;
    const given = {
      task_id: 'ne_ness_20261123_000000_00000000',
      instance_key: 'nessus:d',
      marker: '[scanmq ne_ness_20261123_000000_00000000]',
      scan_id: 7,
      at: new Date().toISOString(),
    };
    await queue.bindings.abandon(given);
    expect(await queue.bindings.bind(task, one, NO_LIMITS)).toMatchObject({
      bound: undefined,
      because: 'full',
    });
    expect((await queue.bindings.load()).get('nessus:d')).toBe(1);
    await queue.bindings.settle(given);
    expect(await queue.bindings.bind(task, one, NO_LIMITS)).toEqual({ bound: 'nessus:d' });
    await queue.bindings.release(task.task_id);
  });
});

describe('the queue', () => {
  it('tells positions in the order in which tasks are served', async () => {
    await queue.rememberDuration('nessus', 600_000);
    const low = (await submit({ priority: 'low' })).task;
    const high = (await submit({ priority: 'high' })).task;
    const [lowWait, highWait] = [await queue.waitOf(low, 2), await queue.waitOf(high, 2)];
    expect(highWait.position).toBe(1);
    expect(lowWait.position).toBeGreaterThan(1);
    expect(lowWait.minutes).toBeGreaterThan(0);
    const status = await queue.status('nessus', 2);
    expect(status.next_tasks[0]?.task_id).toBe(high.task_id);
    expect(status.queue_depth).toBe(lowWait.position);
  });

  it('cancels a task that its worker cancels in the same moment', async () => {
    const { task } = await submit();
    // the worker takes the job when the flag is set, and before we look at the job
    const looked = jest.spyOn(queue.queues.forTask(task), 'getJob').mockImplementationOnce(async (taskId) => {
      await queue.tasks.transition(taskId, 'cancelled', { completed_at: new Date().toISOString() });
      return undefined;
    });
    expect(await queue.cancel(task.task_id, { reason: '', by: 'tester', keepResults: false })).toMatchObject({
      status: 'cancelled',
      previous_status: 'queued',
    });
    looked.mockRestore();
    expect((await queue.tasks.get(task.task_id)).state).toBe('cancelled');
  });

  it('forgets a waiting task that is cancelled, and says so twice without an error', async () => {
    const { task } = await submit();
    expect(
      await queue.cancel(task.task_id, { reason: 'changed my mind', by: 'tester', keepResults: false }),
    ).toMatchObject({
      status: 'cancelled',
      previous_status: 'queued',
    });
    expect(await queue.queues.forTask(task).getJob(task.task_id)).toBeUndefined();
    expect(await queue.cancel(task.task_id, { reason: '', by: 'tester', keepResults: false })).toMatchObject({
      status: 'cancelled',
    });
    expect((await queue.tasks.get(task.task_id)).error?.message).toContain('changed my mind');
  });
});

describe('the order in which tasks are served', () => {
  const served = async (fresh: QueueSystem): Promise<string[]> => {
    const ids = await fresh.queues
      .forTask({ scanner_pool: 'nessus', pinned_instance: null, imported: null })
      .getJobs(['prioritized'], 0, -1, true);
    return await Promise.all(ids.map(async (job) => (await fresh.tasks.get(job?.id ?? '')).name));
  };

  it('gives each principal its share, whoever submitted first and how much; whoever comes new is not put behind', async () => {
    const fresh = await open();
    try {
      const put = async (principal: string, name: string, share: number) =>
        (await fresh.submit(request({ name }), placement, { principal, share })).task;
      const first = [];
      for (let n = 1; n <= 6; n += 1) first.push(await put('alice', `a${n}`, 2));
      for (let n = 1; n <= 3; n += 1) await put('bob', `b${n}`, 1);
      expect(await served(fresh)).toEqual(['a1', 'a2', 'b1', 'a3', 'a4', 'b2', 'a5', 'a6', 'b3']);
      // alice's fourth is being served when carol comes
      const fourth = first[3];
      if (!fourth) throw new Error('no task');
      await fresh.bindings.bind(fourth, [{ instanceKey: 'nessus:x', limit: 9 }], NO_LIMITS);
      await put('carol', 'c1', 1);
      expect((await served(fresh)).indexOf('c1')).toBe(6);
    } finally {
      await fresh.close();
    }
  });

  it('is by priority, and a task that waits long counts as a higher one', async () => {
    let now = new Date();
    const fresh = await open({ now: () => now });
    try {
      const put = async (name: string, priority: ScanRequest['priority']) =>
        (await fresh.submit(request({ name, priority }), placement, { principal: 'tester' })).task;
      const low = await put('low', 'low');
      await put('normal', 'normal');
      await put('high', 'high');
      expect(await served(fresh)).toEqual(['high', 'normal', 'low']);
      expect((await fresh.sweep()).aged).toEqual([]);
      // the first is an hour old, and then two; what comes then is new
      now = new Date(now.getTime() + 3_700_000);
      expect((await fresh.sweep()).aged).toContain(low.task_id);
      expect((await fresh.tasks.get(low.task_id)).effective_priority).toBe('normal');
      now = new Date(now.getTime() + 3_700_000);
      await fresh.sweep();
      await put('another', 'high');
      expect((await fresh.tasks.get(low.task_id)).effective_priority).toBe('high');
      expect(await served(fresh)).toEqual(['low', 'normal', 'high', 'another']);
      expect((await fresh.sweep()).aged).toEqual([]);
    } finally {
      await fresh.close();
    }
  });
});

describe('a task that its worker puts back to wait', () => {
  const waits = {
    kind: 'hold',
    reason: 'others come first',
    since: '',
    until: null,
    blocker: null,
  } as const;
  /** @param meanwhile while the job is in the hands of the worker, which looked at the task before. */
  async function putBack(meanwhile: (fresh: QueueSystem, taskId: TaskRecord['task_id']) => Promise<unknown>) {
    const fresh = await open();
    try {
      const { task } = await fresh.submit(request(), placement, { principal: 'tester' });
      const by = { at: new Date().toISOString(), by: 'tester' };
      await fresh.tasks.update(task.task_id, { pause_requested: by });
      const seen = await fresh.tasks.get(task.task_id);
      const scans = fresh.queues.forTask(task);
      const worker = new Worker(scans.name, null, { connection: fresh.redis, prefix: fresh.prefix });
      const job = await worker.getNextJob('token');
      await meanwhile(fresh, task.task_id);
      await job?.moveToDelayed(Date.now() + 60_000, 'token');
      await fresh.waitingRoom.enter(seen, waits);
      await worker.close();
      return {
        state: await scans.getJobState(task.task_id),
        waiting: await fresh.waitingRoom.count('nessus'),
      };
    } finally {
      await fresh.close();
    }
  }

  it('waits until it is called', async () => {
    expect(await putBack(async () => undefined)).toEqual({ state: 'delayed', waiting: 1 });
  });

  it.each<[string, Parameters<typeof putBack>[0]]>([
    ['cancelled', (fresh, id) => fresh.cancel(id, { reason: '', by: 'tester', keepResults: false })],
    ['resumed', (fresh, id) => fresh.resume(id)],
  ])('has its turn again at once when it was %s in that moment', async (_how, meanwhile) => {
    expect(await putBack(meanwhile)).toEqual({ state: 'prioritized', waiting: 0 });
  });
});

describe('the job of a dead letter', () => {
  it('runs again once, when two put it back in the same moment', async () => {
    const fresh = await open();
    try {
      const { task } = await fresh.submit(request(), placement, { principal: 'tester' });
      const scans = fresh.queues.forTask(task);
      const worker = new Worker(scans.name, null, { connection: fresh.redis, prefix: fresh.prefix });
      const job = await worker.getNextJob('token');
      await job?.moveToFailed(new UnrecoverableError('failed'), 'token', false);
      await worker.close();
      const both = await Promise.all([scans.getJob(task.task_id), scans.getJob(task.task_id)]);
      const outcomes = await Promise.all(both.map(async (one) => one && (await rerunJob(one))));
      expect(outcomes.sort()).toEqual([false, true]);
      expect(await scans.getJobState(task.task_id)).toBe('prioritized');
    } finally {
      await fresh.close();
    }
  });
});

describe('the list of tasks', () => {
  it('pages from the newest, each task once', async () => {
    const mine = await Promise.all(Array.from({ length: 7 }, () => submit({ targets: '198.51.100.0/28' })));
    const wanted = new Set<string>(mine.map(({ task }) => task.task_id));
    const seen: string[] = [];
    let cursor: string | undefined;
    do {
      const page = await queue.list({ limit: 3, target_filter: '198.51.100.5', cursor });
      seen.push(...page.tasks.map((task) => task.task_id));
      cursor = page.nextCursor ?? undefined;
    } while (cursor !== undefined);
    expect(seen).toHaveLength(wanted.size);
    expect(new Set(seen)).toEqual(wanted);
  });

  it('refuses a cursor that is not its own', async () => {
    await expect(queue.list({ limit: 3, cursor: 'bm9uc2Vuc2U' })).rejects.toBeInstanceOf(ScanmqError);
  });
});

describe('a Redis that would drop jobs', () => {
  it('is refused, with the reason', async () => {
    const redis = await startLocalRedis({});
    try {
      const client = new Redis(redis.url);
      await client.config('SET', 'maxmemory-policy', 'allkeys-lru');
      client.disconnect();
      await expect(open({ settings: { redis: at(redis.url) } })).rejects.toMatchObject({
        code: 'unavailable',
        message: expect.stringContaining('noeviction'),
      });
    } finally {
      await redis.stop();
    }
  });

  it('that does not answer is told with its address, in time', async () => {
    await expect(
      open({ settings: { redis: at('redis://127.0.0.1:1') }, connectWaitMs: 300 }),
    ).rejects.toMatchObject({
      code: 'unavailable',
      message: expect.stringContaining('127.0.0.1'),
    });
  });
});
