import { randomBytes } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import { newTaskId, type TaskState } from '@scanmq/contract';
import { createDirectoryStore } from '@scanmq/store';
import { Redis } from 'ioredis';
import { newTask } from './create-task.js';
import { createKeys } from './keys.js';
import { createTaskIndex, type TaskIndex } from './task-index.js';
import { createTaskLog, type TaskLog } from './task-log.js';
import { createTaskStore, type TaskStore } from './task-store.js';

let redis: Redis;
let directory: string;
const made: string[] = [];

beforeAll(async () => {
  redis = new Redis(process.env.SCANMQ_TEST_REDIS_URL ?? '');
  directory = await mkdtemp(join(tmpdir(), 'scanmq-index-'));
});
afterEach(async () => {
  for (const prefix of made.splice(0)) {
    const keys = await redis.keys(`${prefix}:*`);
    if (keys.length > 0) await redis.del(...keys);
  }
});
afterAll(async () => {
  redis.disconnect();
  await rm(directory, { recursive: true, force: true });
});

interface Place {
  readonly tasks: TaskStore;
  readonly log: TaskLog;
  readonly logKey: string;
  /** As another process would have it. */
  openIndex(): TaskIndex;
  submit(targets?: string): Promise<string>;
  move(taskId: string, ...states: TaskState[]): Promise<void>;
}

function place(): Place {
  const prefix = `t${randomBytes(4).toString('hex')}`;
  made.push(prefix);
  const keys = createKeys(prefix);
  const tasks = createTaskStore({
    redis,
    keys,
    store: createDirectoryStore(directory),
    onFileError: () => undefined,
  });
  const log = createTaskLog(redis, keys);
  return {
    tasks,
    log,
    logKey: keys.log,
    openIndex: () => createTaskIndex({ redis, keys, log }),
    async submit(targets = '192.0.2.1') {
      const now = new Date();
      const task = newTask({
        task_id: newTaskId('nessus', now),
        trace_id: '0'.repeat(32),
        scan_type: 'untrusted',
        scanner_type: 'nessus',
        scanner_pool: 'nessus',
        pinned_instance: null,
        targets,
        name: 'test',
        description: '',
        schema_profile: 'brief',
        template: 'basic',
        priority: 'normal',
        timeout_ms: 1_000,
        has_credentials: false,
        principal: 'tester',
        idempotency_key: null,
        request_hash: '',
        created_at: now.toISOString(),
        checkpoint: null,
        imported: null,
      });
      await tasks.create(task, {
        idempotencyTtlMs: 0,
        sealedCredentials: undefined,
        share: 1,
        coalesce: false,
      });
      return task.task_id;
    },
    async move(taskId, ...states) {
      for (const state of states) await tasks.transition(taskId, state, {});
    },
  };
}

const idsOf = async (index: TaskIndex, state?: TaskState): Promise<string[]> =>
  (await index.query({ limit: 100, state })).rows.map((row) => row.taskId).sort();

describe('the change log', () => {
  it('has each state of each task once, in order, and nothing for other changes', async () => {
    const { log, tasks, submit, move } = place();
    const before = await log.end();
    expect(await log.after(before, 10)).toEqual([]);
    const task = await submit();
    await move(task, 'running');
    await tasks.update(task, { progress: 50 });
    await move(task, 'completed');
    await expect(move(task, 'queued')).rejects.toThrow('cannot become');
    const entries = await log.after(before, 10);
    expect(entries?.map(({ taskId, state }) => [taskId, state])).toEqual([
      [task, 'queued'],
      [task, 'running'],
      [task, 'completed'],
    ]);
    expect(await log.end()).toBe(entries?.at(-1)?.position);
    expect((await log.after(entries?.[0]?.position ?? '', 1))?.map(({ state }) => state)).toEqual([
      'running',
    ]);
  });

  it('says that it does not reach back far enough', async () => {
    const { log, logKey, submit } = place();
    await submit();
    const position = await log.end();
    await submit();
    await redis.xtrim(logKey, 'MAXLEN', 1);
    expect(await log.after(position, 10)).toBeUndefined();
    await redis.del(logKey);
    expect(await log.after(position, 10)).toBeUndefined();
  });
});

describe('the index of tasks', () => {
  it('finds what any process submitted or changed before the question', async () => {
    const { openIndex, submit, move } = place();
    const [one, other] = [openIndex(), openIndex()];
    const first = await submit();
    expect(await idsOf(one)).toEqual([first]);
    expect(await idsOf(other)).toEqual([first]);
    for (let round = 0; round < 20; round += 1) {
      const task = await submit();
      const [here, there] = await Promise.all([idsOf(one, 'queued'), idsOf(other, 'queued')]);
      expect(here).toContain(task);
      expect(there).toContain(task);
      await move(task, 'running', 'completed');
      expect(await idsOf(other, 'queued')).toEqual([first]);
      expect(await idsOf(other, 'completed')).toContain(task);
    }
    expect([one.builds, other.builds]).toEqual([1, 1]);
  });

  it('is built once for many who ask at the same time, and none of them misses what came before', async () => {
    const { openIndex, submit } = place();
    const index = openIndex();
    const answers = await Promise.all(
      Array.from({ length: 60 }, async () => {
        const task = await submit();
        return (await idsOf(index)).includes(task);
      }),
    );
    expect(answers.every(Boolean)).toBe(true);
    expect(index.builds).toBe(1);
  });

  it('is built anew when the log was trimmed beyond its place', async () => {
    const { openIndex, logKey, submit, move } = place();
    const index = openIndex();
    const tasks = [await submit(), await submit()];
    expect(await idsOf(index)).toEqual([...tasks].sort());
    await move(tasks[0] ?? '', 'running');
    tasks.push(await submit());
    await redis.xtrim(logKey, 'MAXLEN', 1);
    expect(await idsOf(index, 'queued')).toEqual(tasks.slice(1).sort());
    expect(index.builds).toBe(2);
    // and goes on from there
    await move(tasks[1] ?? '', 'cancelled');
    expect(await idsOf(index, 'queued')).toEqual([tasks[2]]);
    expect(index.builds).toBe(2);
  });

  it('learns the targets of an import when it was read', async () => {
    const { openIndex, tasks, submit, move } = place();
    const index = openIndex();
    const task = await submit('');
    await move(task, 'running');
    expect((await index.query({ limit: 1 })).total).toBe(1);
    await tasks.transition(task, 'completed', { targets: '10.1.2.3,web.example' });
    const target = { kind: 'name', text: 'web.example' } as const;
    expect((await index.query({ limit: 1, target, state: 'completed' })).total).toBe(1);
  });

  it('asks again after Redis failed', async () => {
    const { openIndex, logKey, submit } = place();
    const task = await submit();
    const index = openIndex();
    await redis.rename(logKey, `${logKey}.away`);
    await redis.set(logKey, 'no stream');
    await expect(idsOf(index)).rejects.toThrow('WRONGTYPE');
    await redis.rename(`${logKey}.away`, logKey);
    expect(await idsOf(index)).toEqual([task]);
  });
});
