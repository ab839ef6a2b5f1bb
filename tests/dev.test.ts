import { spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  copyFileSync,
  cpSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { readFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { freePort } from '@scanmq/local-redis';
import { until } from '@scanmq/testkit';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
/** What `npm run dev` needs of a clone. */
const PARTS = [
  'apps',
  'packages',
  'scripts',
  'package.json',
  'package-lock.json',
  'tsconfig.base.json',
  'tsconfig.build.json',
];

/** What npm knows of an installation. */
const INSTALLED = '.package-lock.json';

/** A build takes this long where others keep the machine busy. */
const BUILD_MS = 240_000;

let clone: string;
const output: string[] = [];
const said = (): string => output.join('');
/** How often a service has said that it serves. */
const times = (event: string): number => said().split(event).length - 1;

/** A copy to edit, which uses the packages that are installed here, and its own workspaces. */
function copyClone(): string {
  const copy = mkdtempSync(join(tmpdir(), 'scanmq-dev-test-'));
  for (const part of PARTS)
    cpSync(join(root, part), join(copy, part), {
      recursive: true,
      // the build is known by the times of its files
      preserveTimestamps: true,
      verbatimSymlinks: true,
    });
  mkdirSync(join(copy, 'node_modules/@scanmq'), { recursive: true });
  const installed = join(root, 'node_modules');
  for (const name of readdirSync(installed)) {
    if (name === '@scanmq' || name === INSTALLED) continue;
    symlinkSync(join(installed, name), join(copy, 'node_modules', name));
  }
  // written by npm when it installs: a link would lead it to ours. Newer than the lock file, so that nothing is installed
  copyFileSync(join(installed, INSTALLED), join(copy, 'node_modules', INSTALLED));
  for (const folder of ['packages', 'apps'])
    for (const name of readdirSync(join(root, folder)))
      symlinkSync(`../../${folder}/${name}`, join(copy, 'node_modules/@scanmq', name));
  return copy;
}

describe('npm run dev', () => {
  let dev: ReturnType<typeof spawn>;
  let gateway: string;
  let worker: string;
  /** Of a program that few others are built upon. */
  let changed: string;
  const source = (): Promise<string> => readFile(changed, 'utf8');
  const alive = async (): Promise<unknown> => (await fetch(`${worker}/health/live`)).json();

  beforeAll(async () => {
    clone = copyClone();
    changed = join(clone, 'apps/worker/src/health-server.ts');
    const [port, workerPort] = [await freePort(), await freePort()];
    const [simulatorPort, controlPort] = [await freePort(), await freePort()];
    gateway = `http://127.0.0.1:${port}`;
    worker = `http://127.0.0.1:${workerPort}`;
    dev = spawn(process.execPath, ['scripts/dev.mjs'], {
      cwd: clone,
      env: {
        PATH: process.env.PATH,
        HOME: process.env.HOME,
        PORT: String(port),
        WORKER_PORT: String(workerPort),
        SIMULATOR_PORT: String(simulatorPort),
        SIMULATOR_CONTROL_PORT: String(controlPort),
        LOG_LEVEL: 'info',
      },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    for (const stream of [dev.stdout, dev.stderr])
      stream?.on('data', (chunk: Buffer) => output.push(chunk.toString()));
  });
  afterAll(async () => {
    if (dev.exitCode === null && dev.signalCode === null) {
      dev.kill('SIGTERM');
      await once(dev, 'exit');
    }
    rmSync(clone, { recursive: true, force: true });
  });

  it(
    'starts everything',
    async () => {
      await until(
        'gateway and worker serve',
        () => times('gateway.listening') === 1 && times('worker.started') === 1,
        BUILD_MS,
      );
      expect(times('the sources are watched')).toBe(1);
      expect((await fetch(`${gateway}/health/ready`)).status).toBe(200);
    },
    2 * BUILD_MS,
  );

  it(
    'starts gateway and worker again with what was changed, after the worker has handed over',
    async () => {
      const before = await source();
      expect(await alive()).toEqual({ status: 'alive' });
      writeFileSync(changed, before.replace("status: 'alive'", "status: 'alive', changed: true"));
      await until(
        'both serve again',
        () => times('gateway.listening') === 2 && times('worker.started') === 2,
        BUILD_MS,
      );
      expect(said()).toMatch(/changed: .*apps\/worker; starting gateway and worker again/);
      expect(times('worker.stopped')).toBe(1);
      expect(await alive()).toEqual({ status: 'alive', changed: true });
    },
    2 * BUILD_MS,
  );

  it(
    'leaves what runs alone when a change does not compile',
    async () => {
      writeFileSync(changed, `${await source()}\nexport const BROKEN: number = 'text';\n`);
      await until('the error is told', () => said().includes('1 errors: what runs stays as it is'), BUILD_MS);
      expect(said()).toContain('error TS2322');
      expect(times('worker.started')).toBe(2);
      expect(await alive()).toEqual({ status: 'alive', changed: true });
    },
    2 * BUILD_MS,
  );

  it('ends everything at Ctrl-C', async () => {
    dev.kill('SIGINT');
    // with everything that has its output
    expect(await once(dev, 'close')).toEqual([0, null]);
    expect(said()).toContain('nothing is left running');
    await expect(fetch(`${gateway}/health/live`)).rejects.toThrow();
  });
});
