/**
 * Tasks that had their turn and could not be served: their principal or a target network is at its limit, a window is
 * closed, somebody holds them, no scanner is there. They leave the line, so that others are served, and are called
 * again in their order when something has changed (`processor/admit.ts`). Their job is delayed meanwhile, so that a
 * call that gets lost costs a minute and not the task.
 */
import type { TaskRecord, WaitingFor } from '@scanmq/contract';
import type { ChainableCommander } from 'ioredis';
import type { Keys } from './keys.js';
import { jobPriority } from './priority.js';
import type { Queues } from './queues.js';
import type { RedisClient } from './redis-client.js';
import type { TaskNews, TaskStore } from './task-store.js';

export interface WaitingRoom {
  /** Notes what a task waits for. Called after its job was delayed: whoever calls it must find it so. */
  enter(task: TaskRecord, waitingFor: WaitingFor): Promise<void>;
  /** Tasks of a pool in the order in which they are to be called. */
  waiting(pool: string, count: number): Promise<readonly TaskRecord[]>;
  /** Lets a task go on: its job comes to its turn again at once. */
  call(task: TaskRecord): Promise<void>;
  /** The task no longer waits here. */
  leave(task: Pick<TaskRecord, 'task_id' | 'scanner_pool'>): Promise<void>;
  /**
   * What others before this task wait for already; undefined when it may go past all of them.
   * @param blockers that concern the task.
   */
  earlier(task: TaskRecord, blockers: readonly string[]): Promise<string | undefined>;
  /** How many of a pool wait here. */
  count(pool: string): Promise<number>;
  /**
   * Adds two questions to others: the place of a task among those that wait here, from 0 (null for one that does not),
   * and how many of them are served before a task of this priority number.
   */
  askPlace(
    questions: ChainableCommander,
    task: Pick<TaskRecord, 'task_id' | 'scanner_pool'>,
    priority: number,
  ): ChainableCommander;
}

/** What those who follow a task are told when it has to wait for something. */
export function waitNews(reason: string): TaskNews {
  return { type: 'log', message: `Waits: ${reason}.` };
}

/** True when a task is to go on that was to wait: it was cancelled, or resumed, since it was looked at. */
function isReleased(seen: TaskRecord, latest: TaskRecord): boolean {
  const cancelled = seen.cancel_requested === null && latest.cancel_requested !== null;
  const resumed = seen.pause_requested !== null && latest.pause_requested === null;
  return cancelled || resumed;
}

export function createWaitingRoom(
  redis: RedisClient,
  keys: Keys,
  tasks: TaskStore,
  queues: Queues,
): WaitingRoom {
  const leave: WaitingRoom['leave'] = async (task) => {
    const { task_id: taskId, scanner_pool: pool } = task;
    const blocker = await redis.hget(keys.parkedBlockers(pool), taskId);
    const leaving = redis.multi().zrem(keys.parked(pool), taskId).hdel(keys.parkedBlockers(pool), taskId);
    if (blocker !== null) leaving.zrem(keys.parkedFor(pool, blocker), taskId);
    await leaving.exec();
  };
  const call: WaitingRoom['call'] = async (task) => {
    await leave(task);
    const job = await queues.forTask(task).getJob(task.task_id);
    // it may have come by itself in this moment
    await job?.promote().catch(() => undefined);
  };
  return {
    async enter(task, waitingFor) {
      const latest = await tasks.find(task.task_id);
      // whoever stood still for so long that the task runs elsewhere has nothing to say about it any more
      if (latest?.state !== 'queued') return;
      // whoever asked for this found the job in the hands of its worker, and could not call it
      if (isReleased(task, latest)) return await call(latest);
      const { task_id: taskId, scanner_pool: pool } = task;
      const { blocker } = waitingFor;
      await leave(task);
      const entering = redis.multi().zadd(keys.parked(pool), jobPriority(task), taskId);
      if (blocker !== null)
        entering
          .zadd(keys.parkedFor(pool, blocker), jobPriority(task), taskId)
          .hset(keys.parkedBlockers(pool), taskId, blocker);
      await entering.exec();
      if (task.waiting_for?.reason !== waitingFor.reason)
        await tasks.update(taskId, { waiting_for: waitingFor }, { news: [waitNews(waitingFor.reason)] });
    },
    async earlier(task, blockers) {
      for (const blocker of blockers) {
        const key = keys.parkedFor(task.scanner_pool, blocker);
        if ((await redis.zcount(key, '-inf', `(${jobPriority(task)}`)) > 0) return blocker;
      }
      return undefined;
    },
    async waiting(pool, count) {
      const ids = await redis.zrange(keys.parked(pool), 0, String(count - 1));
      const found = await tasks.getMany(ids);
      const gone = ids.filter((_, index) => found[index]?.state !== 'queued');
      for (const taskId of gone)
        await leave({ task_id: taskId as TaskRecord['task_id'], scanner_pool: pool });
      return found.filter((task) => task?.state === 'queued').filter((task) => task !== undefined);
    },
    call,
    leave,
    count: (pool) => redis.zcard(keys.parked(pool)),
    askPlace: (questions, task, priority) =>
      questions
        .zrank(keys.parked(task.scanner_pool), task.task_id)
        .zcount(keys.parked(task.scanner_pool), '-inf', `(${priority}`),
  };
}
