/** What is installed: pinned by hash, listed for whoever asks, and asked about, without mistaking silence for an answer. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { createServer, type Server } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';

let directory: string;
beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'scanmq-supply-'));
});
afterAll(async () => await rm(directory, { recursive: true, force: true }));

async function script(name: string, ...args: string[]): Promise<{ code: number; output: string }> {
  const child = spawn(process.execPath, [join('scripts', name), ...args], {
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let output = '';
  for (const stream of [child.stdout, child.stderr])
    stream.on('data', (chunk: Buffer) => (output += chunk.toString()));
  const [code] = (await once(child, 'close')) as [number];
  return { code, output };
}

describe('the lock file', () => {
  it('pins everything, and names no server', async () => {
    const { code, output } = await script('check-lockfile.mjs');
    expect([code, output]).toEqual([0, expect.stringContaining(' 0 mistakes')]);
  });

  it.each([
    ['has no hash', { version: '1.0.0' }],
    ['weak hash', { version: '1.0.0', integrity: 'sha1-2jmj7l5rSw0yVb/vlWAYkK/YBwk=' }],
    [
      'names where it was downloaded',
      { integrity: `sha512-${'a'.repeat(86)}==`, resolved: 'https://evil.example/x.tgz' },
    ],
    ['has no hash', { optional: true, os: ['linux'] }],
  ])('is refused when a package %s', async (why, entry) => {
    const lock = JSON.parse(await readFile('package-lock.json', 'utf8'));
    lock.packages['node_modules/a/node_modules/@swc/corexyz'] = entry;
    const file = join(directory, 'lock.json');
    await writeFile(file, JSON.stringify(lock));
    const { code, output } = await script('check-lockfile.mjs', file);
    expect([code, output]).toEqual([1, expect.stringContaining(why)]);
  });
});

describe('the bill of materials', () => {
  it('has what runs in production with its hashes, and nothing of the tests', async () => {
    const file = join(directory, 'sbom.json');
    expect(await script('sbom.mjs', file)).toMatchObject({ code: 0 });
    const { bomFormat, metadata, components } = JSON.parse(await readFile(file, 'utf8'));
    expect([bomFormat, metadata.component.name]).toEqual(['CycloneDX', 'scanmq']);
    const names = components.map(({ purl }: { purl: string }) => purl.replace(/@[^@]*$/, ''));
    expect(names).toEqual(expect.arrayContaining(['pkg:npm/fastify', 'pkg:npm/bullmq', 'pkg:npm/got']));
    for (const ofTests of ['jest', 'playwright-core', 'dns-packet', 'fast-check', 'typescript'])
      expect(names).not.toContain(`pkg:npm/${ofTests}`);
  });
});

describe('the audit', () => {
  const ADVISORY = {
    id: 1,
    url: 'https://github.com/advisories/GHSA-aaaa-bbbb-cccc',
    title: 'It does harm',
    severity: 'high',
    vulnerable_versions: '*',
    cwe: [],
    cvss: { score: 7, vectorString: null },
  };
  let server: Server;
  let answer: { status: number; body: string };
  let registry: string;
  beforeAll(async () => {
    const lock = JSON.parse(await readFile('package-lock.json', 'utf8'));
    server = createServer((request, response) => {
      request.resume();
      const name = decodeURIComponent((request.url ?? '').slice(1));
      // to what is vulnerable, npm asks for the versions that there are
      const version = lock.packages[`node_modules/${name}`]?.version;
      const versions = { name, versions: { [version]: { name, version } } };
      const said = request.method === 'GET' ? { status: 200, body: JSON.stringify(versions) } : answer;
      response.writeHead(said.status, { 'content-type': 'application/json' }).end(said.body);
    });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    const address = server.address();
    registry = `--registry=http://127.0.0.1:${typeof address === 'object' ? address?.port : ''}/`;
  });
  afterAll(async () => {
    server.closeAllConnections();
    server.close();
    await once(server, 'close');
  });

  it('is no good news where the registry does not answer it', async () => {
    answer = { status: 405, body: '{}' };
    expect(await script('audit.mjs', registry)).toEqual({
      code: 2,
      output: expect.stringContaining('NOT CHECKED'),
    });
    const allowed = await script('audit.mjs', registry, '--if-reachable');
    expect(allowed).toEqual({ code: 0, output: expect.stringContaining('NOT CHECKED') });
    expect(allowed.output).not.toContain('clean');
  });

  it('is clean when nothing is known, and fails when something is', async () => {
    answer = { status: 200, body: '{}' };
    expect(await script('audit.mjs', registry)).toEqual({ code: 0, output: '[audit] clean\n' });
    answer = { status: 200, body: JSON.stringify({ fastify: [ADVISORY] }) };
    expect(await script('audit.mjs', registry, '--if-reachable')).toEqual({
      code: 1,
      output: expect.stringContaining('fastify GHSA-aaaa-bbbb-cccc (high): It does harm'),
    });
  });

  it('lets pass what is explained, until that runs out', async () => {
    answer = { status: 200, body: JSON.stringify({ fastify: [ADVISORY] }) };
    const file = join(directory, 'exceptions.json');
    const explain = (until: string) =>
      writeFile(
        file,
        JSON.stringify({ advisories: [{ id: 'GHSA-aaaa-bbbb-cccc', until, reason: 'not reachable' }] }),
      );
    await explain('2999-01-01');
    expect(await script('audit.mjs', registry, `--exceptions=${file}`)).toEqual({
      code: 0,
      output: expect.stringContaining(
        'explained: fastify GHSA-aaaa-bbbb-cccc (high) until 2999-01-01: not reachable',
      ),
    });
    await explain('2020-01-01');
    expect((await script('audit.mjs', registry, `--exceptions=${file}`)).code).toBe(1);
  });
});
