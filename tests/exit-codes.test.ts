/** The table of exit codes (contract section 8): each reached by the real command against the real gateway. */
import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import type { Simulator } from '@scanmq/simulator';
import { createService, restClient, runCommand, type TestService, until } from '@scanmq/testkit';

let service: TestService;
let simulator: Simulator;
/** Its scans do not end by themselves. */
let endless: Simulator;
let api: ReturnType<typeof restClient>;
let folder: string;
const TARGET = '192.0.2.1';

beforeAll(async () => {
  service = await createService({
    redisUrl: process.env.SCANMQ_TEST_REDIS_URL ?? '',
    scanners: [{}, { pool: 'slow', scanDurationMs: 600_000 }],
    env: { TARGETS_DENY: '203.0.113.0/24' },
  });
  const [first, second] = service.simulators;
  if (!first || !second) throw new Error('no simulator');
  [simulator, endless] = [first, second];
  const [{ url }] = await Promise.all([service.startGateway(), service.startWorker()]);
  api = restClient(url);
  folder = await mkdtemp(join(tmpdir(), 'scanmq-exit-'));
});
beforeEach(() => simulator.clearFaults());
afterAll(async () => {
  await service.close();
  await rm(folder, { recursive: true, force: true });
});

/** An export of one host with one finding of this severity. */
function exportOf(severity: number, host = TARGET): Buffer {
  return Buffer.from(
    `<NessusClientData_v2><Report name="r"><ReportHost name="${host}"><HostProperties><tag name="HOST_END">e</tag></HostProperties><ReportItem port="443" svc_name="www" protocol="tcp" severity="${severity}" pluginID="900001" pluginName="Made up" pluginFamily="General"><solution>Update it.</solution></ReportItem></ReportHost></Report></NessusClientData_v2>`,
  );
}

const command = async (...args: string[]) =>
  await runCommand(args, { SCANMQ_URL: api.url, NO_COLOR: '1' }, { cwd: folder });
const scan = ['scan', '--targets', TARGET, '--fail-on', 'high'];

describe('0, passed', () => {
  it('for a scan that nothing breaks, with its reports', async () => {
    simulator.nextExport(exportOf(2));
    const { code, stdout } = await command(...scan, '--junit', 'out.xml', '--html', 'report.html');
    expect([code, stdout]).toEqual([0, expect.stringContaining('gate: PASSED')]);
    expect((await readdir(folder)).sort()).toEqual(['out.xml', 'report.html']);
  });

  it('for a scan that is only waited for, whatever it found', async () => {
    simulator.nextExport(exportOf(4));
    expect((await command('scan', '--targets', TARGET, '--wait')).code).toBe(0);
  });
});

describe('1, the gate failed', () => {
  it('for a scan with a finding that breaks it, and the reports are there all the same', async () => {
    simulator.nextExport(exportOf(3));
    const { code, stdout, stderr } = await command(...scan, '--sarif', 'failed.sarif');
    expect([code, stdout]).toEqual([1, expect.stringContaining('Failed: 1 finding (1 high) break')]);
    expect(stdout).toContain('Made up');
    expect(stderr).not.toContain('not written');
    expect(await readdir(folder)).toContain('failed.sarif');
  });

  it('also when not everything was seen: a failure that was found is one', async () => {
    simulator.nextExport(exportOf(3));
    const { code, stdout } = await command('scan', '--targets', `${TARGET},192.0.2.2`, '--fail-on', 'high');
    expect([code, stdout]).toEqual([1, expect.stringContaining('And this is not all')]);
  });
});

describe('2, usage', () => {
  it.each([
    ['an unknown option', ['scan', '--targets', TARGET, '--nonsense']],
    ['a severity that is none', ['scan', '--targets', TARGET, '--fail-on', 'awful']],
    ['a probability above 1', [...scan, '--min-epss', '7']],
    ['a gate that judges by nothing', ['scan', '--targets', TARGET, '--fail-on', 'none']],
    ['an ignore file that is not there', [...scan, '--ignore', 'no-such.yaml']],
    ['a baseline that is neither a task nor a file', [...scan, '--baseline', 'no-such.json']],
    ['no targets', ['scan', '--fail-on', 'high']],
  ])('for %s, and nothing is submitted', async (_, args) => {
    const before = (await api.call('GET', '/api/v1/scans?limit=1')).json().total;
    const { code, stderr } = await command(...args);
    expect([code, stderr]).toEqual([2, expect.stringMatching(/\S/)]);
    expect((await api.call('GET', '/api/v1/scans?limit=1')).json().total).toBe(before);
  });

  it('for a rule without a reason, with file and line', async () => {
    await writeFile(
      join(folder, 'ignore.yaml'),
      '- plugin_id: 1\n  reason: known\n  expires: 2026-12-01\n- plugin_id: 2\n  expires: 2026-12-01\n',
    );
    const { code, stderr } = await command(...scan, '--ignore', 'ignore.yaml');
    expect([code, stderr]).toEqual([
      2,
      expect.stringContaining('ignore.yaml:4: rule 2, reason: a reason is needed'),
    ]);
  });
});

describe('3, the scan did not come to an end', () => {
  it('when it failed', async () => {
    for (let attempt = 0; attempt < 3; attempt += 1) simulator.nextExport(Buffer.from('<Broken'));
    const { code, stdout } = await command(...scan);
    expect([code, stdout]).toEqual([3, expect.stringContaining('invalid_export')]);
  });

  it('when it ran out of time, and when somebody cancelled it: also for the gate alone', async () => {
    const timedOut = await command(...scan, '--timeout-hours', '0.00002', '--json');
    expect(timedOut.code).toBe(3);
    expect(JSON.parse(timedOut.stdout)).toMatchObject({ status: 'timeout' });
    const { task_id } = await api.submit({ targets: TARGET, name: 'to be cancelled', scanner_pool: 'slow' });
    await api.call('POST', `/api/v1/scans/${task_id}/cancel`);
    expect((await api.ended(task_id)).status).toBe('cancelled');
    const cancelled = await command('gate', task_id);
    expect([cancelled.code, cancelled.stdout]).toEqual([3, expect.stringContaining('cancelled')]);
  });
});

describe('4, the service could not be reached or refused', () => {
  it('when nobody listens', async () => {
    const { code, stderr } = await runCommand(scan, { SCANMQ_URL: 'http://127.0.0.1:1' }, { cwd: folder });
    expect([code, stderr]).toEqual([4, expect.stringContaining('connection refused')]);
  });

  it('when the policy forbids a target, when there is no such task, and when its scan has not ended', async () => {
    const refused = await command('scan', '--targets', '203.0.113.9', '--fail-on', 'high');
    expect([refused.code, refused.stderr]).toEqual([4, expect.stringContaining('203.0.113.9')]);
    expect((await command('gate', 'ne_ness_20261123_152923_0a1b2c3d')).code).toBe(4);
    const { task_id } = await api.submit({ targets: TARGET, name: 'without an end', scanner_pool: 'slow' });
    const early = await command('gate', task_id);
    expect([early.code, early.stderr]).toEqual([4, expect.stringContaining('--wait')]);
    await api.call('POST', `/api/v1/scans/${task_id}/cancel`);
  });
});

describe('5, the gate could not judge', () => {
  it('when the credentials failed', async () => {
    simulator.setFault({ name: 'credentials_rejected' });
    const { task_id } = await api.submit({
      targets: TARGET,
      name: 'Audit',
      scan_type: 'authenticated',
      ssh_username: 'auditor',
      ssh_password: 'wrong-password-for-test',
    });
    await api.ended(task_id);
    // whatever it found is allowed, so that only the doubt is left
    const { code, stdout } = await command('gate', task_id, '--max', '1000');
    expect([code, stdout]).toEqual([5, expect.stringContaining('gate: COULD NOT JUDGE')]);
    expect((await command('gate', task_id, '--max', '1000', '--allow-incomplete')).code).toBe(0);
  });

  it('when hosts are missing', async () => {
    simulator.nextExport(exportOf(2));
    const { code, stdout } = await command(
      'scan',
      '--targets',
      `${TARGET},192.0.2.2`,
      '--fail-on',
      'high',
      '--json',
    );
    expect(code).toBe(5);
    expect(JSON.parse(stdout)).toMatchObject({
      status: 'completed',
      gate: { outcome: 'could_not_judge', passed: false, reasons: [{ code: 'targets_missing' }] },
    });
  });

  it('when the scan was stopped early', async () => {
    const { task_id } = await api.submit({ targets: TARGET, name: 'stopped', scanner_pool: 'slow' });
    await until('it runs', async () => (await api.status(task_id)).scanner_status === 'running');
    endless.nextExport(exportOf(2));
    await api.call('POST', `/api/v1/scans/${task_id}/cancel`, { keep_results: true });
    expect(await api.ended(task_id)).toMatchObject({ status: 'cancelled', partial_results: true });
    const { code, stdout } = await command('gate', task_id, '--json');
    expect([code, JSON.parse(stdout).reasons[0].code]).toEqual([5, 'stopped_early']);
  });

  it('when nothing was scanned, and when there is nothing to compare with', async () => {
    simulator.setFault({ name: 'no_hosts', remaining: 1 });
    expect((await command(...scan)).code).toBe(5);
    simulator.nextExport(exportOf(3, '192.0.2.77'));
    const first = await command('scan', '--targets', '192.0.2.77', '--new-only');
    expect([first.code, first.stdout]).toEqual([
      5,
      expect.stringContaining('no earlier scan to compare with'),
    ]);
    simulator.nextExport(exportOf(3, '192.0.2.77'));
    const second = await command('scan', '--targets', '192.0.2.77', '--new-only');
    expect([second.code, second.stdout]).toEqual([0, expect.stringContaining('new ones only')]);
  });
});
