import { randomBytes } from 'node:crypto';
import { mkdir, mkdtemp, readdir, readFile, rm, stat, symlink, unlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterAll, describe, expect, it } from '@jest/globals';
import { NO_SCOPES, type Principal } from '@scanmq/contract';
import fc from 'fast-check';
import { Redis } from 'ioredis';
import { accessKeys } from '../redis-keys.js';
import { type AuditLog, createAuditLog } from './audit-log.js';
import { sealLine } from './chain.js';
import type { Decision } from './entry.js';
import { createAuditHeads } from './heads.js';
import { type AuditReport, describeProblem, verifyAuditLog } from './verify.js';

const redis = new Redis(process.env.SCANMQ_TEST_REDIS_URL ?? '');
const closing: (() => Promise<unknown>)[] = [];
afterAll(async () => {
  for (const close of closing.reverse()) await close();
  redis.disconnect();
});

const principal: Principal = { id: 'k1', name: 'ci', role: 'operator', scopes: NO_SCOPES, via: 'key' };
const decision = (change: Partial<Decision> = {}): Decision => ({
  action: 'POST /api/v1/scans',
  decision: 'allowed',
  principal,
  targets: '192.0.2.1',
  from: '127.0.0.1',
  traceId: '0'.repeat(32),
  ...change,
});

/** A place for an audit log, as any number of processes open it. */
async function place(maxBytes = 1024 * 1024) {
  const directory = await mkdtemp(join(tmpdir(), 'scanmq-audit-'));
  closing.push(() => rm(directory, { recursive: true, force: true }));
  const file = join(directory, 'logs', 'audit.log');
  const keys = accessKeys(`t${randomBytes(4).toString('hex')}`);
  const heads = createAuditHeads(redis, keys);
  const problems: string[] = [];
  const openLog = (): AuditLog => {
    const log = createAuditLog({
      file,
      maxBytes,
      sync: 'always',
      heads,
      now: () => new Date(),
      onProblem: (what) => problems.push(what),
    });
    closing.push(() => log.close());
    return log;
  };
  return {
    file,
    problems,
    open: openLog,
    async written(entries: number): Promise<readonly string[]> {
      const log = openLog();
      for (let index = 1; index <= entries; index += 1)
        await log.write(decision({ targets: `192.0.2.${index}` }));
      await log.close();
      return (await readFile(file, 'utf8')).trimEnd().split('\n');
    },
    rewrite: (lines: readonly string[]) => writeFile(file, lines.map((line) => `${line}\n`).join('')),
    verify: async (): Promise<AuditReport> => verifyAuditLog(file, await heads.all()),
  };
}

const told = ({ problems }: AuditReport): readonly string[] => problems.map(describeProblem);

describe('an audit log', () => {
  it('has a line for each decision, in order, and nothing wrong with it', async () => {
    const { file, open: openLog, verify } = await place();
    const log = openLog();
    await Promise.all(
      Array.from({ length: 50 }, (_, index) => log.write(decision({ taskId: `task-${index}` }))),
    );
    await log.write(decision({ decision: 'refused', code: 'target_refused', reason: 'policy' }));
    await log.close();
    const entries = (await readFile(file, 'utf8'))
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line));
    expect(entries.map(({ seq }) => seq)).toEqual(Array.from({ length: 52 }, (_, index) => index + 1));
    expect(entries[0]).toMatchObject({ event: 'begin', pid: process.pid });
    expect(entries.slice(1, 51).map(({ task_id }) => task_id)).toEqual(
      Array.from({ length: 50 }, (_, index) => `task-${index}`),
    );
    expect(entries[51]).toMatchObject({
      event: 'decision',
      action: 'POST /api/v1/scans',
      decision: 'refused',
      code: 'target_refused',
      reason: 'policy',
      principal: 'ci',
      principal_id: 'k1',
      role: 'operator',
      via: 'key',
      targets: '192.0.2.1',
      from: '127.0.0.1',
    });
    expect(await verify()).toMatchObject({ ok: true, chains: 1, entries: 52, unanchored: 0, problems: [] });
    expect((await stat(file)).mode & 0o777).toBe(0o600);
  });

  it('of several processes is one chain for each, in files of their own', async () => {
    const { open: openLog, verify, file } = await place();
    const logs = [openLog(), openLog(), openLog()];
    for (const log of logs) await Promise.all([log.write(decision()), log.write(decision())]);
    expect(new Set(logs.map((log) => log.file)).size).toBe(3);
    expect((await readdir(dirname(file))).filter((name) => name.endsWith('.log')).sort()).toEqual([
      'audit-2.log',
      'audit-3.log',
      'audit.log',
    ]);
    for (const log of logs) await log.close();
    expect(await verify()).toMatchObject({ ok: true, chains: 3, entries: 9, files: 3 });
    // the next process goes on with what nobody holds
    const next = openLog();
    await next.write(decision());
    expect(next.file).toBe(file);
    await next.close();
    expect(await verify()).toMatchObject({ ok: true, chains: 3, entries: 11 });
  });

  it('goes on in a new file when one is full, and the chain with it', async () => {
    const { open: openLog, verify, file } = await place(2_000);
    const log = openLog();
    for (let index = 0; index < 40; index += 1) await log.write(decision());
    await log.close();
    const names = (await readdir(dirname(file))).filter((name) => name.startsWith('audit.log')).sort();
    expect(names.length).toBeGreaterThan(4);
    expect(names.slice(0, 3)).toEqual(['audit.log', 'audit.log.000001', 'audit.log.000002']);
    expect(await verify()).toMatchObject({ ok: true, chains: 1, entries: 41, files: names.length });
    await rm(`${file}.000002`);
    expect(told(await verify())).toEqual([
      expect.stringMatching(/^audit\.log\.000003, line 1: entries \d+ to \d+ before it are missing$/),
    ]);
  });
});

describe('what was done to an audit log is found', () => {
  const cases: readonly [string, (lines: string[]) => string[], RegExp][] = [
    [
      'an entry was changed',
      (lines) => lines.with(3, (lines[3] ?? '').replace('192.0.2.3', '192.0.2.9')),
      /line 4: it was changed/,
    ],
    [
      'an entry was removed',
      (lines) => lines.toSpliced(3, 1),
      /line 4: entries 4 to 4 before it are missing/,
    ],
    [
      'the first entries were removed',
      (lines) => lines.slice(2),
      /line 1: entries 1 to 2 before it are missing/,
    ],
    [
      'the last entries were removed',
      (lines) => lines.slice(0, -2),
      /line 4: entries 5 to 6 after it are missing/,
    ],
    [
      'the last entry was changed',
      (lines) => lines.with(-1, (lines.at(-1) ?? '').replace('allowed', 'refused')),
      /line 6: it was changed/,
    ],
    [
      'two entries changed places',
      (lines) => lines.with(2, lines[3] ?? '').with(3, lines[2] ?? ''),
      /line 3: entries 3 to 3 before it are missing/,
    ],
    [
      'an entry was repeated',
      (lines) => lines.toSpliced(3, 0, lines[2] ?? ''),
      /line 4: it is entry 3, after entry 3: repeated or moved/,
    ],
    ['something was put in', (lines) => lines.toSpliced(3, 0, 'nothing happened'), /line 4: it is no entry/],
    [
      'a byte was put in where it does not show',
      (lines) => lines.with(3, `${lines[3]}\r`),
      /line 4: it is no entry/,
    ],
    [
      'an entry was replaced by one that is right in itself',
      (lines) =>
        lines.with(
          3,
          sealLine(
            JSON.parse(lines[3] ?? '').chain,
            { chain: '', seq: 3, hash: JSON.parse(lines[3] ?? '').prev },
            { event: 'decision' },
          ).line,
        ),
      /line 5: it does not follow the entry before it/,
    ],
    ['everything is gone', () => [], /the chain [0-9a-f]{16} with 6 entries is gone; it was in .*audit\.log/],
    [
      'it was made anew',
      (lines) => remade(lines, (entry) => ({ ...entry, targets: 'x' })),
      /line 6: it is not the entry that was written/,
    ],
    [
      'it was made anew, as another',
      (lines) => remade(lines, (entry) => ({ ...entry, chain: 'f'.repeat(16) })),
      /the chain [0-9a-f]{16} with 6 entries is gone/,
    ],
  ];
  it.each(cases)('%s', async (_, change, problem) => {
    const { written, rewrite, verify } = await place();
    const lines = await written(5);
    expect(lines).toHaveLength(6);
    await rewrite(change([...lines]));
    const report = await verify();
    expect(report.ok).toBe(false);
    expect(told(report)).toEqual([expect.stringMatching(problem)]);
  });

  it('whatever bytes are changed, wherever', async () => {
    const { written, file, verify } = await place();
    await written(5);
    const bytes = await readFile(file);
    await fc.assert(
      fc.asyncProperty(fc.nat(bytes.length - 1), fc.integer({ min: 1, max: 255 }), async (at, change) => {
        const other = Buffer.from(bytes);
        other[at] = (other[at] ?? 0) ^ change;
        await writeFile(file, other);
        expect((await verify()).ok).toBe(false);
      }),
      { numRuns: 300 },
    );
    await writeFile(file, bytes);
    expect((await verify()).ok).toBe(true);
  });

  it('wherever the end is cut off', async () => {
    const { written, file, verify } = await place();
    await written(5);
    const bytes = await readFile(file);
    // without the last line end the entry is there
    for (let length = 0; length < bytes.length - 1; length += 37) {
      await writeFile(file, bytes.subarray(0, length));
      expect((await verify()).ok).toBe(false);
    }
  });

  it('even after a process has gone on with it', async () => {
    const { written, rewrite, verify, open: openLog, problems } = await place();
    const lines = await written(5);
    await rewrite(lines.slice(0, -2));
    const log = openLog();
    await log.write(decision());
    await log.write(decision());
    await log.write(decision());
    await log.close();
    expect(problems).toEqual([expect.stringContaining('entries of')]);
    expect(told(await verify())).toEqual([
      'audit.log, line 5: entries before it, up to 6, were removed while nobody wrote',
    ]);
  });

  it('and where a file is used twice', async () => {
    const { written, file, verify } = await place();
    const lines = await written(3);
    await writeFile(file.replace('.log', '-2.log'), `${lines.join('\n')}\n`);
    expect(told(await verify())).toEqual(['audit-2.log, line 1: its chain is in another file too']);
  });

  it('but without what Redis knows, only up to the end', async () => {
    const { written, rewrite, file } = await place();
    const lines = await written(5);
    await rewrite(lines.slice(0, -2));
    expect(await verifyAuditLog(file, undefined)).toMatchObject({ ok: true, entries: 4, unanchored: 1 });
    await rewrite(lines.toSpliced(2, 1));
    expect(await verifyAuditLog(file, undefined)).toMatchObject({ ok: false });
  });
});

describe('a crash', () => {
  it('in the middle of an entry leaves a torn end, which the next process notes', async () => {
    const { written, file, verify, open: openLog, problems } = await place();
    await written(3);
    const whole = await readFile(file);
    const torn = sealLine('x', undefined, { targets: 'ä'.repeat(40) }).line;
    for (const bytes of [1, 20, 60, Buffer.byteLength(torn) - 1]) {
      await writeFile(file, Buffer.concat([await readFile(file), Buffer.from(torn).subarray(0, bytes)]));
      expect(await verify()).toMatchObject({ ok: true, torn: expect.any(Number) });
      const log = openLog();
      await log.write(decision());
      await log.close();
      expect(await verify()).toMatchObject({ ok: true });
    }
    expect(problems).toHaveLength(4);
    expect(await verify()).toMatchObject({ torn: 4, entries: 4 + 4 * 2 });
    // append only: what was there is there
    expect((await readFile(file)).subarray(0, whole.length).equals(whole)).toBe(true);
  });

  it('before the end of a line loses nothing', async () => {
    const { written, file, verify, open: openLog } = await place();
    await written(3);
    const bytes = await readFile(file);
    await writeFile(file, bytes.subarray(0, -1));
    const log = openLog();
    await log.write(decision());
    await log.close();
    expect(await verify()).toMatchObject({ ok: true, entries: 6, torn: 0 });
  });

  it('does not excuse a fragment that is another than the one that was noted', async () => {
    const { written, file, verify, open: openLog } = await place();
    await written(2);
    await writeFile(file, `${await readFile(file, 'utf8')}{"torn`);
    const log = openLog();
    await log.write(decision());
    await log.close();
    expect(await verify()).toMatchObject({ ok: true, torn: 1 });
    await writeFile(file, (await readFile(file, 'utf8')).replace('{"torn', '{"born'));
    expect(await verify()).toMatchObject({ ok: false });
  });
});

describe('an entry that cannot be written', () => {
  it('fails, and the next one that can be goes on with the chain', async () => {
    const { file, open: openLog, verify } = await place();
    const log = openLog();
    await log.write(decision());
    // what a full disk does to an append, without a full disk: there is a directory where the file should be
    await rm(file);
    const blocked = join(file, 'in-the-way');
    await mkdir(blocked, { recursive: true });
    await expect(log.write(decision())).rejects.toMatchObject({ code: 'unavailable' });
    await rm(file, { recursive: true });
    await log.write(decision());
    await log.close();
    // the file was taken away meanwhile: that is told
    expect(told(await verify())).toEqual([expect.stringContaining('is gone')]);
  });

  it('fails on a disk that is full', async () => {
    const { file, open: openLog, problems } = await place();
    await mkdir(dirname(file));
    // takes nothing: every write says that there is no space left
    await symlink('/dev/full', file);
    const log = openLog();
    await expect(log.write(decision())).rejects.toMatchObject({ code: 'unavailable' });
    expect(problems).toEqual(['the audit log cannot be written']);
    await unlink(file);
    await log.write(decision());
  });
});

describe('an entry', () => {
  it('is one line of printable characters, whatever it was made of, and says the same when it is read', async () => {
    const { file, open: openLog, verify } = await place();
    const log = openLog();
    const text = fc.string({ unit: 'binary', maxLength: 200 });
    const entries = fc.array(fc.record({ targets: text, client: text, action: text }), { minLength: 50 });
    let written = 0;
    await fc.assert(
      fc.asyncProperty(entries, async (given) => {
        await Promise.all(given.map((fields) => log.write(decision(fields))));
        written += given.length;
        const lines = (await readFile(file, 'utf8')).split('\n').slice(-given.length - 1, -1);
        for (const line of lines) expect(line).not.toMatch(/[\p{Cc}\u2028\u2029\u202a-\u202e\u2066-\u2069]/u);
        expect(lines.map((line) => JSON.parse(line))).toMatchObject(given);
      }),
      { numRuns: 10 },
    );
    await log.close();
    expect(await verify()).toMatchObject({ ok: true, entries: written + 1 });
  });

  it('is of bounded size, proves what was cut off, and never has a key in it', async () => {
    const { file, open: openLog, verify } = await place();
    const log = openLog();
    const key = `smq_${'a'.repeat(16)}_${'b'.repeat(64)}`;
    await log.write(
      decision({
        targets: '\u0001'.repeat(200_000),
        name: `my ${key}`,
        client: key,
        reason: `no ${key}!`,
        object: key,
      }),
    );
    await log.close();
    const text = await readFile(file, 'utf8');
    expect(text.length).toBeLessThan(128 * 1024);
    expect(text).not.toContain('b'.repeat(64));
    expect(text).toContain(`my smq_${'a'.repeat(16)}_[redacted]`);
    expect(text).toMatch(/"targets_sha256":"[0-9a-f]{64}"/);
    expect((await verify()).ok).toBe(true);
  });
});

/** As somebody would who knows how it is done: every entry changed, every hash right. */
function remade(
  lines: readonly string[],
  change: (entry: Record<string, unknown>) => Record<string, unknown>,
): string[] {
  let head: Parameters<typeof sealLine>[1];
  return lines.map((line) => {
    const { chain, seq: _seq, prev: _prev, hash: _hash, ...fields } = change(JSON.parse(line));
    const sealed = sealLine(String(chain), head, fields);
    head = sealed.head;
    return sealed.line;
  });
}
