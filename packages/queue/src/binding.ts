import type { InstanceKey, TaskRecord } from '@scanmq/contract';
import { z } from 'zod';
import { type Keys, queueNameOf } from './keys.js';
import type { RedisClient } from './redis-client.js';
import { asTexts, bindScript, giveBackScript } from './scripts.js';
import type { JobLock } from './task-store.js';

/** An instance that may take a task, with its limit of concurrent scans. */
export interface BindingCandidate {
  readonly instanceKey: InstanceKey;
  readonly limit: number;
}

/** Limits beside those of the instances. */
export interface BindingLimits {
  /** Scans of the task's principal at once, over all pools; undefined = no limit. */
  readonly ofPrincipal: number | undefined;
  /** Of the target networks that the scan touches. */
  readonly ofTargets: readonly { readonly name: string; readonly max: number }[];
}

export type BindingAnswer =
  | { readonly bound: InstanceKey }
  | { readonly bound: undefined; readonly because: 'full' }
  | { readonly bound: undefined; readonly because: 'principal'; readonly used: number }
  | { readonly bound: undefined; readonly because: 'target'; readonly limit: string };

const abandonedSchema = z.object({
  task_id: z.string(),
  instance_key: z.string(),
  /** What the name of the scan contains. */
  marker: z.string(),
  scan_id: z.number().int().nullable(),
  at: z.iso.datetime(),
});
/** A scan that nobody follows any more and that may still run: it keeps its slot until the scanner says that it has ended. */
export type AbandonedScan = z.output<typeof abandonedSchema>;

/** Which task occupies a slot of which scanner; the limits hold over all processes. */
export interface Bindings {
  /** Binds a task to the least loaded candidate, or keeps the binding that it has. */
  bind(
    task: Pick<TaskRecord, 'task_id' | 'principal' | 'scanner_pool' | 'pinned_instance' | 'imported'>,
    candidates: readonly BindingCandidate[],
    limits: BindingLimits,
  ): Promise<BindingAnswer>;
  /** The instance that a task is bound to. */
  of(taskId: string): Promise<InstanceKey | undefined>;
  /** Tasks that occupy a slot. */
  taskIds(): Promise<readonly string[]>;
  /**
   * Gives the slot of a task free that has begun nothing. Does nothing for whoever has lost the lock of its job: it may
   * have begun elsewhere.
   */
  giveBack(taskId: string, lock: JobLock): Promise<void>;
  /** Gives the slot free. Only after the scan on the scanner has ended or was given up. */
  release(taskId: string): Promise<void>;
  /** Slots in use by instance. */
  load(): Promise<ReadonlyMap<string, number>>;
  /** Keeps a slot for a scan that is given up, beside that of its task, which is released or bound anew. */
  abandon(scan: AbandonedScan): Promise<void>;
  abandoned(): Promise<readonly AbandonedScan[]>;
  /** The scan has ended on its scanner, or the scanner is gone for good. */
  settle(scan: AbandonedScan): Promise<void>;
}

export const NO_LIMITS: BindingLimits = { ofPrincipal: undefined, ofTargets: [] };

export function createBindings(redis: RedisClient, keys: Keys): Bindings {
  const abandonedId = (scan: AbandonedScan): string => `${scan.task_id} ${scan.marker}`;
  const readAbandoned = async (): Promise<AbandonedScan[]> =>
    (await redis.hvals(keys.abandoned)).map((text) => abandonedSchema.parse(JSON.parse(text)));

  return {
    async bind(task, candidates, limits) {
      const answer = asTexts(
        await bindScript(
          redis,
          [keys.bindings, keys.abandoned, keys.fair(queueNameOf(task))],
          [
            task.task_id,
            keys.recordPrefix,
            task.principal,
            limits.ofPrincipal ?? 0,
            JSON.stringify(limits.ofTargets),
            ...candidates.flatMap(({ instanceKey, limit }) => [instanceKey, limit]),
          ],
        ),
      );
      switch (answer[0]) {
        case 'bound':
          return { bound: answer[1] as InstanceKey };
        case 'principal':
          return { bound: undefined, because: 'principal', used: Number(answer[1]) };
        case 'target':
          return { bound: undefined, because: 'target', limit: answer[1] ?? '' };
        default:
          return { bound: undefined, because: 'full' };
      }
    },
    async of(taskId) {
      return ((await redis.hget(keys.bindings, taskId)) as InstanceKey | null) ?? undefined;
    },
    taskIds: () => redis.hkeys(keys.bindings),
    async giveBack(taskId, lock) {
      await giveBackScript(redis, [keys.bindings, lock.key], [taskId, lock.token]);
    },
    async release(taskId) {
      await redis.hdel(keys.bindings, taskId);
    },
    async load() {
      const load = new Map<string, number>();
      const taken = [
        ...(await redis.hvals(keys.bindings)),
        ...(await readAbandoned()).map((scan) => scan.instance_key),
      ];
      for (const instance of taken) load.set(instance, (load.get(instance) ?? 0) + 1);
      return load;
    },
    async abandon(scan) {
      await redis.hset(keys.abandoned, abandonedId(scan), JSON.stringify(scan));
    },
    abandoned: readAbandoned,
    async settle(scan) {
      await redis.hdel(keys.abandoned, abandonedId(scan));
    },
  };
}
