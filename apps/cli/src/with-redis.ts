import type { RedisSettings } from '@scanmq/config';
import { connectRedis } from '@scanmq/queue';

type RedisClient = Awaited<ReturnType<typeof connectRedis>>;

/**
 * Connects for one question of a command, quietly, and ends the connection.
 * @param waitMs for Redis. @throws ScanmqError `unavailable`; what `use` throws.
 */
export async function withRedis<T>(
  settings: RedisSettings,
  waitMs: number,
  use: (redis: RedisClient) => Promise<T>,
): Promise<T> {
  const redis = await connectRedis({ settings, role: 'gateway', waitMs });
  try {
    return await use(redis);
  } finally {
    redis.disconnect();
  }
}
