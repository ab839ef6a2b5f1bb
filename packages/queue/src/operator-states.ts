/** What operators decide about an instance while the service runs; `scanners.yaml` stays as it is. */
import { type OperatorState, operatorStateSchema } from '@scanmq/contract';
import type { Keys } from './keys.js';
import { memoized, recent } from './memo.js';
import type { RedisClient } from './redis-client.js';

export interface OperatorStates {
  all(): Promise<ReadonlyMap<string, OperatorState>>;
  set(instanceKey: string, state: OperatorState): Promise<void>;
}

/** @param recentMs what others have decided is seen this much later at most; what is decided here, at once. */
export function createOperatorStates(redis: RedisClient, keys: Keys, recentMs: number): OperatorStates {
  const decoded = memoized((text) => operatorStateSchema.parse(JSON.parse(text)));
  const all = recent(recentMs, async () => {
    const states = new Map<string, OperatorState>();
    for (const [key, text] of Object.entries(await redis.hgetall(keys.operatorStates)))
      states.set(key, decoded(key, text));
    return states;
  });
  return {
    all: () => all.get(),
    async set(instanceKey, state) {
      await redis.hset(keys.operatorStates, instanceKey, JSON.stringify(state));
      all.forget();
    },
  };
}
