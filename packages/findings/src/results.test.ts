import { mkdtemp, readdir, readFile, rm, unlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { type Filters, parseTargets, type ResultsQuery, resultsQuerySchema } from '@scanmq/contract';
import {
  createResultsStore,
  type IngestInput,
  type IngestResult,
  ingestExport as ingestWith,
  type Results,
  type ResultsOptions,
  type ResultsStore,
} from './index.js';

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

/** Groups within groups, as a hostile client sends them. */
function nested(depth: number): Filters {
  let filters: Filters = { severity: '4' };
  for (let i = 0; i < depth; i += 1) filters = { not: filters };
  return filters;
}

let taskDir: string;
let store: ResultsStore;
let results: Results;
const scan = { scanType: 'untrusted', targets: [], endedAs: 'completed' } as const;
const ingestExport = (input: Omit<IngestInput, 'memoryMb'>): Promise<IngestResult> =>
  ingestWith({ memoryMb: 128, ...input });
const openResults = (directory: string, options: Omit<ResultsOptions, 'scan'>): Promise<Results> =>
  store.open(directory, { ...options, scan });
const open = (): Promise<Results> =>
  openResults(taskDir, { defaultProfile: 'brief', extraMetadata: { task_id: 't' } });

beforeAll(async () => {
  store = await createResultsStore({ memoryMb: 128, threads: 2 });
  taskDir = await mkdtemp(join(tmpdir(), 'scanmq-results-'));
  await writeFile(join(taskDir, 'scan_native.nessus'), exportOf(ITEMS));
  await ingestExport({ taskDir, scanType: 'untrusted', targets: [], endedAs: 'completed' });
  results = await open();
});
afterAll(async () => {
  await store.close();
  await rm(taskDir, { recursive: true });
});

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
    [{ severity: '' }],
    [{ or: [] }],
    [{ host: { gt: 1 } as never }],
  ])('refuse the filter %j and name what is known', async (filters) => {
    await expect(ask({ filters })).rejects.toMatchObject({
      code: 'invalid_request',
      issues: [expect.objectContaining({ path: expect.stringContaining('filters') })],
    });
  });

  it('refuse groups nested so deep that reading them would end the stack', async () => {
    await expect(ask({ filters: nested(5_000) })).rejects.toMatchObject({
      code: 'invalid_request',
      message: expect.stringContaining('nested'),
    });
    expect((await ask({ filters: nested(4) })).schema.total_vulnerabilities).toBe(2);
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
      next_cursor: null,
    });
    expect((await ask({ page: 0 })).pagination).toBeNull();
    expect((await ask({ page: 9 })).vulnerabilities).toEqual([]);
  });

  it('come as a stream of lines with the same content', async () => {
    const lines: unknown[] = [];
    const stream = await results.stream(resultsQuerySchema.parse({ sort: '-severity', page: 0 }));
    for await (const line of stream) lines.push(JSON.parse(line));
    const answer = await ask({ sort: '-severity', page: 0 });
    expect(lines).toEqual([answer.schema, answer.scan_metadata, ...answer.vulnerabilities]);
    expect(answer.scan_metadata).toMatchObject({
      scan_name: 'test',
      task_id: 't',
      scanner_facts: { loaded_plugin_set: '202611010000' },
    });
  });

  it.each<[string, () => Promise<void>]>([
    ['is gone', () => unlink(join(taskDir, 'results.json'))],
    ['is gone, the findings only', () => unlink(join(taskDir, 'findings.parquet'))],
    ['is cut off', () => writeFile(join(taskDir, 'findings.parquet'), 'PAR1')],
    ['is damaged', () => writeFile(join(taskDir, 'results.json'), '{"format_version":')],
    [
      'is of another version',
      async () => {
        const path = join(taskDir, 'results.json');
        const facts = JSON.parse(await readFile(path, 'utf8')) as Record<string, unknown>;
        await writeFile(path, JSON.stringify({ ...facts, format_version: 1 }));
      },
    ],
  ])('are rebuilt from the raw export when what was derived %s', async (_, damage) => {
    const before = await ask({ schema_profile: 'full' });
    await damage();
    // two requests at once, as they come
    [results] = await Promise.all([open(), open()]);
    expect(await ask({ schema_profile: 'full' })).toEqual(before);
    expect((await readdir(taskDir)).sort()).toEqual([
      'findings.parquet',
      'hosts.parquet',
      'plugins.parquet',
      'results.json',
      'scan_native.nessus',
    ]);
  });

  it('are not there for a task without an export, and say so', async () => {
    await expect(
      openResults(join(taskDir, 'nowhere'), { defaultProfile: 'brief', extraMetadata: {} }),
    ).rejects.toMatchObject({ code: 'not_found' });
  });

  it('of an earlier export do not outlive a new one that is not usable', async () => {
    const directory = await mkdtemp(join(tmpdir(), 'scanmq-again-'));
    const input = { taskDir: directory, scanType: 'untrusted', targets: [], endedAs: 'completed' } as const;
    const raw = join(directory, 'scan_native.nessus');
    try {
      await writeFile(raw, exportOf(ITEMS));
      // what a worker left that was killed while it wrote
      await writeFile(join(directory, '.findings.ndjson.0000.part'), '{');
      await ingestExport(input);
      await writeFile(raw, exportOf(ITEMS).slice(0, 2_000));
      await expect(ingestExport(input)).rejects.toMatchObject({ code: 'invalid_export' });
      await expect(
        openResults(directory, { defaultProfile: 'brief', extraMetadata: {} }),
      ).rejects.toMatchObject({ code: 'invalid_export' });
      expect((await readdir(directory)).filter((name) => name.endsWith('.part'))).toEqual([]);
    } finally {
      await rm(directory, { recursive: true });
    }
  });
});

describe('a finding', () => {
  const findingsOf = async (report: string): Promise<Record<string, unknown>[]> => {
    const directory = await mkdtemp(join(tmpdir(), 'scanmq-finding-'));
    try {
      await writeFile(
        join(directory, 'scan_native.nessus'),
        `<NessusClientData_v2><Report name="r">${report}</Report></NessusClientData_v2>`,
      );
      const opened = await openResults(directory, { defaultProfile: 'full', extraMetadata: {} });
      return (await opened.query(resultsQuerySchema.parse({ page: 0 }))).vulnerabilities;
    } finally {
      await rm(directory, { recursive: true });
    }
  };
  const item = (elements: string, attributes = 'severity="4" pluginID="7" port="1" protocol="tcp"'): string =>
    `<ReportItem ${attributes}>${elements}</ReportItem>`;

  it('keeps what it is, whatever its elements are called', async () => {
    const [finding] = await findingsOf(
      `<ReportHost name="h">${item('<severity>0</severity><type>x</type><host>other</host><finding_id>1</finding_id><constructor>c</constructor><__proto__>p</__proto__>')}</ReportHost>`,
    );
    expect(finding).toMatchObject({
      type: 'vulnerability',
      host: 'h',
      severity: '4',
      severity_element: '0',
      type_element: 'x',
      host_element: 'other',
      finding_id: expect.stringMatching(/^[0-9a-f]{32}$/),
      constructor: 'c',
    });
    expect(Object.getOwnPropertyDescriptor(finding, '__proto__')?.value).toBe('p');
  });

  it('has numbers, booleans and lists where they are meant, and text where they are not', async () => {
    const [finding] = await findingsOf(
      `<ReportHost name="h">${item('<cvss3_base_score>9.8</cvss3_base_score><epss_score>n/a</epss_score><in_the_news>true</in_the_news><xref>A:1</xref><see_also>a</see_also><see_also>b</see_also><plugin_output>true</plugin_output>')}</ReportHost>`,
    );
    expect(finding).toMatchObject({
      cvss3_base_score: 9.8,
      cvss_score: 9.8,
      epss_score: 'n/a',
      in_the_news: true,
      xref: ['A:1'],
      see_also: ['a', 'b'],
      plugin_output: 'true',
    });
  });

  it('of a compliance check says which check, and how it came out, in exports of any age', async () => {
    const check = (inner: string): string =>
      item(inner, 'severity="3" pluginID="21157" port="0" protocol="tcp" pluginFamily="Policy Compliance"');
    const findings = await findingsOf(
      `<ReportHost name="h">${check('<description>"1.1 Old check" : [FAILED]\n\ndetails</description>')}${check(
        '<cm:compliance-check-name>2.2 New check</cm:compliance-check-name><cm:compliance-result>passed</cm:compliance-result>',
      )}${check('<description>a summary</description>')}</ReportHost>`,
    );
    expect(
      findings.map(({ compliance, compliance_check, compliance_result }) => [
        compliance,
        compliance_check,
        compliance_result,
      ]),
    ).toEqual([
      [true, '1.1 Old check', 'FAILED'],
      [true, '2.2 New check', 'PASSED'],
      [true, undefined, undefined],
    ]);
  });

  it('has the id that it had in another export, and repeats have ids of their own', async () => {
    const host = `<ReportHost name="H">${item('')}${item('')}</ReportHost>`;
    const ids = async (report: string): Promise<unknown[]> =>
      (await findingsOf(report)).map((finding) => finding.finding_id);
    const twice = await ids(host + host);
    expect(new Set(twice).size).toBe(4);
    const other = item('<plugin_output>new text</plugin_output>').replace('"tcp"', '"TCP"');
    expect(await ids(`<ReportHost name="h">${other}</ReportHost>`)).toEqual([twice[0]]);
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
    ['a login that one service rejected', [plugin('104410'), info('yes, as root via ssh')], 'partial'],
    ['a login that came and went', [plugin('141118'), plugin('117885'), info('yes')], 'partial'],
    ['a login after which no local check ran', [plugin('141118'), info('no')], 'partial'],
    ['local checks that failed', [plugin('21745')], 'failed'],
    ['no host at all', [], 'failed'],
  ])('of %s in a scan that was to log in', async (_, items, expected) => {
    const verdict = await verdictOf(items, { scanType: 'authenticated' });
    expect(verdict.authenticationStatus).toBe(expected);
    expect(verdict.troubleshooting === null).toBe(expected === 'success');
  });

  it('is not applicable to a scan from outside', async () => {
    expect((await verdictOf([plugin('104410')])).authenticationStatus).toBe('not_applicable');
  });

  it('does not miss a host that the export calls by another of its names', async () => {
    const targets = 'app.example.com, 2001:DB8::1, 10.0.0.0/30';
    const directory = await mkdtemp(join(tmpdir(), 'scanmq-names-'));
    const host = (name: string, tags: string): string =>
      `<ReportHost name="${name}"><HostProperties>${tags}<tag name="HOST_START">a</tag><tag name="HOST_END_TIMESTAMP">1</tag></HostProperties><ReportItem severity="0" pluginID="1"/></ReportHost>`;
    try {
      await writeFile(
        join(directory, 'scan_native.nessus'),
        `<NessusClientData_v2><Policy><Preferences><ServerPreferences><preference><name>report_task_id</name><value>run-1</value></preference></ServerPreferences></Preferences></Policy><Report name="r">${host('10.0.0.2', '<tag name="host-fqdn">App.example.com</tag>')}${host('2001:db8:0:0::1', '')}</Report></NessusClientData_v2>`,
      );
      const verdict = await ingestExport({
        taskDir: directory,
        scanType: 'untrusted',
        targets: parseTargets(targets),
        endedAs: 'completed',
      });
      expect(verdict).toMatchObject({ warnings: [], runUuid: 'run-1' });
    } finally {
      await rm(directory, { recursive: true });
    }
  });

  it('says what was wrong with findings and hosts', async () => {
    const odd = exportOf([{ host: 'h', plugin: '1', severity: 7 }]).replace(
      '<tag name="HOST_END">y</tag>',
      '',
    );
    const directory = await mkdtemp(join(tmpdir(), 'scanmq-odd-'));
    try {
      await writeFile(join(directory, 'scan_native.nessus'), odd);
      const { warnings } = await ingestExport({
        taskDir: directory,
        scanType: 'untrusted',
        targets: [],
        endedAs: 'completed',
      });
      expect(warnings).toEqual([
        '1 of 1 hosts were not scanned to the end: h.',
        '1 findings have no known severity and are counted as info.',
      ]);
    } finally {
      await rm(directory, { recursive: true });
    }
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
