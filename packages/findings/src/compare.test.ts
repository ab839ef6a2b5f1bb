import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { type Comparison, type ComparisonQuery, comparisonQuerySchema } from '@scanmq/contract';
import fc from 'fast-check';
import { createResultsStore, type Results, type ResultsStore } from './index.js';
import { portsOf } from './port-range.js';

interface Item {
  plugin: string;
  port?: number;
  severity?: number;
  family?: string;
  output?: string;
  check?: string;
}

interface Host {
  name: string;
  uuid?: string;
  items: readonly Item[];
  /** Without HOST_END. */
  cut?: boolean;
}

interface Scan {
  hosts: readonly Host[];
  families?: Readonly<Record<string, string>>;
  enabled?: readonly string[];
  endedAs?: string;
}

const reportItem = ({ plugin, port = 0, severity = 2, family = 'General', output, check }: Item): string =>
  `<ReportItem port="${port}" svc_name="x" protocol="tcp" severity="${severity}" pluginID="${plugin}" pluginName="Plugin ${plugin}" pluginFamily="${family}">${
    check === undefined ? '' : `<cm:compliance-check-name>${check}</cm:compliance-check-name>`
  }${output === undefined ? '' : `<plugin_output>${output}</plugin_output>`}</ReportItem>`;

function exportOf({ hosts, families = {}, enabled = [] }: Scan): string {
  const selection = Object.entries(families)
    .map(
      ([name, status]) =>
        `<FamilyItem><FamilyName>${name}</FamilyName><Status>${status}</Status></FamilyItem>`,
    )
    .join('');
  const individual = enabled
    .map((id) => `<PluginItem><PluginId>${id}</PluginId><Status>enabled</Status></PluginItem>`)
    .join('');
  const reports = hosts.map(
    ({ name, uuid, items, cut }) =>
      `<ReportHost name="${name}"><HostProperties><tag name="HOST_START">a</tag>${cut ? '' : '<tag name="HOST_END">b</tag>'}${uuid === undefined ? '' : `<tag name="host-uuid">${uuid}</tag>`}</HostProperties>${items.map(reportItem).join('')}</ReportHost>`,
  );
  return `<NessusClientData_v2><Policy><policyName>p</policyName><FamilySelection>${selection}</FamilySelection><IndividualPluginSelection>${individual}</IndividualPluginSelection></Policy><Report name="r" xmlns:cm="http://www.nessus.org/cm">${reports.join('')}</Report></NessusClientData_v2>`;
}

const information = (range: string, checks = 'no'): Item => ({
  plugin: '19506',
  severity: 0,
  family: 'Settings',
  output: `Port range : ${range}\nCredentialed checks : ${checks}\n`,
});
const ON = { General: 'enabled', Settings: 'enabled', Web: 'enabled' };

let store: ResultsStore;
let directories: string[] = [];
beforeAll(async () => {
  store = await createResultsStore({ memoryMb: 128, threads: 2 });
});
afterAll(async () => {
  await store.close();
  for (const directory of directories) await rm(directory, { recursive: true, force: true });
  directories = [];
});

async function open(scan: Scan): Promise<Results> {
  const directory = await mkdtemp(join(tmpdir(), 'scanmq-compare-'));
  directories.push(directory);
  await writeFile(join(directory, 'scan_native.nessus'), exportOf(scan));
  return await store.open(directory, {
    defaultProfile: 'brief',
    extraMetadata: {},
    scan: { scanType: 'authenticated', targets: [], endedAs: scan.endedAs ?? 'completed' },
  });
}

async function compare(base: Scan, head: Scan, query: Partial<ComparisonQuery> = {}): Promise<Comparison> {
  const [before, after] = [await open(base), await open(head)];
  return await store.compare(
    { taskId: 'base', results: before },
    { taskId: `head ${directories.length}`, results: after },
    comparisonQuerySchema.parse({ limit: 1_000, ...query }),
  );
}

/** `plugin: status (reason)` for what is not persisting. */
const changes = ({ items }: Comparison): string[] =>
  items
    .filter(({ status }) => status !== 'persisting')
    .map(
      ({ plugin_id, status, reason }) => `${plugin_id}: ${status}${reason === null ? '' : ` (${reason})`}`,
    );

describe('two scans of one host', () => {
  const host = (items: readonly Item[], more: Partial<Host> = {}): Scan => ({
    hosts: [{ name: '10.0.0.1', items: [information('1-1024'), ...items], ...more }],
    families: ON,
  });

  it('tell what is new, fixed, persisting, and what changed its severity', async () => {
    const result = await compare(
      host([{ plugin: '1' }, { plugin: '2', port: 443 }, { plugin: '3', severity: 2 }]),
      host([{ plugin: '1' }, { plugin: '3', severity: 4 }, { plugin: '4', severity: 3 }]),
    );
    expect(changes(result)).toEqual(['4: new', '3: changed_severity', '2: fixed']);
    expect(result.counts).toEqual({ new: 1, changed_severity: 1, fixed: 1, persisting: 2, not_retested: 0 });
    expect(result.items.find((item) => item.plugin_id === '3')).toMatchObject({
      severity: '4',
      base_severity: '2',
      head_severity: '4',
    });
    expect(result.by_severity.critical.changed_severity).toBe(1);
  });

  it('do not confuse other output, order or case with a change', async () => {
    const before = host([{ plugin: '1', output: 'a' }, { plugin: '1', output: 'b' }, { plugin: '2' }]);
    const after = host([
      { plugin: '2' },
      { plugin: '1', output: 'new text' },
      { plugin: '1', output: 'other' },
    ]);
    expect(changes(await compare(before, after))).toEqual([]);
  });

  it('tell compliance checks of one plugin apart', async () => {
    const check = (name: string): Item => ({ plugin: '21157', family: 'Policy Compliance', check: name });
    const before = { ...host([check('a'), check('b')]), families: { ...ON, 'Policy Compliance': 'enabled' } };
    const after = { ...host([check('b')]), families: before.families };
    expect((await compare(before, after)).counts).toMatchObject({ fixed: 1, persisting: 2 });
  });

  it.each<[string, Scan, Scan, string]>([
    [
      'its host is not there',
      host([{ plugin: '9' }]),
      { hosts: [], families: ON },
      '9: not_retested (host_absent)',
    ],
    [
      'its host answered nothing',
      host([{ plugin: '9' }]),
      { hosts: [{ name: '10.0.0.1', items: [] }], families: ON },
      '9: not_retested (host_silent)',
    ],
    [
      'its host was not scanned to the end',
      host([{ plugin: '9' }]),
      host([], { cut: true }),
      '9: not_retested (host_incomplete)',
    ],
    [
      'its family was switched off',
      host([{ plugin: '9', family: 'Web' }]),
      { ...host([]), families: { ...ON, Web: 'disabled' } },
      '9: not_retested (family_not_enabled)',
    ],
    [
      'its family is mixed, and nothing shows that the plugin ran',
      host([{ plugin: '9', family: 'Web' }]),
      { ...host([]), families: { ...ON, Web: 'mixed' } },
      '9: not_retested (family_not_enabled)',
    ],
    [
      'its port was not looked at',
      host([{ plugin: '9', port: 8_443 }]),
      { hosts: [{ name: '10.0.0.1', items: [information('1-100,200')] }], families: ON },
      '9: not_retested (port_not_covered)',
    ],
    [
      'the scanner could log in before and not any more',
      { hosts: [{ name: '10.0.0.1', items: [information('1-1024', 'yes'), { plugin: '9' }] }], families: ON },
      host([]),
      '9: not_retested (credentials_lower)',
    ],
  ])('do not call a finding fixed when %s', async (_, base, head, expected) => {
    expect(changes(await compare(base, head))).toContain(expected);
  });

  it.each<[string, Scan, Scan]>([
    [
      'its family is mixed, and the policy names the plugin',
      host([{ plugin: '9', family: 'Web' }]),
      { ...host([]), families: { ...ON, Web: 'mixed' }, enabled: ['9'] },
    ],
    [
      'its port lies within the range of another wording',
      host([{ plugin: '9', port: 443 }]),
      { hosts: [{ name: '10.0.0.1', items: [information('1-65535')] }], families: ON },
    ],
    [
      'something else was found on its port',
      host([{ plugin: '9', port: 9_443 }]),
      {
        hosts: [{ name: '10.0.0.1', items: [information('default'), { plugin: '8', port: 9_443 }] }],
        families: ON,
      },
    ],
    [
      'the login is better than before',
      host([{ plugin: '9' }]),
      { hosts: [{ name: '10.0.0.1', items: [information('1-1024', 'yes')] }], families: ON },
    ],
    [
      'no policy tells, and its family found other things',
      host([{ plugin: '9', family: 'Web' }]),
      { ...host([{ plugin: '7', family: 'Web' }]), families: {} },
    ],
  ])('call a finding fixed when %s', async (_, base, head) => {
    expect(changes(await compare(base, head))).toContain('9: fixed');
  });

  it('recognise the host by its uuid under another name, and another host under its name', async () => {
    const before: Scan = {
      hosts: [{ name: 'old.test', uuid: 'u1', items: [{ plugin: '1' }] }],
      families: ON,
    };
    expect(
      changes(await compare(before, { hosts: [{ name: 'new.test', uuid: 'u1', items: [{ plugin: '1' }] }] })),
    ).toEqual([]);
    expect(
      changes(await compare(before, { hosts: [{ name: 'old.test', uuid: 'u2', items: [{ plugin: '1' }] }] })),
    ).toEqual(['1: new', '1: not_retested (host_absent)']);
    // a scan that could not log in does not see the uuid
    expect(
      changes(await compare(before, { hosts: [{ name: 'OLD.test', items: [{ plugin: '1' }] }] })),
    ).toEqual([]);
  });

  it('can be asked by severity and status, a page at a time', async () => {
    const before = host([]);
    const after = host(Array.from({ length: 25 }, (_, i) => ({ plugin: String(100 + i), severity: i % 5 })));
    const all = await compare(before, after, { status: 'new', severity: '>=high' });
    expect(all.items.map(({ severity }) => severity)).toEqual([...'4444433333']);
    expect(all.counts).toMatchObject({ new: 10, persisting: 0 });
    const [base, head] = [await open(before), await open(after)];
    const paged: unknown[] = [];
    let cursor: string | undefined;
    do {
      const query = comparisonQuerySchema.parse({ status: 'new', severity: '>=high', limit: 4, cursor });
      const page = await store.compare({ taskId: 'b', results: base }, { taskId: 'h', results: head }, query);
      paged.push(...page.items);
      cursor = page.next_cursor ?? undefined;
    } while (cursor !== undefined);
    expect(paged).toEqual(all.items);
    await expect(compare(before, after, { severity: 'awful' })).rejects.toMatchObject({
      code: 'invalid_request',
    });
  });
});

describe('comparing, against a slow and obvious second implementation', () => {
  const items = fc.array(
    fc.record({
      plugin: fc.constantFrom('1', '2', '3'),
      port: fc.constantFrom(0, 22, 443),
      severity: fc.integer({ min: 0, max: 4 }),
    }),
    { maxLength: 8 },
  );
  const scan = fc.record({ a: items, b: items });

  it('agrees on the counts', async () => {
    await fc.assert(
      fc.asyncProperty(scan, scan, async (base, head) => {
        const make = (one: { a: Item[]; b: Item[] }): Scan => ({
          hosts: [
            { name: 'a', items: [information('1-65535'), ...one.a] },
            { name: 'b', items: [information('1-65535'), ...one.b] },
          ],
          families: ON,
        });
        const keys = (own: readonly Item[]): Map<string, number> => {
          const seen = new Map<string, number>();
          const found = new Map<string, number>();
          for (const { plugin, port, severity } of own) {
            const key = `${plugin} ${port}`;
            const repeat = seen.get(key) ?? 0;
            seen.set(key, repeat + 1);
            found.set(`${key} ${repeat}`, severity ?? 0);
          }
          return found;
        };
        const expected = { new: 0, fixed: 0, persisting: 2, changed_severity: 0, not_retested: 0 };
        for (const name of ['a', 'b'] as const) {
          const [before, after] = [keys(base[name]), keys(head[name])];
          for (const [key, severity] of before)
            if (!after.has(key)) expected.fixed += 1;
            else if (after.get(key) === severity) expected.persisting += 1;
            else expected.changed_severity += 1;
          for (const key of after.keys()) if (!before.has(key)) expected.new += 1;
        }
        expect((await compare(make(base), make(head))).counts).toEqual(expected);
      }),
      { numRuns: 12 },
    );
  });
});

describe('a range of ports', () => {
  it.each<[string, ReturnType<typeof portsOf>]>([
    ['1-65535', [[1, 65_535]]],
    [
      '22,80-443',
      [
        [22, 22],
        [80, 443],
      ],
    ],
    [
      'T:1-1024,U:53',
      [
        [1, 1_024],
        [53, 53],
      ],
    ],
    ['default', undefined],
    ['all', undefined],
    ['', undefined],
  ])('%j', (range, expected) => {
    expect(portsOf(range)).toEqual(expected);
  });
});
