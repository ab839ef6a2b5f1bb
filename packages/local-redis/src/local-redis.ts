import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ScanmqError } from '@scanmq/contract';
import { Redis } from 'ioredis';

/** A redis-server of our own, on 127.0.0.1 and a free port, with a private directory. */
export interface LocalRedis {
  readonly url: string;
  readonly port: number;
  /** Process id of the redis-server itself. */
  readonly pid: number;
  readonly directory: string;
  /** Ends it, and removes the directory if it was made here. */
  stop(): Promise<void>;
  /** SIGKILL, as a crash would be; its directory stays. */
  crash(): Promise<void>;
  /** Starts it again on the same port and directory. */
  start(): Promise<void>;
}

export interface LocalRedisOptions {
  /** Kept at the end; a temporary one, removed at the end, when left out. */
  readonly directory?: string;
}

const START_MS = 10_000;
/** A free port may be taken between looking and using it. */
const PORT_TRIES = 5;

/**
 * The guardian: starts redis-server, prints its pid, and ends it when our end of its stdin closes, which happens
 * however we end, SIGKILL included.
 */
const GUARDIAN =
  '"$@" >/dev/null 2>&1 & pid=$!; echo "$pid"; while read -r line; do :; done; kill "$pid" 2>/dev/null; wait "$pid"';

/**
 * Starts a private Redis for the demonstration or a test: append-only file on, nothing evicted, reachable from this machine only.
 * @throws ScanmqError `unavailable` where redis-server is not installed (with what to do), or does not start.
 */
export async function startLocalRedis(options: LocalRedisOptions): Promise<LocalRedis> {
  const directory = options.directory ?? (await mkdtemp(join(tmpdir(), 'scanmq-redis-')));
  let running: Running | undefined;
  let port = 0;
  for (let tries = 1; running === undefined; tries += 1) {
    port = await freePort();
    try {
      running = await launch(port, directory);
    } catch (error) {
      const final = tries >= PORT_TRIES || (error instanceof ScanmqError && error.retryable === 'no');
      if (!final) continue;
      if (options.directory === undefined) await rm(directory, { recursive: true, force: true });
      throw error;
    }
  }
  let current: Running = running;
  return {
    url: `redis://127.0.0.1:${port}`,
    port,
    get pid() {
      return current.pid;
    },
    directory,
    async stop() {
      await current.end();
      if (options.directory === undefined) await rm(directory, { recursive: true, force: true });
    },
    async crash() {
      process.kill(current.pid, 'SIGKILL');
      await current.end();
    },
    async start() {
      current = await launch(port, directory);
    },
  };
}

interface Running {
  readonly pid: number;
  end(): Promise<void>;
}

async function launch(port: number, directory: string): Promise<Running> {
  const redisArgs = [
    '--port',
    String(port),
    '--bind',
    '127.0.0.1',
    '--dir',
    directory,
    '--appendonly',
    'yes',
    '--appendfsync',
    'everysec',
    '--save',
    '',
    '--maxmemory-policy',
    'noeviction',
    '--daemonize',
    'no',
  ];
  // a session of its own: a Ctrl-C at the terminal must not end Redis before those who use it
  const guardian = spawn(
    'sh',
    [
      '-c',
      `command -v redis-server >/dev/null || { echo missing; exit 0; }; ${GUARDIAN}`,
      'sh',
      'redis-server',
      ...redisArgs,
    ],
    {
      stdio: ['pipe', 'pipe', 'ignore'],
      detached: true,
    },
  );
  const first = await firstLine(guardian);
  if (first === 'missing') {
    throw new ScanmqError(
      'unavailable',
      'redis-server is not installed. Debian or Ubuntu: sudo apt-get install redis-server. macOS: brew install redis. Or run one elsewhere and set REDIS_URL.',
      { retryable: 'no' },
    );
  }
  const pid = Number(first);
  const ended = guardian.exitCode === null ? once(guardian, 'exit') : Promise.resolve();
  const end = async (): Promise<void> => {
    guardian.stdin?.end();
    await ended;
  };
  try {
    await untilAnswers(port, pid);
  } catch (error) {
    await end();
    throw error;
  }
  return { pid, end };
}

async function firstLine(child: ChildProcess): Promise<string> {
  let text = '';
  for await (const chunk of child.stdout ?? []) {
    text += String(chunk);
    if (text.includes('\n')) break;
  }
  return text.split('\n')[0] ?? '';
}

/** @throws ScanmqError when the server that answers is not ours, or none does in time. */
async function untilAnswers(port: number, pid: number): Promise<void> {
  const redis = new Redis({
    host: '127.0.0.1',
    port,
    lazyConnect: true,
    retryStrategy: () => 50,
    maxRetriesPerRequest: null,
  });
  redis.on('error', () => undefined);
  const late = new Promise<never>((_, reject) => {
    setTimeout(
      () => reject(new ScanmqError('unavailable', `redis-server did not start on port ${port}.`)),
      START_MS,
    ).unref();
  });
  try {
    const info = await Promise.race([
      redis
        .connect()
        .catch(() => undefined)
        .then(() => redis.info('server')),
      late,
    ]);
    if (!info.includes(`process_id:${pid}\r`))
      throw new ScanmqError('unavailable', `Port ${port} was taken by another Redis.`);
  } finally {
    redis.disconnect();
  }
}

async function freePort(): Promise<number> {
  const server = createServer();
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  server.close();
  await once(server, 'close');
  if (address === null || typeof address === 'string') throw new TypeError('a TCP server has a port');
  return address.port;
}
