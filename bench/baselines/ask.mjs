/** Asks a task of a million findings, as a gateway does: node ask.mjs FOLDER OTHER_FOLDER ROUNDS. */
import { readFileSync } from 'node:fs';
import { comparisonQuerySchema, resultsQuerySchema } from '../../packages/contract/dist/index.js';
import { createResultsStore } from '../../packages/findings/dist/index.js';

const [, , taskDir, otherDir, roundsText] = process.argv;
const rounds = Number(roundsText);
// the defaults of RESULTS_MEMORY_MB and RESULTS_THREADS
const store = await createResultsStore({ memoryMb: 192, threads: 2 });
const options = {
  defaultProfile: 'brief',
  extraMetadata: {},
  scan: { scanType: 'untrusted', targets: [], endedAs: 'completed' },
};

/** Times of one question, in milliseconds; the first is not among them. */
async function time(question) {
  const first = performance.now();
  await question(0);
  const coldMs = performance.now() - first;
  const ms = [];
  for (let round = 1; round <= rounds; round += 1) {
    const start = performance.now();
    await question(round);
    ms.push(performance.now() - start);
  }
  return { coldMs, ms };
}

const ask = (query) => async () => {
  // as for each request: whatever is remembered between requests is in the store
  const results = await store.open(taskDir, options);
  return await results.query(resultsQuerySchema.parse(query));
};
const filtered = (round) => ({
  filters: { severity: '>=high', cvss_score: `>${(7 + round / 1_000).toFixed(3)}` },
  sort: '-cvss_score,host',
  page: 200,
});

const { schema } = await ask({})();
const answers = {
  firstPage: await time(ask({})),
  lastPage: await time(ask({ page: schema.total_pages })),
  filtered: await time(ask(filtered(0))),
  // another filter each time: nothing remembered helps
  filteredAnew: await time((round) => ask(filtered(round + 1))()),
  sortedFirst: await time(ask({ sort: '-severity,host' })),
  sortedLast: await time(ask({ sort: '-severity,host', page: schema.total_pages })),
  full: await time(ask({ sort: '-cvss_score', page: 300, schema_profile: 'full' })),
  counts: await time(async () => {
    const results = await store.open(taskDir, options);
    return [results.facts.severities, await results.topPlugins(10)];
  }),
  filteredCounts: await time(async () => {
    const results = await store.open(taskDir, options);
    return await results.topPlugins(10, { severity: '>=medium' });
  }),
};
const compared = [];
for (let round = 0; round < 3; round += 1) {
  const start = performance.now();
  const [base, head] = [await store.open(taskDir, options), await store.open(otherDir, options)];
  // another name each time, so that it is compared anew
  await store.compare(
    { taskId: `base ${round}`, results: base },
    { taskId: 'head', results: head },
    comparisonQuerySchema.parse({ severity: '>=high' }),
  );
  compared.push(performance.now() - start);
}
await store.close();
process.stdout.write(
  `${JSON.stringify({
    total: schema.total_vulnerabilities,
    answers,
    compared,
    peakBytes: Number(/^VmHWM:\s+(\d+)/m.exec(readFileSync('/proc/self/status', 'ascii'))?.[1] ?? 0) * 1024,
  })}\n`,
);
