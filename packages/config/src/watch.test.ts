import { writeFileSync } from 'node:fs';
import { mkdir, mkdtemp, rename, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { ConfigError, type Environment, type ScannersConfig, watchScannersConfig } from './index.js';

let directory: string;
let stop: AbortController;
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'scanmq-test-'));
  stop = new AbortController();
});
afterEach(async () => {
  stop.abort();
  await rm(directory, { recursive: true });
});

const yaml = (id: string) => `nessus: [{ instance_id: ${id}, url: 'https://a', username: u, password: p }]\n`;
const idOf = (config: ScannersConfig) => config.pools.get('nessus')?.[0]?.instanceId;

/** Watches; `next` resolves with the instance id that a change brought, or with the error. */
async function watch(file: string, env: Environment = {}) {
  const seen: unknown[] = [];
  let wake = (): void => undefined;
  const tell = (what: unknown): void => {
    seen.push(what);
    wake();
  };
  const watched = await watchScannersConfig({ scannerConfigFile: file, maxConcurrentScans: 1 }, env, {
    onChange: (config) => tell(idOf(config)),
    onError: tell,
    signal: stop.signal,
    intervalMs: 10,
  });
  return {
    watched,
    seen,
    async next(): Promise<unknown> {
      while (seen.length === 0)
        await new Promise<void>((resolve) => {
          wake = resolve;
        });
      return seen.shift();
    },
  };
}

/** At one go: a process that stops halfway leaves an empty file, which is told as broken after a while. */
const writeInPlace = writeFileSync;

describe('a change of scanners.yaml', () => {
  it('is seen when the file is written in place, again and again', async () => {
    const file = join(directory, 'scanners.yaml');
    await writeFile(file, yaml('one'));
    const { watched, next } = await watch(file);
    expect(idOf(watched.current)).toBe('one');
    // the first one may come before the first look, the next ones do not
    for (const id of ['two', 'six']) {
      writeInPlace(file, yaml(id));
      expect(await next()).toBe(id);
      expect(idOf(watched.current)).toBe(id);
    }
  });

  it('is seen when the file is replaced by rename, as editors do, again and again', async () => {
    const file = join(directory, 'scanners.yaml');
    await writeFile(file, yaml('one'));
    const { next } = await watch(file);
    for (const id of ['two', 'three']) {
      await writeFile(`${file}.new`, yaml(id));
      await rename(`${file}.new`, file);
      expect(await next()).toBe(id);
    }
  });

  it('is seen when a link on the way to it is swapped, as Kubernetes does', async () => {
    for (const id of ['one', 'two', 'six']) {
      await mkdir(join(directory, id));
      await writeFile(join(directory, id, 'scanners.yaml'), yaml(id));
    }
    await symlink('one', join(directory, '..data'));
    await symlink(join('..data', 'scanners.yaml'), join(directory, 'scanners.yaml'));
    const { next } = await watch(join(directory, 'scanners.yaml'));
    for (const id of ['two', 'six']) {
      await symlink(id, join(directory, '..new'));
      await rename(join(directory, '..new'), join(directory, '..data'));
      expect(await next()).toBe(id);
    }
  });

  it('is seen at once on demand', async () => {
    const file = join(directory, 'scanners.yaml');
    await writeFile(file, yaml('one'));
    const { watched, seen } = await watch(file);
    watched.close();
    await watched.reload();
    expect(seen).toEqual([]);
    await writeFile(file, yaml('two'));
    await watched.reload();
    expect(seen).toEqual(['two']);
  });
});

describe('a scanners.yaml that is broken later', () => {
  it('is reported; the old one stays in force until it is mended', async () => {
    const file = join(directory, 'scanners.yaml');
    await writeFile(file, yaml('one'));
    const { watched, next } = await watch(file);
    writeInPlace(file, 'nessus: 1');
    expect(await next()).toBeInstanceOf(ConfigError);
    expect(idOf(watched.current)).toBe('one');
    watched.close();
    await writeFile(file, yaml('two'));
    await watched.reload();
    expect(idOf(watched.current)).toBe('two');
  });

  it('does not give way to NESSUS_URL when it is gone', async () => {
    const file = join(directory, 'scanners.yaml');
    await writeFile(file, yaml('one'));
    const env = { NESSUS_URL: 'https://b', NESSUS_USERNAME: 'u', NESSUS_PASSWORD: 'p' };
    const { watched, seen } = await watch(file, env);
    watched.close();
    await rm(file);
    await watched.reload();
    expect(seen).toEqual([expect.any(ConfigError)]);
    expect(idOf(watched.current)).toBe('one');
  });
});

describe('a watch', () => {
  it('does not begin with a broken file', async () => {
    await writeFile(join(directory, 'scanners.yaml'), 'x');
    await expect(watch(join(directory, 'scanners.yaml'))).rejects.toBeInstanceOf(ConfigError);
  });

  it('sees a file that comes later, where the scanner came from the environment', async () => {
    const file = join(directory, 'scanners.yaml');
    const env = { NESSUS_URL: 'https://b', NESSUS_USERNAME: 'u', NESSUS_PASSWORD: 'p' };
    const { watched, next } = await watch(file, env);
    expect(idOf(watched.current)).toBe('scanner1');
    writeInPlace(file, yaml('two'));
    expect(await next()).toBe('two');
  });
});
