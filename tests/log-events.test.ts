/** The log has one vocabulary: what the code says is in the table, and what is in the table is said. */
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from '@jest/globals';
import { LOG_EVENTS, type LogEvent } from '@scanmq/observability';

const ROOT = fileURLToPath(new URL('..', import.meta.url));
/** These write no log of ours: the audit log has its own entries, and the kit reads logs. */
const OTHERS = /packages\/(access\/src\/audit|testkit|simulator)\//;

interface Said {
  readonly where: string;
  readonly level: string | undefined;
  readonly names: readonly string[];
}

async function sourcesBelow(folder: string): Promise<readonly string[]> {
  const files: string[] = [];
  for (const name of await readdir(folder)) {
    const below = await readdir(join(folder, name, 'src'), { recursive: true, withFileTypes: true });
    for (const entry of below)
      if (entry.isFile() && entry.name.endsWith('.ts')) files.push(join(entry.parentPath, entry.name));
  }
  return files;
}

/** Every call of a logger: its level, where it stands there, and the names of its event. */
async function said(): Promise<readonly Said[]> {
  const found: Said[] = [];
  for (const folder of ['apps', 'packages'])
    for (const path of await sourcesBelow(`${ROOT}${folder}`)) {
      if (path.endsWith('.test.ts') || OTHERS.test(path)) continue;
      const text = await readFile(path, 'utf8');
      for (const match of text.matchAll(/\blog(?:\?)?(?:\.(\w+)|\[[^\]]+\])\(\s*\{([^{}]*)/g)) {
        const [, level, fields = ''] = match;
        if (level === 'child') continue;
        const value = /\bevent(?::([^,}]*))?/.exec(fields);
        const names = [
          ...(value?.[1] ?? /const event = ([^;]*)/.exec(text)?.[1] ?? '').matchAll(/'([^']*)'/g),
        ];
        found.push({ where: path.slice(ROOT.length), level, names: names.map(([, name = '']) => name) });
      }
    }
  return found;
}

describe('the events of the log', () => {
  const table: Readonly<Record<string, LogEvent>> = LOG_EVENTS;

  it('are in the table, each line with a name and a level that it may have', async () => {
    const lines = await said();
    expect(lines.length).toBeGreaterThan(50);
    for (const { where, level, names } of lines) {
      expect([where, names.length]).not.toEqual([where, 0]);
      for (const name of names) {
        expect([where, name, table[name] !== undefined]).toEqual([where, name, true]);
        if (level !== undefined)
          expect([where, name, table[name]?.levels]).toEqual([where, name, expect.arrayContaining([level])]);
      }
    }
  });

  it('are documented as they are', async () => {
    const document = await readFile(join(ROOT, 'docs', 'observability.md'), 'utf8');
    for (const [name, { levels, meaning }] of Object.entries(table))
      expect(document).toContain(`| \`${name}\` | ${levels.join(', ')} | ${meaning} |\n`);
  });

  it('are all said somewhere', async () => {
    const names = new Set((await said()).flatMap((line) => line.names));
    expect(Object.keys(table).filter((name) => !names.has(name))).toEqual([]);
  });
});
