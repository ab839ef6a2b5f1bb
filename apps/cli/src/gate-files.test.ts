import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { readBaselineFile, readIgnoreFile } from './gate-files.js';

const NOW = new Date('2026-06-15T12:00:00Z');
let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'scanmq-files-'));
});
afterAll(async () => await rm(folder, { recursive: true, force: true }));

async function file(text: string): Promise<string> {
  const path = join(folder, 'file');
  await writeFile(path, text);
  return path;
}
const rules = async (text: string) => await readIgnoreFile(await file(text), NOW);

describe('an ignore file', () => {
  it('is YAML, with the rules as a list or under a name, or JSON', async () => {
    const rule = { plugin_id: '7', reason: 'known', expires: '2026-12-31' };
    expect(await rules('- plugin_id: 7\n  reason: known\n  expires: 2026-12-31\n')).toEqual([rule]);
    expect(await rules('ignore:\n- {plugin_id: 7, reason: known, expires: 2026-12-31}\n')).toEqual([rule]);
    expect(await rules(JSON.stringify([{ ...rule, plugin_id: 7 }]))).toEqual([rule]);
    expect(await rules('# nothing yet\n')).toEqual([]);
  });

  it('keeps ids as somebody wrote them, also those that look like numbers', async () => {
    const id = '00000000000000000000000000001e10';
    const [rule] = await rules(`- finding_id: ${id}\n  reason: known\n  expires: 2026-12-31\n`);
    expect(rule?.finding_id).toBe(id);
  });

  it.each([
    ['a rule that ends never', '- plugin_id: 1\n  reason: known\n', ':1: rule 1, expires: '],
    [
      'a date too far away',
      '- plugin_id: 1\n  reason: known\n  expires: 2030-01-01\n',
      ':3: rule 1, expires: ',
    ],
    [
      'a port that is none',
      '# c\n- port: 70000\n  reason: known\n  expires: 2026-12-31\n',
      ':2: rule 1, port: ',
    ],
    ['what is no list', 'plugin_id: 1\n', ':1: '],
    ['what is no YAML', '- a: [1\n- b\n', ':2: '],
  ])('names the line of %s', async (_, text, place) => {
    await expect(rules(text)).rejects.toMatchObject({
      code: 'invalid_request',
      message: expect.stringContaining(`${join(folder, 'file')}${place}`),
    });
  });
});

it('a baseline file is recognised by what it says of itself', async () => {
  const baseline = {
    format: 'scanmq-baseline',
    version: 1,
    task_id: 'ne_ness_20261123_152923_0a1b2c3d',
    written_at: '2026-06-15T12:00:00.000Z',
    policy: { fail_on: 'high' },
    findings: [{ finding_id: '0'.repeat(32), host: '192.0.2.1' }],
  };
  expect(await readBaselineFile(await file(JSON.stringify(baseline)))).toMatchObject({ version: 1 });
  for (const other of ['{}', '[]', 'no', JSON.stringify({ ...baseline, version: 2 })])
    await expect(readBaselineFile(await file(other))).rejects.toMatchObject({ code: 'invalid_request' });
});
