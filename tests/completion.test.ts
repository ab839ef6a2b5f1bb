/** Completion in real shells, with the real command on the path; and what `--json` prints. */
import { execFileSync } from 'node:child_process';
import { mkdir, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { createService, restClient, runCommand, SCANMQ, type TestService } from '@scanmq/testkit';

let service: TestService;
let url: string;
let taskId: string;
let env: Record<string, string>;
let directory: string;
beforeAll(async () => {
  service = await createService({ redisUrl: process.env.SCANMQ_TEST_REDIS_URL ?? '' });
  ({ url } = await service.startGateway());
  ({ task_id: taskId } = await restClient(url).submit({ targets: '192.0.2.1', name: 'Office' }));
  directory = join(service.directory, 'shell');
  await mkdir(join(directory, 'bin'), { recursive: true });
  await symlink(SCANMQ, join(directory, 'bin', 'scanmq'));
  await writeFile(join(directory, 'report one.sarif'), '');
  env = {
    PATH: `${join(directory, 'bin')}:${join(process.execPath, '..')}:/usr/local/bin:/usr/bin:/bin`,
    HOME: directory,
    SCANMQ_URL: url,
  };
});
afterAll(async () => await service.close());

/** Shells that are not on this machine cannot be asked. */
function has(shell: string): boolean {
  try {
    execFileSync(shell, ['-c', 'exit 0'], { stdio: 'ignore' });
    return true;
  } catch {
    return false;
  }
}

const run = (shell: string, args: readonly string[], more: Record<string, string> = {}): string =>
  execFileSync(shell, args, { env: { ...env, ...more }, cwd: directory, encoding: 'utf8', timeout: 30_000 });

/** Types a line, given as the words that bash makes of it, and presses Tab. */
function inBash(words: readonly string[], more: Record<string, string> = {}): string[] {
  const quoted = words.map((word) => `'${word}'`).join(' ');
  const script = `set -u; source <(scanmq completion bash); COMP_WORDS=(${quoted}); COMP_CWORD=${words.length - 1}
    compopt() { :; }; _scanmq_completion scanmq; printf '%s\\n' "\${COMPREPLY[@]-}"`;
  return run('bash', ['--norc', '-c', script], more).trim().split('\n');
}

(has('bash') ? describe : describe.skip)('in bash', () => {
  it('commands, options, their values, ids of tasks and files are completed', () => {
    expect(inBash(['scanmq', 'stat'])).toEqual(['status']);
    expect(inBash(['scanmq', 'list', '--stat'])).toEqual(['--status']);
    expect(inBash(['scanmq', 'list', '--status', 'run'])).toEqual(['running']);
    expect(inBash(['scanmq', 'list', '--status', '=', 'run'])).toEqual(['running']);
    expect(inBash(['scanmq', 'list', '--status', '='])).toContain('queued');
    expect(inBash(['scanmq', 'status', 'ne_'])).toEqual([taskId]);
    expect(inBash(['scanmq', 'scanners', 'drain', 'nessus', ':', 'scan'])).toEqual(['scanner1']);
    expect(inBash(['scanmq', 'results', taskId, '--output', 'rep'])).toEqual(['report one.sarif']);
  });

  it('nothing that was typed is executed, and a service that is away costs nothing but its ids', () => {
    expect(inBash(['scanmq', 'scan', '$(touch executed)', '--na'])).toEqual(['--name']);
    expect(run('bash', ['-c', 'ls'])).not.toContain('executed');
    expect(inBash(['scanmq', 'status', ''], { SCANMQ_URL: 'http://127.0.0.1:1' })).toEqual(['']);
  });

  it('the script may be read twice, and the shell finds it for the command', () => {
    const script = 'source <(scanmq completion bash); source <(scanmq completion bash); complete -p scanmq';
    expect(run('bash', ['--norc', '-euc', script]).trim()).toBe('complete -F _scanmq_completion scanmq');
  });
});

(has('zsh') ? describe : describe.skip)('in zsh', () => {
  it('the script is valid, and completes', () => {
    // what zsh would offer is told by a stand-in for the two functions that offer it
    const script = `autoload -Uz compinit && compinit -D -u; source <(scanmq completion zsh)
      _describe() { print -l -- \${(P)4} }; _files() { print files }
      ask() { words=("$@"); CURRENT=$#words; PREFIX="$words[-1]"; _scanmq }
      ask scanmq list --status run; ask scanmq status ne_; ask scanmq results x --output ''`;
    const lines = run('zsh', ['-f', '-c', script]).trim().split('\n');
    expect(lines).toEqual(['running:running', `${taskId}:queued, Office`, 'files']);
  });
});

(has('fish') ? describe : describe.skip)('in fish', () => {
  it('the script is valid, and completes', () => {
    const ask = (line: string): string[] =>
      run('fish', ['--no-config', '-c', `scanmq completion fish | source; complete -C '${line}'`])
        .trim()
        .split('\n');
    expect(ask('scanmq list --status run')).toEqual(['running']);
    expect(ask('scanmq list --status=run')).toEqual(['--status=running']);
    expect(ask('scanmq status ne_')).toEqual([`${taskId}\tqueued, Office`]);
    expect(ask('scanmq results x --output rep')).toEqual([expect.stringContaining('report one.sarif')]);
  });
});

describe('--json', () => {
  const json = async (...args: string[]) => await runCommand([...args, '--json'], { SCANMQ_URL: url });

  it('prints one document on standard output, and nothing on standard error', async () => {
    const { task_id: other } = await restClient(url).submit({ targets: '192.0.2.2', name: 'other' });
    for (const [args, expected] of [
      [['pause', other], { task_id: other, status: 'queued' }],
      [['resume', other], { task_id: other, status: 'queued' }],
      [['cancel', other], { task_id: other, status: 'cancelled' }],
      [['retry', other], { task_id: other, status: 'queued' }],
    ] as const) {
      const { stdout, stderr, code } = await json(...args);
      expect({ stderr, code }).toEqual({ stderr: '', code: 0 });
      expect(JSON.parse(stdout)).toMatchObject(expected);
    }
  });

  it('prints an error as one document on standard error, with the exit code of the error', async () => {
    const unknown = await json('status', 'ne_ness_20260101_000000_00000000');
    expect({ stdout: unknown.stdout, code: unknown.code }).toEqual({ stdout: '', code: 4 });
    expect(JSON.parse(unknown.stderr)).toEqual({
      code: 'not_found',
      message: expect.any(String),
      errors: [],
      trace_id: expect.stringMatching(/./),
    });
    const invalid = await json('scan', '--name', 'x', '300.1.1.1');
    expect(invalid.code).toBe(2);
    expect(JSON.parse(invalid.stderr)).toMatchObject({
      code: 'invalid_request',
      trace_id: expect.any(String),
    });
    const usage = await json('list', '--status', 'nonsense');
    expect({ stdout: usage.stdout, code: usage.code }).toEqual({ stdout: '', code: 2 });
    expect(JSON.parse(usage.stderr)).toMatchObject({
      code: 'invalid_request',
      message: expect.stringContaining('--status'),
      trace_id: null,
    });
    const away = await runCommand(['list', '--json'], { SCANMQ_URL: 'http://u:canary-pw@127.0.0.1:1' });
    expect(away.code).toBe(4);
    expect(JSON.parse(away.stderr)).toMatchObject({ code: 'unavailable' });
    expect(away.stderr).not.toContain('canary-pw');
  });
});
