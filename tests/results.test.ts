/** What users do with results over REST: page, filter, download, report, compare, search. */
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { Client } from '@modelcontextprotocol/sdk/client/index.js';
import { StreamableHTTPClientTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js';
import type { ScanStatus } from '@scanmq/contract';
import { createService, restClient, type TestService } from '@scanmq/testkit';
import { parseStringPromise } from 'xml2js';

const REDIS_URL = process.env.SCANMQ_TEST_REDIS_URL ?? '';
const SAMPLE = fileURLToPath(new URL('samples/dojo-cvssv3.nessus.gz', import.meta.url));

let service: TestService;
let rest: ReturnType<typeof restClient>;
let first: ScanStatus;
let second: ScanStatus;
beforeAll(async () => {
  // one host in the sample: every simulated host has the same findings
  service = await createService({ redisUrl: REDIS_URL, scanners: [{ samples: [SAMPLE] }] });
  const [{ url }] = await Promise.all([service.startGateway(), service.startWorker()]);
  rest = restClient(url);
  const scan = async (targets: string, name: string): Promise<ScanStatus> =>
    await rest.ended((await rest.submit({ targets, name })).task_id);
  first = await scan('192.0.2.4, 192.0.2.5', 'First');
  second = await scan('192.0.2.5, 192.0.2.6', 'Second');
}, 240_000);
afterAll(async () => await service.close());

const get = (path: string, headers?: Record<string, string>) =>
  rest.call('GET', `/api/v1/scans/${first.task_id}/${path}`, undefined, headers);
const total = (): number => first.results_summary?.total_findings ?? Number.NaN;

describe('a task', () => {
  it('says how far its results can be trusted, wherever they are', async () => {
    expect(first.quality).toMatchObject({
      verdict: 'complete',
      reasons: [],
      hosts: { listed: 2, alive: 2, incomplete: 0 },
      targets_missing: { count: 0, examples: [] },
      credentials: { requested: false, status: 'not_applicable' },
    });
    expect((await get('findings')).json().scan_metadata.quality).toEqual(first.quality);
    const { hosts, total: hostsTotal } = (await get('hosts')).json();
    expect([hosts.length, hostsTotal]).toEqual([2, 2]);
    expect(hosts[0]).toMatchObject({
      alive: true,
      severities: { critical: expect.any(Number) },
      properties: expect.arrayContaining([{ name: 'host-ip', value: expect.any(String) }]),
    });
  });
});

describe('findings', () => {
  it('come page by page with a cursor, and whole in one document, both the same', async () => {
    const whole = (await get('findings?page=0&profile=full&sort=-severity,host')).json();
    expect(whole.vulnerabilities).toHaveLength(total());
    expect(whole.pagination).toBeNull();
    const paged: unknown[] = [];
    let query = 'page_size=50';
    for (;;) {
      const page = (await get(`findings?${query}&profile=full&sort=-severity,host`)).json();
      expect(page.schema.total_vulnerabilities).toBe(total());
      paged.push(...page.vulnerabilities);
      if (page.pagination.next_cursor === null) break;
      query = `page_size=50&cursor=${page.pagination.next_cursor}`;
    }
    expect(paged).toEqual(whole.vulnerabilities);
    const one = whole.vulnerabilities[3];
    expect((await get(`findings/${one.finding_id}`)).json()).toEqual(one);
    expect((await get('findings/0000')).status).toBe(404);
  });

  it.each([
    ['csv', 'text/csv; charset=utf-8', 'text/csv'],
    ['sarif', 'application/sarif+json', 'application/sarif+json'],
    ['junit', 'application/xml', 'application/xml'],
    ['defectdojo', 'application/json', undefined],
  ])('come as %s, asked for by format or by type', async (format, type, accept) => {
    const byFormat = await get(`findings?format=${format}`);
    expect([byFormat.status, byFormat.headers.get('content-type')]).toEqual([200, type]);
    expect(byFormat.headers.get('content-disposition')).toContain(`attachment; filename="${first.task_id}.`);
    if (accept === undefined) return;
    expect((await get('findings', { accept })).text).toBe(byFormat.text);
  });

  it('are counted the same in every format', async () => {
    const filters = `filters=${encodeURIComponent('{"severity":">=medium"}')}`;
    const expected = (await get(`findings?${filters}`)).json().schema.total_vulnerabilities;
    expect(expected).toBeGreaterThan(0);
    const lines = (await get(`findings?${filters}&format=ndjson`)).text.trimEnd().split('\n');
    expect(lines).toHaveLength(expected + 2);
    const csv = (await get(`findings?${filters}&format=csv&fields=finding_id,host`)).text
      .trimEnd()
      .split('\r\n');
    expect([csv[0], csv.length]).toEqual(['finding_id,host', expected + 1]);
    expect((await get(`findings?${filters}&format=sarif`)).json().runs[0].results).toHaveLength(expected);
    expect((await get(`findings?${filters}&format=defectdojo`)).json().findings).toHaveLength(expected);
    const junit = await parseStringPromise(
      (await get(`findings?${filters}&format=junit&fail_on=medium`)).text,
    );
    const suites = junit.testsuites.testsuite as { $: { failures: string } }[];
    expect(suites.reduce((sum, suite) => sum + Number(suite.$.failures), 0)).toBe(expected);
  });

  it('are refused for what nobody has, with what there is', async () => {
    for (const query of ['format=pdf', 'format=csv&fields=nonsense', 'cursor=x', 'fail_on=awful', 'what=1']) {
      const answer = await get(`findings?${query}`);
      expect([query, answer.status, answer.json().code]).toEqual([query, 400, 'invalid_request']);
    }
  });
});

describe('the report', () => {
  it('is one page that loads nothing, and says first how far to trust it', async () => {
    const answer = await get('report');
    expect(answer.headers.get('content-type')).toBe('text/html; charset=utf-8');
    expect(answer.text).toContain('SIMULATOR');
    expect(answer.text.indexOf('id="quality"')).toBeLessThan(answer.text.indexOf('id="findings"'));
    expect(answer.text).not.toMatch(/<(script|link|img|iframe)[^>]+(src|href)=["']?https?:/i);
    const compared = await rest.call(
      'GET',
      `/api/v1/scans/${second.task_id}/compare/${first.task_id}?format=html`,
    );
    expect(compared.text).toContain('id="quality-head"');
  });
});

describe('two tasks', () => {
  it('compared: the host of both persists, a new one is new, one not scanned again is not fixed', async () => {
    const compare = async (query = '') =>
      (await rest.call('GET', `/api/v1/scans/${second.task_id}/compare/${first.task_id}${query}`)).json();
    const { counts } = await compare();
    const perHost = total() / 2;
    expect(counts).toMatchObject({ persisting: perHost, fixed: 0, changed_severity: 0 });
    expect(counts.new).toBe((second.results_summary?.total_findings ?? 0) - perHost);
    expect(counts.not_retested).toBe(perHost);
    const { items } = await compare('?status=not_retested&limit=5');
    expect(items).toHaveLength(5);
    expect(items[0]).toMatchObject({ host: '192.0.2.4', reason: 'host_absent' });
    expect((await rest.call('GET', `/api/v1/scans/${first.task_id}/compare/${first.task_id}`)).status).toBe(
      400,
    );
    expect((await rest.call('GET', `/api/v1/scans/${first.task_id}/compare/nonsense`)).status).toBe(404);
  });

  it('searched: the newest first, and what is still true is told', async () => {
    const found = (await rest.call('GET', '/api/v1/findings?severity=critical&limit=500')).json();
    expect(found.complete).toBe(true);
    const hosts = (taskId: string, latest: boolean): string[] => [
      ...new Set<string>(
        found.findings
          .filter(
            (one: { task_id: string; is_latest: boolean }) =>
              one.task_id === taskId && one.is_latest === latest,
          )
          .map((one: { host: string }) => one.host),
      ),
    ];
    expect(found.findings[0].task_id).toBe(second.task_id);
    expect(hosts(second.task_id, true).sort()).toEqual(['192.0.2.5', '192.0.2.6']);
    expect(hosts(first.task_id, true)).toEqual(['192.0.2.4']);
    expect(hosts(first.task_id, false)).toEqual(['192.0.2.5']);
    const [plugin] = (await rest.call('GET', '/api/v1/findings?group_by=plugin&limit=1')).json().groups;
    expect(plugin).toMatchObject({ severity: '4', hosts: expect.any(Number) });
    expect((await rest.call('GET', '/api/v1/findings?nonsense=1')).json()).toMatchObject({
      code: 'invalid_request',
      errors: [expect.objectContaining({ path: expect.any(String) })],
    });
  });
});

describe('the tools', () => {
  it('search and compare as REST does', async () => {
    const mcp = new Client({ name: 'test', version: '1' });
    await mcp.connect(new StreamableHTTPClientTransport(new URL(`${rest.url}/mcp`)));
    try {
      const call = async (name: string, args: Record<string, unknown>) =>
        await mcp.callTool({ name, arguments: args });
      const found = await call('search_findings', { group_by: 'severity' });
      expect(found.structuredContent).toEqual({
        ...(await rest.call('GET', '/api/v1/findings?group_by=severity')).json(),
        next: null,
      });
      const tasks = { base_task_id: first.task_id, head_task_id: second.task_id };
      const compared = await call('compare_scans', { ...tasks, status: 'new', limit: 3 });
      const {
        base_quality: _,
        head_quality: __,
        ...whole
      } = (
        await rest.call('GET', `/api/v1/scans/${second.task_id}/compare/${first.task_id}?status=new&limit=3`)
      ).json();
      expect(compared.structuredContent).toMatchObject({
        ...whole,
        base_quality: { verdict: 'complete' },
        head_quality: { verdict: 'complete' },
      });
      const refused = await call('compare_scans', { ...tasks, severity: 'awful' });
      expect([refused.isError, JSON.stringify(refused.content)]).toEqual([
        true,
        expect.stringContaining('invalid_request'),
      ]);
    } finally {
      await mcp.close();
    }
  });
});

describe('a task that was to log in and could not', () => {
  it('completes, but says that it failed to, everywhere', async () => {
    service.simulators[0]?.setFault({ name: 'credentials_rejected' });
    const task = await rest.ended(
      (
        await rest.submit({
          targets: '192.0.2.4',
          name: 'Audit',
          scan_type: 'authenticated',
          ssh_username: 'auditor',
          ssh_password: 'wrong-password-for-test',
        })
      ).task_id,
    );
    expect(task.status).toBe('completed');
    expect(task).toMatchObject({
      authentication_status: 'failed',
      quality: {
        verdict: 'limited',
        reasons: ['credentials_failed'],
        credentials: { requested: true, hosts: { failed: 1 }, by_protocol: { ssh: { failed: 1 } } },
      },
      troubleshooting: { next_steps: expect.any(Array) },
    });
    const junit = await parseStringPromise(
      (await rest.call('GET', `/api/v1/scans/${task.task_id}/findings?format=junit`)).text,
    );
    expect(junit.testsuites.testsuite[0].$).toMatchObject({ name: 'scan quality', errors: '1' });
  });
});
