import { randomBytes } from 'node:crypto';
import { mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Writable } from 'node:stream';
import { afterAll, describe, expect, it } from '@jest/globals';
import { openAccess } from '@scanmq/access';
import { readSettings } from '@scanmq/config';
import { type ApiKeyView, type CreatedKey, toScanmqError } from '@scanmq/contract';
import { until } from '@scanmq/testkit';
import { Command, CommanderError } from 'commander';
import { Redis } from 'ioredis';
import { addAccessCommands } from './access-commands.js';

const redisUrl = process.env.SCANMQ_TEST_REDIS_URL ?? '';
const redis = new Redis(redisUrl);
const closing: (() => Promise<unknown>)[] = [];
afterAll(async () => {
  for (const close of closing.reverse()) await close();
  redis.disconnect();
});

/** The command with the settings of a service, and what a gateway with the same settings would say. */
async function service(withFile: boolean) {
  const directory = await mkdtemp(join(tmpdir(), 'scanmq-keys-'));
  closing.push(() => rm(directory, { recursive: true, force: true }));
  const keysFile = join(directory, 'keys.json');
  const env = {
    REDIS_URL: redisUrl,
    QUEUE_PREFIX: `t${randomBytes(4).toString('hex')}`,
    DATA_DIR: join(directory, 'tasks'),
    ...(withFile ? { API_KEYS_FILE: keysFile } : {}),
  };
  /** Output and exit code, or the code of the error that `main.ts` makes an exit code of. */
  const run = async (...args: string[]) => {
    let output = '';
    const stream = Object.assign(
      new Writable({
        write: (chunk, _encoding, done) => {
          output += String(chunk);
          done();
        },
      }),
      { isTTY: false },
    ) as unknown as NodeJS.WriteStream;
    try {
      let code = -1;
      const program = new Command('scanmq')
        .exitOverride()
        .configureOutput({ writeErr: (text) => stream.write(text) });
      addAccessCommands(program, { env, stdout: stream, stderr: stream }, (action) => async (...given) => {
        code = await action(...given);
      });
      await program.parseAsync(args, { from: 'user' });
      return { code, output };
    } catch (thrown) {
      if (thrown instanceof CommanderError) return { code: 'usage', output };
      const { code, message } = toScanmqError(thrown);
      return { code, output: `${output}${message}` };
    }
  };
  return {
    env,
    keysFile,
    auditFile: join(directory, 'audit.log'),
    run,
    create: async (...args: string[]): Promise<CreatedKey> =>
      JSON.parse((await run('keys', 'create', '--json', ...args)).output),
    list: async (): Promise<readonly ApiKeyView[]> =>
      JSON.parse((await run('keys', 'list', '--json')).output).keys,
    async gateway() {
      const access = await openAccess({ settings: readSettings(env), redis, onProblem: () => undefined });
      closing.push(() => access.close());
      return async (key: string) =>
        await access
          .identify({
            bearer: key,
            apiKey: undefined,
            session: undefined,
            fromHere: true,
            request: { method: 'GET', site: undefined, origin: undefined, host: undefined },
          })
          .then(
            ({ principal }) => principal.name,
            ({ code }) => code,
          );
    },
  };
}

describe.each([
  ['in a file', true],
  ['in Redis', false],
])('scanmq keys, kept %s', (_, withFile) => {
  it('makes a key that a running gateway knows, and revokes it again', async () => {
    const { create, list, run, gateway, keysFile } = await service(withFile);
    const asks = await gateway();
    const made = await create('--name', 'pipeline', '--role', 'operator');
    expect(made).toMatchObject({
      key: expect.stringMatching(/^smq_[0-9a-f]{16}_[0-9a-f]{64}$/),
      name: 'pipeline',
      role: 'operator',
      expires_at: null,
    });
    expect(await asks(made.key)).toBe('pipeline');
    expect(await list()).toMatchObject([{ id: made.id, state: 'valid', created_by: expect.any(String) }]);
    expect(JSON.stringify(await list())).not.toContain(made.key.slice(-64));
    expect(await run('keys', 'revoke', made.id)).toMatchObject({ code: 0 });
    // a file is looked at with each request; Redis says so, and its message may be on its way still
    if (!withFile) await until('the gateway was told', async () => (await asks(made.key)) !== 'pipeline');
    expect(await asks(made.key)).toBe('unauthenticated');
    expect(await list()).toMatchObject([{ state: 'revoked' }]);
    if (withFile) expect((await stat(keysFile)).mode & 0o777).toBe(0o600);
  });
});

describe('scanmq keys', () => {
  it('makes keys with scopes, which it shows, and keys that end', async () => {
    const { create, run } = await service(false);
    const made = await create(
      ...['--name', 'agent', '--role', 'operator', '--expires', '90d', '--tasks', 'all'],
      ...['--pools', 'nessus, dmz', '--targets', '10.0.0.0/8,.example.com', '--deny-targets', '10.1.0.0/16'],
      ...['--max-hosts', '16', '--credentials', '', '--templates', 'basic'],
      ...['--window', '0 22 * * 1-5; 8; Europe/Berlin', '--window', '0 9 * * *; 1'],
      ...['--requests-per-minute', '60', '--scans-per-day', '5'],
    );
    expect(made.scopes).toEqual({
      tasks: 'all',
      pools: ['nessus', 'dmz'],
      targets: { allow: ['10.0.0.0/8', '.example.com'], deny: ['10.1.0.0/16'], max_hosts: 16 },
      credentials: [],
      templates: ['basic'],
      windows: [
        { opens: '0 22 * * 1-5', hours: 8, time_zone: 'Europe/Berlin' },
        { opens: '0 9 * * *', hours: 1, time_zone: 'UTC' },
      ],
      requests_per_minute: 60,
      scans_per_day: 5,
    });
    const days = (Date.parse(made.expires_at ?? '') - Date.now()) / 86_400_000;
    expect(Math.round(days)).toBe(90);
    const { output } = await run('keys', 'list');
    expect(output).toContain('tasks, pools, targets');
  });

  it.each([
    [['create', '--role', 'viewer'], 'usage'],
    [['create', '--name', 'x'], 'usage'],
    [['create', '--name', 'x', '--role', 'root'], 'usage'],
    [['create', '--name', 'x', '--role', 'viewer', '--max-hosts', '0'], 'usage'],
    [['create', '--name', 'local', '--role', 'viewer'], 'invalid_request'],
    [['create', '--name', 'x', '--role', 'viewer', '--expires', 'soon'], 'invalid_request'],
    [['create', '--name', 'x', '--role', 'viewer', '--expires', '2020-01-01'], 'invalid_request'],
    [['create', '--name', 'x', '--role', 'viewer', '--targets', '10.0.0.300'], 'invalid_request'],
    [['create', '--name', 'x', '--role', 'viewer', '--window', 'always'], 'invalid_request'],
    [['revoke', 'nobody'], 'not_found'],
  ])('refuses %j', async (args, code) => {
    const { run, list } = await service(false);
    expect(await run('keys', ...args)).toMatchObject({ code });
    expect(await list()).toEqual([]);
  });
});

describe('scanmq audit verify', () => {
  it('finds a log that is as it was written, and one that is not', async () => {
    const { create, run, auditFile } = await service(false);
    const made = await create('--name', 'a', '--role', 'admin');
    await run('keys', 'revoke', made.id);
    const good = await run('audit', 'verify');
    expect(good).toMatchObject({
      code: 0,
      output: expect.stringMatching(/^OK: 4 entries in 1 chain, 1 file/),
    });
    const text = await readFile(auditFile, 'utf8');
    expect(text).toContain('"action":"scanmq keys create"');
    expect(text).not.toContain(made.key.slice(-64));

    await writeFile(auditFile, text.replace('keys revoke', 'keys review'));
    expect(await run('audit', 'verify')).toMatchObject({
      code: 1,
      output: expect.stringContaining('audit.log, line 4: it was changed'),
    });
    await writeFile(auditFile, text.split('\n').slice(0, 2).join('\n'));
    const cut = await run('audit', 'verify', '--json');
    expect(cut.code).toBe(1);
    expect(JSON.parse(cut.output)).toMatchObject({
      ok: false,
      problems: [{ line: 2, why: 'entries 3 to 4 after it are missing' }],
    });
  });
});
