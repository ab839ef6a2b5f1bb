/**
 * `npm run test:mcp`: the official conformance suites of MCP against fixtures that are mounted through the product's own
 * route, and the inspector against the whole service. The tools need Node 22 and are fetched by npx at their pinned versions.
 */
import { spawn } from 'node:child_process';
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import Fastify from 'fastify';
import { installMcp } from '../apps/gateway/dist/mcp/mount.js';
import { installBodyTimeout } from '../apps/gateway/dist/plugins/body-timeout.js';
import { installErrors } from '../apps/gateway/dist/plugins/errors.js';
import { installHostGuard } from '../apps/gateway/dist/plugins/host-guard.js';
import { legacyFixture } from './fixture-legacy.mjs';
import { modernFixture } from './fixture-modern.mjs';
import { inspectService } from './inspector.mjs';

const NODE = 'node@24';
const OLDER = '@modelcontextprotocol/conformance@0.1.16';
const NEWER = '@modelcontextprotocol/conformance@0.2.0-alpha.12';
const TASKS = [
  'tasks-lifecycle',
  'tasks-capability-negotiation',
  'tasks-wire-fields',
  'tasks-request-state-removal',
  'tasks-mrtr-input',
  'tasks-request-headers',
  'tasks-dispatch-and-envelope',
  'tasks-required-task-error',
  'tasks-mrtr-composition',
  'tasks-status-notifications',
];
const SUITE_MS = 180_000;
const say = (line) => process.stdout.write(`${line}\n`);

// biome-ignore lint/style/noProcessEnv: what the tools need to run at all, handed on to them
const environment = process.env;

function run(command, args, path = environment.PATH) {
  return new Promise((resolve) => {
    const child = spawn(command, args, {
      stdio: ['ignore', 'pipe', 'pipe'],
      detached: true,
      env: { ...environment, PATH: path },
    });
    let output = '';
    for (const stream of [child.stdout, child.stderr])
      stream.on('data', (data) => {
        output += data;
      });
    const timer = setTimeout(() => process.kill(-child.pid, 'SIGKILL'), SUITE_MS);
    child.on('error', (error) => resolve({ code: -1, output: `${output}${error.message}` }));
    child.on('close', (code) => {
      clearTimeout(timer);
      resolve({ code: code ?? -1, output });
    });
  });
}

async function startFixtures() {
  const app = Fastify();
  installErrors(app);
  installHostGuard(app);
  installBodyTimeout(app);
  const notifies = new Set(['test_tool_with_logging', 'test_tool_with_progress']);
  installMcp(app, async () => ({
    legacy: legacyFixture,
    modern: modernFixture,
    streams: (name) => notifies.has(name),
  }));
  const url = await app.listen({ host: '127.0.0.1', port: 0 });
  return { url: `${url.replace('127.0.0.1', 'localhost')}/mcp`, close: () => app.close() };
}

/** Checks by their outcome, from the files that the suite writes: its exit code alone does not say what was checked. */
async function outcomes(directory) {
  const counts = {};
  for (const entry of await readdir(directory, { recursive: true })) {
    if (!entry.endsWith('checks.json')) continue;
    for (const { status } of JSON.parse(await readFile(join(directory, entry), 'utf8')))
      counts[status] = (counts[status] ?? 0) + 1;
  }
  return counts;
}

async function suite(name, conformance, args, most = {}) {
  const directory = await mkdtemp(join(tmpdir(), 'scanmq-conformance-'));
  try {
    const { code, output } = await run('npx', [
      ...['-y', '-p', NODE, '-p', conformance, 'conformance', 'server'],
      ...args,
      ...['-o', directory],
    ]);
    const counts = await outcomes(directory);
    const failures = counts.FAILURE ?? 0;
    const passed =
      code === 0 && (counts.SUCCESS ?? counts.SKIPPED ?? 0) > 0 && failures <= (most.failures ?? 0);
    say(`${passed ? 'pass' : 'FAIL'}  ${name}: ${JSON.stringify(counts)}`);
    if (!passed) say(output.slice(-6_000));
    return passed;
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}

const results = [];
const probe = await run('npx', ['-y', '-p', NODE, 'node', '--version']);
if (probe.code !== 0) {
  say(`npm run test:mcp needs ${NODE} from the npm registry:\n${probe.output.slice(-500)}`);
  process.exit(1);
}
const fixtures = await startFixtures();
try {
  const url = ['--url', fixtures.url];
  const baseline = ['--expected-failures', new URL('baseline-2025.yml', import.meta.url).pathname];
  // the suite itself compares its failures with the baseline
  results.push(
    await suite('up to 2025-11-25, all scenarios', OLDER, [...url, '--suite', 'all', ...baseline], {
      failures: Number.POSITIVE_INFINITY,
    }),
  );
  results.push(
    // it runs scenarios beyond the required ones too; its exit code judges by the required ones
    await suite('2026-07-28, required scenarios', NEWER, [...url, '--requirements', '2026-07-28'], {
      failures: Number.POSITIVE_INFINITY,
    }),
  );
  for (const scenario of TASKS)
    results.push(
      await suite(scenario, NEWER, [
        ...url,
        '--scenario',
        scenario,
        '--spec-version',
        '2026-07-28',
        '--force',
      ]),
    );
} finally {
  await fixtures.close();
}
results.push(...(await inspectService(run, say)));
const failed = results.filter((passed) => !passed).length;
say(`${results.length - failed} passed, ${failed} failed`);
process.exit(failed === 0 ? 0 : 1);
