import { type InstanceHealth, instanceHealthSchema } from '@scanmq/contract';
import type { Keys } from './keys.js';
import { memoized, recent } from './memo.js';
import type { RedisClient } from './redis-client.js';

/** What was last learned of each instance, shared by all processes. */
export interface HealthStore {
  all(): Promise<ReadonlyMap<string, InstanceHealth>>;
  get(instanceKey: string): Promise<InstanceHealth | undefined>;
  set(health: InstanceHealth): Promise<void>;
  /**
   * @param purpose turns for one purpose do not take those for another.
   * @returns true for the one process that may ask the instance within this interval.
   */
  takeTurn(instanceKey: string, purpose: 'regular' | 'suspicion', intervalMs: number): Promise<boolean>;
}

function decode(text: string): InstanceHealth | undefined {
  const parsed = instanceHealthSchema.safeParse(JSON.parse(text));
  return parsed.success ? parsed.data : undefined;
}

/** @param recentMs what others have written is seen this much later at most; what is written here, at once. */
export function createHealthStore(redis: RedisClient, keys: Keys, recentMs: number): HealthStore {
  // asked for with every submission, and another only with every check of a scanner
  const decoded = memoized(decode);
  const all = recent(recentMs, async () => {
    const health = new Map<string, InstanceHealth>();
    for (const [key, text] of Object.entries(await redis.hgetall(keys.health))) {
      const one = decoded(key, text);
      if (one) health.set(key, one);
    }
    return health;
  });
  return {
    all: () => all.get(),
    async get(instanceKey) {
      const text = await redis.hget(keys.health, instanceKey);
      return text === null ? undefined : decode(text);
    },
    async set(health) {
      await redis.hset(keys.health, health.instance_key, JSON.stringify(health));
      all.forget();
    },
    async takeTurn(instanceKey, purpose, intervalMs) {
      // a little shorter than the interval, or the same process would miss its own next turn
      const answer = await redis.set(
        keys.healthLease(instanceKey, purpose),
        '1',
        'PX',
        Math.max(1, Math.floor(intervalMs * 0.9)),
        'NX',
      );
      return answer === 'OK';
    },
  };
}
