import { randomBytes } from 'node:crypto';
import { mkdtemp, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from '@jest/globals';
import { openAccess } from '@scanmq/access';
import { readSettings } from '@scanmq/config';
import type { CreatedKey } from '@scanmq/contract';
import { startProgram } from '@scanmq/testkit';
import { Redis } from 'ioredis';

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
  const run = async (...args: string[]) => {
    const program = startProgram(args, env);
    const { code } = await program.ended;
    return { code, output: program.output() };
  };
  return {
    env,
    keysFile,
    run,
    create: async (...args: string[]): Promise<CreatedKey> =>
      JSON.parse((await run('keys', 'create', '--json', ...args)).output),
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
  it('as programs of their own, make a key that a running gateway knows, and revoke it again', async () => {
    const { create, run, gateway, keysFile } = await service(withFile);
    const asks = await gateway();
    const made = await create('--name', 'pipeline', '--role', 'operator');
    expect(made).toMatchObject({
      key: expect.stringMatching(/^smq_[0-9a-f]{16}_[0-9a-f]{64}$/),
      name: 'pipeline',
      role: 'operator',
      expires_at: null,
    });
    expect(await asks(made.key)).toBe('pipeline');
    expect(await run('keys', 'revoke', made.id)).toMatchObject({ code: 0 });
    expect(await asks(made.key)).toBe('unauthenticated');
    if (withFile) expect((await stat(keysFile)).mode & 0o777).toBe(0o600);
  });
});
