import { mkdtemp, rm, unlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { type Filters, parseTargets, type ResultsQuery, resultsQuerySchema } from '@scanmq/contract';
import fc from 'fast-check';
import { compileFilters, ingestExport, openResults, type Results } from './index.js';

interface Item {
  host: string;
  plugin: string;
  severity: number;
  cvss3?: number;
  cvss2?: number;
  cve?: readonly string[];
  exploit?: boolean;
  output?: string;
  family?: string;
}

function exportOf(items: readonly Item[], hosts = [...new Set(items.map((item) => item.host))]): string {
  const element = (name: string, value: unknown): string =>
    value === undefined ? '' : `<${name}>${value}</${name}>`;
  const blocks = hosts.map((host) => {
    const own = items
      .filter((item) => item.host === host)
      .map(
        (item) =>
          `<ReportItem port="22" svc_name="ssh" protocol="tcp" severity="${item.severity}" pluginID="${item.plugin}" pluginName="Plugin ${item.plugin}" pluginFamily="${item.family ?? 'General'}">${element('cvss3_base_score', item.cvss3)}${element('cvss_base_score', item.cvss2)}${(item.cve ?? []).map((cve) => element('cve', cve)).join('')}${element('exploit_available', item.exploit)}${element('plugin_output', item.output)}<synopsis>synopsis</synopsis><solution>n/a</solution><description>d</description></ReportItem>`,
      );
    return `<ReportHost name="${host}"><HostProperties><tag name="host-ip">${host}</tag><tag name="HOST_START">x</tag><tag name="HOST_END">y</tag></HostProperties>${own.join('')}</ReportHost>`;
  });
  return `<?xml version="1.0"?><NessusClientData_v2><Policy><policyName>Basic</policyName><Preferences><ServerPreferences><preference><name>loaded_plugin_set</name><value>202611010000</value></preference></ServerPreferences></Preferences></Policy><Report name="test">${blocks.join('')}</Report></NessusClientData_v2>`;
}

const ITEMS: Item[] = [
  {
    host: '10.0.0.1',
    plugin: '100',
    severity: 4,
    cvss3: 9.8,
    cve: ['CVE-2024-1', 'CVE-2024-2'],
    exploit: true,
  },
  { host: '10.0.0.1', plugin: '101', severity: 0 },
  { host: '10.0.0.2', plugin: '100', severity: 4, cvss3: 9.8, cve: ['CVE-2024-1'], exploit: false },
  { host: '10.0.1.3', plugin: '102', severity: 2, cvss2: 5, output: 'Banner OpenSSH' },
  { host: '10.0.1.3', plugin: '103', severity: 3, cvss3: 7.5 },
];

let taskDir: string;
let results: Results;
const open = (): Promise<Results> =>
  openResults(taskDir, { defaultProfile: 'brief', extraMetadata: { task_id: 't' } });

beforeAll(async () => {
  taskDir = await mkdtemp(join(tmpdir(), 'scanmq-results-'));
  await writeFile(join(taskDir, 'scan_native.nessus'), exportOf(ITEMS));
  await ingestExport({ taskDir, scanType: 'untrusted', targets: [], endedAs: 'completed' });
  results = await open();
});
afterAll(async () => await rm(taskDir, { recursive: true }));

const ask = (query: Partial<ResultsQuery>) => results.query(resultsQuerySchema.parse(query));
const found = async (filters: Filters): Promise<unknown[]> =>
  (await ask({ filters, custom_fields: ['host', 'plugin_id'] })).vulnerabilities.map(
    ({ host, plugin_id }) => `${host}/${plugin_id}`,
  );

describe('results', () => {
  it('have the fields of their profile, in its order', async () => {
    const [first] = (await ask({ schema_profile: 'minimal' })).vulnerabilities;
    expect(first).toEqual({
      type: 'vulnerability',
      host: '10.0.0.1',
      plugin_id: '100',
      severity: '4',
      cve: ['CVE-2024-1', 'CVE-2024-2'],
      cvss_score: 9.8,
      exploit_available: true,
    });
    const answer = await ask({});
    expect(answer.schema.fields).toEqual([
      'host',
      'plugin_id',
      'severity',
      'cve',
      'cvss_score',
      'exploit_available',
      'plugin_name',
      'cvss3_base_score',
      'synopsis',
      'description',
      'solution',
    ]);
    expect((await ask({ schema_profile: 'full' })).vulnerabilities[3]).toMatchObject({
      plugin_output: 'Banner OpenSSH',
      svc_name: 'ssh',
      finding_id: expect.stringMatching(/^[0-9a-f]{32}$/),
    });
  });

  it('take the CVSS v2 score where there is no v3', async () => {
    expect((await ask({ filters: { plugin_id: '102' } })).vulnerabilities[0]).toMatchObject({
      cvss_score: 5,
    });
  });

  it('are filtered before their fields are chosen', async () => {
    const answer = await ask({ filters: { plugin_output: 'openssh' }, custom_fields: ['host'] });
    expect(answer.vulnerabilities).toEqual([{ type: 'vulnerability', host: '10.0.1.3' }]);
    expect(answer.schema.total_vulnerabilities).toBe(1);
  });

  it.each<[Filters, string[]]>([
    [{ severity: '4' }, ['10.0.0.1/100', '10.0.0.2/100']],
    [{ severity: '>=high' }, ['10.0.0.1/100', '10.0.0.2/100', '10.0.1.3/103']],
    [{ severity: 'medium' }, ['10.0.1.3/102']],
    [{ cvss_score: '>7.5' }, ['10.0.0.1/100', '10.0.0.2/100']],
    [{ cvss_score: '>=7.5', exploit_available: true }, ['10.0.0.1/100']],
    [{ cve: 'cve-2024-2' }, ['10.0.0.1/100']],
    [{ host: '10.0.0.0/24' }, ['10.0.0.1/100', '10.0.0.1/101', '10.0.0.2/100']],
    [{ host: '10.0.0.2-10.0.1.3', severity: '<=3' }, ['10.0.1.3/102', '10.0.1.3/103']],
    [{ or: [{ severity: 'info' }, { plugin_id: '103' }] }, ['10.0.0.1/101', '10.0.1.3/103']],
    [{ not: { severity: '>info' } }, ['10.0.0.1/101']],
  ])('filter %j', async (filters, expected) => {
    expect(await found(filters)).toEqual(expected);
  });

  it.each<[Filters]>([
    [{ nonsense: 'x' }],
    [{ cvss_score: '>abc' }],
    [{ severity: 'terrible' }],
    [{ or: [] }],
    [{ host: { gt: 1 } as never }],
  ])('refuse the filter %j and name what is known', async (filters) => {
    await expect(ask({ filters })).rejects.toMatchObject({
      code: 'invalid_request',
      issues: [expect.objectContaining({ path: expect.stringContaining('filters') })],
    });
  });

  it('refuse custom fields beside a profile, and unknown ones', async () => {
    await expect(ask({ schema_profile: 'full', custom_fields: ['host'] })).rejects.toMatchObject({
      code: 'invalid_request',
    });
    await expect(ask({ custom_fields: ['nonsense'] })).rejects.toMatchObject({
      message: expect.stringContaining('plugin_id'),
    });
  });

  it('are sorted and paged, with exact totals', async () => {
    const sorted = await ask({ sort: '-severity,host', custom_fields: ['host', 'plugin_id'] });
    expect(sorted.vulnerabilities.map((finding) => finding.plugin_id)).toEqual([
      '100',
      '100',
      '103',
      '102',
      '101',
    ]);
    expect(sorted.pagination).toEqual({
      type: 'pagination',
      page: 1,
      page_size: 40,
      total_pages: 1,
      has_next: false,
      next_page: null,
    });
    expect((await ask({ page: 0 })).pagination).toBeNull();
    expect((await ask({ page: 9 })).vulnerabilities).toEqual([]);
  });

  it('come as a stream of lines with the same content', async () => {
    const lines: unknown[] = [];
    for await (const line of results.stream(resultsQuerySchema.parse({ sort: '-severity', page: 0 })))
      lines.push(JSON.parse(line));
    const answer = await ask({ sort: '-severity', page: 0 });
    expect(lines).toEqual([answer.schema, answer.scan_metadata, ...answer.vulnerabilities]);
    expect(answer.scan_metadata).toMatchObject({
      scan_name: 'test',
      task_id: 't',
      scanner_facts: { loaded_plugin_set: '202611010000' },
    });
  });

  it('are rebuilt from the raw export when what was derived is gone', async () => {
    const before = await ask({ schema_profile: 'full' });
    await unlink(join(taskDir, 'results.json'));
    await unlink(join(taskDir, 'findings.ndjson'));
    results = await open();
    expect(await ask({ schema_profile: 'full' })).toEqual(before);
  });
});

describe('filters, against an obvious second implementation', () => {
  const finding = fc.record({
    host: fc.constantFrom('a.example', 'b.example'),
    cvss_score: fc.option(fc.integer({ min: 0, max: 10 }), { nil: undefined }),
    cve: fc.option(fc.array(fc.constantFrom('CVE-1', 'CVE-2')), { nil: undefined }),
    exploit_available: fc.option(fc.boolean(), { nil: undefined }),
  });
  const leaf = fc.oneof(
    fc.record({ host: fc.constantFrom('A', 'b.', 'x') }),
    fc
      .tuple(fc.constantFrom('>', '>=', '<', '<=', '='), fc.integer({ min: 0, max: 10 }))
      .map(([operator, value]) => ({ cvss_score: `${operator}${value}` })),
    fc.record({ cve: fc.constantFrom('cve-1', '2') }),
    fc.record({ exploit_available: fc.boolean() }),
  );
  const filters = fc.letrec((tie) => ({
    group: fc.oneof(
      { maxDepth: 3 },
      leaf,
      fc.record({ or: fc.array(tie('group'), { minLength: 1, maxLength: 3 }) }),
      fc.record({ not: tie('group') }),
    ),
  })).group;

  function obvious(group: Record<string, unknown>, value: Record<string, unknown>): boolean {
    return Object.entries(group).every(([field, wanted]) => {
      if (field === 'or') return (wanted as Record<string, unknown>[]).some((inner) => obvious(inner, value));
      if (field === 'not') return !obvious(wanted as Record<string, unknown>, value);
      const actual = value[field];
      if (actual === undefined) return false;
      if (field === 'cvss_score') {
        const [, operator, number] = /^(\D+)(\d+)$/.exec(String(wanted)) ?? [];
        const [a, b] = [Number(actual), Number(number)];
        return operator === '>'
          ? a > b
          : operator === '>='
            ? a >= b
            : operator === '<'
              ? a < b
              : operator === '<='
                ? a <= b
                : a === b;
      }
      if (typeof wanted === 'boolean') return actual === wanted;
      const all = Array.isArray(actual) ? actual : [actual];
      return all.some((one) => String(one).toLowerCase().includes(String(wanted).toLowerCase()));
    });
  }

  it('agree on generated findings and filters', () => {
    const known = new Set(['host', 'cvss_score', 'cve', 'exploit_available']);
    fc.assert(
      fc.property(filters, finding, (group, value) => {
        expect(compileFilters(group as Filters, known)({ type: 'vulnerability', ...value })).toBe(
          obvious(group as Record<string, unknown>, value),
        );
      }),
      { numRuns: 2_000 },
    );
  });
});

describe('the verdict', () => {
  const verdictOf = async (
    items: readonly Item[],
    options: {
      targets?: string;
      scanType?: 'untrusted' | 'authenticated';
      endedAs?: string;
      hosts?: string[];
    } = {},
  ) => {
    const directory = await mkdtemp(join(tmpdir(), 'scanmq-verdict-'));
    try {
      await writeFile(join(directory, 'scan_native.nessus'), exportOf(items, options.hosts));
      return await ingestExport({
        taskDir: directory,
        scanType: options.scanType ?? 'untrusted',
        targets: options.targets === undefined ? [] : parseTargets(options.targets),
        endedAs: options.endedAs ?? 'completed',
      });
    } finally {
      await rm(directory, { recursive: true });
    }
  };
  const info = (output: string): Item => ({
    host: 'h',
    plugin: '19506',
    severity: 0,
    output: `Credentialed checks : ${output}`,
  });
  const plugin = (id: string): Item => ({ host: 'h', plugin: id, severity: 0 });

  it.each<[string, Item[], string]>([
    ['a valid login', [plugin('141118'), info('yes, as root via ssh')], 'success'],
    ['a login without privilege', [plugin('141118'), plugin('110385')], 'partial'],
    ['a rejected login', [plugin('104410'), info('no')], 'failed'],
    ['no credentials used', [plugin('110723'), info('no')], 'failed'],
    ['no sign at all', [plugin('1')], 'failed'],
    ['only the line of the scan information', [info('partial')], 'partial'],
  ])('of %s in a scan that was to log in', async (_, items, expected) => {
    const verdict = await verdictOf(items, { scanType: 'authenticated' });
    expect(verdict.authenticationStatus).toBe(expected);
    expect(verdict.troubleshooting === null).toBe(expected === 'success');
  });

  it('is not applicable to a scan from outside', async () => {
    expect((await verdictOf([plugin('104410')])).authenticationStatus).toBe('not_applicable');
  });

  it('warns when nothing answered, when hosts are missing or silent, and when the scan was cut short', async () => {
    expect((await verdictOf([], { targets: '10.0.0.1' })).warnings).toEqual([
      expect.stringContaining('No host answered'),
    ]);
    expect(
      (
        await verdictOf([plugin('1')], {
          targets: 'h, 10.9.9.9, 10.8.0.0/24',
          hosts: ['h', 'silent'],
          endedAs: 'canceled',
        })
      ).warnings,
    ).toEqual([
      expect.stringContaining('stopped early'),
      expect.stringContaining('silent'),
      expect.stringContaining('10.9.9.9, 10.8.0.0/24'),
    ]);
  });
});
