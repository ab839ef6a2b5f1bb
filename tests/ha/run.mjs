/**
 * `npm run test:ha`: the whole service on several Redis servers, under load, while parts of it are killed. Real programs on
 * 127.0.0.1, simulated scanners whose scans take no time. Prints figures, and ends with 1 where one misses its target.
 */
import { parseArgs } from 'node:util';
import { startLocalCluster, startLocalSentinels } from '@scanmq/local-redis';
import { createService } from '@scanmq/testkit';
import { listTasks, submitMany, until } from './load.mjs';
import { startRoundRobin } from './round-robin.mjs';

const { values } = parseArgs({
  options: {
    submissions: { type: 'string', default: '200' },
    'at-once': { type: 'string', default: '6' },
  },
});
const SUBMISSIONS = Number(values.submissions);
const AT_ONCE = Number(values['at-once']);
/** After the last acknowledgement everything has to end within this time. */
const END_MS = 240_000;
/** The whole of it. */
const RUN_MS = 15 * 60_000;
const NO_TIME = { scanDurationMs: 0, startDelayMs: 0, exportDelayMs: 0, stopDelayMs: 0, limit: 8 };
/** The defaults of the product where a failover tests them; shorter only where nothing is at stake. */
const ENV = {
  WORKER_LOCK_SECONDS: '60',
  WORKER_STALLED_CHECK_SECONDS: '15',
  POLL_INTERVAL_SECONDS: '0.2',
  HEALTH_INTERVAL_SECONDS: '5',
  SWEEP_INTERVAL_SECONDS: '5',
  RETRY_BACKOFF_SECONDS: '1',
  MAX_ATTEMPTS: '10',
};

/** Programs that would outlive us; the servers of Redis end with us by themselves. */
const pids = new Set();
process.on('exit', () => {
  for (const pid of pids) {
    try {
      process.kill(pid, 'SIGKILL');
    } catch {
      // it has ended
    }
  }
});
for (const signal of ['SIGINT', 'SIGTERM']) process.on(signal, () => process.exit(130));
setTimeout(() => {
  say(`Gave up after ${RUN_MS / 60_000} minutes.`);
  process.exit(1);
}, RUN_MS).unref();

/** @returns the gateways, with their addresses. */
async function startPrograms(service, gatewayCount, workerCount) {
  const gateways = [];
  while (gateways.length < gatewayCount) {
    const gateway = await service.startGateway();
    pids.add(gateway.program.pid);
    gateways.push(gateway);
  }
  for (let index = 0; index < workerCount; index += 1) pids.add((await service.startWorker()).pid);
  return gateways;
}

const say = (line) => process.stdout.write(`${line}\n`);
const missed = [];
function figure(name, value, target, isMet) {
  say(
    `  ${name.padEnd(58)} ${String(value).padStart(10)}   target ${target.padEnd(8)} ${isMet ? 'met' : 'MISSED'}`,
  );
  if (!isMet) missed.push(name);
}
const fact = (name, value) => say(`  ${name.padEnd(58)} ${String(value).padStart(10)}`);
const seconds = (ms) => `${(ms / 1000).toFixed(1)} s`;

/** Task id → launches, over all scanners. */
function launchesOf(service) {
  const launches = new Map();
  for (const simulator of service.simulators)
    for (const scan of simulator.scans()) {
      const taskId = /\[scanmq (ne_[a-z0-9_-]+)/.exec(scan.name)?.[1];
      if (taskId !== undefined) launches.set(taskId, (launches.get(taskId) ?? 0) + scan.launches);
    }
  return launches;
}

const LOOK_MS = 50;

/** Notes when tasks were launched for the first time, as the scanners tell it. */
function watchLaunches(service) {
  const known = new Set();
  const moments = [];
  const look = () => {
    for (const [taskId, count] of launchesOf(service)) {
      if (count === 0 || known.has(taskId)) continue;
      known.add(taskId);
      moments.push(Date.now());
    }
  };
  const timer = setInterval(look, LOOK_MS);
  return {
    /** @returns the moments, in order. */
    stop() {
      clearInterval(timer);
      look();
      return moments;
    },
  };
}

async function checkTasks(service, url, acknowledged) {
  const tasks = await until(async () => {
    const all = await listTasks(url);
    return all.every(({ status }) => status !== 'queued' && status !== 'running') ? all : undefined;
  }, END_MS);
  const all = tasks ?? (await listTasks(url));
  const known = new Map(all.map((task) => [task.task_id, task]));
  const launches = launchesOf(service);
  const counts = [...launches.values()];
  const lost = acknowledged.filter(({ taskId }) => !known.has(taskId)).length;
  const notCompleted = acknowledged.filter(({ taskId }) => known.get(taskId)?.status !== 'completed').length;
  figure('acknowledged tasks that were lost', lost, '0', lost === 0);
  figure('acknowledged tasks that did not complete', notCompleted, '0', notCompleted === 0);
  const twice = counts.filter((count) => count > 1).length;
  figure('tasks that were launched twice', twice, '0', twice === 0);
  const doubled = all.length - new Set(all.map(({ name }) => name)).size;
  figure('submissions that became two tasks', doubled, '0', doubled === 0);
  for (const { task_id, status, error } of all.filter(({ status }) => status !== 'completed').slice(0, 5))
    say(`    ${task_id}: ${status} ${error?.code ?? ''} ${error?.message ?? ''}`);
  return all;
}

async function sentinels() {
  say(`Three Redis, three Sentinels, two gateways behind a proxy, three workers; ${SUBMISSIONS} submissions`);
  const redis = await startLocalSentinels({ nodes: 3, downAfterMs: 2_000 });
  const service = await createService({
    redisUrl: 'redis://127.0.0.1:1',
    scanners: [NO_TIME, NO_TIME],
    env: { ...ENV, ...redis.env, REDIS_WAIT_REPLICAS: '1' },
  });
  let proxy;
  try {
    const gateways = await startPrograms(service, 2, 3);
    proxy = await startRoundRobin(gateways.map(({ url }) => Number(new URL(url).port)));
    const { url } = proxy;

    const first = await redis.master();
    let killedAt;
    let promotedAt;
    const disturbances = [];
    const launched = watchLaunches(service);
    const killMaster = async () => {
      await first.crash();
      killedAt = Date.now();
      await until(async () => (await redis.master()).port !== first.port, 60_000);
      promotedAt = Date.now();
      // the machine comes back, as a replica
      await first.start();
    };
    const restartReplica = async () => {
      // the one that was not killed: until the other follows, no write is taken
      const master = await redis.master();
      await redis.servers.find(({ port }) => port !== master.port && port !== first.port)?.restart();
    };
    const disturb = (what) => {
      const done = what();
      // waited for below; until then it must not end us
      done.catch(() => undefined);
      disturbances.push(done);
    };
    const begun = Date.now();
    const acknowledged = await submitMany({
      url,
      count: SUBMISSIONS,
      atOnce: AT_ONCE,
      onAcknowledged(count) {
        if (count === Math.floor(SUBMISSIONS / 4)) disturb(killMaster);
        if (count === Math.floor(SUBMISSIONS / 2)) gateways[0].program.kill('SIGKILL');
        if (count === Math.floor((3 * SUBMISSIONS) / 4)) disturb(restartReplica);
      },
    });
    await Promise.all(disturbances);
    fact('submissions acknowledged', acknowledged.length);
    fact('in', seconds(Date.now() - begun));
    fact('of them only after being repeated', acknowledged.filter(({ tries }) => tries > 1).length);
    const after = acknowledged.filter(({ atMs }) => atMs > killedAt);
    fact('another master after the kill', seconds(promotedAt - killedAt));
    fact(
      'first acknowledgement after the kill',
      seconds(Math.min(...after.map(({ atMs }) => atMs)) - killedAt),
    );
    await checkTasks(service, url, acknowledged);
    const launches = launched.stop();
    // until then no worker could write down that it begins with anything
    const recovered = launches.find((atMs) => atMs > promotedAt) ?? Number.POSITIVE_INFINITY;
    figure(
      'first new launch after the kill',
      seconds(recovered - killedAt),
      '<= 10 s',
      recovered - killedAt <= 10_000,
    );
    const since = launches.filter((atMs) => atMs >= recovered);
    const pause = Math.max(0, ...since.slice(1).map((atMs, index) => atMs - since[index]));
    figure('longest time without a launch after that', seconds(pause), '<= 10 s', pause <= 10_000);
    fact('all ended in', seconds(Date.now() - begun));
  } finally {
    await proxy?.close();
    await service.close();
    pids.clear();
    await redis.stop();
  }
}

async function cluster() {
  const count = Math.min(30, SUBMISSIONS);
  say(`\nA Redis Cluster of three masters, two gateways, two workers; ${count} submissions`);
  const redis = await startLocalCluster({ nodes: 3 });
  const service = await createService({
    redisUrl: 'redis://127.0.0.1:1',
    scanners: [NO_TIME],
    env: { ...ENV, ...redis.env, QUEUE_PREFIX: '{scanmq}' },
  });
  let proxy;
  try {
    const gateways = await startPrograms(service, 2, 2);
    proxy = await startRoundRobin(gateways.map(({ url }) => Number(new URL(url).port)));
    const begun = Date.now();
    const acknowledged = await submitMany({ url: proxy.url, count, atOnce: AT_ONCE });
    await checkTasks(service, proxy.url, acknowledged);
    fact('all ended in', seconds(Date.now() - begun));
    const [{ taskId }] = acknowledged;
    const answer = await fetch(`${proxy.url}/api/v1/scans/${taskId}/findings?page_size=10`);
    const { vulnerabilities = [] } = await answer.json();
    figure('findings on the first page of a task', vulnerabilities.length, '> 0', vulnerabilities.length > 0);
  } finally {
    await proxy?.close();
    await service.close();
    pids.clear();
    await redis.stop();
  }
}

await sentinels();
await cluster();
say(missed.length === 0 ? '\nAll targets met.' : `\nMissed: ${missed.join('; ')}.`);
process.exitCode = missed.length === 0 ? 0 : 1;
