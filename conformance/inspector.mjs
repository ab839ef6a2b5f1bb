/** The inspector's command against the running demo: every tool listed and called, in both generations of the protocol. */
import { spawn } from 'node:child_process';
import { createServer } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';

const INSPECTOR = '@modelcontextprotocol/inspector@2.12.0';
const ERAS = ['legacy', 'modern'];
const STARTED_MS = 120_000;

async function freePort() {
  const server = createServer();
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address();
  await new Promise((resolve) => server.close(resolve));
  return port;
}

/** Resolves once the scan of the demo has ended. */
async function startDemo() {
  const port = await freePort();
  const program = fileURLToPath(new URL('../apps/cli/bin/scanmq.js', import.meta.url));
  const child = spawn(process.execPath, [program, 'demo', '--port', String(port), '--scan-seconds', '2'], {
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let output = '';
  for (const stream of [child.stdout, child.stderr])
    stream.on('data', (data) => {
      output += data;
    });
  const ended = new Promise((resolve) => child.once('close', resolve));
  const close = async () => {
    child.kill('SIGINT');
    await ended;
  };
  const url = `http://127.0.0.1:${port}`;
  const until = Date.now() + STARTED_MS;
  while (Date.now() < until && child.exitCode === null) {
    const list = await fetch(`${url}/api/v1/scans?status_filter=completed`).then(
      (answer) => answer.json(),
      () => undefined,
    );
    const taskId = list?.tasks?.[0]?.task_id;
    if (taskId !== undefined) return { url, taskId, close };
    await sleep(250);
  }
  await close();
  throw new Error(`the demo did not start:\n${output.slice(-3_000)}`);
}

/** Every tool with arguments that make sense, in an order in which they do. */
function calls(taskId, otherTaskId, findingId) {
  const scan = { targets: '192.0.2.10', name: 'inspected' };
  return [
    ['plan_scan', scan],
    ['run_untrusted_scan', scan],
    [
      'run_authenticated_scan',
      { ...scan, scan_type: 'authenticated', ssh_username: 'auditor', ssh_password: 'simulated' },
    ],
    ['wait_for_scan', { task_id: taskId, timeout_seconds: 1 }],
    ['get_scan_status', { task_id: taskId }],
    ['list_tasks', { limit: 5 }],
    ['get_scan_results', { task_id: taskId, schema_profile: 'minimal' }],
    ['search_findings', { task_id: taskId, group_by: 'plugin' }],
    ['get_finding', { task_id: taskId, finding_id: findingId, include_output: true }],
    ['compare_scans', { base_task_id: taskId, head_task_id: otherTaskId }],
    ['list_scanners', {}],
    ['list_pools', {}],
    ['get_pool_status', {}],
    ['get_queue_status', {}],
    ['manage_schedules', { action: 'list' }],
  ];
}

async function submitted(url, name) {
  const answer = await fetch(`${url}/api/v1/scans`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ targets: '192.0.2.11', name }),
  });
  return (await answer.json()).task_id;
}

/** Lets nothing begin any more: what is submitted from now on waits, however long the inspector takes. */
async function drainScanners(url) {
  const { scanners } = await fetch(`${url}/api/v1/scanners`).then((answer) => answer.json());
  for (const { instance_key: key } of scanners)
    await fetch(`${url}/api/v1/scanners/${encodeURIComponent(key)}/drain`, { method: 'POST' });
}

async function ended(url, taskId) {
  await fetch(`${url}/api/v1/scans/${taskId}?wait=60`);
  return taskId;
}

/**
 * @param run runs a command with arguments and, where given, a PATH of its own; resolves with exit code and output.
 * @returns for each generation whether everything passed.
 */
export async function inspectService(run, say) {
  // asked once where npx has put it: npx itself takes seconds for each call
  const installed = await run('npx', [
    ...['-y', '-p', 'node@24', '-p', INSPECTOR],
    ...['node', '-p', '"path of the inspector: " + process.env.PATH'],
  ]);
  const path = /path of the inspector: (.*)/.exec(installed.output)?.[1];
  if (path === undefined) throw new Error(`npx did not fetch the inspector:\n${installed.output}`);
  const demo = await startDemo();
  try {
    const otherTaskId = await ended(demo.url, await submitted(demo.url, 'other'));
    const { findings } = await fetch(`${demo.url}/api/v1/findings?task_id=${demo.taskId}&limit=1`).then(
      (answer) => answer.json(),
    );
    const inspect = async (era, args) => {
      const { code, output } = await run(
        'mcp-inspector',
        [
          ...['--cli', `${demo.url}/mcp`, '--transport', 'http', '--protocol-era', era],
          ...['--format', 'json', '-q', ...args],
        ],
        path,
      );
      if (code !== 0) say(`inspector, ${era}: ${args.join(' ')} ended with ${code}\n${output.slice(-2_000)}`);
      return code === 0;
    };
    const passed = new Map(ERAS.map((era) => [era, []]));
    const check = async (era, args) => passed.get(era).push(await inspect(era, args));
    const call = (era, tool, args) =>
      check(era, [
        ...['--method', 'tools/call', '--tool-name', tool],
        ...['--tool-args-json', JSON.stringify(args)],
      ]);
    await Promise.all(
      ERAS.map(async (era) => {
        await check(era, ['--method', 'tools/list', '--strict']);
        for (const [tool, args] of calls(demo.taskId, otherTaskId, findings[0].finding_id))
          await call(era, tool, args);
      }),
    );
    // not before: with the newer protocol the inspector follows a scan as a task to its end
    await drainScanners(demo.url);
    for (const era of ERAS) {
      const held = await submitted(demo.url, `held ${era}`);
      await call(era, 'control_scan', { task_id: held, action: 'pause' });
      await call(era, 'cancel_scan', { task_id: held });
    }
    return ERAS.map((era) => {
      const outcomes = passed.get(era);
      const all = outcomes.every(Boolean);
      say(
        `${all ? 'pass' : 'FAIL'}  inspector, ${era}: ${outcomes.filter(Boolean).length} of ${outcomes.length} calls`,
      );
      return all;
    });
  } finally {
    await demo.close();
  }
}
