import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { type CreateSchedule, createScheduleSchema, type Schedule } from '@scanmq/contract';
import { openTestQueue, until } from '@scanmq/testkit';
import { Worker } from 'bullmq';
import { type DueRun, dueRun, type QueueSystem } from './index.js';

let queue: QueueSystem;
let workers: Worker[] = [];
let clockAheadMs = 0;

beforeEach(async () => {
  clockAheadMs = 0;
  queue = await openTestQueue({ now: () => new Date(Date.now() + clockAheadMs) });
});

afterEach(async () => {
  await Promise.all(workers.map((worker) => worker.close()));
  workers = [];
  await queue.close();
});

const create = (changes: Partial<CreateSchedule> = {}): Promise<Schedule> =>
  queue.schedules.create({
    ...createScheduleSchema.parse({
      request: { targets: '192.0.2.1', name: 'nightly' },
      ...('cron' in changes ? {} : { every_minutes: 60 }),
      ...changes,
    }),
    principal: 'tester',
  });

/** A run, and between which moments the next one was decided: when it is taken. */
interface TakenRun {
  readonly run: DueRun;
  readonly notBefore: number;
  readonly notAfter: number;
}

/** Takes runs as they become due. */
function takeRuns(): TakenRun[] {
  const taken: TakenRun[] = [];
  workers.push(
    new Worker(
      queue.queues.schedules.name,
      async (job) => {
        const run = dueRun(job);
        if (run) taken.push({ run, notBefore: job.processedOn ?? 0, notAfter: Date.now() });
      },
      { connection: queue.redis, prefix: queue.prefix },
    ),
  );
  return taken;
}

describe('a schedule', () => {
  it('is due one interval after it was made, and not at once', async () => {
    const schedule = await create();
    expect(Date.parse(schedule.next_run_at ?? '')).toBe(Date.parse(schedule.created_at) + 3_600_000);
    expect(schedule).toMatchObject({ name: 'nightly', overlap: 'skip', runs: 0, last_outcome: null });
    expect(await queue.schedules.get(schedule.schedule_id)).toEqual(schedule);
  });

  it('with a cron expression is due at its time by the clock of its time zone', async () => {
    const schedule = await create({ cron: '15 30 2 * * *', time_zone: 'Asia/Kolkata' });
    // 02:30:15 at +05:30, all year
    expect(schedule.next_run_at).toContain('T21:00:15.000Z');
    expect((await queue.schedules.list()).map((one) => one.next_run_at)).toEqual([schedule.next_run_at]);
  });

  it('that is paused is never due; resumed, it keeps to its times', async () => {
    const schedule = await create();
    expect(await queue.schedules.setPaused(schedule.schedule_id, true)).toMatchObject({
      paused: true,
      next_run_at: null,
    });
    expect(await queue.queues.schedules.getJobSchedulersCount()).toBe(0);
    const resumed = await queue.schedules.setPaused(schedule.schedule_id, false);
    expect(resumed.next_run_at).toBe(schedule.next_run_at);
    // a second time changes nothing
    expect(await queue.schedules.setPaused(schedule.schedule_id, false)).toEqual(resumed);
    expect(await queue.queues.schedules.getDelayedCount()).toBe(1);
  });

  it('that is removed leaves nothing behind', async () => {
    const { schedule_id: id } = await create();
    await queue.scheduleRuns.begin({ scheduleId: id, run: 'one', dueMs: Date.now() });
    await queue.scheduleRuns.note(
      { scheduleId: id, run: 'two' },
      { outcome: 'skipped', at: new Date().toISOString(), reason: 'test' },
    );
    await queue.schedules.remove(id);
    expect((await queue.redis.keys(`${queue.prefix}:*`)).filter((key) => key.includes(id))).toEqual([]);
    expect(await queue.schedules.list()).toEqual([]);
    for (const act of [queue.schedules.get, queue.schedules.remove])
      await expect(act(id)).rejects.toMatchObject({ code: 'not_found' });
    await expect(queue.schedules.setPaused(id, true)).rejects.toMatchObject({ code: 'not_found' });
    // a run that was being decided meanwhile does not bring it back
    await queue.scheduleRuns.note(
      { scheduleId: id, run: 'three' },
      { outcome: 'skipped', at: new Date().toISOString(), reason: 'test' },
    );
    expect(await queue.schedules.find(id)).toBeUndefined();
  });

  it('is refused when there are too many', async () => {
    await queue.redis.zadd(
      queue.keys.schedules,
      ...Array.from({ length: 1_000 }, (_, index) => [index, `sch_${index}`]).flat(),
    );
    await expect(create()).rejects.toMatchObject({ code: 'invalid_state' });
  });
});

describe('a crash', () => {
  it('between the record and the job scheduler is put right', async () => {
    const lost = await create();
    await queue.queues.schedules.removeJobScheduler(lost.schedule_id);
    const kept = await create();
    const paused = await create();
    await queue.redis.hset(queue.keys.schedule(paused.schedule_id), 'paused', 'true');
    const removed = await create();
    await queue.redis.del(queue.keys.schedule(removed.schedule_id));
    await queue.redis.zrem(queue.keys.schedules, removed.schedule_id);

    const repairs = await queue.schedules.reconcile();
    expect(repairs.armed).toEqual([lost.schedule_id]);
    expect([...repairs.disarmed].sort()).toEqual([paused.schedule_id, removed.schedule_id].sort());
    expect(await queue.schedules.get(lost.schedule_id)).toEqual(lost);
    expect(await queue.schedules.get(kept.schedule_id)).toEqual(kept);
    expect(await queue.schedules.reconcile()).toEqual({ armed: [], disarmed: [] });
  });

  it('that took the job of the next run with it is put right, and a run that is only overdue stays', async () => {
    const [lost, overdue] = [await create({ every_minutes: 1 }), await create({ every_minutes: 1 })];
    const jobs = queue.queues.schedules;
    const idOf = (schedule: Schedule) =>
      `repeat:${schedule.schedule_id}:${Date.parse(schedule.next_run_at ?? '')}`;
    await queue.redis.zrem(jobs.toKey('delayed'), idOf(lost));
    await queue.redis.del(jobs.toKey(idOf(lost)));
    expect((await queue.schedules.reconcile()).armed).toEqual([]);

    clockAheadMs = 3 * 60_000;
    expect((await queue.schedules.reconcile()).armed).toEqual([lost.schedule_id]);
    expect(await jobs.getJob(idOf(overdue))).toBeDefined();
    expect((await queue.schedules.get(overdue.schedule_id)).next_run_at).toBe(overdue.next_run_at);
  });
});

describe('the runs of a schedule', () => {
  it('come at their times, each with a name of its own, and those that were missed as one', async () => {
    const schedule = await create({ every_minutes: 0.02 });
    const firstMs = Date.parse(schedule.next_run_at ?? '');
    // nobody takes runs until two are due, and the third nearly
    await until('two runs are due', () => Date.now() > firstMs + 2_000);
    const taken = takeRuns();
    const [missed, ...later] = await until('three runs are taken', () => taken.length >= 3 && [...taken]);
    expect(missed?.run).toEqual({
      scheduleId: schedule.schedule_id,
      dueMs: firstMs,
      run: new Date(firstMs).toISOString(),
    });
    // those that were due by then came with the first
    expect(later[0]?.run.dueMs).toBeGreaterThanOrEqual(missed?.notBefore ?? Number.NaN);
    let before = missed;
    for (const one of later) {
      // on the grid, and none was left out that was still to come when the one before was taken
      expect((one.run.dueMs - firstMs) % 1_200).toBe(0);
      expect(one.run.dueMs).toBeGreaterThan(before?.run.dueMs ?? Number.NaN);
      expect(one.run.dueMs).toBeLessThanOrEqual(
        1_200 + Math.max(before?.run.dueMs ?? Number.NaN, before?.notAfter ?? Number.NaN),
      );
      before = one;
    }
    expect(new Set(taken.map(({ run }) => run.run)).size).toBe(taken.length);
  });

  it('are decided one at a time, each once, and none after a later one', async () => {
    const { schedule_id: scheduleId } = await create();
    const { scheduleRuns } = queue;
    const at = new Date().toISOString();
    const [first, second]: [DueRun, DueRun] = [
      { scheduleId, dueMs: 1_000, run: 'first' },
      { scheduleId, dueMs: 2_000, run: 'second' },
    ];
    expect(await scheduleRuns.begin(first)).toBe('begun');
    expect(await scheduleRuns.begin(second)).toBe('busy');
    // whoever began it crashed: the same run goes on
    expect(await scheduleRuns.begin(first)).toBe('begun');
    await scheduleRuns.note(first, { outcome: 'submitted', at, task_id: 'first' });
    await scheduleRuns.note(first, { outcome: 'skipped', at, reason: 'a second time' });
    expect(await scheduleRuns.begin(first)).toBe('noted');
    expect(await scheduleRuns.begin(second)).toBe('begun');
    await scheduleRuns.note(second, { outcome: 'refused', at, code: 'no_scanner', message: 'none' });
    expect(await scheduleRuns.begin({ scheduleId, dueMs: 1_500, run: 'late' })).toBe('superseded');
    expect(await queue.schedules.get(scheduleId)).toMatchObject({
      runs: 1,
      skips: 0,
      refusals: 1,
      last_task_id: 'first',
      last_run_at: at,
      last_outcome: { outcome: 'refused', code: 'no_scanner' },
    });
    await queue.schedules.setPaused(scheduleId, true);
    expect(await scheduleRuns.begin({ scheduleId, dueMs: 3_000, run: 'third' })).toBe('paused');
    await queue.schedules.remove(scheduleId);
    expect(await scheduleRuns.begin({ scheduleId, dueMs: 3_000, run: 'third' })).toBe('missing');
  });
});
