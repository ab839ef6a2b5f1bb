/** Completion in real shells, with the real command on the path; and what `--json` prints. */
import { execFile, execFileSync } from 'node:child_process';
import { mkdir, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { createService, restClient, runCommand, SCANMQ, type TestService, until } from '@scanmq/testkit';

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

/** Not so that we stand still meanwhile: our connection to the gateway would be closed without our noticing it. */
async function run(
  shell: string,
  args: readonly string[],
  more: Record<string, string> = {},
): Promise<string> {
  const options = { env: { ...env, ...more }, cwd: directory, timeout: 60_000 };
  const running = promisify(execFile)(shell, [...args], options);
  running.child.stdin?.end();
  return (await running).stdout;
}

/** What only the service knows is not offered when it takes longer than a second, as it may on a busy machine. */
async function offersIds(look: () => Promise<void>): Promise<void> {
  await until('what the service knows is offered', async () => {
    await look();
    return true;
  });
}

/** Types a line, given as the words that bash makes of it, and presses Tab. */
async function inBash(words: readonly string[], more: Record<string, string> = {}): Promise<string[]> {
  const quoted = words.map((word) => `'${word}'`).join(' ');
  const script = `set -u; source <(scanmq completion bash); COMP_WORDS=(${quoted}); COMP_CWORD=${words.length - 1}
    compopt() { :; }; _scanmq_completion scanmq; printf '%s\\n' "\${COMPREPLY[@]-}"`;
  return (await run('bash', ['--norc', '-c', script], more)).trim().split('\n');
}

(has('bash') ? describe : describe.skip)('in bash', () => {
  it('commands, options, their values, ids of tasks and files are completed', async () => {
    expect(await inBash(['scanmq', 'stat'])).toEqual(['status']);
    expect(await inBash(['scanmq', 'list', '--stat'])).toEqual(['--status']);
    expect(await inBash(['scanmq', 'list', '--status', 'run'])).toEqual(['running']);
    expect(await inBash(['scanmq', 'list', '--status', '=', 'run'])).toEqual(['running']);
    expect(await inBash(['scanmq', 'list', '--status', '='])).toContain('queued');
    await offersIds(async () => expect(await inBash(['scanmq', 'status', 'ne_'])).toEqual([taskId]));
    await offersIds(async () =>
      expect(await inBash(['scanmq', 'scanners', 'drain', 'nessus', ':', 'scan'])).toEqual(['scanner1']),
    );
    expect(await inBash(['scanmq', 'results', taskId, '--output', 'rep'])).toEqual(['report one.sarif']);
  });

  it('nothing that was typed is executed, and a service that is away costs nothing but its ids', async () => {
    expect(await inBash(['scanmq', 'scan', '$(touch executed)', '--na'])).toEqual(['--name']);
    expect(await run('bash', ['-c', 'ls'])).not.toContain('executed');
    expect(await inBash(['scanmq', 'status', ''], { SCANMQ_URL: 'http://127.0.0.1:1' })).toEqual(['']);
  });

  it('the script may be read twice, and the shell finds it for the command', async () => {
    const script = 'source <(scanmq completion bash); source <(scanmq completion bash); complete -p scanmq';
    expect((await run('bash', ['--norc', '-euc', script])).trim()).toBe(
      'complete -F _scanmq_completion scanmq',
    );
  });
});

(has('zsh') ? describe : describe.skip)('in zsh', () => {
  it('the script is valid, and completes', async () => {
    // what zsh would offer is told by a stand-in for the two functions that offer it
    const script = `autoload -Uz compinit && compinit -D -u; source <(scanmq completion zsh)
      _describe() { print -l -- \${(P)4} }; _files() { print files }
      ask() { words=("$@"); CURRENT=$#words; PREFIX="$words[-1]"; _scanmq }
      ask scanmq list --status run; ask scanmq status ne_; ask scanmq results x --output ''`;
    await offersIds(async () =>
      expect((await run('zsh', ['-f', '-c', script])).trim().split('\n')).toEqual([
        'running:running',
        `${taskId}:queued, Office`,
        'files',
      ]),
    );
  });
});

(has('fish') ? describe : describe.skip)('in fish', () => {
  it('the script is valid, and completes', async () => {
    const ask = async (line: string): Promise<string[]> =>
      (await run('fish', ['--no-config', '-c', `scanmq completion fish | source; complete -C '${line}'`]))
        .trim()
        .split('\n');
    expect(await ask('scanmq list --status run')).toEqual(['running']);
    expect(await ask('scanmq list --status=run')).toEqual(['--status=running']);
    await offersIds(async () =>
      expect(await ask('scanmq status ne_')).toEqual([`${taskId}\tqueued, Office`]),
    );
    expect(await ask('scanmq results x --output rep')).toEqual([expect.stringContaining('report one.sarif')]);
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
