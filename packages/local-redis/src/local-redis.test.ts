import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { afterEach, describe, expect, it } from '@jest/globals';
import { until } from '@scanmq/testkit';
import { Redis } from 'ioredis';
import { type LocalRedis, startLocalRedis } from './index.js';

let redis: LocalRedis | undefined;
afterEach(async () => await redis?.stop());

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}

async function withClient<T>(url: string, use: (client: Redis) => Promise<T>): Promise<T> {
  const client = new Redis(url);
  try {
    return await use(client);
  } finally {
    client.disconnect();
  }
}

describe('a local Redis', () => {
  it('answers, and leaves neither process nor directory behind', async () => {
    redis = await startLocalRedis({});
    const { pid, directory } = redis;
    expect(await withClient(redis.url, (client) => client.config('GET', 'maxmemory-policy'))).toContain(
      'noeviction',
    );
    await redis.stop();
    expect(isAlive(pid)).toBe(false);
    expect(existsSync(directory)).toBe(false);
  });

  it('keeps what was written over a crash', async () => {
    redis = await startLocalRedis({});
    await withClient(redis.url, async (client) => {
      await client.config('SET', 'appendfsync', 'always');
      await client.set('a', 'b');
    });
    await redis.crash();
    await redis.start();
    expect(await withClient(redis.url, (client) => client.get('a'))).toBe('b');
  });

  it('ends when its parent is killed', async () => {
    const built = fileURLToPath(new URL('../dist/index.js', import.meta.url));
    const parent = spawn(process.execPath, [
      '--input-type=module',
      '-e',
      `import { startLocalRedis } from ${JSON.stringify(built)}; console.log((await startLocalRedis({})).pid); setInterval(() => {}, 1000);`,
    ]);
    const [line] = await once(parent.stdout, 'data');
    const pid = Number(String(line));
    expect(isAlive(pid)).toBe(true);
    parent.kill('SIGKILL');
    await until('the orphaned redis-server ends', () => !isAlive(pid), 5_000);
  });
});
