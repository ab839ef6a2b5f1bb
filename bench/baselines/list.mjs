/** Asks the list of tasks, as a gateway does: node --expose-gc list.mjs DATA_DIR REDIS_URL PREFIX ROUNDS. */
import { setImmediate } from 'node:timers/promises';
import { parseTarget, parseTargets, targetsOverlap } from '../../packages/contract/dist/index.js';
import { openQueueSystem } from '../../packages/queue/dist/index.js';
import { createDirectoryStore } from '../../packages/store/dist/index.js';

const [, , dataDir, url, queuePrefix, roundsText] = process.argv;
const rounds = Number(roundsText);
const queue = await openQueueSystem({
  role: 'gateway',
  settings: {
    redis: { url, sentinels: [], sentinelName: undefined, sentinelPassword: undefined, clusterNodes: [] },
    redisWaitReplicas: 0,
    queuePrefix,
    maxAttempts: 3,
    idempotencyTtlMs: 3_600_000,
    scanTimeoutMs: 24 * 3_600_000,
  },
  store: createDirectoryStore(dataDir),
  connectWaitMs: 5_000,
  onError: () => undefined,
  onWarning: () => undefined,
});

function heapBytes() {
  globalThis.gc();
  globalThis.gc();
  const { heapUsed, external } = process.memoryUsage();
  return heapUsed + external;
}

/** Times of one question, in milliseconds. */
async function time(question) {
  const ms = [];
  let total = 0;
  for (let round = 0; round < rounds; round += 1) {
    const start = performance.now();
    total = await question(round);
    ms.push(performance.now() - start);
  }
  return { ms, total };
}
const ask = (params) => async (round) =>
  (await queue.list({ limit: 10, ...(typeof params === 'function' ? params(round) : params) })).total;

/** The obvious way, which needs no memory: every record, every time. */
async function everyRecord(state, target) {
  const wanted = parseTarget(target);
  let matches = 0;
  for (let cursor; ; ) {
    const ids = await queue.tasks.idsByCreation(cursor, 100, state);
    for (const task of await queue.tasks.getMany(ids))
      if (parseTargets(task.targets).some((one) => targetsOverlap(one, wanted))) matches += 1;
    cursor = ids.at(-1);
    if (ids.length < 100) return matches;
  }
}

const before = heapBytes();
// how long other requests of this process wait while the index is built
let standsMs = 0;
let building = true;
const watching = (async () => {
  for (let last = performance.now(); building; last = performance.now()) {
    await setImmediate();
    standsMs = Math.max(standsMs, performance.now() - last);
  }
})();
const begun = performance.now();
await ask({})();
const buildMs = performance.now() - begun;
building = false;
await watching;
const indexBytes = heapBytes() - before;

const network = (round) => `10.${round % 200}.0.0/16`;
const filtered = { status_filter: 'completed', target_filter: network(7) };
const oldest = (await queue.redis.zrange(queue.keys.byCreation, 50, 50))[0];
const atTheEnd = Buffer.from(`${await queue.redis.zscore(queue.keys.byCreation, oldest)} ${oldest}`);
const queued = await queue.tasks.idsByCreation(undefined, rounds, 'queued');
const answers = {
  newest: await time(ask({})),
  byStatus: await time(ask({ status_filter: 'failed' })),
  byTarget: await time(ask((round) => ({ target_filter: network(round) }))),
  both: await time(ask((round) => ({ status_filter: 'completed', target_filter: network(round) }))),
  lastPage: await time(ask({ cursor: atTheEnd.toString('base64url') })),
  hundred: await time(ask({ ...filtered, limit: 100 })),
  changing: await time(async (round) => {
    await queue.tasks.transition(queued[round], 'running', {});
    const start = performance.now();
    await ask(filtered)();
    return performance.now() - start;
  }),
};
const start = performance.now();
const matches = await everyRecord('completed', network(7));
const everyRecordMs = performance.now() - start;
if (matches !== (await ask(filtered)())) throw new Error('the two ways do not find the same tasks');
await queue.close();
process.stdout.write(
  `${JSON.stringify({ answers, buildMs, standsMs, indexBytes, everyRecordMs, matches })}\n`,
);
