import { describe, expect, it } from '@jest/globals';
import type { Command } from 'commander';
import { completionOf } from './completion/candidates.js';
import { createProgram, wantsJson } from './program.js';

const { command: program } = createProgram({ env: {}, stdout: process.stdout, stderr: process.stderr });

/** Every command that does something, with its whole name. */
function leaves(command: Command, name = ''): [string, Command][] {
  return command.commands.flatMap((inner) => {
    const whole = `${name} ${inner.name()}`.trim();
    return inner.commands.length > 0 ? leaves(inner, whole) : [[whole, inner] as [string, Command]];
  });
}

/** They start something, speak a protocol, or print a script: no answer of theirs is for a machine to read. */
const WITHOUT_JSON = new Set(['demo', 'gateway', 'worker', 'mcp', 'completion', '__complete']);

describe('the commands', () => {
  it.each(leaves(program).filter(([name]) => !WITHOUT_JSON.has(name)))('%s takes --json', (_, command) => {
    expect(command.options.map((option) => option.long)).toContain('--json');
  });

  it('are listed in groups, each with a description', () => {
    const help = program.helpInformation();
    for (const heading of ['Start:', 'Scans and results:', 'Operate:', 'This machine:'])
      expect(help).toContain(`\n${heading}\n`);
    expect(help).not.toContain('__complete');
    for (const [, command] of leaves(program).filter(([name]) => name !== '__complete'))
      expect(command.description()).not.toBe('');
  });

  it('take --json for JSON only where it is an option', () => {
    expect(wantsJson(['status', 'x', '--json'])).toBe(true);
    expect(wantsJson(['scan', '--name', 'x', '--', '--json'])).toBe(false);
  });
});

describe('completion', () => {
  const ids = [{ value: 'ne_ness_20261123_120000_0123abcd', description: 'running, Office' }];
  const complete = async (line: string): Promise<string[] | 'files'> => {
    const { files, candidates } = await completionOf(program, line.split(' '), async (what) =>
      what === 'task_id' ? ids : what === 'scanner' ? [{ value: 'nessus:scanner1', description: '' }] : [],
    );
    return files ? 'files' : candidates.map(({ value }) => value);
  };

  it.each<[string, unknown]>([
    ['sta', ['status']],
    ['schedules re', ['resume', 'remove']],
    ['list --status run', ['running']],
    ['list --status=run', ['running']],
    ['results x --form', ['--format']],
    ['results x --format s', ['sarif']],
    ['results x --output ', 'files'],
    ['results x --output=', 'files'],
    ['import ', 'files'],
    ['credentials add prod --ssh-key-file ', 'files'],
    ['status ', ids.map(({ value }) => value)],
    ['compare x ne_', ids.map(({ value }) => value)],
    ['compare x y ', []],
    ['dlq retry x ', ids.map(({ value }) => value)],
    ['scanners drain ness', ['nessus:scanner1']],
    ['status x --json --js', []],
    ['scan --name sta', []],
    ['simulator --product t', ['tenable_vm']],
    ['completion ', ['bash', 'zsh', 'fish']],
    ['doctor --only redis da', ['data']],
    ['no-such-command ', []],
    ['status -- -', []],
  ])('scanmq %s', async (line, expected) => {
    expect(await complete(line)).toEqual(expected);
  });

  it('offers every command and every option that help shows, and nothing else', async () => {
    const help = program.createHelp();
    expect(await complete('')).toEqual(help.visibleCommands(program).map((command) => command.name()));
    for (const [name, command] of leaves(program).filter(([whole]) => whole !== '__complete'))
      expect(await complete(`${name} --`)).toEqual(
        help.visibleOptions(command).flatMap((option) => option.long ?? []),
      );
  });
});
