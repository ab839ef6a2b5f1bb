/**
 * What a call of a tool costs over MCP, beside the least that answers with the same SDK; and 500 parked
 * `wait_for_scan` (see README.md). Ends with 1 where a target is missed or a call fails.
 *
 *     node bench/mcp.mjs [--quick] [--rounds N] [--seconds N] [--parked]
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { open, readFile } from 'node:fs/promises';
import { Agent, request } from 'node:http';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { pathToFileURL } from 'node:url';
import { parseArgs } from 'node:util';
import autocannon from 'autocannon';
import { atLeast, atMost, describeMachine, here, median, needBuild, say, table } from './harness.mjs';

const { values: options } = parseArgs({
  options: {
    quick: { type: 'boolean', default: false },
    parked: { type: 'boolean', default: false },
    rounds: { type: 'string' },
    seconds: { type: 'string' },
  },
});
const rounds = Number(options.rounds ?? (options.quick ? 2 : 5));
const seconds = Number(options.seconds ?? (options.quick ? 1 : 3));
const CONNECTIONS = 16;
const PARKED = 500;
const PARKED_SECONDS = 20;
const START_MS = 20_000;
/** Ticks of the times in /proc, on every Linux that Node runs on. */
const TICKS_PER_SECOND = 100;
const ERAS = { legacy: '2025-11-25', modern: '2026-07-28' };
const HEAD = ['', 'measured', 'target', ''];
const NAMES = {
  product: 'scanmq',
  plain: 'minimal, three fields',
  read: 'minimal, three fields of one read',
  whole: 'minimal, all fields of one read',
};
const TARGET = { rate: 0.8, cpu: 1.25 };
const TARGETS = { whole: TARGET };
const ONE_EACH = new Agent({ maxSockets: Number.POSITIVE_INFINITY });

await needBuild();
const { startLocalRedis } = await import('../packages/local-redis/dist/index.js');
const { createService, restClient } = await import('../packages/testkit/dist/index.js');
const redis = await startLocalRedis({ appendOnly: false });
const service = await createService({
  redisUrl: redis.url,
  env: { MCP_READS_PER_MINUTE: '0', HEALTH_INTERVAL_SECONDS: '30' },
});
const children = [];
try {
  say(describeMachine());
  const completed = await completedTask();
  const scanmq = [here('../apps/cli/bin/scanmq.js'), 'gateway'];
  if (!options.parked) await measureCalls(await startServer('gateway', scanmq), completed);
  const watched = ['--expose-gc', '--import', pathToFileURL(here('baselines/heap.mjs')).href, ...scanmq];
  await measureParked(await startServer('parked', watched), completed);
} finally {
  for (const child of children) child.kill('SIGKILL');
  await service.close();
  await redis.stop();
}

async function completedTask() {
  const { url, program } = await service.startGateway();
  const worker = await service.startWorker();
  const rest = restClient(url);
  const { task_id } = await rest.submit({ targets: '192.0.2.1, 192.0.2.2', name: 'bench' });
  const { status } = await rest.ended(task_id);
  if (status !== 'completed') throw new Error(`the task is ${status}`);
  for (const one of [worker, program]) {
    one.kill('SIGTERM');
    await one.ended;
  }
  return task_id;
}

/** Starts a server whose log goes to a file, as it may in production: nobody's time is spent on reading it. */
async function startServer(name, args) {
  const path = join(service.directory, `${name}.log`);
  const log = await open(path, 'w');
  const child = spawn(process.execPath, args, {
    env: { PATH: process.env.PATH, HOME: process.env.HOME, ...service.env },
    stdio: ['ignore', log.fd, log.fd],
  });
  await log.close();
  children.push(child);
  for (const giveUpAt = Date.now() + START_MS; ; await sleep(50)) {
    const text = await readFile(path, 'utf8');
    const url = /http:\/\/127\.0\.0\.1:\d+/.exec(text)?.[0];
    if (url && text.includes('\n')) return { url, pid: child.pid, log: path };
    if (Date.now() > giveUpAt || child.exitCode !== null) throw new Error(`${name} did not start:\n${text}`);
  }
}

async function measureCalls(gateway, taskId) {
  const product = `${gateway.url}/mcp`;
  const tools = await call(product, 'legacy', { method: 'tools/list', params: {} });
  const minimal = await startServer('minimal', [
    here('baselines/mcp.mjs'),
    redis.url,
    `${service.prefix}:tasks.record:${taskId}`,
    String(tools.tools.length),
  ]);
  const contestants = Object.keys(ERAS).flatMap((era) => [
    { era, kind: 'product', url: product, pid: gateway.pid },
    ...['plain', 'read', 'whole'].map((kind) => ({
      era,
      kind,
      url: `${minimal.url}/${era}/${kind}`,
      pid: minimal.pid,
    })),
  ]);
  const asked = { method: 'tools/call', params: { name: 'get_scan_status', arguments: { task_id: taskId } } };
  for (const one of contestants) {
    const { structuredContent } = await call(one.url, one.era, asked);
    if (structuredContent?.task_id !== taskId || structuredContent.status !== 'completed')
      throw new Error(`${one.url} does not tell of the task`);
    one.bytes = JSON.stringify(structuredContent).length;
    one.rounds = [];
    await load(one, asked, seconds, CONNECTIONS);
  }
  for (let round = 0; round < rounds; round += 1)
    for (const one of contestants) one.rounds.push(await load(one, asked, seconds, CONNECTIONS));

  say(
    `${tools.tools.length} tools, ${CONNECTIONS} connections; medians of ${rounds} interleaved rounds of ${seconds} s\n`,
  );
  const of = (one, figure) => median(one.rounds.map((round) => round[figure]));
  table([
    ['tools/call get_scan_status', 'answer', 'calls/s', 'CPU of one', 'p50', 'p99'],
    ...contestants.map((one) => [
      `${one.era}, ${NAMES[one.kind]}`,
      `${one.bytes} chars`,
      of(one, 'rate').toFixed(0),
      `${of(one, 'cpuUs').toFixed(0)} µs`,
      `${of(one, 'p50').toFixed(1)} ms`,
      `${of(one, 'p99').toFixed(1)} ms`,
    ]),
  ]);
  say('');
  const rows = Object.keys(ERAS).flatMap((era) =>
    ['whole', 'read', 'plain'].flatMap((kind) => {
      const ours = contestants.find((one) => one.era === era && one.kind === 'product');
      const theirs = contestants.find((one) => one.era === era && one.kind === kind);
      // of each round by itself: what else the machine does hits both
      const ratio = (figure) =>
        median(ours.rounds.map((round, index) => round[figure] / theirs.rounds[index][figure]));
      return [
        atLeast(`${era}: calls/s ÷ ${NAMES[kind]}`, ratio('rate'), TARGETS[kind]?.rate),
        atMost(`${era}: CPU of a call ÷ ${NAMES[kind]}`, ratio('cpuUs'), TARGETS[kind]?.cpu),
      ];
    }),
  );
  const failed = contestants.reduce(
    (sum, one) => sum + one.rounds.reduce((all, round) => all + round.failed, 0),
    0,
  );
  judge([HEAD, ...rows, atMost('calls that failed', failed, 0)]);
  say('');
}

/** Many wait for a task that does not end: what do they cost, and who else is answered meanwhile? */
async function measureParked(gateway, completed) {
  const url = `${gateway.url}/mcp`;
  const rest = restClient(gateway.url);
  const { task_id } = await rest.submit({ targets: '192.0.2.9', name: 'never begins: there is no worker' });
  const status = {
    method: 'tools/call',
    params: { name: 'get_scan_status', arguments: { task_id: completed } },
  };
  const wait = {
    method: 'tools/call',
    params: { name: 'wait_for_scan', arguments: { task_id, timeout_seconds: PARKED_SECONDS } },
  };
  const one = { url, pid: gateway.pid, era: 'legacy' };
  await load(one, status, 2, 4);
  const alone = await load(one, status, 3, 1);
  await sleep(1_000);
  const [idle, before] = [await cpuShare(gateway.pid, 3_000), await heapOf(gateway)];

  const begun = performance.now();
  const eras = Object.keys(ERAS);
  const waits = Promise.allSettled(
    Array.from({ length: PARKED }, async (_, index) => {
      const { structuredContent } = await call(url, eras[index % eras.length], wait);
      const ms = performance.now() - begun;
      if (structuredContent?.task_id !== task_id || structuredContent.status !== 'queued')
        throw new Error('it does not tell of the task');
      return ms;
    }),
  );
  await sleep(3_000);
  const share = await cpuShare(gateway.pid, 6_000);
  const grown = (await heapOf(gateway)) - before;
  const meanwhile = await load(one, status, 5, 1);
  const ended = await waits;
  const times = ended.flatMap(({ value }) => (value === undefined ? [] : [value]));
  const failed = PARKED - times.length + meanwhile.failed;
  say(`${PARKED} parked wait_for_scan of ${PARKED_SECONDS} s, half of them of each generation\n`);
  judge([
    HEAD,
    atMost('CPU of the gateway, idle', idle * 100, undefined, ' % of a core'),
    atMost('CPU of the gateway, with them parked', share * 100, undefined, ' % of a core'),
    atMost('memory per parked call', grown / PARKED / 1024, undefined, ' kB'),
    atMost('get_scan_status alone, p50', alone.p50, undefined, ' ms'),
    atMost('get_scan_status alone, p99', alone.p99, undefined, ' ms'),
    atMost('get_scan_status meanwhile, p50', meanwhile.p50, undefined, ' ms'),
    atMost('get_scan_status meanwhile, p99', meanwhile.p99, undefined, ' ms'),
    atMost(
      'the last of them answered, after its time',
      Math.max(...times) - PARKED_SECONDS * 1_000,
      undefined,
      ' ms',
    ),
    atMost('calls that failed', failed, 0),
  ]);
}

function judge(rows) {
  table(rows);
  if (rows.some((row) => row.at(-1) === 'MISSED')) process.exitCode = 1;
}

/** One call at a time on each connection. */
async function load({ url, pid, era }, message, duration, connections) {
  const cpuBefore = await cpuOf(pid);
  const { requests, latency, errors, timeouts, non2xx, mismatches } = await autocannon({
    url,
    method: 'POST',
    connections,
    duration,
    ...wire(era, message),
    verifyBody: (text) => text.includes('"structuredContent"'),
  });
  const cpu = (await cpuOf(pid)) - cpuBefore;
  return {
    rate: requests.average,
    cpuUs: (cpu * 1e6) / requests.total,
    p50: latency.p50,
    p99: latency.p99,
    failed: errors + timeouts + non2xx + mismatches,
  };
}

function wire(era, { method, params }) {
  const modern = era === 'modern';
  const _meta = {
    'io.modelcontextprotocol/protocolVersion': ERAS.modern,
    'io.modelcontextprotocol/clientInfo': { name: 'bench', version: '1' },
    'io.modelcontextprotocol/clientCapabilities': {},
  };
  return {
    headers: {
      'content-type': 'application/json',
      accept: 'application/json, text/event-stream',
      'mcp-protocol-version': ERAS[era],
      ...(modern ? { 'mcp-method': method, ...(params.name ? { 'mcp-name': params.name } : {}) } : {}),
    },
    body: JSON.stringify({ jsonrpc: '2.0', id: 1, method, params: modern ? { ...params, _meta } : params }),
  };
}

/** The result of one call, as JSON or as a stream. */
async function call(url, era, message) {
  const { headers, body } = wire(era, message);
  const asked = request(url, { method: 'POST', headers, agent: ONE_EACH });
  asked.end(body);
  const [answer] = await once(asked, 'response');
  let text = '';
  for await (const chunk of answer.setEncoding('utf8')) text += chunk;
  const json = text.startsWith('{') ? text : /^data: (\{.*"result".*)$/m.exec(text)?.[1];
  const { result } = JSON.parse(json ?? '{}');
  if (answer.statusCode !== 200 || !result || result.isError)
    throw new Error(`${url} answered ${answer.statusCode}: ${text.slice(0, 500)}`);
  return result;
}

/** Seconds that a process computed since it began. */
async function cpuOf(pid) {
  const text = await readFile(`/proc/${pid}/stat`, 'ascii');
  // what comes behind the name of the program, which may hold anything
  const [user, system] = text
    .slice(text.lastIndexOf(')') + 2)
    .split(' ')
    .slice(11, 13);
  return (Number(user) + Number(system)) / TICKS_PER_SECOND;
}

async function cpuShare(pid, ms) {
  const [cpu, at] = [await cpuOf(pid), performance.now()];
  await sleep(ms);
  return ((await cpuOf(pid)) - cpu) / ((performance.now() - at) / 1_000);
}

/** Bytes that a process with `baselines/heap.mjs` holds. */
async function heapOf({ pid, log }) {
  const seen = (await readFile(log, 'utf8')).length;
  process.kill(pid, 'SIGUSR2');
  for (const giveUpAt = Date.now() + START_MS; Date.now() < giveUpAt; await sleep(50)) {
    const told = /heap of (\d+) bytes\n/.exec((await readFile(log, 'utf8')).slice(seen));
    if (told) return Number(told[1]);
  }
  throw new Error('the process does not tell what it holds');
}
