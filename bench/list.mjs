/**
 * How fast the list of 100,000 tasks answers (see README.md).
 *
 *     node bench/list.mjs [--quick] [--rounds N]
 */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import {
  atLeast,
  atMost,
  describeMachine,
  here,
  MEGABYTE,
  measure,
  needBuild,
  percentile,
  say,
  table,
} from './harness.mjs';

const { values: options } = parseArgs({
  options: { quick: { type: 'boolean', default: false }, rounds: { type: 'string' } },
});
const tasks = options.quick ? 5_000 : 100_000;
const rounds = Number(options.rounds ?? 100);
const QUEUE_PREFIX = 'bench';
const STATES = [
  'completed',
  'completed',
  'completed',
  'completed',
  'failed',
  'queued',
  'timeout',
  'cancelled',
];

await needBuild();
const { startLocalRedis } = await import('../packages/local-redis/dist/index.js');
const folder = await mkdtemp(join(tmpdir(), 'scanmq-bench-'));
const redis = await startLocalRedis({ appendOnly: false });
try {
  say(describeMachine());
  await fill(redis.url);
  const { answers, buildMs, standsMs, indexBytes, everyRecordMs, matches } = await measure(
    {
      command: process.execPath,
      args: ['--expose-gc', here('baselines/list.mjs')],
      after: [redis.url, QUEUE_PREFIX, String(rounds)],
    },
    folder,
  );
  say(`${tasks} tasks; p95 of ${rounds} rounds each; a network of ${matches} completed tasks\n`);
  const p95 = ({ ms }) => percentile(ms, 0.95);
  const p50 = ({ ms }) => percentile(ms, 0.5);
  const line = (name, answer, target) => {
    const [, measured, wanted, verdict] = atMost(name, p95(answer), target, ' ms');
    return [name, `${p50(answer).toFixed(1)} ms`, measured, wanted, verdict];
  };
  table([
    ['', 'p50', 'p95', 'target', ''],
    line('the newest ten', answers.newest, 50),
    line('by status', answers.byStatus, 50),
    line('by target network, another each time', answers.byTarget, 50),
    line('by status and target network', answers.both, 50),
    line('the same, 100 on a page', answers.hundred, 50),
    line('the last page of all', answers.lastPage, 50),
    line('a task changed, then status and target network', answers.changing),
  ]);
  say('');
  table([
    ['', 'measured', 'target', ''],
    atLeast('every record read ÷ status and target network', everyRecordMs / p50(answers.both), 100),
    atMost('the index built ÷ every completed record read once', buildMs / everyRecordMs, undefined),
    atMost('the index built', buildMs, undefined, ' ms'),
    atMost('the process stands still meanwhile, at most', standsMs, undefined, ' ms'),
    atMost('memory of the index', indexBytes / MEGABYTE, 64, ' MB'),
    atMost('memory of one task in the index', indexBytes / tasks, undefined, ' bytes'),
  ]);
} finally {
  await redis.stop();
  await rm(folder, { recursive: true, force: true });
}

/** Records as a year of scans leaves them; without their jobs and files, which the list does not look at. */
async function fill(url) {
  const { openQueueSystem } = await import('../packages/queue/dist/index.js');
  const { createDirectoryStore } = await import('../packages/store/dist/index.js');
  const { newTaskId, scanRequestSchema } = await import('../packages/contract/dist/index.js');
  const queue = await openQueueSystem({
    role: 'worker',
    settings: {
      redis: { url, sentinels: [], sentinelName: undefined, sentinelPassword: undefined, clusterNodes: [] },
      redisWaitReplicas: 0,
      queuePrefix: QUEUE_PREFIX,
      maxAttempts: 3,
      idempotencyTtlMs: 3_600_000,
      scanTimeoutMs: 24 * 3_600_000,
    },
    store: createDirectoryStore(folder),
    connectWaitMs: 5_000,
    onError: () => undefined,
    onWarning: () => undefined,
  });
  const { task } = await queue.submit(
    scanRequestSchema.parse({ targets: '192.0.2.1', name: 'first' }),
    { scannerType: 'nessus', pool: 'nessus', pinnedInstance: null },
    { principal: 'local' },
  );
  const record = await queue.redis.hgetall(queue.keys.record(task.task_id));
  const begin = Date.parse(task.created_at) - 365 * 86_400_000;
  for (let at = 0; at < tasks - 1; at += 1_000) {
    const pipeline = queue.redis.pipeline();
    for (let number = at; number < Math.min(at + 1_000, tasks - 1); number += 1) {
      const createdMs = begin + number * 300_000;
      const createdAt = new Date(createdMs);
      const random = Buffer.alloc(4);
      random.writeUInt32BE(number);
      const taskId = newTaskId('nessus', createdAt, random);
      const state = STATES[Math.floor(number / 3) % STATES.length];
      const fields = {
        task_id: taskId,
        state,
        created_at: createdAt.toISOString(),
        scanner_pool: ['nessus', 'dmz', 'lab'][number % 3],
        principal: `team${number % 20}`,
        targets: targetsOf(number),
        name: `Scan ${number}`,
      };
      const values = Object.entries(fields).map(([name, value]) => [name, JSON.stringify(value)]);
      pipeline.hset(queue.keys.record(taskId), { ...record, ...Object.fromEntries(values) });
      pipeline.zadd(queue.keys.byCreation, createdMs, taskId);
      pipeline.zadd(queue.keys.byState(state), createdMs, taskId);
    }
    await pipeline.exec();
  }
  await queue.close();
}

/** One network, some hosts, a range with a name, or IPv6. */
function targetsOf(number) {
  const net = `10.${number % 200}.${Math.floor(number / 200) % 256}`;
  switch (number % 5) {
    case 0:
      return `${net}.0/24`;
    case 1:
      return [1, 7, 9, 30, 77, 200].map((host) => `${net}.${host}`).join(', ');
    case 2:
      return `${net}.10-${net}.90 host${number % 5_000}.example.com`;
    case 3:
      return `2001:db8:${(number % 9_999).toString(16)}::/64, ${net}.1`;
    default:
      return `${net}.${number % 256}`;
  }
}
