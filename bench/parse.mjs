/**
 * How fast exports are read, beside others that read them (see README.md).
 *
 *     node bench/parse.mjs [--quick | --large] [--rounds N] [--compare BUILD.mjs]
 *
 * `--compare` measures another build of our reader as well, a module that exports `readExport`.
 */
import { mkdtemp, rm } from 'node:fs/promises';
import { freemem, tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { generateExport } from './generate-export.mjs';
import {
  atLeast,
  atMost,
  describeMachine,
  findPython,
  here,
  MEGABYTE,
  measure,
  median,
  megabytes,
  needBuild,
  say,
  table,
} from './harness.mjs';

/** Where a string of JavaScript ends. */
const LARGEST_DOCUMENT = 512 * MEGABYTE;
/** What a tree of xml2js needs, in times of its file. */
const TREE_FACTOR = 5;

const [READER, COMPARED] = ['our reader', 'our reader, other build'];
const ITERPARSE = 'Python C iterparse + json';
const EXPAT = 'C expat, no handlers';
const EXPAT_HANDLERS = 'C expat, empty Python handlers';
const [XML2JS, SAXES] = ['xml2js, whole document', 'saxes, empty handlers'];

const { values: options } = parseArgs({
  options: {
    quick: { type: 'boolean', default: false },
    large: { type: 'boolean', default: false },
    rounds: { type: 'string' },
    compare: { type: 'string' },
  },
});
const size = (options.quick ? 20 : 200) * MEGABYTE;
const rounds = Number(options.rounds ?? (options.quick ? 3 : 5));

await needBuild();
const folder = await mkdtemp(join(tmpdir(), 'scanmq-bench-'));
try {
  await main();
} finally {
  await rm(folder, { recursive: true, force: true });
}

async function main() {
  const python = await findPython();
  say(describeMachine(`; ${python?.version ?? 'no Python'}`));
  const file = join(folder, 'export.nessus');
  const made = await generateExport({ path: file, bytes: size });
  say(
    `${megabytes(made.bytes)} MB, ${made.hosts} hosts, ${made.items} items; medians of ${rounds} interleaved rounds\n`,
  );

  const contestants = choose(python, made.bytes);
  const results = new Map(contestants.map(({ name }) => [name, []]));
  for (let round = 0; round < rounds; round += 1) {
    // nobody always runs after the same one
    for (let place = 0; place < contestants.length; place += 1) {
      const contestant = contestants[(place + round) % contestants.length];
      results.get(contestant.name).push(await measure(contestant, file));
    }
  }
  checkSameJob(results, made.items);
  printContestants(results, made.bytes);
  const peak = Math.max(...results.get(READER).map(({ peakBytes }) => peakBytes));
  const ratio = (other) =>
    results.has(other)
      ? medianOf(results.get(other), 'seconds') / medianOf(results.get(READER), 'seconds')
      : undefined;
  say('');
  table([
    ['one thread ÷', 'measured', 'target', ''],
    atLeast('C iterparse + json', ratio(ITERPARSE), 1.45),
    atLeast('pyTenable NessusReportv2', undefined, 5),
    atLeast('xml2js, whole document', ratio(XML2JS), 4.4),
    atLeast('bare C expat pass', ratio(EXPAT), 0.36),
    atLeast('C expat pass with empty Python handlers', ratio(EXPAT_HANDLERS), undefined),
    atLeast('saxes with empty handlers', ratio(SAXES), undefined),
    ...(options.compare ? [atLeast(`this reader in ${options.compare}`, ratio(COMPARED), undefined)] : []),
  ]);
  say('');
  if (options.large) await measureMemory(peak);
  else
    table([
      ['peak memory', 'measured', 'target', ''],
      atMost(`${megabytes(made.bytes)} MB`, peak / MEGABYTE, 150, ' MB'),
    ]);
}

/** Memory at sizes that nobody else is asked to read. */
async function measureMemory(peak) {
  const rows = [
    ['peak memory', 'measured', 'target', ''],
    atMost(`${megabytes(size)} MB`, peak / MEGABYTE, 150, ' MB'),
  ];
  const reader = { name: READER, command: process.execPath, args: [here('baselines/reader.mjs')] };
  for (const [label, shape] of [
    ['1 GB', { bytes: 1024 * MEGABYTE }],
    ['200 MB, one host', { bytes: 200 * MEGABYTE, oneHost: true }],
  ]) {
    const file = join(folder, 'large.nessus');
    await generateExport({ path: file, ...shape });
    const measured = [];
    for (let round = 0; round < 3; round += 1) measured.push(await measure(reader, file));
    await rm(file);
    const most = Math.max(...measured.map(({ peakBytes }) => peakBytes));
    rows.push(atMost(label, most / MEGABYTE, 150, ' MB'));
    if (label === '1 GB')
      rows.push(atMost(`growth from ${megabytes(size)} MB to 1 GB`, most - peak / MEGABYTE, 10, ' MB'));
  }
  table(rows);
}

function choose(python, bytes) {
  const node = (name, script, ...args) => ({
    name,
    command: process.execPath,
    args: [here(`baselines/${script}`)],
    after: args,
  });
  const contestants = [node(READER, 'reader.mjs')];
  if (options.compare) contestants.push(node(COMPARED, 'reader.mjs', options.compare));
  if (python) {
    const script = (name, file, ...args) => ({
      name,
      command: python.command,
      // -B: no __pycache__ in the repository
      args: ['-B', here(`baselines/${file}`)],
      after: args,
    });
    contestants.push(
      script(ITERPARSE, 'iterparse.py'),
      script(EXPAT, 'expat.py', 'bare'),
      script(EXPAT_HANDLERS, 'expat.py', 'handlers'),
    );
  } else say('without Python: iterparse and expat are not measured');
  say('pyTenable is not measured: it cannot be installed here');
  if (bytes > LARGEST_DOCUMENT || bytes * TREE_FACTOR > freemem())
    say('xml2js is not measured: the file is too large for it, or for the memory of this machine');
  else contestants.push(node(XML2JS, 'xml2js.mjs'));
  contestants.push(node(SAXES, 'saxes.mjs'));
  return contestants;
}

/** Contestants that make lines must have made the same ones. */
function checkSameJob(results, items) {
  const chars = results.get(READER)[0].chars;
  for (const [name, measured] of results) {
    for (const facts of measured) {
      if (facts.items === undefined || (facts.items === items && facts.chars === chars)) continue;
      throw new Error(`${name} did another job: ${facts.items} items, ${facts.chars} characters`);
    }
  }
}

function printContestants(results, bytes) {
  const rows = [['', 'median s', 'fastest s', 'MB/s', 'CPU s', 'peak MB']];
  for (const [name, measured] of results) {
    const seconds = medianOf(measured, 'seconds');
    rows.push([
      name,
      seconds.toFixed(2),
      Math.min(...measured.map((facts) => facts.seconds)).toFixed(2),
      (bytes / MEGABYTE / seconds).toFixed(0),
      medianOf(measured, 'cpuSeconds').toFixed(2),
      megabytes(Math.max(...measured.map(({ peakBytes }) => peakBytes))),
    ]);
  }
  table(rows);
}

function medianOf(measured, key) {
  return median(measured.map((facts) => facts[key]));
}
