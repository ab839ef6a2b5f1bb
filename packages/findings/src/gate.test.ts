/** The gate in SQL, against a slow and obvious second implementation over the same findings. */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import {
  FAIL_ON,
  type GateCriterion,
  type GatePolicy,
  gateRequestSchema,
  type IgnoreRule,
  parseAddress,
  parseTarget,
  readGatePolicy,
  SEVERITY_NAMES,
  type SeverityBreakdown,
} from '@scanmq/contract';
import fc from 'fast-check';
import { severityOf } from './finding.js';
import {
  createResultsStore,
  type Finding,
  type GateInput,
  type Results,
  type ResultsStore,
} from './index.js';

const NOW = new Date('2026-06-15T12:00:00Z');
const HOSTS = ['10.0.0.9', '10.0.0.10', '10.0.1.3', 'App.example.test', 'app.example.test.org'];
const ADDRESS_OF: Readonly<Record<string, string>> = { 'App.example.test': '10.0.0.200' };

interface Item {
  readonly host: string;
  readonly plugin: string;
  readonly severity: string;
  readonly port: string;
  readonly elements: readonly (readonly [name: string, text: string])[];
}

const score = (most: number) =>
  fc.oneof(
    { weight: 9, arbitrary: fc.integer({ min: 0, max: 10 }).map((tenths) => String((most * tenths) / 10)) },
    { weight: 1, arbitrary: fc.constant('n/a') },
  );
const element = fc.oneof(
  fc.tuple(fc.constant('cve'), fc.constantFrom('CVE-2024-1234', 'CVE-2024-12345')),
  fc.tuple(fc.constantFrom('cvss3_base_score', 'cvss_base_score', 'vpr_score'), score(10)),
  fc.tuple(fc.constant('vulnerability_priority_rating'), score(10)),
  fc.tuple(fc.constant('epss_score'), score(1)),
  fc.tuple(fc.constantFrom('exploited_by_malware', 'exploited_by_nessus'), fc.constantFrom('true', 'false')),
  fc.tuple(fc.constantFrom('exploit_available', 'in_the_news'), fc.constant('true')),
  fc.tuple(fc.constant('cisa-known-exploited'), fc.constantFrom('2025/05/22', '')),
  fc.tuple(fc.constant('xref'), fc.constantFrom('CISA-KNOWN-EXPLOITED:2025/05/22', 'IAVA:2025-A-1')),
  fc.tuple(fc.constant('cm:compliance-result'), fc.constantFrom('PASSED', 'FAILED', 'WARNING')),
);
const item: fc.Arbitrary<Item> = fc.record({
  host: fc.constantFrom(...HOSTS),
  plugin: fc.constantFrom('7', '10', '10881'),
  severity: fc.constantFrom('0', '1', '2', '3', '4', '7'),
  port: fc.constantFrom('0', '22', '443'),
  elements: fc.array(element, { maxLength: 4 }),
});

function exportOf(items: readonly Item[]): string {
  const hosts = HOSTS.map((host) => {
    const address = ADDRESS_OF[host];
    const tag = address === undefined ? '' : `<tag name="host-ip">${address}</tag>`;
    const own = items.filter((one) => one.host === host);
    return `<ReportHost name="${host}"><HostProperties>${tag}<tag name="HOST_END">b</tag></HostProperties>${own
      .map(
        ({ plugin, severity, port, elements }) =>
          `<ReportItem port="${port}" svc_name="x" protocol="tcp" severity="${severity}" pluginID="${plugin}" pluginName="P ${plugin}" pluginFamily="F">${elements
            .map(([name, text]) => `<${name}>${text}</${name}>`)
            .join('')}</ReportItem>`,
      )
      .join('')}</ReportHost>`;
  });
  return `<NessusClientData_v2><Report name="r" xmlns:cm="http://www.nessus.org/cm">${hosts.join('')}</Report></NessusClientData_v2>`;
}

let store: ResultsStore;
let folder: string;
let opened = 0;
beforeAll(async () => {
  store = await createResultsStore({ memoryMb: 128, threads: 2 });
  folder = await mkdtemp(join(tmpdir(), 'scanmq-gate-'));
});
afterAll(async () => {
  await store.close();
  await rm(folder, { recursive: true, force: true });
});

async function open(items: readonly Item[]): Promise<Results> {
  opened += 1;
  const directory = await mkdtemp(join(folder, 'task-'));
  await writeFile(join(directory, 'scan_native.nessus'), exportOf(items));
  return await store.open(directory, {
    defaultProfile: 'brief',
    extraMetadata: {},
    scan: { scanType: 'untrusted', targets: [], endedAs: 'completed' },
  });
}

async function allOf(results: Results): Promise<Finding[]> {
  const found: Finding[] = [];
  for await (const finding of (
    await results.findings({ filters: undefined, sort: undefined }, 'all')
  ).stream())
    found.push(finding);
  return found;
}

const policyOf = (fields: Record<string, unknown>): GatePolicy =>
  readGatePolicy(gateRequestSchema.parse(fields));

// the second implementation

const texts = (value: unknown): string[] => (value === undefined ? [] : [value].flat().map(String));

function slowCriteria(finding: Finding, policy: GatePolicy): GateCriterion[] {
  const atLeast = (least: number | null, ...names: string[]): boolean =>
    least !== null &&
    names.some((name) => texts(finding[name]).some((text) => text.trim() !== '' && Number(text) >= least));
  const found: GateCriterion[] = [];
  if (policy.fail_on !== 'none' && severityOf(finding) >= SEVERITY_NAMES.indexOf(policy.fail_on))
    found.push('severity');
  if (atLeast(policy.min_cvss, 'cvss_score')) found.push('cvss');
  if (atLeast(policy.min_epss, 'epss_score')) found.push('epss');
  if (atLeast(policy.min_vpr, 'vpr_score', 'vulnerability_priority_rating')) found.push('vpr');
  if (
    policy.known_exploited &&
    (texts(finding.exploited_by_malware).includes('true') ||
      texts(finding.exploited_by_nessus).includes('true') ||
      texts(finding['cisa-known-exploited']).some((text) => text.trim() !== '') ||
      texts(finding.xref).some((text) => text.startsWith('CISA-KNOWN-EXPLOITED:')))
  )
    found.push('known_exploited');
  return found;
}

function slowCovers(rule: IgnoreRule, finding: Finding): boolean {
  if (rule.plugin_id !== undefined && rule.plugin_id !== finding.plugin_id) return false;
  if (rule.finding_id !== undefined && rule.finding_id !== finding.finding_id) return false;
  if (rule.port !== undefined && rule.port !== Number(finding.port)) return false;
  if (rule.cve !== undefined && !texts(finding.cve).includes(rule.cve.toUpperCase())) return false;
  if (rule.host === undefined) return true;
  const target = parseTarget(rule.host);
  if (!target || target.kind === 'name')
    return rule.host.toLowerCase() === String(finding.host).toLowerCase();
  return [finding.host, finding.host_ip].some((text) => {
    const address = parseAddress(String(text));
    return address !== undefined && address.value >= target.first && address.value <= target.last;
  });
}

function slowJudge(
  findings: readonly Finding[],
  { policy, rules }: GateInput,
  known: ReadonlySet<string> | undefined,
) {
  const none = (): SeverityBreakdown => ({ critical: 0, high: 0, medium: 0, low: 0, info: 0 });
  const counts = { judged: none(), broke: none(), ignored: none(), new: none() };
  const broke: Finding[] = [];
  const ruleFindings = rules.map(() => 0);
  for (const finding of findings) {
    if (finding.compliance === true && (!policy.compliance || finding.compliance_result === 'PASSED'))
      continue;
    const level = SEVERITY_NAMES[severityOf(finding)];
    const isNew = known !== undefined && !known.has(String(finding.finding_id));
    if (isNew) counts.new[level] += 1;
    let ignored = false;
    rules.forEach((rule, index) => {
      if (!slowCovers(rule, finding)) return;
      ruleFindings[index] = (ruleFindings[index] ?? 0) + 1;
      if (rule.expires >= '2026-06-15') ignored = true;
    });
    if (policy.new_only && known !== undefined && !isNew) continue;
    if (ignored) {
      counts.ignored[level] += 1;
      continue;
    }
    counts.judged[level] += 1;
    if (slowCriteria(finding, policy).length === 0) continue;
    counts.broke[level] += 1;
    broke.push(finding);
  }
  return { counts: { ...counts, new: known ? counts.new : null }, broke, ruleFindings };
}

const rule: fc.Arbitrary<IgnoreRule> = fc
  .record(
    {
      plugin_id: fc.constantFrom('7', '10', '10881', '99'),
      cve: fc.constantFrom('cve-2024-1234', 'CVE-2024-12345'),
      host: fc.constantFrom(
        '10.0.0.9',
        '10.0.0.0/24',
        '10.0.0.10-10.0.0.200',
        'app.example.test',
        'other.test',
      ),
      port: fc.constantFrom(0, 22, 443),
    },
    { requiredKeys: [] },
  )
  .filter((selectors) => Object.keys(selectors).length > 0)
  .chain((selectors) =>
    fc
      .constantFrom('2026-06-15', '2026-06-14', '2026-12-31')
      .map((expires) => ({ ...selectors, reason: 'because', expires })),
  );
const policy = fc
  .record(
    {
      fail_on: fc.constantFrom(...FAIL_ON),
      min_cvss: fc.constantFrom(5, 7.5),
      min_epss: fc.constantFrom(0.1, 0.5),
      min_vpr: fc.constantFrom(4, 9),
      known_exploited: fc.boolean(),
      new_only: fc.boolean(),
      compliance: fc.boolean(),
    },
    { requiredKeys: ['fail_on'] },
  )
  .filter(
    ({ fail_on, min_cvss, min_epss, min_vpr, known_exploited }) =>
      fail_on !== 'none' ||
      known_exploited === true ||
      [min_cvss, min_epss, min_vpr].some((one) => one !== undefined),
  );

describe('any gate over any findings', () => {
  it('counts, names and covers what an obvious implementation does', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(item, { maxLength: 60 }),
        policy,
        fc.array(rule, { maxLength: 5 }),
        fc.option(fc.integer({ min: 1, max: 4 }), { nil: undefined }),
        async (items, wanted, rules, everyNth) => {
          const results = await open(items);
          const findings = await allOf(results);
          const ids = findings.map((finding) => String(finding.finding_id));
          const known = everyNth === undefined ? undefined : ids.filter((_, index) => index % everyNth === 0);
          const input: GateInput = {
            head: { taskId: `t${opened}`, results },
            policy: policyOf(wanted),
            baseline: known && { kind: 'findings', ids: known },
            rules,
            now: NOW,
          };
          const expected = slowJudge(findings, input, known && new Set(known));
          const judged = await store.judge(input, 1_000);
          expect(judged.counts).toEqual(expected.counts);
          expect(judged.ruleFindings).toEqual(expected.ruleFindings);
          expect(judged.findingsTotal).toBe(expected.broke.length);
          expect(judged.findings.map(({ finding_id, criteria }) => [finding_id, criteria]).sort()).toEqual(
            expected.broke.map((one) => [String(one.finding_id), slowCriteria(one, input.policy)]).sort(),
          );
          // each for itself says the same
          const each = await store.judgeEach(input);
          expect(findings.filter((_, place) => each.of(place)?.broke)).toEqual(expected.broke);
        },
      ),
      { numRuns: 20 },
    );
  }, 240_000);
});

describe('a criterion', () => {
  const one = async (elements: Item['elements'], fields: Record<string, unknown>, severity = '1') => {
    const results = await open([{ host: '10.0.0.9', plugin: '7', severity, port: '443', elements }]);
    return await store.judge(
      { head: { taskId: 't', results }, policy: policyOf(fields), baseline: undefined, rules: [], now: NOW },
      10,
    );
  };

  it.each<[string, Item['elements'], Record<string, unknown>, GateCriterion[]]>([
    ['EPSS is a probability', [['epss_score', '0.5']], { min_epss: 0.5 }, ['epss']],
    ['EPSS below', [['epss_score', '0.4999']], { min_epss: 0.5 }, []],
    ['VPR of a scanner', [['vpr_score', '7.4']], { min_vpr: 7.4 }, ['vpr']],
    ['VPR of the cloud', [['vulnerability_priority_rating', '8']], { min_vpr: 7 }, ['vpr']],
    [
      'CVSS v3',
      [
        ['cvss3_base_score', '9.8'],
        ['cvss_base_score', '5'],
      ],
      { min_cvss: 9 },
      ['cvss'],
    ],
    [
      'CVSS v2, where v3 is there too',
      [
        ['cvss3_base_score', '5'],
        ['cvss_base_score', '9'],
      ],
      { min_cvss: 9 },
      [],
    ],
    [
      'exploited by malware',
      [['exploited_by_malware', 'true']],
      { known_exploited: 'true' },
      ['known_exploited'],
    ],
    [
      'of the CISA catalogue',
      [['xref', 'CISA-KNOWN-EXPLOITED:2025/05/22']],
      { known_exploited: true },
      ['known_exploited'],
    ],
    [
      'exploitable is not exploited',
      [
        ['exploit_available', 'true'],
        ['in_the_news', 'true'],
      ],
      { known_exploited: true },
      [],
    ],
  ])('%s', async (_, elements, fields, criteria) => {
    const { findings } = await one(elements, { fail_on: 'none', ...fields });
    expect(findings.map((finding) => finding.criteria)).toEqual(criteria.length === 0 ? [] : [criteria]);
  });

  it('that no finding has a value for is named', async () => {
    const fields = { min_epss: 0.1, min_vpr: 1, min_cvss: 1, known_exploited: true };
    expect((await one([], fields)).notAvailable).toEqual(['cvss', 'epss', 'vpr', 'known_exploited']);
    expect(
      (
        await one(
          [
            ['epss_score', '0'],
            ['cvss_base_score', '1'],
            ['vulnerability_priority_rating', '1'],
            ['exploited_by_nessus', 'false'],
          ],
          fields,
        )
      ).notAvailable,
    ).toEqual([]);
  });
});

describe('against an earlier task', () => {
  const item = (plugin: string, severity: string): Item => ({
    host: '10.0.0.9',
    plugin,
    severity,
    port: '443',
    elements: [],
  });

  it('what appeared and what became worse is new; what stayed, or became less, is not', async () => {
    const base = await open([item('1', '4'), item('2', '2'), item('3', '4'), item('5', '4')]);
    const head = await open([item('1', '4'), item('2', '3'), item('3', '3'), item('4', '3')]);
    const input: GateInput = {
      head: { taskId: 'head', results: head },
      policy: policyOf({ new_only: true }),
      baseline: { kind: 'task', task: { taskId: 'base', results: base } },
      rules: [],
      now: NOW,
    };
    const judged = await store.judge(input, 10);
    expect(judged.findings.map(({ plugin_id, is_new }) => [plugin_id, is_new])).toEqual([
      ['2', true],
      ['4', true],
    ]);
    expect(judged.counts.new).toMatchObject({ high: 2, critical: 0 });
    const each = await store.judgeEach(input);
    expect([0, 1, 2, 3].map((place) => each.of(place)?.state)).toEqual(['known', 'raised', 'known', 'new']);
    // the ids of one scan make a baseline for the next
    const ids: string[] = [];
    for await (const { finding_id } of (await store.knownFindings(input.head, policyOf({}))).stream())
      ids.push(finding_id);
    expect(ids).toHaveLength(4);
    expect(ids).toEqual([...ids].sort());
    expect((await store.judge({ ...input, baseline: { kind: 'findings', ids } }, 10)).findingsTotal).toBe(0);
  });
});
