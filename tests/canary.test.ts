/**
 * A secret in every place that takes one, everything that can happen to it (success, refusal, resets, a wrong login, a
 * useless export, a crash), logs at their loudest; then everything is searched that the service keeps and says.
 */
import { randomBytes } from 'node:crypto';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { Client } from '@modelcontextprotocol/sdk/client/index.js';
import { StreamableHTTPClientTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js';
import { type LocalRedis, startLocalRedis } from '@scanmq/local-redis';
import {
  createService,
  filesBelow,
  finishScan,
  type RunningProgram,
  redisDump,
  restClient,
  secretsIn,
  startProgram,
  type TestService,
  until,
} from '@scanmq/testkit';
import { Redis } from 'ioredis';

/** With characters that each encoding treats in its own way. */
const canary = (what: string): string => `Canary+${what}/"${randomBytes(6).toString('hex')}\\ü`;
const hex = (): string => randomBytes(32).toString('hex');
const SECRETS = {
  redisPassword: `canary-redis-${randomBytes(6).toString('hex')}`,
  scannerPassword: canary('scanner'),
  wrongPassword: canary('wrong'),
  accessKey: hex(),
  secretKey: hex(),
  // RFC 9110: a header has no line break and no letter beyond Latin
  header: `canary-header-${randomBytes(6).toString('hex')}`,
  credentialsKey: hex(),
  previousKey: hex(),
  sshPassword: canary('ssh'),
  privateKey: canary('key'),
  passphrase: canary('phrase'),
  escalation: canary('sudo'),
  windows: canary('windows'),
  stored: canary('stored'),
  folder: canary('folder'),
  environment: canary('env'),
  malformed: canary('malformed'),
  webhook: randomBytes(32).toString('base64'),
} as const;
/** Keys are text on their way in, and bytes inside. */
const NEEDLES: Record<string, string> = {
  ...SECRETS,
  credentialsKeyBytes: Buffer.from(SECRETS.credentialsKey, 'hex').toString('base64').replace(/=+$/, ''),
  webhookHex: Buffer.from(SECRETS.webhook, 'base64').toString('hex'),
  previousKeyBytes: Buffer.from(SECRETS.previousKey, 'hex').toString('base64').replace(/=+$/, ''),
};

/** The pool whose scans end when they are told to. */
const KEYED = { scanner_pool: 'keyed' };

let store: LocalRedis;
let redis: Redis;
let service: TestService;
let api: ReturnType<typeof restClient>;
let mcp: Client;
let workerEnv: Record<string, string>;
let worker: RunningProgram;
const programs: RunningProgram[] = [];
/** A scan that is left to itself while the password of its scanner is wrong. */
let unattended = '';
const answers: string[] = [];

async function startWorker(): Promise<void> {
  worker = startProgram(['worker'], workerEnv);
  programs.push(worker);
  await worker.event('worker.started');
}

beforeAll(async () => {
  store = await startLocalRedis();
  redis = new Redis(store.url);
  await redis.config('SET', 'requirepass', SECRETS.redisPassword);
  await redis.auth(SECRETS.redisPassword);
  const url = new URL(store.url);
  url.password = SECRETS.redisPassword;
  service = await createService({
    redisUrl: url.toString(),
    scanners: [
      { limit: 5, password: SECRETS.scannerPassword, yaml: { password: SECRETS.scannerPassword } },
      {
        limit: 2,
        pool: KEYED.scanner_pool,
        scanDurationMs: 600_000,
        accessKey: SECRETS.accessKey,
        secretKey: SECRETS.secretKey,
        yaml: { username: '', password: '', access_key: SECRETS.accessKey, secret_key: SECRETS.secretKey },
      },
    ],
    env: {
      LOG_LEVEL: 'trace',
      CREDENTIALS_KEY: SECRETS.credentialsKey,
      CREDENTIALS_KEY_PREVIOUS: SECRETS.previousKey,
      MAX_ATTEMPTS: '2',
      WEBHOOK_ALLOW_NETWORKS: '192.0.2.0/24',
    },
  });
  await service.rewriteScanners(({ pools }) => {
    for (const instance of pools.keyed?.instances ?? [])
      Object.assign(instance, { headers: { 'X-Proxy-Token': SECRETS.header } });
  });
  const folder = join(service.directory, 'mounted', 'folder-one');
  await mkdir(folder, { recursive: true });
  await writeFile(join(folder, 'ssh_username'), 'auditor');
  await writeFile(join(folder, 'ssh_password'), SECRETS.folder);
  workerEnv = {
    ...service.env,
    CREDENTIALS_DIR: join(service.directory, 'mounted'),
    CREDENTIAL_ENV_ONE: JSON.stringify({ ssh_username: 'auditor', ssh_password: SECRETS.environment }),
    // one that is not usable: told without its value
    CREDENTIAL_BROKEN: `{"ssh_password": "${SECRETS.malformed}`,
  };
  const [gateway] = await Promise.all([service.startGateway(), startWorker()]);
  programs.push(gateway.program);
  api = restClient(gateway.url);
  mcp = new Client({ name: 'test', version: '1' });
  await mcp.connect(
    new StreamableHTTPClientTransport(new URL(`${api.url}/mcp`)) as Parameters<Client['connect']>[0],
  );
});
afterAll(async () => {
  await mcp.close();
  for (const program of programs) program.kill('SIGKILL');
  await Promise.all(programs.map((program) => program.ended));
  await service.close();
  redis.disconnect();
  await store.stop();
});

async function call(method: string, path: string, body?: unknown) {
  const answer = await api.call(method, path, body);
  answers.push(answer.text, JSON.stringify([...answer.headers]));
  return answer;
}
const SSH = {
  scan_type: 'authenticated_privileged',
  ssh_username: 'auditor',
  ssh_private_key: SECRETS.privateKey,
  ssh_key_passphrase: SECRETS.passphrase,
  elevate_privileges_with: 'sudo',
  escalation_password: SECRETS.escalation,
};
const PASSWORD = { scan_type: 'authenticated', ssh_username: 'auditor', ssh_password: SECRETS.sshPassword };
const submit = async (body: object) =>
  (await call('POST', '/api/v1/scans', { targets: '192.0.2.1', name: 'canary', ...body })).json();
async function ended(body: object) {
  const { task_id, scanner_pool } = await submit(body);
  if (scanner_pool === KEYED.scanner_pool) await finish(task_id);
  const status = await api.ended(task_id);
  answers.push(JSON.stringify(status));
  return status;
}
/** Lets the scan of a task of the pool `keyed` complete, as soon as it has begun. */
const finish = (taskId: string): Promise<void> => finishScan(service.simulators[1], taskId);
/** One fault for the first scanner, until the scan has ended. */
async function faulty(
  name: Parameters<TestService['simulators'][number]['setFault']>[0]['name'],
  body: object,
) {
  service.simulators[0]?.setFault({ name });
  const status = await ended(body);
  service.simulators[0]?.clearFaults();
  return status;
}

describe('what happens to secrets', () => {
  it('succeeds: inline, stored, of a folder, of the environment, with keys, over MCP', async () => {
    await call('POST', '/api/v1/credentials', {
      name: 'stored-one',
      ssh_username: 'auditor',
      ssh_password: SECRETS.stored,
    });
    // its secret is told in the answer to its creation, and never again
    const hook = { url: 'https://192.0.2.1/hook', events: ['*'], secret: `whsec_${SECRETS.webhook}` };
    expect(await api.call('POST', '/api/v1/webhooks', hook)).toMatchObject({ status: 201 });
    const windows = {
      scan_type: 'authenticated',
      windows_username: 'auditor',
      windows_password: SECRETS.windows,
    };
    for (const body of [
      SSH,
      PASSWORD,
      windows,
      { ...PASSWORD, ...KEYED },
      ...['stored-one', 'folder-one', 'env-one'].map((credential_ref) => ({
        scan_type: 'authenticated',
        ssh_username: undefined,
        credential_ref,
      })),
    ])
      expect(await ended(body)).toMatchObject({ status: 'completed', authentication_status: 'success' });
    const answer = await mcp.callTool({
      name: 'run_authenticated_scan',
      arguments: { targets: '192.0.2.1', name: 'over MCP', ...SSH },
    });
    answers.push(JSON.stringify(answer));
    // what goes wrong below is to happen to others
    const { task_id } = answer.structuredContent as { task_id: string };
    expect(await api.ended(task_id)).toMatchObject({ status: 'completed' });
  }, 240_000);

  it('fails: refused with what was sent, reset, useless export, wrong login', async () => {
    expect(await faulty('echo_request', SSH)).toMatchObject({
      error: { code: 'scanner_rejected', message: expect.stringContaining('[redacted]') },
    });
    expect(await faulty('echo_request', PASSWORD)).toMatchObject({ status: 'failed' });
    expect(await faulty('export_json_body', PASSWORD)).toMatchObject({ status: 'failed' });
    expect(await faulty('credentials_rejected', PASSWORD)).toMatchObject({ authentication_status: 'failed' });
    service.simulators[0]?.setFault({ name: 'reset_after_create', remaining: 1 });
    expect(await ended(SSH)).toMatchObject({ status: 'completed' });
    await service.rewriteScanners(({ pools }) => {
      for (const instance of pools.nessus?.instances ?? []) instance.password = SECRETS.wrongPassword;
    });
    await until('the login is refused', async () =>
      (await call('GET', '/api/v1/scanners')).text.includes('refused the login'),
    );
    const { task_id } = await submit(SSH);
    unattended = task_id;
    await service.rewriteScanners(({ pools }) => {
      for (const instance of pools.nessus?.instances ?? []) instance.password = SECRETS.scannerPassword;
    });
  }, 240_000);

  it('is malformed, in REST and over MCP', async () => {
    expect(
      (await submit({ scan_type: 'authenticated', ssh_password: SECRETS.malformed, windows_username: 7 }))
        .code,
    ).toBe('invalid_request');
    for (const path of ['/api/v1/scans', '/api/v1/credentials', '/mcp']) {
      const response = await fetch(`${api.url}${path}`, {
        method: 'POST',
        headers: { 'content-type': 'application/json', accept: 'application/json, text/event-stream' },
        body: `{"ssh_password": ${JSON.stringify(SECRETS.malformed)}, broken`,
      });
      answers.push(await response.text());
    }
    const answer = await mcp.callTool({
      name: 'run_authenticated_scan',
      arguments: {
        targets: '192.0.2.1',
        name: 'x',
        scan_type: 'authenticated',
        ssh_password: SECRETS.malformed,
      },
    });
    answers.push(JSON.stringify(answer));
  });

  it('crashes, with a scan that runs and one that waits', async () => {
    await until('the scanner is back', async () =>
      (await call('GET', '/api/v1/scanners?scanner_pool=keyed'))
        .json()
        .scanners.every((one: { healthy: boolean }) => one.healthy),
    );
    const body = { ...PASSWORD, ...KEYED };
    service.simulators[1]?.setFault({ name: 'slow_answer', ms: 300 });
    const running = await submit(body);
    await until('it runs', async () => (await api.status(running.task_id)).status === 'running');
    worker.kill('SIGKILL');
    await worker.ended;
    const waiting = await submit(body);
    expect((await api.status(waiting.task_id)).status).toBe('queued');
    // sealed, and not readable
    expect(await redis.exists(`${service.prefix}:tasks.credentials:${waiting.task_id}`)).toBe(1);
    expect(secretsIn(await redisDump(redis, '*'), NEEDLES)).toEqual([]);
    service.simulators[1]?.clearFaults();
    await startWorker();
    for (const { task_id } of [running, waiting]) {
      await finish(task_id);
      expect(await api.ended(task_id)).toMatchObject({ status: 'completed' });
    }
    // whatever became of it: nothing is written any more when all is searched
    answers.push(JSON.stringify(await api.ended(unattended)));
  }, 240_000);
});

describe('no secret', () => {
  it('is in anything that the gateway answers, its dashboard and its documents', async () => {
    for (const path of [
      '/api/v1/scans?limit=100',
      '/api/v1/dead-letters',
      '/api/v1/scanners',
      '/api/v1/credentials',
      '/api/v1/webhooks',
      '/api/v1/queues/nessus',
      '/health',
      '/health/ready',
      '/metrics',
      '/dashboard',
      '/dashboard/api/queues?activeQueue=nessus&status=failed',
      '/dashboard/api/queues?activeQueue=nessus&status=completed',
    ])
      await call('GET', path);
    const failed = (await call('GET', '/api/v1/dead-letters')).json();
    for (const letter of failed.dead_letters ?? failed.items ?? []) {
      await call('GET', `/api/v1/dead-letters/${letter.task_id}`);
      await call('GET', `/dashboard/api/queues/nessus/${letter.task_id}`);
      await call('GET', `/dashboard/api/queues/nessus/${letter.task_id}/logs`);
      answers.push(
        JSON.stringify(
          await mcp.callTool({ name: 'get_scan_status', arguments: { task_id: letter.task_id } }),
        ),
      );
    }
    expect(answers.join('').length).toBeGreaterThan(50_000);
    expect(secretsIn(answers, NEEDLES)).toEqual([]);
  });

  it('is in Redis, in the files of results, or in a log', async () => {
    const dump = await redisDump(redis, '*');
    expect(dump.length).toBeGreaterThan(30);
    expect(secretsIn(dump, NEEDLES)).toEqual([]);
    const files = await filesBelow(service.dataDir);
    expect(files.length).toBeGreaterThan(20);
    expect(secretsIn(files, NEEDLES)).toEqual([]);
    const logs = programs.map((program) => program.output());
    expect(logs.join('').length).toBeGreaterThan(10_000);
    expect(secretsIn(logs, NEEDLES)).toEqual([]);
  });

  it('escapes the search', () => {
    const { sshPassword } = SECRETS;
    for (const text of [
      sshPassword,
      JSON.stringify({ a: sshPassword }),
      encodeURIComponent(sshPassword),
      Buffer.from(sshPassword).toString('hex'),
      ...['', 'a', 'ab'].map((before) => Buffer.from(`${before}${sshPassword}:`).toString('base64')),
    ])
      expect(secretsIn([`x${text}y`], { sshPassword })).toEqual(['sshPassword']);
  });
});
