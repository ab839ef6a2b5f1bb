import type { InstanceKey } from '@scanmq/contract';
import type { Redis } from 'ioredis';
import type { Keys } from './keys.js';
import { bindScript } from './scripts.js';

/** An instance that may take a task, with its limit of concurrent scans. */
export interface BindingCandidate {
  readonly instanceKey: InstanceKey;
  readonly limit: number;
}

/** Which task occupies a slot of which scanner; the limits hold over all processes. */
export interface Bindings {
  /**
   * Binds a task to the least loaded candidate, or keeps the binding that it has.
   * @returns undefined when every candidate is full.
   */
  bind(taskId: string, candidates: readonly BindingCandidate[]): Promise<InstanceKey | undefined>;
  /** Gives the slot free. Only after the scan on the scanner has ended or was given up. */
  release(taskId: string): Promise<void>;
  /** Slots in use by instance. */
  load(): Promise<ReadonlyMap<string, number>>;
}

export function createBindings(redis: Redis, keys: Keys): Bindings {
  return {
    async bind(taskId, candidates) {
      const instance = await bindScript(
        redis,
        [keys.bindings],
        [taskId, keys.recordPrefix, ...candidates.flatMap(({ instanceKey, limit }) => [instanceKey, limit])],
      );
      return typeof instance === 'string' ? (instance as InstanceKey) : undefined;
    },
    async release(taskId) {
      await redis.hdel(keys.bindings, taskId);
    },
    async load() {
      const load = new Map<string, number>();
      for (const instance of await redis.hvals(keys.bindings))
        load.set(instance, (load.get(instance) ?? 0) + 1);
      return load;
    },
  };
}
