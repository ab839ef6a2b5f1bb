import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { createScheduleSchema, type Overlap } from '@scanmq/contract';
import { createLogger, NO_METER, NO_TRACING } from '@scanmq/observability';
import { type DueRun, type QueueSystem, scheduleRunKey } from '@scanmq/queue';
import { createScannerRegistry } from '@scanmq/scanners';
import { openTestQueue, testScanners, until } from '@scanmq/testkit';
import { Worker } from 'bullmq';
import { runSchedule, runScheduleJob, type ScheduleDeps } from './run-schedule.js';
import { createTargetPolicy } from './target-policy.js';

let directory: string;
let queue: QueueSystem;
let deps: ScheduleDeps;
let lines: string[];

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'scanmq-schedule-'));
  lines = [];
  queue = await openTestQueue({
    directory,
    // short: the key of a run has to live longer than that
    settings: { idempotencyTtlMs: 1 },
  });
  deps = {
    queue,
    registry: createScannerRegistry(testScanners('one')),
    monitor: { ensureKnown: async () => undefined },
    policy: denying('203.0.113.0/24'),
    meter: NO_METER,
    tracing: NO_TRACING,
    log: createLogger({
      name: 'test',
      level: 'info',
      pretty: false,
      destination: { write: (line) => lines.push(line) },
    }),
    now: () => new Date(),
  };
});

afterEach(async () => {
  await queue.close();
  await rm(directory, { recursive: true, force: true });
});

const denying = (network: string) =>
  createTargetPolicy({
    targetsAllow: [],
    targetsDeny: [network],
    targetsDenyDefaults: true,
    maxHostsPerScan: 0,
    dnsServers: [],
  });

async function create(overlap: Overlap, targets = '192.0.2.1'): Promise<string> {
  const wanted = createScheduleSchema.parse({
    request: { targets, name: 'nightly' },
    every_minutes: 60,
    overlap,
  });
  return (await queue.schedules.create({ ...wanted, principal: 'owner' })).schedule_id;
}
const due = (scheduleId: string, number: number): DueRun => ({
  scheduleId,
  dueMs: number * 1_000,
  run: `run ${number}`,
});
const tasks = async () => (await queue.list({ limit: 100 })).tasks;
const run = (run: DueRun, changes: Partial<ScheduleDeps> = {}) =>
  runSchedule({ ...deps, ...changes }, run, false);

/** The service with a note that never arrives: the worker dies right before it. */
const dyingBeforeTheNote = (): Partial<ScheduleDeps> => ({
  queue: {
    ...queue,
    scheduleRuns: {
      ...queue.scheduleRuns,
      note: async () => {
        throw new Error('killed');
      },
    },
  },
});

describe('a run of a schedule', () => {
  it('submits the scan in the name of its owner, with a key that no other run has', async () => {
    const id = await create('skip');
    expect(await run(due(id, 1))).toMatchObject({ outcome: 'submitted' });
    const [task] = await tasks();
    expect(task).toMatchObject({
      principal: 'owner',
      targets: '192.0.2.1',
      idempotency_key: scheduleRunKey(due(id, 1)),
    });
    expect(await queue.schedules.get(id)).toMatchObject({ runs: 1, last_task_id: task?.task_id });
  });

  it.each(['skip', 'queue', 'replace'] as const)(
    'with overlap %s submits once, though its worker is killed right after the submission',
    async (overlap) => {
      const id = await create(overlap);
      await expect(run(due(id, 1), dyingBeforeTheNote())).rejects.toThrow('killed');
      // somebody asks for a run meanwhile: that one is the last now
      const other = await queue.submit(
        { ...(await queue.schedules.get(id)).request },
        { scannerType: 'nessus', pool: 'nessus', pinnedInstance: null },
        { principal: 'owner' },
      );
      await queue.scheduleRuns.note(
        { scheduleId: id, run: 'now' },
        { outcome: 'submitted', at: new Date().toISOString(), task_id: other.task.task_id },
      );
      expect(await run(due(id, 1))).toMatchObject({ outcome: 'submitted' });
      expect(await run(due(id, 1))).toMatchObject({ outcome: 'not_run' });
      expect((await tasks()).map((task) => task.state)).toEqual(['queued', 'queued']);
      expect(await queue.schedules.get(id)).toMatchObject({ runs: 2, skips: 0 });
    },
  );

  it('that was submitted is counted, though the schedule was paused before that was noted', async () => {
    const id = await create('skip');
    await expect(run(due(id, 1), dyingBeforeTheNote())).rejects.toThrow('killed');
    await queue.schedules.setPaused(id, true);
    expect(await run(due(id, 1))).toMatchObject({ outcome: 'submitted' });
    expect(await run(due(id, 2))).toMatchObject({ outcome: 'not_run' });
    expect(await tasks()).toHaveLength(1);
  });

  it('that comes after a later one submits nothing', async () => {
    const id = await create('queue');
    await run(due(id, 5));
    expect(await run(due(id, 4))).toMatchObject({ outcome: 'not_run' });
    expect(await tasks()).toHaveLength(1);
  });

  it('of a schedule that is gone lets no further job be made', async () => {
    const id = await create('skip');
    await queue.redis.del(queue.keys.schedule(id));
    expect(await run(due(id, 1))).toMatchObject({ outcome: 'not_run' });
    expect(await queue.queues.schedules.getJobSchedulersCount()).toBe(0);
  });
});

describe('a run that is due while another of its schedule is being decided', () => {
  it('waits for it', async () => {
    const id = await create('skip');
    const schedule = await queue.schedules.get(id);
    const other = { ...due(id, 1), dueMs: Date.parse(schedule.created_at) };
    expect(await queue.scheduleRuns.begin(other)).toBe('begun');
    const begun: (string | undefined)[] = [];
    const worker = new Worker(
      queue.queues.schedules.name,
      (job, token) => {
        if (begun.push(job.id) > 1) return runScheduleJob(deps, job, token);
        const first = runScheduleJob(deps, job, token);
        return first.finally(() =>
          queue.scheduleRuns.note(other, { outcome: 'skipped', at: schedule.created_at, reason: 'test' }),
        );
      },
      { connection: queue.redis, prefix: queue.prefix },
    );
    try {
      // its time comes now, and that of the next one in two hours: however long this takes, no other is due
      const [next] = await queue.queues.schedules.getDelayed();
      await next?.promote();
      const key = scheduleRunKey({ scheduleId: id, run: schedule.next_run_at ?? '' });
      const submitted = await until('it is submitted', async () => {
        const all = await tasks();
        return all.length > 0 && all;
      });
      expect(submitted.map((task) => task.idempotency_key)).toEqual([key]);
      expect(begun).toEqual([begun[0], begun[0]]);
    } finally {
      await worker.close();
    }
  });
});

describe('a run that is due before the scan of the one before has ended', () => {
  it('is skipped and counted, and the first one after the end is not', async () => {
    const id = await create('skip');
    await run(due(id, 1));
    const [task] = await tasks();
    expect(await run(due(id, 2))).toMatchObject({
      outcome: 'skipped',
      reason: expect.stringContaining(task?.task_id ?? ''),
    });
    await queue.cancel(task?.task_id ?? '', { reason: '', by: 'tester', keepResults: false });
    expect(await run(due(id, 3))).toMatchObject({ outcome: 'submitted' });
    expect(await queue.schedules.get(id)).toMatchObject({ runs: 2, skips: 1 });
  });

  it('is submitted as well, when that is wanted', async () => {
    const id = await create('queue');
    for (const number of [1, 2, 3]) await run(due(id, number));
    expect((await tasks()).map((task) => task.state)).toEqual(['queued', 'queued', 'queued']);
  });

  it('takes its place, when that is wanted, but not when it is refused itself', async () => {
    const id = await create('replace');
    const first = await run(due(id, 1));
    const second = await run(due(id, 2));
    if (first === 'busy' || first.outcome !== 'submitted' || second === 'busy') throw new Error('not run');
    expect((await queue.tasks.get(first.task_id)).error?.message).toContain(id);
    expect(second.outcome).toBe('submitted');

    const policy = denying('192.0.2.0/24');
    expect(await run(due(id, 3), { policy })).toMatchObject({ outcome: 'refused', code: 'target_refused' });
    // made in the same millisecond, they come in any order
    expect((await tasks()).map((task) => task.state).sort()).toEqual(['cancelled', 'queued']);
  });
});

describe('a run that is refused', () => {
  it('says why in the schedule and in the log, and is not tried again', async () => {
    const id = await create('skip', '203.0.113.7');
    expect(await run(due(id, 1))).toMatchObject({ outcome: 'refused', code: 'target_refused' });
    expect(await queue.schedules.get(id)).toMatchObject({
      runs: 0,
      refusals: 1,
      last_outcome: {
        outcome: 'refused',
        code: 'target_refused',
        message: expect.stringContaining('203.0.113.7'),
      },
    });
    expect(lines.map((line) => JSON.parse(line))).toContainEqual(
      expect.objectContaining({ event: 'schedule.refused', schedule_id: id, code: 'target_refused' }),
    );
  });

  it('by an accident is tried again, and noted as refused when that was the last time', async () => {
    const id = await create('skip');
    const broken: ScheduleDeps = {
      ...deps,
      monitor: {
        ensureKnown: async () => {
          throw new Error('secret details');
        },
      },
    };
    await expect(runSchedule(broken, due(id, 1), false)).rejects.toThrow('secret details');
    expect(await queue.schedules.get(id)).toMatchObject({ refusals: 0 });
    expect(await runSchedule(broken, due(id, 1), true)).toMatchObject({
      outcome: 'refused',
      code: 'internal',
      message: expect.not.stringContaining('secret'),
    });
  });
});
