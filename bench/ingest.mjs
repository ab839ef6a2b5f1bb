/**
 * From an export on disk to tables that can be asked, everything included, beside reading alone (see README.md).
 *
 *     node bench/ingest.mjs [--quick | --large] [--rounds N] [--worker]
 *
 * `--large` also stores 1 GB. `--worker` has a real worker store 1 GB that was uploaded to a real gateway, while the same
 * worker follows a scan on a simulated scanner: are its polls on time?
 */
import { createReadStream } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { request } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { parseArgs } from 'node:util';
import { generateExport } from './generate-export.mjs';
import {
  atLeast,
  atMost,
  describeMachine,
  here,
  MEGABYTE,
  measure,
  median,
  megabytes,
  needBuild,
  peakOf,
  percentile,
  say,
  table,
} from './harness.mjs';

const { values: options } = parseArgs({
  options: {
    quick: { type: 'boolean', default: false },
    large: { type: 'boolean', default: false },
    worker: { type: 'boolean', default: false },
    rounds: { type: 'string' },
  },
});
const size = (options.quick ? 20 : 200) * MEGABYTE;
const rounds = Number(options.rounds ?? (options.quick ? 2 : 5));
const READER = { command: process.execPath, args: [here('baselines/reader.mjs')] };
const INGEST = { command: process.execPath, args: [here('baselines/ingest.mjs')] };
const POLL_MS = 1_000;
/** What targets.md allows a poll to be late, for a rolling restart; an ingest should not need it. */
const LATE_MS = 2_000;
const HEAD = ['', 'measured', 'target', ''];

await needBuild();
const folder = await mkdtemp(join(tmpdir(), 'scanmq-bench-'));
try {
  say(describeMachine());
  const file = join(folder, 'scan_native.nessus');
  if (options.worker) await measureWorker(file);
  else {
    await measureRatio(file);
    if (options.large) await measureLarge(file);
  }
} finally {
  await rm(folder, { recursive: true, force: true });
}

async function measureRatio(file) {
  const made = await generateExport({ path: file, bytes: size });
  say(
    `${megabytes(made.bytes)} MB, ${made.hosts} hosts, ${made.items} items; medians of ${rounds} interleaved rounds\n`,
  );
  const [reads, ingests] = [[], []];
  for (let round = 0; round < rounds; round += 1) {
    reads.push(await measure(READER, file));
    ingests.push(await measure(INGEST, folder));
  }
  const seconds = (all) => median(all.map((one) => one.seconds));
  table([
    HEAD,
    ['reading alone, as in bench/parse', `${seconds(reads).toFixed(2)} s`, '', ''],
    ['everything', `${seconds(ingests).toFixed(2)} s`, '', ''],
    atLeast('speed of everything ÷ reading alone', seconds(reads) / seconds(ingests), 0.6),
    atMost('event-loop delay p99', median(ingests.map((one) => one.delayP99Ms)), 20, ' ms'),
    atMost('event-loop delay, longest', Math.max(...ingests.map((one) => one.delayMaxMs)), undefined, ' ms'),
    atMost('peak memory', Math.max(...ingests.map((one) => one.peakBytes)) / MEGABYTE, 350, ' MB'),
  ]);
  say('');
}

async function measureLarge(file) {
  const made = await generateExport({ path: file, bytes: 1024 * MEGABYTE });
  const facts = await measure(INGEST, folder);
  table([
    [`${megabytes(made.bytes)} MB, ${made.items} items`, 'measured', 'target', ''],
    ['everything', `${facts.seconds.toFixed(2)} s`, '', ''],
    atMost('event-loop delay p99', facts.delayP99Ms, 20, ' ms'),
    atMost('peak memory', facts.peakBytes / MEGABYTE, 350, ' MB'),
  ]);
}

async function measureWorker(file) {
  const { startLocalRedis } = await import('../packages/local-redis/dist/index.js');
  const { createService } = await import('../packages/testkit/dist/index.js');
  const made = await generateExport({ path: file, bytes: (options.quick ? 100 : 1024) * MEGABYTE });
  const redis = await startLocalRedis({});
  const service = await createService({
    redisUrl: redis.url,
    scanners: [{ scanDurationMs: 3_600_000 }],
    env: {
      POLL_INTERVAL_SECONDS: String(POLL_MS / 1_000),
      // only polls are to be seen on the scanner
      HEALTH_INTERVAL_SECONDS: '3600',
      FOLLOW_INTERVAL_SECONDS: '3600',
      WORKER_LOCK_SECONDS: '60',
      WORKER_STALLED_CHECK_SECONDS: '15',
    },
  });
  try {
    const { url, program: gateway } = await service.startGateway();
    const worker = await service.startWorker();
    const scan = await ask(url, 'POST', '/api/v1/scans', {
      targets: '192.0.2.1',
      name: 'followed all the while',
    });
    await until(
      async () => (await ask(url, 'GET', `/api/v1/scans/${scan.task_id}`)).scanner_status === 'running',
    );

    const gaps = watchPolls(service.simulators[0]);
    await new Promise((resolve) => setTimeout(resolve, 10 * POLL_MS));
    const idle = gaps.take();
    const sent = Date.now();
    const imported = await upload(`${url}/api/v1/imports`, file);
    const uploadSeconds = (Date.now() - sent) / 1_000;
    await until(
      async () => (await ask(url, 'GET', `/api/v1/scans/${imported.task_id}`)).status === 'completed',
    );
    const seconds = (Date.now() - sent) / 1_000;
    const busy = gaps.take();
    gaps.stop();
    say(
      `${megabytes(made.bytes)} MB, ${made.items} items, uploaded in ${uploadSeconds.toFixed(1)} s, ready after ${seconds.toFixed(1)} s`,
    );
    say(`a scan is polled every ${POLL_MS} ms meanwhile: ${busy.length} polls (${idle.length} before)\n`);
    table([
      HEAD,
      ['longest time between polls, idle', `${Math.max(...idle).toFixed(0)} ms`, '', ''],
      atMost('longest time between polls, storing', Math.max(...busy), POLL_MS + LATE_MS, ' ms'),
      atMost('p95 of it', percentile(busy, 0.95), undefined, ' ms'),
      atMost('peak memory of the worker', (await peakOf(worker.pid)) / MEGABYTE, 350, ' MB'),
      atMost(
        'peak memory of the gateway, which took the upload',
        (await peakOf(gateway.pid)) / MEGABYTE,
        300,
        ' MB',
      ),
    ]);
  } finally {
    await service.close();
    await redis.stop();
  }
}

/** Times between requests that reach the scanner. */
function watchPolls(simulator) {
  let gaps = [];
  let seen = simulator.stats().requests;
  let last = performance.now();
  const timer = setInterval(() => {
    const { requests } = simulator.stats();
    if (requests === seen) return;
    gaps.push(performance.now() - last);
    last = performance.now();
    seen = requests;
  }, 5);
  return {
    take() {
      const taken = gaps;
      gaps = [];
      return taken;
    },
    stop: () => clearInterval(timer),
  };
}

async function ask(url, method, path, body) {
  const answer = await fetch(`${url}${path}`, {
    method,
    ...(body === undefined
      ? {}
      : { headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) }),
  });
  if (!answer.ok) throw new Error(`${method} ${path} answered ${answer.status}: ${await answer.text()}`);
  return await answer.json();
}

async function upload(url, file) {
  const call = request(url, { method: 'POST', headers: { 'content-type': 'application/octet-stream' } });
  const answered = new Promise((resolve, reject) => {
    call.once('error', reject);
    call.once('response', (response) => {
      let text = '';
      response.setEncoding('utf8');
      response.on('data', (chunk) => (text += chunk));
      response.once('end', () => resolve(JSON.parse(text)));
    });
  });
  await pipeline(createReadStream(file), call);
  return await answered;
}

async function until(look) {
  const giveUpAt = Date.now() + 300_000;
  while (!(await look())) {
    if (Date.now() > giveUpAt) throw new Error('it took longer than five minutes');
    await new Promise((resolve) => setTimeout(resolve, 250));
  }
}
