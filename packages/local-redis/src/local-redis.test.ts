import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, describe, expect, it } from '@jest/globals';
import { Redis } from 'ioredis';
import { type LocalRedis, startLocalRedis } from './index.js';

const started: LocalRedis[] = [];
afterEach(async () => {
  for (const redis of started.splice(0)) await redis.stop();
});

async function start(options: Parameters<typeof startLocalRedis>[0] = {}): Promise<LocalRedis> {
  const redis = await startLocalRedis(options);
  started.push(redis);
  return redis;
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}

/** No event tells a test that a process which is not its child has ended. */
async function untilGone(pid: number): Promise<void> {
  const giveUpAt = Date.now() + 30_000;
  while (isAlive(pid)) {
    if (Date.now() > giveUpAt) throw new Error(`process ${pid} still runs`);
    await new Promise((resolve) => setTimeout(resolve, 20));
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

/** Another Node process, with the package as it is built. */
function runWithBuild(script: string, env: NodeJS.ProcessEnv = process.env) {
  const built = fileURLToPath(new URL('../dist/index.js', import.meta.url));
  return spawn(
    process.execPath,
    ['--input-type=module', '-e', `import { startLocalRedis } from ${JSON.stringify(built)};\n${script}`],
    { env, stdio: ['ignore', 'pipe', 'inherit'] },
  );
}

describe('a local Redis', () => {
  it('answers, and leaves neither process nor directory behind', async () => {
    const { url, pid, directory, stop } = await start();
    await withClient(url, async (client) => {
      expect(await client.set('a', 'b')).toBe('OK');
      expect(await client.config('GET', 'maxmemory-policy')).toContain('noeviction');
      expect(await client.config('GET', 'appendonly')).toContain('yes');
      expect(await client.config('GET', 'bind')).toContain('127.0.0.1');
    });
    await stop();
    expect(isAlive(pid)).toBe(false);
    expect(existsSync(directory)).toBe(false);
    // a second time changes nothing
    await stop();
  });

  it('keeps a directory that was given to it', async () => {
    const directory = await mkdtemp(join(tmpdir(), 'scanmq-test-'));
    try {
      const redis = await start({ directory });
      await redis.stop();
      expect(await readdir(directory)).toContain('appendonlydir');
    } finally {
      await rm(directory, { recursive: true });
    }
  });

  it('keeps what was written over a crash', async () => {
    const redis = await start();
    await withClient(redis.url, async (client) => {
      await client.config('SET', 'appendfsync', 'always');
      await client.set('a', 'b');
    });
    const before = redis.pid;
    await redis.crash();
    expect(isAlive(before)).toBe(false);
    await redis.start();
    expect(redis.pid).not.toBe(before);
    expect(await withClient(redis.url, (client) => client.get('a'))).toBe('b');
  });

  it('keeps what was written over a restart, with the same address', async () => {
    const redis = await start();
    await withClient(redis.url, (client) => client.set('a', 'b'));
    await redis.restart();
    expect(await withClient(redis.url, (client) => client.get('a'))).toBe('b');
  });

  it('may be several at once, each on its own port', async () => {
    const [first, second] = await Promise.all([start(), start()]);
    expect(first.port).not.toBe(second.port);
  });

  it('ends when its parent is killed', async () => {
    const parent = runWithBuild(
      `startLocalRedis().then(({ pid, directory }) => console.log(JSON.stringify({ pid, directory })));
       setInterval(() => {}, 1000);`,
    );
    const [line] = await once(parent.stdout, 'data');
    const { pid, directory } = JSON.parse(String(line));
    expect(isAlive(pid)).toBe(true);
    parent.kill('SIGKILL');
    await untilGone(pid);
    await rm(directory, { recursive: true });
  });
});

describe('a local Redis that cannot start', () => {
  it('says so at once, with the reason, when its port is taken', async () => {
    const server = createServer((socket) => socket.resume().on('error', () => undefined));
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    const address = server.address();
    const port = address !== null && typeof address === 'object' ? address.port : 0;
    try {
      await expect(start({ port })).rejects.toMatchObject({
        code: 'unavailable',
        message: expect.stringMatching(`^redis-server did not start on port ${port}: .*in use|aborting`),
      });
    } finally {
      server.close();
    }
  });

  it('does not take another Redis for itself', async () => {
    const { port } = await start();
    await expect(start({ port })).rejects.toMatchObject({ code: 'unavailable' });
  });

  it('says how to install it where it is missing', async () => {
    const empty = await mkdtemp(join(tmpdir(), 'scanmq-test-'));
    const child = runWithBuild(
      'startLocalRedis().catch(({ code, retryable, message }) => console.log(JSON.stringify({ code, retryable, message })))',
      { PATH: empty, TMPDIR: empty },
    );
    const [line] = await once(child.stdout, 'data');
    expect(JSON.parse(String(line))).toMatchObject({
      code: 'unavailable',
      retryable: 'no',
      message: expect.stringContaining('sudo apt-get install redis-server'),
    });
    expect(await readdir(empty)).toEqual([]);
    await rm(empty, { recursive: true });
  });
});
