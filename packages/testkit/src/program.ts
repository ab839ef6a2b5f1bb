import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { PATIENCE_MS } from './until.js';

/** The program as it is built. */
export const SCANMQ = fileURLToPath(new URL('../../../apps/cli/bin/scanmq.js', import.meta.url));

export interface RunningProgram {
  readonly pid: number;
  readonly output: () => string;
  /** Resolves with exit code and signal. */
  readonly ended: Promise<{ code: number | null; signal: NodeJS.Signals | null }>;
  kill(signal: NodeJS.Signals): void;
  /** Resolves when a line of the log has this event. */
  event(name: string, timeoutMs?: number): Promise<Record<string, unknown>>;
}

/**
 * Starts the real `scanmq` command, as built, with its log as JSON lines. Nothing of this process's own environment
 * but PATH and HOME reaches it.
 */
export function startProgram(args: readonly string[], env: Readonly<Record<string, string>>): RunningProgram {
  const child: ChildProcess = spawn(process.execPath, [SCANMQ, ...args], {
    // biome-ignore lint/style/noProcessEnv: what a child needs to run at all
    env: { PATH: process.env.PATH ?? '', HOME: process.env.HOME ?? '', ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let text = '';
  const events: Record<string, unknown>[] = [];
  const waiting = new Set<() => void>();
  let rest = '';
  const read = (chunk: Buffer): void => {
    text += chunk.toString();
    rest += chunk.toString();
    const lines = rest.split('\n');
    rest = lines.pop() ?? '';
    for (const line of lines) {
      if (!line.startsWith('{')) continue;
      try {
        events.push(JSON.parse(line) as Record<string, unknown>);
      } catch {
        // not a line of the log
      }
    }
    for (const wake of waiting) wake();
  };
  child.stdout?.on('data', read);
  child.stderr?.on('data', read);
  // not at its exit: what it said last may still be on its way to us then
  const ended = once(child, 'close').then(([code, signal]) => ({
    code: code as number | null,
    signal: signal as NodeJS.Signals | null,
  }));
  return {
    pid: child.pid ?? -1,
    output: () => text,
    ended,
    kill: (signal) => void child.kill(signal),
    async event(name, timeoutMs = PATIENCE_MS) {
      const find = (): Record<string, unknown> | undefined => events.find((event) => event.event === name);
      const found = find();
      if (found) return found;
      return await new Promise((resolve, reject) => {
        const end = (): void => {
          clearTimeout(timer);
          waiting.delete(look);
        };
        const look = (): void => {
          const event = find();
          if (!event) return;
          end();
          resolve(event);
        };
        const timer = setTimeout(() => {
          end();
          reject(new Error(`no event ${name} within ${timeoutMs} ms; it said:\n${text.slice(-3_000)}`));
        }, timeoutMs);
        waiting.add(look);
        void ended.then(() => {
          if (find()) return;
          end();
          reject(new Error(`the program ended without event ${name}; it said:\n${text.slice(-3_000)}`));
        });
      });
    },
  };
}
