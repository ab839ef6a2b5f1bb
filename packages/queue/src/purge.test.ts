import { randomBytes } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { type ScanRequest, scanRequestSchema, type TaskRecord } from '@scanmq/contract';
import { openQueueSystem, type QueueSystem, reopenTask } from './index.js';

let directory: string;
let queue: QueueSystem;

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'scanmq-purge-'));
  queue = await openQueueSystem({
    role: 'worker',
    settings: {
      redis: {
        url: process.env.SCANMQ_TEST_REDIS_URL ?? '',
        sentinels: [],
        sentinelName: undefined,
        clusterNodes: [],
      },
      queuePrefix: `t${randomBytes(4).toString('hex')}`,
      dataDir: directory,
      maxAttempts: 1,
      idempotencyTtlMs: 3_600_000,
      scanTimeoutMs: 3_600_000,
      credentialsKey: randomBytes(32),
    },
    connectWaitMs: 5_000,
    onError: () => undefined,
    onWarning: () => undefined,
  });
});
afterAll(async () => {
  await queue.close();
  await rm(directory, { recursive: true, force: true });
});

/** A task that ended; its job, as it came, is still waiting unless it goes as well. */
async function ended(
  state: 'completed' | 'failed',
  change: Partial<ScanRequest> = {},
  withJob = false,
): Promise<TaskRecord> {
  const { task } = await queue.submit(
    scanRequestSchema.parse({ targets: '192.0.2.1', name: 'test', ...change }),
    { scannerType: 'nessus', pool: 'nessus', pinnedInstance: null },
    { principal: 'tester' },
  );
  await queue.tasks.transition(task.task_id, 'running', {});
  if (!withJob) await queue.queues.forTask(task).remove(task.task_id);
  return await queue.tasks.transition(task.task_id, state, {});
}
const keysOf = async (task: TaskRecord): Promise<string[]> => {
  const found: string[] = [];
  for (const key of await queue.redis.keys(`${queue.prefix}:*`)) {
    const type = await queue.redis.type(key);
    if (key.includes(task.task_id)) found.push(key);
    else if (type === 'zset' && (await queue.redis.zscore(key, task.task_id)) !== null) found.push(key);
    else if (type === 'hash' && JSON.stringify(await queue.redis.hgetall(key)).includes(task.task_id))
      found.push(key);
  }
  return found;
};

describe('a task that is removed', () => {
  it('leaves nothing in Redis but the entry in the log that says so', async () => {
    const task = await ended('completed', {
      scan_type: 'authenticated',
      ssh_username: 'root',
      ssh_password: 'secret',
      idempotency_key: 'one',
    });
    await queue.bindings.bind(task.task_id, [{ instanceKey: 'nessus:a', limit: 5 }]);
    // as after its life has passed
    await queue.redis.del(queue.keys.idempotency('tester', 'one'));
    expect((await keysOf(task)).length).toBeGreaterThan(3);
    expect((await queue.list({ limit: 10 })).total).toBe(1);
    const position = await queue.log.end();
    expect(await queue.purge.claim(task)).toBe('claimed');
    expect(await queue.purge.remove(task)).toBe(true);
    expect(await keysOf(task)).toEqual([]);
    expect(await queue.log.after(position, 10)).toMatchObject([{ taskId: task.task_id, state: 'removed' }]);
    expect((await queue.list({ limit: 10 })).total).toBe(0);
    // again, as after a crash
    expect(await queue.purge.claim(task)).toBe('gone');
    expect(await queue.purge.remove(task)).toBe(true);
  });

  it('goes with its job', async () => {
    const task = await ended('failed', {}, true);
    const jobs = queue.queues.forTask(task);
    // as a worker leaves it
    await queue.redis.zrem(jobs.toKey('prioritized'), task.task_id);
    await queue.redis.zadd(jobs.toKey('failed'), Date.now(), task.task_id);
    expect(await queue.purge.claim(task)).toBe('claimed');
    expect(await queue.purge.remove(task)).toBe(true);
    expect(await jobs.getJob(task.task_id)).toBeUndefined();
    expect(await keysOf(task)).toEqual([]);
  });

  it('can be finished by another process when the first was killed after any step', async () => {
    const task = await ended('failed');
    expect(await queue.purge.claim(task)).toBe('claimed');
    expect(await queue.purge.claim(task)).toBe('claimed');
    // no retry any more: its files may be gone
    await expect(reopenTask(queue.tasks, task)).rejects.toMatchObject({
      code: 'invalid_state',
      message: expect.stringContaining('being removed'),
    });
    await expect(queue.tasks.amend(task.task_id, { scanner_scan: 'deleted' })).rejects.toMatchObject({
      code: 'invalid_state',
    });
    expect(await queue.purge.remove(task)).toBe(true);
    expect(await queue.tasks.find(task.task_id)).toBeUndefined();
  });
});

describe('a task is not removed', () => {
  it('when it was retried, or never claimed', async () => {
    const task = await ended('failed');
    expect(await queue.purge.remove(task)).toBe(false);
    const retried = await reopenTask(queue.tasks, task);
    expect(await queue.purge.claim(task)).toBe('retried');
    expect(await queue.purge.remove(task)).toBe(false);
    expect(await queue.tasks.get(task.task_id)).toEqual(retried);
  });

  it('when somebody has just retried its job', async () => {
    // the job waits again; no worker has looked at the record yet
    const task = await ended('failed', {}, true);
    expect(await queue.purge.claim(task)).toBe('retried');
    expect((await reopenTask(queue.tasks, task)).state).toBe('queued');
  });

  it('while its idempotency key lives', async () => {
    const task = await ended('completed', { idempotency_key: 'alive' });
    expect(await queue.purge.claim(task)).toBe('remembered');
    expect(await queue.tasks.get(task.task_id)).toEqual(task);
  });
});
