import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { freePort } from '@scanmq/local-redis';

const SERVER = join(createRequire(import.meta.url).resolve('s3rver/package.json'), '../bin/s3rver.js');
/** It ends with us, however we end. */
const GUARDED = "process.stdin.resume().on('close', () => process.exit()); require(process.argv[1]);";
const BUCKET = 'results';
/** The only key that the server knows. */
const KEY = 'S3RVER';

/** A server that speaks S3, on 127.0.0.1, with one bucket. */
export interface LocalS3 {
  readonly endpoint: string;
  /** Settings of scanmq for it. */
  readonly env: Readonly<Record<string, string>>;
  /** Names of all objects, sorted. */
  objects(): Promise<string[]>;
  read(name: string): Promise<string>;
  /** Puts another text in the place of an object, behind the server's back. */
  rewrite(name: string, change: (text: string) => string): Promise<void>;
  /** Changes the bytes of an object behind the server's back. */
  damage(which: (name: string) => boolean): Promise<void>;
  /** Ends the server; what it holds stays. */
  crash(): Promise<void>;
  /** Starts it again, at the same address. */
  start(): Promise<void>;
  stop(): Promise<void>;
}

/** @param port a free one when left out. */
export async function startLocalS3(port?: number): Promise<LocalS3> {
  const directory = await mkdtemp(join(tmpdir(), 'scanmq-s3-'));
  let running = await run(directory, port ?? (await freePort()));
  const { endpoint } = running;
  const crash = async (): Promise<void> => {
    if (running.child.exitCode !== null || running.child.signalCode !== null) return;
    running.child.kill('SIGKILL');
    await once(running.child, 'exit');
  };
  // it keeps each object in a file and its facts beside it
  const suffix = '._S3rver_object';
  const fileOf = (name: string): string => join(directory, BUCKET, `${name}${suffix}`);
  const objects = async (): Promise<string[]> => {
    const names = await readdir(join(directory, BUCKET), { recursive: true });
    return names.flatMap((name) => (name.endsWith(suffix) ? [name.slice(0, -suffix.length)] : [])).sort();
  };
  return {
    endpoint,
    env: {
      RESULT_STORE: 's3',
      S3_BUCKET: BUCKET,
      S3_ENDPOINT: endpoint,
      S3_ACCESS_KEY_ID: KEY,
      S3_SECRET_ACCESS_KEY: KEY,
    },
    objects,
    read: (name) => readFile(fileOf(name), 'utf8'),
    async rewrite(name, change) {
      await writeFile(fileOf(name), change(await readFile(fileOf(name), 'utf8')));
    },
    async damage(which) {
      const name = (await objects()).find(which);
      if (name === undefined) throw new Error('there is no such object');
      await writeFile(fileOf(name), 'forged');
    },
    crash,
    async start() {
      running = await run(directory, Number(new URL(endpoint).port));
    },
    async stop() {
      await crash();
      await rm(directory, { recursive: true, force: true });
    },
  };
}

async function run(directory: string, port: number): Promise<{ child: ChildProcess; endpoint: string }> {
  const child = spawn(
    process.execPath,
    [
      ...['-e', GUARDED, SERVER],
      ...['-s', '-d', directory, '-a', '127.0.0.1', '-p', String(port), '--configure-bucket', BUCKET],
    ],
    { stdio: ['pipe', 'pipe', 'inherit'] },
  );
  let text = '';
  for await (const chunk of child.stdout.iterator({ destroyOnReturn: false })) {
    text += String(chunk);
    const match = /listening on [^\s]*?:(\d+)/.exec(text);
    if (!match) continue;
    // what it says later must not fill the pipe
    child.stdout.resume();
    return { child, endpoint: `http://127.0.0.1:${match[1]}` };
  }
  throw new Error(`the server of S3 ended: ${text}`);
}
