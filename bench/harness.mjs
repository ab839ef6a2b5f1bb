/** What the benches have in common: child processes that print a line of JSON, tables, medians, verdicts. */
import { execFile } from 'node:child_process';
import { access, readFile } from 'node:fs/promises';
import { availableParallelism, cpus } from 'node:os';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

export const MEGABYTE = 1024 * 1024;
const CHILD_TIMEOUT_MS = 600_000;
const run = promisify(execFile);

export const say = (text) => process.stdout.write(`${text}\n`);
export const megabytes = (bytes) => (bytes / MEGABYTE).toFixed(0);

/** Path of a file beside the benches. */
export const here = (name) => fileURLToPath(new URL(name, import.meta.url));

/** Ends the bench with a clear word where the packages are not built. */
export async function needBuild() {
  try {
    await access(here('../packages/findings/dist/index.js'));
  } catch {
    say('The packages are not built: npx tsc -b tsconfig.build.json');
    process.exit(1);
  }
}

export function describeMachine(more = '') {
  return `${cpus()[0]?.model ?? 'processor'}, ${availableParallelism()} cores; Node ${process.version}${more}`;
}

/** Runs a child to its end; its standard output is one line of JSON. */
export async function measure({ command, args, after = [] }, file) {
  const { stdout } = await run(command, [...args, file, ...after], { timeout: CHILD_TIMEOUT_MS });
  return JSON.parse(stdout);
}

export async function findPython() {
  for (const command of ['python3', 'python']) {
    try {
      const { stdout } = await run(command, ['--version']);
      return { command, version: stdout.trim() };
    } catch {
      // the other name
    }
  }
  return undefined;
}

export function median(values) {
  const sorted = [...values].sort((a, b) => a - b);
  return (sorted[Math.floor((sorted.length - 1) / 2)] + sorted[Math.ceil((sorted.length - 1) / 2)]) / 2;
}

/** @param share 0.95 for the 95th percentile. */
export function percentile(values, share) {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.ceil(share * sorted.length) - 1)];
}

/** A row: a figure that should be at least (or at most) the target. */
export function atLeast(name, measured, target, unit = '') {
  return row(
    name,
    measured,
    target === undefined ? undefined : `≥ ${target}${unit}`,
    (value) => value >= target,
    unit,
  );
}
export function atMost(name, measured, target, unit = '') {
  return row(
    name,
    measured,
    target === undefined ? undefined : `≤ ${target}${unit}`,
    (value) => value <= target,
    unit,
  );
}

function row(name, measured, target, reached, unit) {
  const digits = measured !== undefined && Math.abs(measured) < 10 ? 2 : 0;
  return [
    name,
    measured === undefined ? 'not measured' : `${measured.toFixed(digits)}${unit}`,
    target ?? '',
    measured === undefined || target === undefined ? '' : reached(measured) ? 'reached' : 'MISSED',
  ];
}

export function table(rows) {
  const widths = rows[0].map((_, column) => Math.max(...rows.map((one) => one[column].length)));
  for (const one of rows)
    say(
      one
        .map((cell, column) => (column === 0 ? cell.padEnd(widths[0]) : cell.padStart(widths[column])))
        .join('  '),
    );
}

/** Most memory that a process ever had, bytes; where the system tells. */
export async function peakOf(pid) {
  try {
    return Number(/^VmHWM:\s+(\d+)/m.exec(await readFile(`/proc/${pid}/status`, 'ascii'))[1]) * 1024;
  } catch {
    return undefined;
  }
}
