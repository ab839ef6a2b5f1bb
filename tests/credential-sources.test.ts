/** Where credentials may lie beside the store, and what becomes of all of them when CREDENTIALS_KEY is changed. */
import { randomBytes } from 'node:crypto';
import { mkdir, readFile, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import {
  createService,
  type RunningProgram,
  restClient,
  startProgram,
  type TestService,
  until,
} from '@scanmq/testkit';
import { Redis } from 'ioredis';

const redisUrl = process.env.SCANMQ_TEST_REDIS_URL ?? '';
const newKey = () => randomBytes(32).toString('base64');
const keys = { old: newKey(), next: newKey() };
let service: TestService;
let api: ReturnType<typeof restClient>;
let worker: RunningProgram;
let redis: Redis;
const place = (name: string): string => join(service.directory, name);

async function command(args: readonly string[], env: Record<string, string>) {
  const program = startProgram(args, { ...service.env, ...env });
  const { code } = await program.ended;
  return { code, output: program.output() };
}
const authenticated = (credential: object) => ({
  targets: '192.0.2.1',
  name: 'with login',
  scan_type: 'authenticated',
  ...credential,
});

beforeAll(async () => {
  redis = new Redis(redisUrl);
  service = await createService({
    redisUrl,
    env: { CREDENTIALS_KEY: keys.old, WEBHOOK_ALLOW_NETWORKS: '192.0.2.0/24' },
  });
  api = restClient((await service.startGateway()).url);
  await writeFile(
    place('plain.json'),
    JSON.stringify({
      'from-file': {
        ssh_username: 'auditor',
        ssh_password: 'file-secret-1',
        elevate_privileges_with: 'sudo',
      },
      'in-both': { ssh_username: 'auditor', ssh_password: 'file-secret-2' },
    }),
  );
  expect(
    await command(['credentials', 'seal', place('plain.json'), '-o', place('sealed.json')], {}),
  ).toMatchObject({ code: 0 });
  // as Kubernetes mounts a secret
  const mounted = join(place('mounted'), 'from-folder');
  await mkdir(join(mounted, '..2026'), { recursive: true });
  await writeFile(join(mounted, '..2026', 'ssh_username'), 'auditor\n');
  await writeFile(join(mounted, '..2026', 'ssh_private_key'), '-----BEGIN KEY-----\nfolder-secret\n');
  await symlink('..2026', join(mounted, '..data'));
  for (const field of ['ssh_username', 'ssh_private_key'])
    await symlink(join('..data', field), join(mounted, field));
  await mkdir(join(place('mounted'), 'in-both'));
  await writeFile(join(place('mounted'), 'in-both', 'windows_username'), 'auditor');
  await writeFile(join(place('mounted'), 'in-both', 'windows_password'), 'folder-wins-1');
  await mkdir(join(place('mounted'), 'broken'));
  await writeFile(join(place('mounted'), 'broken', 'ssh_username'), 'auditor');
  worker = startProgram(['worker'], {
    ...service.env,
    CREDENTIALS_FILE: place('sealed.json'),
    CREDENTIALS_DIR: place('mounted'),
    CREDENTIAL_FROM_ENV: JSON.stringify({ ssh_username: 'auditor', ssh_password: 'env-secret-1' }),
  });
  await worker.event('worker.started');
});
afterAll(async () => {
  worker.kill('SIGKILL');
  await worker.ended;
  redis.disconnect();
  await service.close();
});

describe('credentials of the workers', () => {
  it('are known everywhere by name and source, and by nothing else', async () => {
    const { credentials } = (await api.call('GET', '/api/v1/credentials')).json();
    expect(credentials.map(({ name, source }: Record<string, string>) => [name, source])).toEqual([
      ['from-env', 'environment'],
      ['from-file', 'file'],
      ['from-folder', 'folder'],
      ['in-both', 'folder'],
    ]);
    expect(credentials[0]).toMatchObject({ ssh_username: null, windows_username: null });
    expect(JSON.stringify(await redis.hgetall(`${service.prefix}:tasks.offered-credentials`))).not.toMatch(
      /secret|auditor/,
    );
  });

  it('that are not usable are told by field, without a value', async () => {
    const { mistakes } = await worker.event('credentials.mistakes');
    expect(mistakes).toEqual([expect.stringContaining('folder broken: ssh_password expected')]);
  });

  it.each(['from-file', 'from-folder', 'from-env', 'in-both'])(
    'are used by a scan that names them: %s',
    async (credential_ref) => {
      const ended = await api.ended((await api.submit(authenticated({ credential_ref }))).task_id);
      expect(ended).toMatchObject({ status: 'completed', authentication_status: 'success' });
    },
  );

  it('are checked at the submission: privileges, and names that nobody has', async () => {
    const privileged = { scan_type: 'authenticated_privileged' };
    for (const [credential_ref, status] of [
      ['from-file', 202],
      ['from-env', 400],
      ['no-such', 404],
    ] as const)
      expect(
        (await api.call('POST', '/api/v1/scans', authenticated({ credential_ref, ...privileged }))).status,
      ).toBe(status);
  });

  it('come before stored ones, so none can be stored under their name', async () => {
    const body = { name: 'from-env', ssh_username: 'other', ssh_password: 'other-secret' };
    expect((await api.call('POST', '/api/v1/credentials', body)).json()).toMatchObject({
      code: 'invalid_request',
    });
  });

  it('are read anew: what is mounted later is there without a restart', async () => {
    await writeFile(join(place('mounted'), 'broken', 'ssh_password'), 'late-secret');
    worker.kill('SIGHUP');
    await until('the gateway knows it', async () =>
      (await api.call('GET', '/api/v1/credentials')).text.includes('broken'),
    );
  });
});

describe('another CREDENTIALS_KEY', () => {
  it('reads what was sealed before, and after the rotation needs the old one no more', async () => {
    const hook = { url: 'https://192.0.2.1/hook', events: ['scan.completed'] };
    expect(await api.call('POST', '/api/v1/webhooks', hook)).toMatchObject({ status: 201 });
    const stored = { name: 'stored-one', ssh_username: 'auditor', ssh_password: 'stored-secret' };
    expect((await api.call('POST', '/api/v1/credentials', stored)).status).toBe(201);
    // a key of before there were ids
    const field = await redis.hget(`${service.prefix}:tasks.stored-credentials`, 'stored-one');
    await redis.hset(
      `${service.prefix}:tasks.stored-credentials`,
      'stored-one',
      (field ?? '').replace(/k1\.[0-9a-f]{8}\./, ''),
    );
    worker.kill('SIGTERM');
    await worker.ended;
    const key = { 'idempotency-key': 'before' };
    const body = authenticated({ ssh_username: 'auditor', ssh_password: 'inline-secret' });
    const waiting = await api.submit(body, key);

    const rotating = {
      CREDENTIALS_KEY: keys.next,
      CREDENTIALS_KEY_PREVIOUS: keys.old,
      CREDENTIALS_FILE: place('sealed.json'),
    };
    const before = await readFile(place('sealed.json'), 'utf8');
    const done = await command(['credentials', 'rotate', '--json'], rotating);
    expect(done.code).toBe(0);
    expect(JSON.parse(done.output.trim().split('\n').at(-1) ?? '')).toEqual({
      tasks: 1,
      stored: 1,
      webhooks: 1,
      current: 0,
      unreadable: [],
      file: true,
    });
    expect(await readFile(place('sealed.json'), 'utf8')).not.toBe(before);
    const again = await command(['credentials', 'rotate', '--json'], rotating);
    expect(JSON.parse(again.output.trim().split('\n').at(-1) ?? '')).toMatchObject({
      tasks: 0,
      stored: 0,
      current: 3,
      file: false,
    });

    // the same request is still the same, though its hash was keyed with the old one
    const gateway = startProgram(['gateway'], {
      ...service.env,
      CREDENTIALS_KEY: keys.next,
      CREDENTIALS_KEY_PREVIOUS: keys.old,
    });
    const other = restClient(String((await gateway.event('gateway.listening')).url));
    expect(await other.submit(body, key)).toMatchObject({
      task_id: waiting.task_id,
      idempotent_replay: true,
    });
    gateway.kill('SIGKILL');
    await gateway.ended;

    // the new key alone
    worker = startProgram(['worker'], {
      ...service.env,
      CREDENTIALS_KEY: keys.next,
      CREDENTIALS_FILE: place('sealed.json'),
    });
    await worker.event('worker.started');
    expect(await api.ended(waiting.task_id)).toMatchObject({
      status: 'completed',
      authentication_status: 'success',
    });
    for (const credential_ref of ['stored-one', 'from-file'])
      expect(await api.ended((await api.submit(authenticated({ credential_ref }))).task_id)).toMatchObject({
        authentication_status: 'success',
      });
  }, 240_000);

  it('says what it cannot open', async () => {
    const wrong = await command(['credentials', 'rotate'], { CREDENTIALS_KEY: newKey() });
    expect([wrong.code, wrong.output]).toEqual([4, expect.stringContaining('stored-one')]);
  });
});
