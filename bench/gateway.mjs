/**
 * What submitting and following costs, beside the least that does the same (see README.md). Ends with 1 where a target is
 * missed or a request fails.
 *
 *     node bench/gateway.mjs [--quick] [--rounds N] [--seconds N] [--only submit,read,start,follow]
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { open, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { parseArgs } from 'node:util';
import autocannon from 'autocannon';
import { QueueEvents } from 'bullmq';
import {
  atLeast,
  atMost,
  describeMachine,
  here,
  MEGABYTE,
  median,
  needBuild,
  peakOf,
  percentile,
  say,
  table,
} from './harness.mjs';

const { values: options } = parseArgs({
  options: {
    quick: { type: 'boolean', default: false },
    rounds: { type: 'string' },
    seconds: { type: 'string' },
    only: { type: 'string', default: 'submit,read,start,follow' },
    profile: { type: 'string' },
  },
});
const rounds = Number(options.rounds ?? (options.quick ? 3 : 7));
const seconds = Number(options.seconds ?? (options.quick ? 1 : 3));
const only = options.only.split(',');
const CONNECTIONS = 16;
/** Submissions to an idle system, one after the other. */
const STARTS = options.quick ? 40 : 200;
const FOLLOWERS = 1_000;
const FOLLOWED = 200;
const FOLLOW_SECONDS = options.quick ? 30 : 90;
const HEAD = ['', 'measured', 'target', ''];
const TARGET = { submit: 0.5, read: 0.7, startP50: 10, startP99: 50, age: 250, memory: 300 };
const START_MS = 20_000;
/** Ticks of the times in /proc, on every Linux that Node runs on. */
const TICKS_PER_SECOND = 100;
/** A request as pipelines send it; the bench fills in the id. */
const SUBMISSION = JSON.stringify({
  targets: '192.0.2.0/28, 198.51.100.7',
  name: 'Build 4711',
  idempotency_key: '[<id>]',
});

await needBuild();
const { startLocalRedis } = await import('../packages/local-redis/dist/index.js');
const { createService, restClient } = await import('../packages/testkit/dist/index.js');
const redis = await startLocalRedis();
const children = [];
const rows = [];
let failed = 0;
try {
  say(describeMachine());
  if (only.includes('submit') || only.includes('read')) await withService({}, measureRequests);
  if (only.includes('start')) {
    const setup = { scanDurationMs: 0, startDelayMs: 0, exportDelayMs: 0 };
    await withService({ scanners: [setup] }, measureStarts);
  }
  if (only.includes('follow')) {
    const setup = { scanDurationMs: FOLLOW_SECONDS * 2_000, limit: FOLLOWED / 2 };
    await withService(
      { scanners: [setup, setup], env: { POLL_INTERVAL_SECONDS: '5', WORKER_LOCK_SECONDS: '60' } },
      measureFollowing,
    );
  }
  table([HEAD, ...rows, atMost('requests that failed', failed, 0)]);
  if (failed > 0 || rows.some((row) => row.at(-1) === 'MISSED')) process.exitCode = 1;
} finally {
  for (const child of children) child.kill('SIGKILL');
  await redis.stop();
}

async function withService(setup, measureIt) {
  const service = await createService({
    redisUrl: redis.url,
    ...setup,
    // as in production, but for what the measurement needs otherwise
    env: { HEALTH_INTERVAL_SECONDS: '30', SWEEP_INTERVAL_SECONDS: '60', ...setup.env },
  });
  try {
    await measureIt(service);
  } finally {
    for (const child of children.splice(0)) {
      child.kill('SIGTERM');
      if (child.exitCode === null) await once(child, 'exit');
    }
    await service.close();
  }
}

/** Starts a program whose log goes to a file, as it may in production: nobody's time is spent on reading it. */
async function start(service, name, args) {
  const path = join(service.directory, `${name}.log`);
  const log = await open(path, 'w');
  const child = spawn(process.execPath, args, {
    env: { PATH: process.env.PATH, HOME: process.env.HOME, ...service.env },
    stdio: ['ignore', log.fd, log.fd],
  });
  await log.close();
  children.push(child);
  for (const giveUpAt = Date.now() + START_MS; ; await new Promise((resolve) => setTimeout(resolve, 50))) {
    const text = await readFile(path, 'utf8');
    const url = /http:\/\/127\.0\.0\.1:\d+/.exec(text)?.[0];
    if (url && text.includes('\n')) return { url, pid: child.pid };
    if (Date.now() > giveUpAt || child.exitCode !== null) throw new Error(`${name} did not start:\n${text}`);
  }
}

async function startGateway(service) {
  const profile = options.profile === undefined ? [] : ['--cpu-prof', `--cpu-prof-dir=${options.profile}`];
  return await start(service, 'gateway', [...profile, here('../apps/cli/bin/scanmq.js'), 'gateway']);
}

async function startWorker(service) {
  return await start(service, 'worker', [here('../apps/cli/bin/scanmq.js'), 'worker']);
}

async function measureRequests(service) {
  const gateway = await startGateway(service);
  const minimal = await start(service, 'minimal', [
    here('baselines/gateway.mjs'),
    redis.url,
    `${service.prefix}bare`,
  ]);
  const api = restClient(gateway.url);
  if (only.includes('read')) {
    const worker = await service.startWorker();
    const { task_id: taskId } = await api.submit({ targets: '192.0.2.1, 192.0.2.2', name: 'bench' });
    const { status } = await api.ended(taskId);
    if (status !== 'completed') throw new Error(`the task is ${status}`);
    worker.kill('SIGTERM');
    await worker.ended;
    const { task_id: waiting } = await api.submit({ targets: '192.0.2.9', name: 'waits' });
    for (const [id, what, target] of [
      [taskId, 'of a task that has ended', TARGET.read],
      [waiting, 'of a task that waits, with its place in the queue', undefined],
    ])
      await compare(
        `GET /scans/{id} ${what} ÷ one hash read`,
        { pid: gateway.pid, url: `${gateway.url}/api/v1/scans/${id}`, method: 'GET' },
        { pid: minimal.pid, url: `${minimal.url}/read/${service.prefix}:tasks.record:${id}`, method: 'GET' },
        target,
      );
  }
  if (only.includes('submit')) {
    const post = { method: 'POST', headers: { 'content-type': 'application/json' }, body: SUBMISSION };
    await compare(
      'POST /scans ÷ queue.add alone',
      { pid: gateway.pid, url: `${gateway.url}/api/v1/scans`, ...post },
      { pid: minimal.pid, url: `${minimal.url}/add`, ...post },
      TARGET.submit,
    );
  }
}

/** Requests per second of two servers, in turns. */
async function compare(name, ours, theirs, target) {
  for (const one of [ours, theirs]) await load(one, seconds);
  const found = { ours: [], theirs: [] };
  for (let round = 0; round < rounds; round += 1) {
    // whoever begins has a colder machine
    const order = round % 2 === 0 ? ['ours', 'theirs'] : ['theirs', 'ours'];
    for (const one of order) found[one].push(await load(one === 'ours' ? ours : theirs, seconds));
  }
  // of each round by itself: what else the machine does hits both
  const ratio = (figure) =>
    median(found.ours.map((round, index) => round[figure] / found.theirs[index][figure]));
  const of = (one, figure) => median(found[one].map((round) => round[figure])).toFixed(0);
  say(
    `${name}: ${of('ours', 'rate')} and ${of('theirs', 'rate')} requests/s; CPU ${of('ours', 'cpuUs')} and ${of('theirs', 'cpuUs')} µs, of Redis ${of('ours', 'redisUs')} and ${of('theirs', 'redisUs')} µs`,
  );
  rows.push(atLeast(name, ratio('rate'), target), atMost('  the same, CPU of a request', ratio('cpuUs')));
}

async function load({ pid, ...asked }, duration) {
  const [cpu, redisCpu] = [await cpuOf(pid), await cpuOf(redis.pid)];
  const { requests, errors, timeouts, non2xx } = await autocannon({
    connections: CONNECTIONS,
    duration,
    idReplacement: asked.body !== undefined,
    ...asked,
  });
  failed += errors + timeouts + non2xx;
  const each = (seconds) => (seconds * 1e6) / requests.total;
  return {
    rate: requests.average,
    cpuUs: each((await cpuOf(pid)) - cpu),
    redisUs: each((await cpuOf(redis.pid)) - redisCpu),
  };
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

/** From the answer to a submission until a worker has the job, by the stream of events of the queue. */
async function measureStarts(service) {
  const gateway = await startGateway(service);
  await startWorker(service);
  const api = restClient(gateway.url);
  const events = new QueueEvents('nessus', {
    connection: { host: '127.0.0.1', port: redis.port },
    prefix: service.prefix,
  });
  const activeAt = new Map();
  // the id of an entry begins with the time of Redis, which is that of this machine
  events.on('active', ({ jobId }, id) => activeAt.set(jobId, Number(id.split('-')[0])));
  await events.waitUntilReady();
  const waits = [];
  for (let number = 0; number < STARTS; number += 1) {
    const { task_id: taskId } = await api.submit({ targets: '192.0.2.1', name: 'start' });
    const acknowledgedAt = Date.now();
    const { status } = await api.ended(taskId);
    if (status !== 'completed') failed += 1;
    // the first one finds connections that are new and code that nobody has run yet
    if (number > 0) waits.push(Math.max(0, (activeAt.get(taskId) ?? Number.NaN) - acknowledgedAt));
  }
  await events.close();
  failed += waits.filter(Number.isNaN).length;
  rows.push(
    atMost('submission acknowledged → job active, p50', percentile(waits, 0.5), TARGET.startP50, ' ms'),
    atMost('submission acknowledged → job active, p99', percentile(waits, 0.99), TARGET.startP99, ' ms'),
  );
}

/** Many follow scans that run; what happens there reaches them how late? */
async function measureFollowing(service) {
  const gateway = await startGateway(service);
  const api = restClient(gateway.url);
  const taskIds = [];
  for (let number = 0; number < FOLLOWED; number += 1)
    taskIds.push((await api.submit({ targets: `192.0.2.${number}`, name: 'followed' })).task_id);
  const followers = spawn(
    process.execPath,
    [here('baselines/followers.mjs'), gateway.url, String(FOLLOWERS), String(FOLLOW_SECONDS), ...taskIds],
    { stdio: ['ignore', 'pipe', 'inherit'] },
  );
  children.push(followers);
  const lines = createInterface({ input: followers.stdout })[Symbol.asyncIterator]();
  await lines.next();
  await startWorker(service);
  const { value } = await lines.next();
  const found = JSON.parse(value);
  failed += found.failed;
  say(
    `${FOLLOWERS} clients of ${FOLLOWED} scans: ${found.events} events, p50 ${found.p50} ms, at most ${found.max} ms`,
  );
  rows.push(
    atMost('age of an event at its client, p99', found.p99, TARGET.age, ' ms'),
    atMost('memory of the gateway, at most', (await peakOf(gateway.pid)) / MEGABYTE, TARGET.memory, ' MB'),
  );
}
