/** Export on disk to tables that can be asked: node ingest.mjs FOLDER. Prints what the bench wants to know. */
import { readFileSync } from 'node:fs';
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { ingestExport } from '../../packages/findings/dist/index.js';

const [, , taskDir] = process.argv;
// 5 ms: what stands in the loop for less is not noticed by a poll every 30 s
const delay = monitorEventLoopDelay({ resolution: 5 });
delay.enable();
const start = performance.now();
const { summary } = await ingestExport({
  memoryMb: 192,
  taskDir,
  scanType: 'untrusted',
  targets: [],
  endedAs: 'completed',
});
const seconds = (performance.now() - start) / 1000;
const { user, system } = process.cpuUsage();
process.stdout.write(
  `${JSON.stringify({
    items: summary.total_findings,
    seconds,
    cpuSeconds: (user + system) / 1e6,
    // the histogram counts the resolution itself as delay
    delayP99Ms: Math.max(0, delay.percentile(99) / 1e6 - 5),
    delayMaxMs: Math.max(0, delay.max / 1e6 - 5),
    peakBytes: Number(/^VmHWM:\s+(\d+)/m.exec(readFileSync('/proc/self/status', 'ascii'))?.[1] ?? 0) * 1024,
  })}\n`,
);
