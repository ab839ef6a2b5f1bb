import { mkdir, mkdtemp, readdir, rm, symlink, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import type { QueueSystem } from '@scanmq/queue';
import { createReport } from './housekeeping-report.js';
import { removeOrphans } from './orphans.js';

const HOUR_MS = 3_600_000;
const NOW = new Date('2026-11-30T00:00:00.000Z');
const [KNOWN, UPLOAD, FRESH, OLD, YOUNG, BROKEN, MIXED] = Array.from(
  { length: 7 },
  (_, number) => `ne_test_20261101_000000_0000000${number}`,
) as [string, string, string, string, string, string, string];

let dataDir: string;
beforeEach(async () => {
  dataDir = await mkdtemp(join(tmpdir(), 'scanmq-orphans-'));
});
afterEach(async () => await rm(dataDir, { recursive: true, force: true }));

/** Writes a file, and makes it and its directory as old as this. */
async function file(name: string, ageHours: number, text = 'x'): Promise<void> {
  const path = join(dataDir, name);
  await mkdir(dirname(path), { recursive: true });
  await writeFile(path, text);
  await aged(path, ageHours);
  await aged(dirname(path), ageHours);
}
async function aged(path: string, ageHours: number): Promise<void> {
  const time = new Date(NOW.getTime() - ageHours * HOUR_MS);
  await utimes(path, time, time);
}

const record = (task_id: string, state: string, endedHours: number): string =>
  JSON.stringify({
    task_id,
    state,
    created_at: '2026-11-01T00:00:00.000Z',
    completed_at: state === 'running' ? null : new Date(NOW.getTime() - endedHours * HOUR_MS).toISOString(),
    idempotency_key: null,
  });

async function pass(dryRun: boolean) {
  const report = createReport(NOW, dryRun);
  const tasks = { known: async (ids: readonly string[]) => new Set(ids.filter((id) => id === KNOWN)) };
  const done = await removeOrphans({
    queue: { tasks } as unknown as Pick<QueueSystem, 'tasks'>,
    settings: {
      dataDir,
      retentionCompletedMs: 48 * HOUR_MS,
      retentionFailedMs: 96 * HOUR_MS,
      idempotencyTtlMs: 0,
    },
    report,
    nowMs: NOW.getTime(),
    dryRun,
    enough: () => false,
  });
  expect(done).toBe(true);
  return report.finish(false);
}

async function everything(): Promise<string[]> {
  return (await readdir(dataDir, { recursive: true })).sort();
}

describe('what lies in DATA_DIR without a task', () => {
  it('goes when it was abandoned or is past its retention; everything else is told, or not touched at all', async () => {
    // an upload whose gateway was killed, and one that may still go on
    await file(`${UPLOAD}/scan_native.nessus.part`, 25);
    await file(`${FRESH}/scan_native.nessus.part`, 23);
    // tasks whose records are gone
    await file(`${OLD}/findings.parquet`, 100);
    await file(`${OLD}/task.json`, 100, record(OLD, 'completed', 49));
    await file(`${YOUNG}/task.json`, 100, record(YOUNG, 'failed', 49));
    await file(`${BROKEN}/task.json`, 1_000, '{');
    await file(`${MIXED}/notes.txt`, 1_000);
    // names that are not ours, and links
    await file('backup/scan_native.nessus', 1_000);
    await file('ne_notes.txt', 1_000);
    const outside = await mkdtemp(join(tmpdir(), 'scanmq-outside-'));
    await writeFile(join(outside, 'task.json'), record(OLD, 'completed', 1_000));
    await symlink(outside, join(dataDir, 'ne_test_20261101_000000_000000ff'));
    // leftovers beside a task that is there
    await file(`${KNOWN}/task.json`, 100, record(KNOWN, 'completed', 1_000));
    await file(`${KNOWN}/.task.json.0123456789ab`, 25);
    await file(`${KNOWN}/.findings.ndjson.6f0c52f0-2f8e-4a58-a7e0-0d8f1f9e7b11.part`, 25);
    await file(`${KNOWN}/.scan_native.nessus.part`, 23);
    await file(`${KNOWN}/mine.part`, 1_000);

    const before = await everything();
    const dry = await pass(true);
    expect(await everything()).toEqual(before);
    const done = await pass(false);
    expect({ ...dry, dry_run: false }).toEqual(done);

    expect(done.directories.items.map(({ name }) => name).sort()).toEqual([UPLOAD, OLD]);
    expect(done.files.items.map(({ name }) => name).sort()).toEqual([
      `${KNOWN}/.findings.ndjson.6f0c52f0-2f8e-4a58-a7e0-0d8f1f9e7b11.part`,
      `${KNOWN}/.task.json.0123456789ab`,
    ]);
    expect(Object.fromEntries(done.kept.items.map(({ name, reason }) => [name, reason]))).toEqual({
      [YOUNG]: expect.stringContaining('retention is not over'),
      [BROKEN]: expect.stringContaining('cannot be read'),
      [MIXED]: expect.stringContaining('notes.txt'),
      ne_test_20261101_000000_000000ff: expect.stringContaining('no directory'),
    });
    expect(done.failed.count).toBe(0);
    const gone = new Set(before.filter((name) => name.startsWith(UPLOAD) || name.startsWith(OLD)));
    for (const { name } of done.files.items) gone.add(name);
    expect(await everything()).toEqual(before.filter((name) => !gone.has(name)));
    expect(await readdir(outside)).toEqual(['task.json']);
    await rm(outside, { recursive: true });
    expect((await pass(false)).directories.count).toBe(0);
  });

  it('is nothing before anything was stored', async () => {
    await rm(dataDir, { recursive: true });
    expect((await pass(false)).directories.count).toBe(0);
  });
});
