/** The gate over REST: what it compares with, what it leaves out, what it writes, and that all of these agree. */
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { type GateAnswer, gateAnswerSchema, LIMITS, type ScanStatus } from '@scanmq/contract';
import { createService, restClient, type TestService, until } from '@scanmq/testkit';
import { parseStringPromise } from 'xml2js';

interface Item {
  readonly plugin: number;
  readonly severity: number;
  readonly more?: string;
}

const item = ({ plugin, severity, more = '' }: Item): string =>
  `<ReportItem port="443" svc_name="www" protocol="tcp" severity="${severity}" pluginID="${plugin}" pluginName="Plugin ${plugin}" pluginFamily="General">${more}</ReportItem>`;
const exportOf = (host: string, items: readonly Item[]): Buffer =>
  Buffer.from(
    `<NessusClientData_v2><Report name="r" xmlns:cm="http://www.nessus.org/cm"><ReportHost name="${host}"><HostProperties><tag name="HOST_END">e</tag></HostProperties>${items.map(item).join('')}</ReportHost></Report></NessusClientData_v2>`,
  );

let service: TestService;
let api: ReturnType<typeof restClient>;
let before: ScanStatus;
let after: ScanStatus;

async function scan(host: string, items: readonly Item[], body: object = {}): Promise<ScanStatus> {
  service.simulators[0]?.nextExport(exportOf(host, items));
  return await api.ended((await api.submit({ targets: host, name: 'Gate', ...body })).task_id);
}
async function judged(task: ScanStatus, query = '', body?: object): Promise<GateAnswer> {
  const path = `/api/v1/scans/${task.task_id}/gate${query}`;
  const answer = body ? await api.call('POST', path, body) : await api.call('GET', path);
  expect([answer.status, answer.text]).toEqual([200, expect.any(String)]);
  return gateAnswerSchema.parse(answer.json());
}
const plugins = ({ findings }: GateAnswer): string[] => findings.map(({ plugin_id }) => plugin_id);
/** A day so many days from now, as rules say it. */
const day = (days: number): string => new Date(Date.now() + days * 86_400_000).toISOString().slice(0, 10);

const HOST = '192.0.2.10';
const MET =
  '<cm:compliance-check-name>Met</cm:compliance-check-name><cm:compliance-result>PASSED</cm:compliance-result>';
beforeAll(async () => {
  service = await createService({
    redisUrl: process.env.SCANMQ_TEST_REDIS_URL ?? '',
    // a scan of the second pool does not end by itself
    scanners: [{}, { pool: 'endless', scanDurationMs: 600_000 }],
  });
  const [{ url }] = await Promise.all([service.startGateway(), service.startWorker()]);
  api = restClient(url);
  before = await scan(HOST, [
    { plugin: 1, severity: 4 },
    { plugin: 2, severity: 3 },
    { plugin: 3, severity: 2 },
  ]);
  after = await scan(HOST, [
    { plugin: 1, severity: 4 },
    { plugin: 3, severity: 3 },
    { plugin: 4, severity: 3, more: '<cve>CVE-2026-0001</cve><epss_score>0.91</epss_score>' },
    { plugin: 5, severity: 1, more: '<epss_score>0.4</epss_score>' },
    { plugin: 6, severity: 3, more: MET },
  ]);
});
afterAll(async () => await service.close());

describe('a gate', () => {
  it('fails for high findings when nothing else is said, and names them, the worst first', async () => {
    const answer = await judged(after);
    expect(answer).toMatchObject({
      outcome: 'failed',
      passed: false,
      reasons: [],
      findings_total: 3,
      baseline: null,
      counts: { total: 5, broke: { critical: 1, high: 2 }, new: null },
    });
    expect(plugins(answer)).toEqual(['1', '3', '4']);
    expect(await judged(after, '?max=3')).toMatchObject({
      outcome: 'passed',
      passed: true,
      findings_total: 3,
    });
  });

  it('takes any criterion that fits, and says which did', async () => {
    const answer = await judged(after, '?fail_on=critical&min_epss=0.4&min_vpr=1');
    expect(answer.findings.map(({ plugin_id, criteria }) => [plugin_id, criteria])).toEqual([
      ['1', ['severity']],
      ['4', ['epss']],
      ['5', ['epss']],
    ]);
    expect(answer).toMatchObject({
      not_available: ['vpr'],
      warnings: [{ code: 'criteria_not_available' }],
    });
    // what no finding has, nothing was judged by
    expect(await judged(after, '?fail_on=none&min_vpr=1')).toMatchObject({
      outcome: 'could_not_judge',
      passed: false,
      reasons: [{ code: 'criteria_not_available' }],
    });
  });

  it('compares with a task, with the one before, or with a file, and all three agree', async () => {
    const byTask = await judged(after, `?baseline=${before.task_id}`);
    expect(byTask).toMatchObject({
      outcome: 'failed',
      policy: { new_only: true },
      baseline: { kind: 'task', task_id: before.task_id },
    });
    // 3 was there, but less severe
    expect(plugins(byTask)).toEqual(['3', '4']);
    const byPrevious = await judged(after, '?new_only=true');
    expect(byPrevious.baseline).toMatchObject({ kind: 'previous', task_id: before.task_id });
    expect(plugins(byPrevious)).toEqual(['3', '4']);
    const file = (await api.call('GET', `/api/v1/scans/${before.task_id}/gate?format=baseline`)).json();
    expect(file).toMatchObject({ format: 'scanmq-baseline', version: 1, task_id: before.task_id });
    const ids = file.findings.map(({ finding_id }: { finding_id: string }) => finding_id);
    const byFile = await judged(after, '', { baseline_findings: ids });
    expect(byFile.baseline).toMatchObject({ kind: 'file', findings: 2 });
    // of 3 the file knows nothing, it was medium then
    expect(plugins(byFile)).toEqual(['3', '4']);
    expect(await judged(before, '?new_only=true')).toMatchObject({
      outcome: 'could_not_judge',
      reasons: [{ code: 'no_baseline' }],
      baseline: null,
    });
    // asked to pass in doubt, it judges all
    expect(await judged(before, '?new_only=true&on_doubt=pass')).toMatchObject({ outcome: 'failed' });
    expect(await judged(before, '?new_only=true&min_cvss=9&fail_on=none')).toMatchObject({
      warnings: expect.arrayContaining([{ code: 'no_baseline', message: expect.any(String) }]),
    });
  });

  it('passes over earlier scans that could not be judged, and does not take those of other targets', async () => {
    const host = '192.0.2.20';
    const good = await scan(host, [{ plugin: 1, severity: 4 }]);
    service.simulators[0]?.setFault({ name: 'no_hosts', remaining: 1 });
    const empty = await api.ended((await api.submit({ targets: host, name: 'Gate' })).task_id);
    expect(empty.quality?.verdict).toBe('unusable');
    await scan('192.0.2.21', [{ plugin: 1, severity: 4 }]);
    // written in another way, it is the same target
    const last = await scan(host, [{ plugin: 1, severity: 4 }], { targets: ` ${host},${host}` });
    expect(await judged(last, '?new_only=true')).toMatchObject({
      outcome: 'passed',
      baseline: { task_id: good.task_id },
    });
    expect((await judged(last, `?baseline=${empty.task_id}`)).warnings).toEqual([
      { code: 'baseline_limited', message: expect.stringContaining('nothing_scanned') },
    ]);
  });

  it('compares runs of a schedule with each other, whatever their targets became', async () => {
    const host = '192.0.2.30';
    const create = await api.call('POST', '/api/v1/schedules', {
      request: { targets: host, name: 'Weekly' },
      every_minutes: 10_000,
    });
    const { schedule_id } = create.json();
    const runOnce = async (): Promise<ScanStatus> => {
      service.simulators[0]?.nextExport(exportOf(host, [{ plugin: 1, severity: 4 }]));
      const { task_id } = (await api.call('POST', `/api/v1/schedules/${schedule_id}/run`)).json();
      return await api.ended(task_id);
    };
    const first = await runOnce();
    // a scan of the same targets by hand comes in between
    await scan(host, [{ plugin: 2, severity: 4 }]);
    const second = await runOnce();
    expect((await judged(second, '?new_only=true')).baseline?.task_id).toBe(first.task_id);
    await api.call('DELETE', `/api/v1/schedules/${schedule_id}`);
  });

  it('leaves out what rules cover, until they are over, and says which did what', async () => {
    // today is another day at midnight: asked again then
    const answer = await until('it is answered on the day on which it was asked', async () => {
      const today = day(0);
      const judgedToday = await judged(after, '', {
        ignore: [
          { plugin_id: 1, reason: 'known', expires: today, owner: 'me' },
          { cve: 'CVE-2026-0001', host: '192.0.2.0/24', reason: 'to be fixed', expires: day(10) },
          { plugin_id: 3, reason: 'was known', expires: day(-1) },
          { host: '198.51.100.0/24', reason: 'elsewhere', expires: day(10) },
        ],
      });
      return day(0) === today && judgedToday;
    });
    expect(plugins(answer)).toEqual(['3']);
    expect(answer.ignored.map(({ rule, findings }) => [rule, findings])).toEqual([
      [0, 1],
      [1, 1],
    ]);
    expect(answer.expired_rules).toMatchObject([{ rule: 2, reason: 'was known', findings: 1 }]);
    expect(answer.unused_rules).toMatchObject([{ rule: 3, findings: 0 }]);
    expect(answer.counts.ignored).toMatchObject({ critical: 1, high: 1 });
    expect(answer.warnings).toMatchObject([{ code: 'ignore_expired' }]);
  });

  it('refuses what cannot be meant', async () => {
    const path = `/api/v1/scans/${after.task_id}/gate`;
    for (const query of [
      '?fail_on=awful',
      '?min_epss=3',
      '?fail_on=none',
      '?nonsense=1',
      '?baseline=yesterday',
    ])
      expect([query, (await api.call('GET', path + query)).json().code]).toEqual([query, 'invalid_request']);
    for (const [rule, where] of [
      [{ reason: 'no selector', expires: '2026-12-01' }, 'ignore.0'],
      [{ plugin_id: 1, expires: '2026-12-01' }, 'ignore.0.reason'],
      [{ plugin_id: 1, reason: 'for ever', expires: day(400) }, 'ignore.0.expires'],
      [{ plugin_id: 1, reason: 'some day', expires: 'tomorrow' }, 'ignore.0.expires'],
    ] as const) {
      const { errors } = (await api.call('POST', path, { ignore: [rule] })).json();
      expect(errors).toEqual([{ path: where, message: expect.any(String) }]);
    }
    const unknown = await api.call('GET', `${path}?baseline=ne_ness_20261123_152923_0a1b2c3d`);
    expect([unknown.status, unknown.json().detail]).toEqual([404, expect.stringContaining('The baseline')]);
  });

  it('takes fifty thousand known findings in one request', async () => {
    const ids = Array.from({ length: 50_000 }, (_, index) => index.toString(16).padStart(32, '0'));
    const answer = await judged(after, '', { baseline_findings: ids });
    expect(answer).toMatchObject({ findings_total: 3, baseline: { kind: 'file', findings: 50_000 } });
    // more than any other route takes
    expect(JSON.stringify(ids).length).toBeGreaterThan(LIMITS.requestBodyBytes);
  });
});

describe('files of a gate', () => {
  const expires = day(10);
  const policy = { ignore: [{ plugin_id: 4, reason: 'to be fixed', expires }], new_only: true };
  const file = async (format: string, body: object = policy): Promise<string> => {
    const answer = await api.call('POST', `/api/v1/scans/${after.task_id}/gate?format=${format}`, body);
    expect(answer.status).toBe(200);
    return answer.text;
  };

  it('JUnit fails by as many cases as broke the gate, skips what is ignored, and none when it passes', async () => {
    const count = async (body: object) => {
      const xml = await parseStringPromise(await file('junit', body));
      const suites = xml.testsuites.testsuite as { $: Record<string, string> }[];
      const sum = (name: string): number => suites.reduce((total, { $ }) => total + Number($[name] ?? 0), 0);
      return { failures: sum('failures'), errors: sum('errors'), skipped: sum('skipped') };
    };
    expect(await count(policy)).toEqual({ failures: 1, errors: 0, skipped: 1 });
    expect(await count({ ...policy, max: 1 })).toEqual({ failures: 0, errors: 0, skipped: 1 });
    expect(await count({ fail_on: 'none', min_vpr: 9 })).toEqual({ failures: 0, errors: 1, skipped: 0 });
  });

  it('SARIF says what is new, what is known, and what is accepted and why', async () => {
    const [run] = JSON.parse(await file('sarif')).runs;
    const results = run.results as { ruleId: string; baselineState?: string; suppressions?: object[] }[];
    const of = (plugin: string) => results.find(({ ruleId }) => ruleId.includes(plugin));
    expect(['1', '3', '4', '5'].map((plugin) => of(plugin)?.baselineState)).toEqual([
      'unchanged',
      'updated',
      'new',
      'new',
    ]);
    expect(results.filter(({ suppressions }) => suppressions)).toEqual([of('4')]);
    expect(of('4')?.suppressions).toEqual([
      {
        kind: 'external',
        status: 'accepted',
        justification: `Ignored until ${expires}: to be fixed`,
      },
    ]);
    expect(run.properties.gate).toMatchObject({ outcome: 'failed' });
  });

  it('code quality has what is not ignored, and is to be had of any task without a gate', async () => {
    const checks = (text: string): string[] =>
      (JSON.parse(text) as { check_name: string }[]).map(({ check_name }) => check_name);
    expect(checks(await file('code-quality'))).toEqual(['nessus-1', 'nessus-3', 'nessus-5']);
    const plain = await api.call('GET', `/api/v1/scans/${after.task_id}/findings?format=code-quality`);
    expect(checks(plain.text)).toEqual(['nessus-1', 'nessus-3', 'nessus-4', 'nessus-5']);
  });
});

it('a task without results is no verdict', async () => {
  const { task_id } = await api.submit({ targets: HOST, name: 'cancelled', scanner_pool: 'endless' });
  await api.call('POST', `/api/v1/scans/${task_id}/cancel`);
  expect((await api.ended(task_id)).status).toBe('cancelled');
  const answer = await api.call('GET', `/api/v1/scans/${task_id}/gate`);
  expect([answer.status, answer.json().code]).toEqual([409, 'invalid_state']);
});
