/**
 * `scanmq demo`: the whole service in one process tree, as real programs: a private Redis, a simulated Nessus, a
 * gateway and a worker. Whatever way it ends, nothing is left running.
 */

import { randomBytes } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ScanmqError } from '@scanmq/contract';
import { type LocalRedis, startLocalRedis } from '@scanmq/local-redis';
import { z } from 'zod';
import { type ChildProgram, startChild } from '../child-program.js';
import { createClient } from '../client.js';
import { EXIT } from '../exit-codes.js';
import type { ProgramIo } from '../program-io.js';
import { describe, followToEnd } from './scans.js';

export interface DemoOptions {
  readonly version: string;
  readonly port?: number;
  readonly scanSeconds: number;
  readonly once?: boolean;
}

const DEFAULT_PORT = 8835;
/** Addresses for documentation (RFC 5737): nobody's, and the simulator sends nothing anywhere. */
const DEMO_TARGETS = '192.0.2.10, 192.0.2.20-192.0.2.23, app.example.test';

const simulatorFactsSchema = z.object({
  url: z.string(),
  control_url: z.string(),
  tls_fingerprint: z.string(),
});

export async function runDemo(io: ProgramIo, options: DemoOptions): Promise<number> {
  const directory = await mkdtemp(join(tmpdir(), 'scanmq-demo-'));
  const children: ChildProgram[] = [];
  let redis: LocalRedis | undefined;
  const stopped = new AbortController();
  const stop = (): void => stopped.abort();
  process.on('SIGINT', stop);
  process.on('SIGTERM', stop);
  const say = (line: string): void => void io.stdout.write(`${line}\n`);

  try {
    say('scanmq demo: a real Redis, gateway and worker, and a simulated Nessus. Nothing is scanned.\n');
    if (io.env.REDIS_URL === undefined) redis = await startLocalRedis({});
    const redisUrl = redis?.url ?? io.env.REDIS_URL;
    say(`  redis      ${redis ? `${redis.url} (own, append-only)` : 'REDIS_URL'}`);
    const password = randomBytes(12).toString('base64url');
    const simulator = await startChild(
      'simulator',
      [
        '--port',
        '0',
        '--control-port',
        '0',
        '--password',
        password,
        '--scan-seconds',
        String(options.scanSeconds),
        '--json',
      ],
      io.env,
      stopped.signal,
    );
    children.push(simulator);
    const facts = simulatorFactsSchema.parse(await simulator.firstLine());
    say(`  simulator  ${facts.url} (control: ${facts.control_url})`);

    const port = options.port ?? (await freePort(DEFAULT_PORT));
    const env = {
      ...io.env,
      HOST: '127.0.0.1',
      PORT: String(port),
      WORKER_PORT: '0',
      REDIS_URL: redisUrl,
      QUEUE_PREFIX: `scanmq-demo-${randomBytes(4).toString('hex')}`,
      DATA_DIR: join(directory, 'tasks'),
      // the demonstration has its own scanner, whatever else is configured here
      SCANNER_CONFIG: '',
      NESSUS_URL: facts.url,
      NESSUS_TLS_FINGERPRINT: facts.tls_fingerprint,
      NESSUS_USERNAME: 'simulator',
      NESSUS_PASSWORD: password,
      NESSUS_ACCESS_KEY: '',
      NESSUS_SECRET_KEY: '',
      NESSUS_CA_FILE: '',
      MAX_CONCURRENT_SCANS: '3',
      POLL_INTERVAL_SECONDS: '1',
      CREDENTIALS_KEY: randomBytes(32).toString('base64'),
      TARGETS_ALLOW: '',
      TARGETS_DENY: '',
      LOG_LEVEL: io.env.LOG_LEVEL ?? 'warn',
    };
    children.push(await startChild('gateway', [], env, stopped.signal));
    children.push(await startChild('worker', [], env, stopped.signal));
    const url = `http://127.0.0.1:${port}`;
    await untilReady(url, children, stopped.signal);
    say(`  gateway    ${url}\n`);

    const client = createClient({ SCANMQ_URL: url });
    const task = await client.submit({ targets: DEMO_TARGETS, name: 'Demonstration' });
    say(`Submitted ${task.task_id}: ${DEMO_TARGETS}`);
    const status = await followToEnd(io, client, task.task_id, false, stopped.signal);
    if (stopped.signal.aborted) return EXIT.passed;
    say(`\n${describe(status)}`);
    say(`  dashboard  ${url}/dashboard`);
    say(`  MCP        ${url}/mcp`);
    say(`  findings   SCANMQ_URL=${url} npx scanmq results ${task.task_id}`);
    say(`  report     ${url}/api/v1/scans/${task.task_id}/report`);
    say(`  raw export ${url}/api/v1/scans/${task.task_id}/export`);
    if (status.status !== 'completed') return EXIT.scanFailed;
    if (options.once) return EXIT.passed;
    say('\nIt stays up until Ctrl-C.');
    await Promise.race([aborted(stopped.signal), ...children.map((child) => child.ended)]);
    const died = children.find((child) => child.hasEnded());
    if (!stopped.signal.aborted && died)
      throw new ScanmqError('unavailable', `The ${died.name} ended by itself: ${died.lastWords()}`);
    return EXIT.passed;
  } catch (error) {
    if (stopped.signal.aborted) return EXIT.passed;
    throw error;
  } finally {
    // workers first, so that they can still hand over; Redis last
    for (const child of children.reverse()) await child.stop();
    await redis?.stop();
    await rm(directory, { recursive: true, force: true });
    process.off('SIGINT', stop);
    process.off('SIGTERM', stop);
    if (stopped.signal.aborted) say('\nStopped; nothing is left running.');
  }
}

async function aborted(signal: AbortSignal): Promise<void> {
  if (!signal.aborted)
    await new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve(), { once: true }));
}

/** The preferred port, or any other when it is taken. */
async function freePort(preferred: number): Promise<number> {
  const tryPort = (port: number): Promise<number | undefined> =>
    new Promise((resolve) => {
      const server = createServer();
      server.once('error', () => resolve(undefined));
      server.listen(port, '127.0.0.1', () => {
        const address = server.address();
        server.close(() => resolve(typeof address === 'object' && address ? address.port : undefined));
      });
    });
  const port = (await tryPort(preferred)) ?? (await tryPort(0));
  if (port === undefined) throw new ScanmqError('unavailable', 'No free port on 127.0.0.1.');
  return port;
}

const READY_MS = 30_000;

async function untilReady(
  url: string,
  children: readonly ChildProgram[],
  signal: AbortSignal,
): Promise<void> {
  const giveUpAt = Date.now() + READY_MS;
  for (;;) {
    signal.throwIfAborted();
    const dead = children.find((child) => child.hasEnded());
    if (dead) throw new ScanmqError('unavailable', `The ${dead.name} did not start: ${dead.lastWords()}`);
    const answer = await fetch(`${url}/health/ready`, { signal }).catch(() => undefined);
    if (answer?.ok) return;
    if (Date.now() > giveUpAt)
      throw new ScanmqError('unavailable', `The gateway was not ready within ${READY_MS / 1000} s.`);
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
}
