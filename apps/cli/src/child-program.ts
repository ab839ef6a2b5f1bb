import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { ScanmqError } from '@scanmq/contract';

const PROGRAM = fileURLToPath(new URL('../bin/scanmq.js', import.meta.url));
/** Longer than a worker needs to hand over its scans. */
const STOP_MS = 15_000;
const START_MS = 30_000;

/** One `scanmq` service as a child of this process. It ends when we do: its IPC channel closes. */
export interface ChildProgram {
  readonly name: string;
  readonly ended: Promise<void>;
  hasEnded(): boolean;
  /** The first line that it printed, as JSON. */
  firstLine(): Promise<unknown>;
  /** The end of what it wrote to stderr, for an error message. */
  lastWords(): string;
  /** SIGTERM, and SIGKILL when that does not help. */
  stop(): Promise<void>;
}

export async function startChild(
  name: string,
  args: readonly string[],
  env: Readonly<Record<string, string | undefined>>,
  signal: AbortSignal,
): Promise<ChildProgram> {
  signal.throwIfAborted();
  // its own process group: a Ctrl-C at the terminal reaches us only, and we stop them in order
  const child = spawn(process.execPath, [PROGRAM, name, ...args], {
    env: { ...env },
    stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
    detached: true,
  });
  let words = '';
  child.stderr?.on('data', (chunk: Buffer) => {
    words = `${words}${chunk.toString()}`.slice(-4_000);
    process.stderr.write(chunk);
  });
  const ended = once(child, 'exit').then(() => undefined);
  const first = firstLineOf(child, name);
  first.catch(() => undefined);
  return {
    name,
    ended,
    hasEnded: () => child.exitCode !== null || child.signalCode !== null,
    firstLine: () => first,
    lastWords: () => words.trim().split('\n').slice(-3).join(' ') || 'it said nothing',
    async stop() {
      if (child.exitCode !== null || child.signalCode !== null) return;
      child.kill('SIGTERM');
      const timer = setTimeout(() => child.kill('SIGKILL'), STOP_MS);
      await ended;
      clearTimeout(timer);
    },
  };
}

async function firstLineOf(child: ChildProcess, name: string): Promise<unknown> {
  if (!child.stdout) throw new TypeError('stdout is piped');
  const lines = createInterface({ input: child.stdout });
  const signal = AbortSignal.timeout(START_MS);
  try {
    const [line] = await Promise.race([
      once(lines, 'line', { signal }),
      once(child, 'exit').then(() => {
        throw new ScanmqError('unavailable', `The ${name} ended before it was ready.`);
      }),
    ]);
    return JSON.parse(String(line));
  } catch (error) {
    if (signal.aborted)
      throw new ScanmqError('unavailable', `The ${name} said nothing within ${START_MS / 1000} s.`);
    throw error;
  }
}
