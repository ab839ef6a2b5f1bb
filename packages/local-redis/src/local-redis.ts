import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ScanmqError } from '@scanmq/contract';
import { freePort } from './free-port.js';
import { type RunningRedis, runRedis, type ServerSettings } from './run-redis.js';

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
  /** Starts it again on the same port and directory, after `crash`. */
  start(): Promise<void>;
  /** Ends it in order, and starts it again. */
  restart(): Promise<void>;
}

export interface LocalRedisOptions {
  /** Kept at the end; a temporary one, removed at the end, when left out. */
  readonly directory?: string;
  /** A free one when left out. */
  readonly port?: number;
  /** The append-only file, so that a crash loses nothing that was acknowledged over a second ago; true when left out. */
  readonly appendOnly?: boolean;
  /** Further settings of redis-server. */
  readonly settings?: ServerSettings;
}

/** A free port may be taken between looking and using it. */
const PORT_TRIES = 5;

/**
 * Starts a private Redis for the demonstration or a test: nothing evicted, reachable from this machine only. It ends
 * with this process, however that ends.
 * @throws ScanmqError `unavailable` where redis-server is not installed (with what to do), or does not start.
 */
export async function startLocalRedis(options: LocalRedisOptions = {}): Promise<LocalRedis> {
  const { appendOnly = true, settings = {} } = options;
  const directory = options.directory ?? (await mkdtemp(join(tmpdir(), 'scanmq-redis-')));
  const removeOwnDirectory = async (): Promise<void> => {
    if (options.directory === undefined) await rm(directory, { recursive: true, force: true });
  };
  let running: RunningRedis;
  let port: number;
  for (let tries = 1; ; tries += 1) {
    port = options.port ?? (await freePort());
    try {
      running = await runRedis({ port, directory, appendOnly, settings });
      break;
    } catch (error) {
      const hopeless = error instanceof ScanmqError && error.retryable === 'no';
      if (!hopeless && options.port === undefined && tries < PORT_TRIES) continue;
      await removeOwnDirectory();
      throw error;
    }
  }
  const start = async (): Promise<void> => {
    running = await runRedis({ port, directory, appendOnly, settings });
  };
  return {
    url: `redis://127.0.0.1:${port}`,
    port,
    get pid() {
      return running.pid;
    },
    directory,
    async stop() {
      await running.end();
      await removeOwnDirectory();
    },
    async crash() {
      await running.kill();
    },
    start,
    async restart() {
      await running.end();
      await start();
    },
  };
}
