import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { ScanmqError } from '@scanmq/contract';
import { Redis } from 'ioredis';

/** One redis-server process. */
export interface RunningRedis {
  readonly pid: number;
  /** Asks it to end, and waits until it has; a second time does nothing. */
  end(): Promise<void>;
  /** SIGKILL. */
  kill(): Promise<void>;
}

const START_MS = 10_000;
/** It has to write its append-only file; what does not end in this time is killed. */
const END_MS = 10_000;

/**
 * The guardian, between us and redis-server: says the pid, ends Redis when our end of its stdin closes, which happens
 * however we end, SIGKILL included, and ends with Redis. The shell gives /dev/null to what runs in the background,
 * therefore the detour of stdin over 3.
 */
const GUARDIAN = `
  command -v redis-server >/dev/null || { echo missing; exit; }
  exec 3<&0
  redis-server "$@" 3<&- >/dev/null 2>&1 & redis=$!
  echo "$redis"
  { cat <&3; kill "$redis"; } >/dev/null 2>&1 & watch=$!
  wait "$redis"
  kill "$watch"`;

const INSTALL =
  'redis-server is not installed. Debian or Ubuntu: sudo apt-get install redis-server. macOS: brew install redis. Or set REDIS_URL to a Redis that you have.';

/** Settings of redis-server by name; those with several words have a list. */
export type ServerSettings = Readonly<Record<string, string | readonly string[]>>;

/**
 * Starts redis-server and waits until it answers.
 * @param options.settings beside those that every server of ours has.
 * @throws ScanmqError `unavailable`; with `retryable: 'no'` where it is not installed.
 */
export async function runRedis(options: {
  readonly port: number;
  readonly directory: string;
  readonly appendOnly: boolean;
  readonly settings?: ServerSettings;
}): Promise<RunningRedis> {
  const { port, directory } = options;
  const settings: ServerSettings = {
    port: String(port),
    bind: '127.0.0.1',
    dir: directory,
    appendonly: options.appendOnly ? 'yes' : 'no',
    appendfsync: 'everysec',
    save: '',
    'maxmemory-policy': 'noeviction',
    daemonize: 'no',
    logfile: join(directory, 'redis.log'),
    ...options.settings,
  };
  const args = Object.entries(settings).flatMap(([name, value]) => [`--${name}`, value].flat());
  return await runServer(port, directory, args);
}

/** Starts a Sentinel with this configuration, a file that it rewrites as it goes. Throws as `runRedis`. */
export async function runSentinel(port: number, directory: string, file: string): Promise<RunningRedis> {
  return await runServer(port, directory, [file, '--sentinel']);
}

async function runServer(port: number, directory: string, args: readonly string[]): Promise<RunningRedis> {
  const guardian = spawn('/bin/sh', ['-c', GUARDIAN, 'sh', ...args], {
    stdio: ['pipe', 'pipe', 'ignore'],
    // a session of its own: a Ctrl-C at the terminal must not end Redis before those who use it
    detached: true,
  });
  const ended = once(guardian, 'exit');
  // it may be gone when we close its stdin
  guardian.stdin.on('error', () => undefined);
  const firstLine = await readFirstLine(guardian);
  if (firstLine === 'missing') throw new ScanmqError('unavailable', INSTALL, { retryable: 'no' });
  const pid = Number(firstLine);
  if (!Number.isInteger(pid) || pid <= 0)
    throw new ScanmqError('unavailable', 'redis-server could not be started.');

  async function kill(): Promise<void> {
    // the guardian ends with Redis, so as long as it runs this pid is that of Redis
    if (guardian.exitCode === null && guardian.signalCode === null) signalProcess(pid, 'SIGKILL');
    await ended;
    guardian.stdin.end();
  }

  async function end(): Promise<void> {
    guardian.stdin.end();
    const timer = setTimeout(() => void kill(), END_MS);
    await ended;
    clearTimeout(timer);
  }

  try {
    await untilAnswers(port, pid, ended);
  } catch (error) {
    await end();
    throw new ScanmqError(
      'unavailable',
      `redis-server did not start on port ${port}${await lastWords(directory)}.`,
      { cause: error },
    );
  }
  return { pid, end, kill };
}

function signalProcess(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal);
  } catch (error) {
    // it ended by itself
    if (!(typeof error === 'object' && error !== null && 'code' in error && error.code === 'ESRCH'))
      throw error;
  }
}

async function readFirstLine(child: ChildProcess): Promise<string> {
  let text = '';
  for await (const chunk of child.stdout ?? []) {
    text += String(chunk);
    if (text.includes('\n')) break;
  }
  return text.split('\n')[0] ?? '';
}

/** @throws Error when the server that answers is not ours, ours ends, or none answers in time. */
async function untilAnswers(port: number, pid: number, ended: Promise<unknown>): Promise<void> {
  const redis = new Redis({
    host: '127.0.0.1',
    port,
    retryStrategy: () => 20,
    maxRetriesPerRequest: null,
  });
  redis.on('error', () => undefined);
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`no answer within ${START_MS} ms`)), START_MS);
  });
  const gone = ended.then(() => {
    throw new Error('it ended');
  });
  try {
    const info = await Promise.race([redis.info('server'), late, gone]);
    if (!info.includes(`process_id:${pid}\r`)) throw new Error('another Redis answers there');
  } finally {
    clearTimeout(timer);
    gone.catch(() => undefined);
    redis.disconnect();
  }
}

/** What redis-server said last, for a message. */
async function lastWords(directory: string): Promise<string> {
  const text = await readFile(join(directory, 'redis.log'), 'utf8').catch(() => '');
  // "123:M 23 Nov 2026 15:00:00.000 # Failed listening on port 1 (tcp), aborting."
  const line = text
    .trim()
    .split('\n')
    .findLast((entry) => entry.includes(' # '));
  return line === undefined ? '' : `: ${line.split(' # ')[1]?.replace(/\.$/, '')}`;
}
