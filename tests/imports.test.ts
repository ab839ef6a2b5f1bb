/** Results that are brought in: uploads, scans made in a scanner's own interface, followed folders. */
import { readFileSync } from 'node:fs';
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { gunzipSync } from 'node:zlib';
import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import type { ScannerInstanceConfig } from '@scanmq/config';
import { createNessusScanner, type Scanner } from '@scanmq/scanners';
import { createService, restClient, type ServiceOptions, type TestService, until } from '@scanmq/testkit';
import { Queue } from 'bullmq';

const REDIS_URL = process.env.SCANMQ_TEST_REDIS_URL ?? '';
const SAMPLE = gunzipSync(
  readFileSync(fileURLToPath(new URL('samples/cloud-repeated-host.nessus.gz', import.meta.url))),
);
const EXPECTED = JSON.parse(
  readFileSync(fileURLToPath(new URL('samples/expected.json', import.meta.url)), 'utf8'),
)['cloud-repeated-host.nessus'];

interface Started {
  readonly service: TestService;
  readonly rest: ReturnType<typeof restClient>;
  readonly url: string;
}

/** For tests that want nothing of their own; its scans end when the test says so. */
let shared: Started;
let service: TestService | undefined;
let people: Scanner | undefined;
let maintenance: Queue | undefined;
beforeAll(async () => {
  if (REDIS_URL === '') throw new Error('the test run starts Redis');
  shared = await start({ scanners: [{ scanDurationMs: 600_000 }], env: { IMPORT_MAX_MB: '2' } });
  service = undefined;
});
afterAll(async () => await shared.service.close());
afterEach(async () => {
  await maintenance?.close();
  maintenance = undefined;
  await people?.close();
  await service?.close();
  service = undefined;
  people = undefined;
});

async function start(options: Omit<ServiceOptions, 'redisUrl'> = {}): Promise<Started> {
  service = await createService({ redisUrl: REDIS_URL, ...options });
  const [{ url }] = await Promise.all([service.startGateway(), service.startWorker()]);
  return { service, rest: restClient(url), url };
}

/** Somebody who works in the scanner's own interface. */
function someone({ simulators }: TestService, folder?: string): Scanner {
  const [simulator] = simulators;
  if (!simulator) throw new Error('there is no simulator');
  people = createNessusScanner({
    type: 'nessus',
    pool: 'people',
    instanceId: 'person',
    instanceKey: 'people:person',
    name: 'somebody',
    url: simulator.url,
    enabled: true,
    maxConcurrentScans: 3,
    auth: { kind: 'session', username: 'tester', password: 'simulated-password' },
    // as the page of the scanner does it, which every licence allows
    interface: 'web_session',
    caFile: undefined,
    tlsFingerprint: simulator.fingerprint256.replaceAll(':', '').toLowerCase(),
    headers: {},
    folder,
    follow: undefined,
    scanner: undefined,
  } satisfies ScannerInstanceConfig);
  return people;
}

async function makeScan(scanner: Scanner, name: string): Promise<number> {
  const { scanId } = await scanner.createScan({
    name,
    description: 'made by a person',
    targets: '192.0.2.7',
    template: 'basic',
    credentials: undefined,
  });
  await scanner.launchScan(scanId);
  return scanId;
}

const finished = (scanner: Scanner, scanId: number): Promise<true> =>
  until('the scan has finished', async () => (await scanner.getScan(scanId))?.status === 'completed');
const finish = async (scanner: Scanner, scanId: number): Promise<void> => {
  await until('the scan runs', async () => (await scanner.getScan(scanId))?.status === 'running');
  shared.service.simulators[0]?.endScans(scanId, 'completed');
  await finished(scanner, scanId);
};

describe('an uploaded export', () => {
  it('becomes a task like any other, marked as imported', async () => {
    const { rest, url, service: running } = shared;
    const answer = await fetch(`${url}/api/v1/imports?name=Brought+in`, {
      method: 'POST',
      headers: { 'content-type': 'application/xml' },
      body: new Uint8Array(SAMPLE),
    });
    expect(answer.status).toBe(202);
    const accepted = (await answer.json()) as { task_id: string };
    expect(answer.headers.get('location')).toBe(`/api/v1/scans/${accepted.task_id}`);
    const task = await rest.ended(accepted.task_id);
    expect(task).toMatchObject({
      status: 'completed',
      name: 'Brought in',
      scan_type: 'untrusted',
      simulator: false,
      imported: { source: 'upload', scanner: null, followed: false },
      results_summary: { total_findings: EXPECTED.items, hosts_scanned: EXPECTED.hosts },
      quality: { verdict: expect.any(String), ended_as: 'imported', stopped_early: false },
    });
    expect(task.targets).not.toBe('');
    // byte for byte, and in the lists
    const raw = Buffer.from(await (await fetch(`${url}/api/v1/scans/${task.task_id}/export`)).arrayBuffer());
    expect(raw.equals(SAMPLE)).toBe(true);
    const list = (await rest.call('GET', '/api/v1/scans')).json();
    expect(list.tasks.map((one: { task_id: string }) => one.task_id)).toContain(task.task_id);
    // the copy of the record is made a moment after the record, under another name at first
    const directory = join(running.dataDir, task.task_id);
    await until(
      'the copy is written',
      async () => JSON.parse(await readFile(join(directory, 'task.json'), 'utf8')).state === 'completed',
    );
    expect((await readdir(directory)).sort()).toEqual([
      'findings.parquet',
      'hosts.parquet',
      'plugins.parquet',
      'results.json',
      'scan_native.nessus',
      'task.json',
    ]);
  });

  it('can come from a form, and is imported once for one idempotency key', async () => {
    const { rest, url, service: running } = shared;
    const before = await readdir(running.dataDir);
    const post = async (bytes: Buffer): Promise<Response> => {
      const form = new FormData();
      form.append('description', 'from a form');
      form.append('file', new Blob([new Uint8Array(bytes)]), 'quarterly.nessus');
      return await fetch(`${url}/api/v1/imports`, {
        method: 'POST',
        headers: { 'idempotency-key': 'quarter-3' },
        body: form,
      });
    };
    const [first, second] = [await post(SAMPLE), await post(SAMPLE)];
    const task = (await first.json()) as { task_id: string; name: string; description: string };
    expect([first.status, task.name, task.description]).toEqual([202, 'quarterly', 'from a form']);
    expect(second.headers.get('idempotency-replayed')).toBe('true');
    expect(((await second.json()) as { task_id: string }).task_id).toBe(task.task_id);
    expect((await post(Buffer.concat([SAMPLE, Buffer.from('\n')]))).status).toBe(409);
    expect((await rest.ended(task.task_id)).status).toBe('completed');
    // nothing is left of the uploads that made no task
    expect((await readdir(running.dataDir)).sort()).toEqual([...before, task.task_id].sort());
  });

  it('is read by another worker when the one that had it is killed', async () => {
    service = await createService({ redisUrl: REDIS_URL });
    const [{ url }, worker] = await Promise.all([service.startGateway(), service.startWorker()]);
    const rest = restClient(url);
    const begun = worker.event('run.begun');
    const { task_id: taskId } = (await (
      await fetch(`${url}/api/v1/imports`, { method: 'POST', body: new Uint8Array(SAMPLE) })
    ).json()) as { task_id: string };
    await begun;
    worker.kill('SIGKILL');
    await worker.ended;
    await service.startWorker();
    const task = await rest.ended(taskId);
    expect(task).toMatchObject({ status: 'completed', results_summary: { total_findings: EXPECTED.items } });
    expect((await readdir(join(service.dataDir, taskId))).filter((name) => name.endsWith('.part'))).toEqual(
      [],
    );
  });

  it('that is no export becomes a dead letter which says why, and its bytes are kept', async () => {
    const { rest, url } = shared;
    const { task_id: taskId } = (await (
      await fetch(`${url}/api/v1/imports`, { method: 'POST', body: '<html>no</html>' })
    ).json()) as { task_id: string };
    expect(await rest.ended(taskId)).toMatchObject({
      status: 'failed',
      error: { code: 'invalid_export', message: expect.stringContaining('root element is html') },
    });
    expect(await (await fetch(`${url}/api/v1/scans/${taskId}/export`)).text()).toBe('<html>no</html>');
  });

  it('is refused when it is too large, empty, or nothing at all', async () => {
    const { url, service: running } = shared;
    const before = await readdir(running.dataDir);
    const post = async (body: string | Uint8Array<ArrayBuffer>, type = 'application/octet-stream') => {
      const answer = await fetch(`${url}/api/v1/imports`, {
        method: 'POST',
        headers: { 'content-type': type },
        body,
      });
      return [answer.status, ((await answer.json()) as { code: string }).code];
    };
    expect(await post(new Uint8Array(2_500_000))).toEqual([413, 'too_large']);
    expect(await post(new Uint8Array())).toEqual([400, 'invalid_request']);
    expect(await post('{}', 'application/json')).toEqual([400, 'invalid_request']);
    expect(await post('{"scanner":"nowhere","scan_id":1}', 'application/json')).toEqual([
      400,
      'invalid_request',
    ]);
    expect((await readdir(running.dataDir)).sort()).toEqual(before.sort());
  });
});

describe("a scan made in the scanner's own interface", () => {
  it('is imported by its id, with nothing changed on the scanner', async () => {
    const { rest, service: running } = shared;
    const scanner = someone(running);
    const scanId = await makeScan(scanner, 'Quarterly audit');
    await finish(scanner, scanId);
    const answer = await rest.call('POST', '/api/v1/imports', {
      scanner: 'nessus:scanner1',
      scan_id: scanId,
    });
    expect(answer.status).toBe(202);
    const task = await rest.ended(answer.json().task_id);
    expect(task).toMatchObject({
      status: 'completed',
      nessus_scan_id: scanId,
      scanner_instance: 'scanner1',
      imported: { source: 'scanner', scanner: 'nessus:scanner1', scan_id: scanId },
      quality: { ended_as: 'completed' },
    });
    expect(task.results_summary?.total_findings).toBeGreaterThan(0);
    expect(await scanner.getScan(scanId)).toMatchObject({ status: 'completed', runs: [expect.anything()] });
  });

  it('that has not finished, or is not there, is refused with a reason, and is not stopped', async () => {
    const { rest, service: running } = shared;
    const scanner = someone(running);
    const scanId = await makeScan(scanner, 'Still running');
    const importing = async (id: number) =>
      await rest.ended(
        (await rest.call('POST', '/api/v1/imports', { scanner: 'scanner1', scan_id: id })).json().task_id,
      );
    expect(await importing(scanId)).toMatchObject({ status: 'failed', error: { code: 'invalid_state' } });
    expect(await importing(9_999)).toMatchObject({ status: 'failed', error: { code: 'not_found' } });
    await finish(scanner, scanId);
  });
});

describe('a followed folder', () => {
  it('has each finished scan collected once, also from a scanner that can only export', async () => {
    const { rest, service: running } = await start({
      scanners: [{ product: 'professional', yaml: { follow: 'Weekly' } }],
      env: { FOLLOW_INTERVAL_SECONDS: '0.3' },
    });
    maintenance = new Queue('scanmq.maintenance', {
      connection: { url: REDIS_URL },
      prefix: running.prefix,
    });
    const scanner = someone(running, 'Weekly');
    const first = await makeScan(scanner, 'Monday');
    await makeScan(someone(running), 'elsewhere');
    const collected = async (): Promise<{ task_id: string; name: string; imported: { scan_id: number } }[]> =>
      (await rest.call('GET', '/api/v1/scans?status_filter=completed')).json().tasks;
    await until('the first is collected', async () => (await collected()).length === 1);
    const scannerAgain = someone(running, 'Weekly');
    await makeScan(scannerAgain, 'Tuesday');
    // the times of a scanner are whole seconds: two runs that end in the same one look like one change
    const second = Math.floor(Date.now() / 1_000);
    await until('another second', () => Math.floor(Date.now() / 1_000) > second);
    // the same scan once more: another run, another task
    await scannerAgain.launchScan(first);
    await until('all three runs are collected', async () => (await collected()).length === 3);
    // this licence lets nobody launch by API: exports are what it is good for
    expect((await rest.call('POST', '/api/v1/scans', { targets: '192.0.2.1', name: 'x' })).json().code).toBe(
      'scanner_export_only',
    );
    // several more looks collect nothing twice
    const done = async () =>
      (await maintenance?.getJobs('completed'))?.filter((job) => job?.name === 'follow') ?? [];
    const before = (await done()).map((job) => job.id);
    await until(
      'three more looks',
      async () => (await done()).filter((job) => !before.includes(job.id)).length >= 3,
    );
    const tasks = (await rest.call('GET', '/api/v1/scans?limit=50')).json().tasks;
    expect(tasks.map((task: { name: string }) => task.name).sort()).toEqual(['Monday', 'Monday', 'Tuesday']);
    expect(tasks.every((task: { imported: { followed: boolean } }) => task.imported.followed)).toBe(true);
  });
});
