import { spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
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
  for (const name of readdirSync(join(root, 'node_modules'))) {
    if (name === '@scanmq') continue;
    symlinkSync(join(root, 'node_modules', name), join(copy, 'node_modules', name));
  }
  for (const folder of ['packages', 'apps'])
    for (const name of readdirSync(join(root, folder)))
      symlinkSync(`../../${folder}/${name}`, join(copy, 'node_modules/@scanmq', name));
  return copy;
}

describe('npm run dev', () => {
  let dev: ReturnType<typeof spawn>;
  let gateway: string;

  beforeAll(async () => {
    clone = copyClone();
    const [port, simulatorPort, controlPort] = [await freePort(), await freePort(), await freePort()];
    gateway = `http://127.0.0.1:${port}`;
    dev = spawn(process.execPath, ['scripts/dev.mjs'], {
      cwd: clone,
      env: {
        PATH: process.env.PATH,
        HOME: process.env.HOME,
        PORT: String(port),
        WORKER_PORT: '0',
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

  it('starts everything', async () => {
    await until(
      'gateway and worker serve',
      () => times('gateway.listening') === 1 && times('worker.started') === 1,
      120_000,
    );
    await until('the compiler watches', () => times('the compiler watches') === 1, 120_000);
    expect((await fetch(`${gateway}/health/ready`)).status).toBe(200);
  }, 250_000);

  it('starts gateway and worker again with what was changed, after the worker has handed over', async () => {
    const source = join(clone, 'apps/gateway/src/routes/health.ts');
    expect(existsSync(source)).toBe(true);
    writeFileSync(source, `${readFileSync(source, 'utf8')}\nexport const CHANGED = true;\n`);
    await until(
      'both serve again',
      () => times('gateway.listening') === 2 && times('worker.started') === 2,
      120_000,
    );
    expect(said()).toMatch(/changed: .*apps\/gateway; starting gateway and worker again/);
    expect(times('worker.stopped')).toBe(1);
    expect((await fetch(`${gateway}/health/ready`)).status).toBe(200);
  }, 130_000);

  it('leaves what runs alone when a change does not compile', async () => {
    const source = join(clone, 'packages/contract/src/index.ts');
    const before = readFileSync(source, 'utf8');
    writeFileSync(source, `${before}\nexport const BROKEN: number = 'text';\n`);
    await until('the error is told', () => said().includes('what runs stays as it is'), 120_000);
    expect(said()).toContain('error TS2322');
    expect(times('gateway.listening')).toBe(2);
    expect((await fetch(`${gateway}/health/live`)).status).toBe(200);
    writeFileSync(source, before);
  }, 130_000);

  it('ends everything at Ctrl-C', async () => {
    dev.kill('SIGINT');
    expect(await once(dev, 'exit')).toEqual([0, null]);
    expect(said()).toContain('nothing is left running');
    await expect(fetch(`${gateway}/health/live`)).rejects.toThrow();
  }, 90_000);
});
