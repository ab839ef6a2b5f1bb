import { readdir } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from '@jest/globals';
import { openFindingsEngine } from './engine.js';

/** Folders of this process: others may be at work. One that was killed may have had the same number. */
const spilled = async (before: readonly string[] = []): Promise<string[]> =>
  (await readdir(join(tmpdir(), `scanmq-spill-${process.getuid?.() ?? 'user'}`))).filter(
    (name) => name.startsWith(`${process.pid}-`) && !before.includes(name),
  );

describe('the engine', () => {
  it('uses the disk for what does not fit its memory, and leaves nothing there', async () => {
    const engine = await openFindingsEngine({ memoryMb: 64, threads: 2 });
    const before = await spilled();
    const batches = engine.stream(
      'SELECT range AS n, md5(range::VARCHAR) AS text FROM range(1500000) ORDER BY text DESC',
    );
    let rows = 0;
    let most = 0;
    for await (const batch of batches) {
      if (rows === 0) most = (await spilled(before)).length;
      rows += batch.length;
    }
    expect(rows).toBe(1_500_000);
    expect(most).toBe(1);
    await engine.close();
    expect(await spilled(before)).toEqual([]);
  });

  it('ends a question that takes too long, with a word about it, and goes on', async () => {
    const engine = await openFindingsEngine({ memoryMb: 64, threads: 1, queryTimeoutMs: 500 });
    try {
      await expect(
        engine.rows('SELECT count(*) FROM range(1000000) a, range(1000000) b WHERE a.range * b.range = 7'),
      ).rejects.toMatchObject({ code: 'unavailable', message: expect.stringContaining('0.5 s') });
      expect(await engine.rows('SELECT $n + 1 AS n', { n: 41 })).toEqual([{ n: 42 }]);
    } finally {
      await engine.close();
    }
    await expect(engine.rows('SELECT 1')).rejects.toMatchObject({ code: 'unavailable' });
  });

  it('never takes a value for SQL', async () => {
    const engine = await openFindingsEngine({ memoryMb: 64, threads: 1 });
    try {
      const hostile = "x'); DROP TABLE findings; --";
      expect(await engine.rows('SELECT $text AS text', { text: hostile })).toEqual([{ text: hostile }]);
    } finally {
      await engine.close();
    }
  });
});
