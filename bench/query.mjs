/**
 * How fast a task of a million findings answers (see README.md).
 *
 *     node bench/query.mjs [--quick] [--rounds N]
 */
import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
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
  megabytes,
  needBuild,
  percentile,
  say,
  table,
} from './harness.mjs';

const { values: options } = parseArgs({
  options: { quick: { type: 'boolean', default: false }, rounds: { type: 'string' } },
});
const items = options.quick ? 50_000 : 1_000_000;
const rounds = Number(options.rounds ?? 40);
const node = (script) => ({ command: process.execPath, args: [here(`baselines/${script}`)] });

await needBuild();
const folder = await mkdtemp(join(tmpdir(), 'scanmq-bench-'));
try {
  const python = await findPython();
  say(describeMachine(`; ${python?.version ?? 'no Python'}`));
  const [base, head] = [join(folder, 'base'), join(folder, 'head')];
  // the newer scan has the same hosts, and some more
  for (const [directory, count] of [
    [base, items],
    [head, Math.round(items * 1.02)],
  ]) {
    await mkdir(directory);
    const made = await generateExport({ path: join(directory, 'scan_native.nessus'), items: count });
    const { seconds } = await measure(node('ingest.mjs'), directory);
    say(
      `${made.items} findings on ${made.hosts} hosts, ${megabytes(made.bytes)} MB: stored in ${seconds.toFixed(1)} s`,
    );
  }
  const raw = join(base, 'scan_native.nessus');
  const reread = await measure(node('reread.mjs'), raw);
  const iterparse = python
    ? await measure({ command: python.command, args: ['-B', here('baselines/iterparse.py')] }, raw)
    : undefined;
  if (!iterparse) say('without Python: iterparse is not measured');
  const facts = await measure({ ...node('ask.mjs'), after: [head, String(rounds)] }, base);
  say(`\n${facts.total} findings; p95 of ${rounds} warm rounds each, the first one ("cold") apart\n`);

  const { answers } = facts;
  const p95 = ({ ms }) => percentile(ms, 0.95);
  const p50 = ({ ms }) => percentile(ms, 0.5);
  const line = (name, answer, target) => {
    const [, measured, wanted, verdict] = atMost(name, p95(answer), target, ' ms');
    return [
      name,
      `${answer.coldMs.toFixed(0)} ms`,
      `${p50(answer).toFixed(1)} ms`,
      measured,
      wanted,
      verdict,
    ];
  };
  table([
    ['', 'cold', 'p50', 'p95', 'target', ''],
    line('first page, default order', answers.firstPage, 25),
    line('last page, default order', answers.lastPage),
    line('severity ≥ high and CVSS > 7, sorted, page 200', answers.filtered, 60),
    line('the same with another filter each time', answers.filteredAnew),
    line('sorted by severity and host, first page', answers.sortedFirst),
    line('sorted by severity and host, last page', answers.sortedLast),
    line('every field, sorted by CVSS, page 300', answers.full),
    line('counts by severity and top ten plugins', answers.counts, 25),
    line('top ten plugins of severity ≥ medium', answers.filteredCounts),
  ]);
  say('');
  const firstSeconds = p50(answers.firstPage) / 1_000;
  table([
    ['', 'measured', 'target', ''],
    atMost('last page ÷ first page, default order', p50(answers.lastPage) / p50(answers.firstPage), 2),
    atMost('last page ÷ first page, sorted', p50(answers.sortedLast) / p50(answers.sortedFirst), 2),
    atLeast('reading the XML again, with our reader ÷ first page', reread.seconds / firstSeconds, undefined),
    atLeast(
      'reading the XML again, with C iterparse ÷ first page',
      iterparse && iterparse.seconds / firstSeconds,
      1_000,
    ),
    atMost('two tasks compared', Math.max(...facts.compared), 2_000, ' ms'),
    atMost('memory of the process that asks', facts.peakBytes / MEGABYTE, 400, ' MB'),
  ]);
} finally {
  await rm(folder, { recursive: true, force: true });
}
