/** Scans with credentials; and that no secret is ever readable: in Redis, in a file, in a log, in an answer. */
import { randomBytes } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { ESCALATION_METHODS } from '@scanmq/contract';
import {
  createService,
  filesBelow,
  type RunningProgram,
  redisDump,
  restClient,
  secretsIn,
  type TestService,
  until,
} from '@scanmq/testkit';
import { Redis } from 'ioredis';

const redisUrl = process.env.SCANMQ_TEST_REDIS_URL ?? '';
const canary = (what: string): string => `canary-${what}-${randomBytes(6).toString('hex')}`;
const SECRETS = {
  sshPassword: canary('ssh'),
  privateKey: `-----BEGIN OPENSSH PRIVATE KEY-----\n${canary('key')}\n-----END OPENSSH PRIVATE KEY-----`,
  passphrase: canary('passphrase'),
  escalation: canary('escalation'),
  windows: canary('windows'),
  stored: canary('stored'),
  refused: canary('refused'),
  scanner: canary('scanner'),
};
/** What to look for: of the key its own line. */
const NEEDLES = Object.fromEntries(
  Object.entries(SECRETS).map(([name, secret]) => [
    name,
    secret.match(/canary-[a-z]+-[0-9a-f]+/)?.[0] ?? secret,
  ]),
);

let service: TestService;
let api: ReturnType<typeof restClient>;
const programs: RunningProgram[] = [];
const answers: string[] = [];

beforeAll(async () => {
  service = await createService({
    redisUrl,
    scanners: [{ limit: 3, password: SECRETS.scanner, yaml: { password: SECRETS.scanner } }],
    env: { LOG_LEVEL: 'trace' },
  });
  const [gateway, worker] = await Promise.all([service.startGateway(), service.startWorker()]);
  api = restClient(gateway.url);
  programs.push(gateway.program, worker);
});
afterAll(async () => await service.close());

async function call(method: string, path: string, body?: unknown) {
  const answer = await api.call(method, `/api/v1${path}`, body);
  answers.push(answer.text, JSON.stringify([...answer.headers]));
  return answer;
}
async function scan(body: object) {
  const submitted = (
    await call('POST', '/scans', { targets: '192.0.2.1', name: 'with login', ...body })
  ).json();
  if (!submitted.task_id) return submitted;
  const ended = await api.ended(submitted.task_id);
  answers.push(JSON.stringify(ended));
  return ended;
}

describe('a scan with credentials', () => {
  it.each(ESCALATION_METHODS)('logs in by SSH password and becomes privileged by %s', async (method) => {
    const ended = await scan({
      scan_type: method === 'Nothing' ? 'authenticated' : 'authenticated_privileged',
      ssh_username: 'auditor',
      ssh_password: SECRETS.sshPassword,
      elevate_privileges_with: method,
      ...(method === 'Nothing'
        ? {}
        : { escalation_account: 'root', escalation_password: SECRETS.escalation }),
    });
    expect(ended).toMatchObject({ status: 'completed', authentication_status: 'success' });
    const facts = service.simulators[0]?.scans().find((one) => one.name.includes(ended.task_id));
    expect(facts?.with_credentials).toBe(true);
  });

  it('logs in by key, and to Windows', async () => {
    expect(
      await scan({
        scan_type: 'authenticated',
        ssh_username: 'auditor',
        ssh_private_key: SECRETS.privateKey,
        ssh_key_passphrase: SECRETS.passphrase,
      }),
    ).toMatchObject({ status: 'completed', authentication_status: 'success' });
    expect(
      await scan({
        scan_type: 'authenticated',
        windows_username: 'auditor',
        windows_password: SECRETS.windows,
        windows_domain: 'EXAMPLE',
      }),
    ).toMatchObject({ status: 'completed' });
  });

  it('tells a refused login from a failed escalation', async () => {
    const body = {
      scan_type: 'authenticated_privileged',
      ssh_username: 'auditor',
      ssh_password: SECRETS.refused,
      elevate_privileges_with: 'sudo',
      escalation_password: SECRETS.escalation,
    };
    service.simulators[0]?.setFault({ name: 'credentials_rejected', remaining: 1 });
    expect(await scan(body)).toMatchObject({ status: 'completed', authentication_status: 'failed' });
    service.simulators[0]?.setFault({ name: 'escalation_failed', remaining: 1 });
    expect(await scan(body)).toMatchObject({ status: 'completed', authentication_status: 'partial' });
  });

  it('names a stored credential, and can be retried with it', async () => {
    const stored = await call('POST', '/credentials', {
      name: 'prod-linux',
      ssh_username: 'auditor',
      ssh_password: SECRETS.stored,
      elevate_privileges_with: 'sudo',
    });
    expect(stored.status).toBe(201);
    expect((await call('GET', '/credentials')).json()).toMatchObject({
      credentials: [{ name: 'prod-linux', ssh_login: 'password', elevate_privileges_with: 'sudo' }],
    });
    const ended = await scan({ scan_type: 'authenticated_privileged', credential_ref: 'prod-linux' });
    expect(ended).toMatchObject({ status: 'completed', authentication_status: 'success' });
    expect(await scan({ scan_type: 'authenticated', credential_ref: 'no-such' })).toMatchObject({
      code: 'not_found',
    });

    service.simulators[0]?.setFault({ name: 'export_500' });
    const dead = await scan({ scan_type: 'authenticated', credential_ref: 'prod-linux' });
    expect(dead.status).toBe('failed');
    service.simulators[0]?.clearFaults();
    await call('POST', `/dead-letters/${dead.task_id}/retry`);
    expect(await api.ended(dead.task_id)).toMatchObject({
      status: 'completed',
      authentication_status: 'success',
    });

    service.simulators[0]?.setFault({ name: 'export_500' });
    const inline = await scan({
      scan_type: 'authenticated',
      ssh_username: 'auditor',
      ssh_password: SECRETS.sshPassword,
    });
    service.simulators[0]?.clearFaults();
    expect((await call('POST', `/dead-letters/${inline.task_id}/retry`)).json()).toMatchObject({
      code: 'invalid_state',
      detail: expect.stringContaining('were deleted'),
    });
    expect((await call('DELETE', '/credentials/prod-linux')).status).toBe(204);
  });

  it('that is refused repeats no secret', async () => {
    const answer = await call('POST', '/scans', {
      targets: '192.0.2.1',
      name: 'wrong',
      scan_type: 'authenticated',
      ssh_password: SECRETS.refused,
      windows_username: 7,
    });
    expect(answer.status).toBe(400);
    await fetch(`${api.url}/api/v1/scans`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: `{"ssh_password": "${SECRETS.refused}", broken`,
    }).then(async (response) => answers.push(await response.text()));
  });
});

describe('no secret', () => {
  it('is found in Redis, in any file, log or answer', async () => {
    for (const path of ['/scans', '/dead-letters', '/scanners', '/credentials']) await call('GET', path);
    for (const path of ['/dashboard/api/queues', '/health', '/health/ready'])
      answers.push(await (await fetch(`${api.url}${path}`)).text());
    // while one waits, so that its sealed credentials are there too
    service.simulators[0]?.setFault({ name: 'http_503' });
    const waiting = (
      await call('POST', '/scans', {
        targets: '192.0.2.1',
        name: 'waits',
        scan_type: 'authenticated',
        ssh_username: 'auditor',
        ssh_password: SECRETS.sshPassword,
        scanner_instance: 'scanner1',
      })
    ).json();
    const redis = new Redis(redisUrl);
    try {
      const dump = await redisDump(redis, `${service.prefix}:*`);
      // the search finds what is there to be found
      expect(dump.filter((text) => text.includes(waiting.task_id)).length).toBeGreaterThan(3);
      expect(dump.some((text) => text.includes(`credentials:${waiting.task_id}`))).toBe(true);
      expectClean('Redis', dump);
      await call('POST', `/scans/${waiting.task_id}/cancel`, {});
      await api.ended(waiting.task_id);
      await until(
        'sealed credentials are gone',
        async () => (await redis.keys(`${service.prefix}:tasks.credentials:*`)).length === 0,
      );
    } finally {
      redis.disconnect();
      service.simulators[0]?.clearFaults();
    }
    const files = await filesBelow(service.dataDir);
    expect(files.length).toBeGreaterThan(10);
    expectClean('files', files);
    const logs = programs.map((program) => program.output());
    expect(logs.join('').length).toBeGreaterThan(1_000);
    expectClean('logs', logs);
    expectClean('answers', answers);
  });
});

function expectClean(where: string, texts: readonly string[]): void {
  expect({ where, found: secretsIn(texts, NEEDLES) }).toEqual({ where, found: [] });
}
