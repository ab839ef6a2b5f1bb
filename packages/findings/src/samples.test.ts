/**
 * Real exports against figures counted by another reader. Those in the repository always; with SCANMQ_SAMPLES_DIR those of
 * another folder of the same form too.
 */
import { createHash } from 'node:crypto';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { gunzipSync } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { resultsQuerySchema } from '@scanmq/contract';
import fc from 'fast-check';
import { parseStringPromise } from 'xml2js';
import { createFindingMaker } from './finding.js';
import {
  createResultsStore,
  type InvalidExportError,
  ingestExport,
  type RawItem,
  type ResultsStore,
  readExport,
} from './index.js';

const FOLDERS = [
  fileURLToPath(new URL('../../../tests/samples', import.meta.url)),
  process.env.SCANMQ_SAMPLES_DIR ?? '',
].filter(existsSync);

interface Expected {
  has_report: boolean;
  report_name: string;
  hosts: number;
  items: number;
  severity: Record<string, number>;
  plugins: number;
  cves: number;
  max_cvss3: number | null;
  exploit_available: number;
  compliance: number;
  compliance_results: Record<string, number>;
  plugin_output_chars: number;
  per_host: Record<string, number>;
  host_tags: number;
  fields: Record<string, number>;
  items_sha256: string;
  fields_sha256: string;
  tags_sha256: string;
  kind?: string;
}

interface Sample {
  name: string;
  bytes: Buffer;
  expected: Expected;
}

function load(folder: string): Sample[] {
  const expected = JSON.parse(readFileSync(join(folder, 'expected.json'), 'utf8')) as Record<
    string,
    Expected
  >;
  const files = readdirSync(folder);
  return Object.entries(expected).flatMap(([key, figures]) => {
    const base = key.replace(/\.gz$/, '');
    const file = files.find((name) => name === base || name === `${base}.gz`);
    if (file === undefined) throw new Error(`${key} is not in ${folder}`);
    const bytes = readFileSync(join(folder, file));
    return [{ name: base, bytes: file.endsWith('.gz') ? gunzipSync(bytes) : bytes, expected: figures }];
  });
}

const byName = (samples: Sample[]): Sample[] => [
  ...new Map(samples.map((sample) => [sample.name, sample])).values(),
];
const valid = byName(FOLDERS.flatMap(load));
const invalid = byName(FOLDERS.flatMap((folder) => load(join(folder, 'invalid'))));

async function* chunks(bytes: Uint8Array, size = 64 * 1024): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size);
}

/** The figures of `expected.json`, from our reader. */
async function measure(source: AsyncIterable<Uint8Array>): Promise<Partial<Expected>> {
  const hash = { items: createHash('sha256'), fields: createHash('sha256'), tags: createHash('sha256') };
  const severity: Record<string, number> = { '0': 0, '1': 0, '2': 0, '3': 0, '4': 0 };
  const perHost: Record<string, number> = {};
  const fields: Record<string, number> = {};
  const plugins = new Set<string | undefined>();
  const cves = new Set<string>();
  let host = '';
  let tags = 0;
  let outputChars = 0;
  let exploits = 0;
  let maxCvss3: number | null = null;
  const facts = await readExport(source, {
    onHost: (name) => {
      host = name;
      perHost[name] ??= 0;
    },
    onHostTag: (name, text) => {
      tags += 1;
      hash.tags.update(`${JSON.stringify([host, name, text])}\n`);
    },
    onItem: ({ attributes: a, elements }: RawItem) => {
      perHost[host] = (perHost[host] ?? 0) + 1;
      severity[a.severity ?? ''] = (severity[a.severity ?? ''] ?? 0) + 1;
      plugins.add(a.pluginID);
      hash.items.update(
        `${[host, a.pluginID ?? '', a.port ?? '', a.protocol ?? '', a.svc_name ?? '', a.severity ?? ''].join('|')}\n`,
      );
      const sorted = elements.map(([name, text], index) => ({ name, text, index }));
      sorted.sort((x, y) => (x.name === y.name ? x.index - y.index : x.name < y.name ? -1 : 1));
      for (const { name, text } of sorted) {
        fields[name] = (fields[name] ?? 0) + 1;
        hash.fields.update(
          `${JSON.stringify([host, a.pluginID ?? '', a.port ?? '', a.protocol ?? '', name, text])}\n`,
        );
        if (name === 'cve') cves.add(text.trim());
        if (name === 'plugin_output') outputChars += [...text].length;
        if (name === 'exploit_available' && text === 'true') exploits += 1;
        if (name === 'cvss3_base_score') maxCvss3 = Math.max(maxCvss3 ?? 0, Number(text));
      }
    },
  });
  return {
    report_name: facts.reportName,
    hosts: facts.hosts,
    items: facts.items,
    severity,
    plugins: plugins.size,
    cves: cves.size,
    max_cvss3: maxCvss3,
    exploit_available: exploits,
    plugin_output_chars: outputChars,
    per_host: perHost,
    host_tags: tags,
    fields,
    items_sha256: hash.items.digest('hex'),
    fields_sha256: hash.fields.digest('hex'),
    tags_sha256: hash.tags.digest('hex'),
  };
}

function countBy(texts: readonly unknown[]): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const text of texts) counts[String(text)] = (counts[String(text)] ?? 0) + 1;
  return counts;
}

/** Whole findings, made without storing them. */
async function findingsOf(bytes: Buffer): Promise<unknown[]> {
  const findings: unknown[] = [];
  const blocks = new Map<string, number>();
  let host = { name: '', uuid: undefined as string | undefined, ip: undefined as string | undefined };
  let make: ((item: RawItem) => unknown) | undefined;
  await readExport(chunks(bytes), {
    onHost: (name) => {
      host = { name, uuid: undefined, ip: undefined };
      make = undefined;
    },
    onHostTag: (name, text) => {
      if (name === 'host-uuid') host.uuid = text.trim() || undefined;
      if (name === 'host-ip') host.ip = text.trim() || undefined;
    },
    onItem: (item) => {
      if (!make) {
        const identity = host.uuid ?? host.name.toLowerCase();
        make = createFindingMaker(host, blocks.get(identity) ?? 0);
        blocks.set(identity, (blocks.get(identity) ?? 0) + 1);
      }
      findings.push(JSON.parse(JSON.stringify(make(item))));
    },
  });
  return findings;
}

async function tagsOf(bytes: Buffer): Promise<[string, string][]> {
  const tags: [string, string][] = [];
  await readExport(chunks(bytes), { onHostTag: (name, text) => tags.push([name, text]) });
  return tags;
}

const faultOf = async (source: AsyncIterable<Uint8Array>): Promise<string> => {
  try {
    await readExport(source, {});
    return 'none';
  } catch (error) {
    expect(error).toMatchObject({ code: 'invalid_export' });
    return (error as InvalidExportError).exportFault;
  }
};

let store: ResultsStore;
beforeAll(async () => {
  store = await createResultsStore({ memoryMb: 128, threads: 2 });
});
afterAll(async () => await store.close());

describe.each(valid.filter(({ expected }) => expected.has_report))('$name', ({ bytes, expected }) => {
  it('is read to the figures of another reader, text for text', async () => {
    const measured = await measure(chunks(bytes));
    expect(measured).toEqual(
      Object.fromEntries(Object.keys(measured).map((key) => [key, expected[key as keyof Expected]])),
    );
  });

  it('is refused when it breaks off anywhere', async () => {
    // what follows the root element, such as a line end, is no part of it
    const end = bytes.lastIndexOf('</NessusClientData_v2>') + '</NessusClientData_v2>'.length;
    for (const share of [0.02, 0.3, 0.6, 0.9, 0.999]) {
      expect([share, await faultOf(chunks(bytes.subarray(0, Math.floor(end * share))))]).toEqual([
        share,
        'malformed',
      ]);
    }
  });

  it('is stored with the same counts, every finding with an id of its own', async () => {
    const taskDir = await mkdtemp(join(tmpdir(), 'scanmq-findings-'));
    try {
      await writeFile(join(taskDir, 'scan_native.nessus'), bytes);
      const scan = { scanType: 'untrusted', targets: [], endedAs: 'completed' } as const;
      const { summary } = await ingestExport({ memoryMb: 128, taskDir, ...scan });
      const count = (level: number): number => expected.severity[String(level)] ?? 0;
      expect(summary).toMatchObject({
        hosts_scanned: expected.hosts,
        total_findings: expected.items,
        total_vulnerabilities: count(1) + count(2) + count(3) + count(4),
        severity_breakdown: {
          critical: count(4),
          high: count(3),
          medium: count(2),
          low: count(1),
          info: count(0),
        },
      });
      const results = await store.open(taskDir, { defaultProfile: 'full', extraMetadata: {}, scan });
      const { vulnerabilities: findings } = await results.query(resultsQuerySchema.parse({ page: 0 }));
      expect(new Set(findings.map((finding) => finding.finding_id)).size).toBe(expected.items);
      expect(findings.filter((finding) => finding.compliance === true)).toHaveLength(expected.compliance);
      expect(findings.filter((finding) => finding.exploit_available === true)).toHaveLength(
        expected.exploit_available,
      );
      expect(countBy(findings.flatMap((finding) => finding['cm:compliance-result'] ?? []))).toEqual(
        expected.compliance_results,
      );
      expect(new Set(findings.flatMap((finding) => finding.cve ?? [])).size).toBe(expected.cves);
      const complianceResults = expected.compliance_results;
      if (Object.keys(complianceResults).length > 0)
        expect(summary.compliance).toMatchObject({
          passed: complianceResults.PASSED ?? 0,
          failed: complianceResults.FAILED ?? 0,
          warning: complianceResults.WARNING ?? 0,
        });
      // field for field what the reader, whose figures are checked above, finds in the file
      expect(findings).toEqual(await findingsOf(bytes));
      const { hosts } = await results.hosts({ limit: 1_000 });
      expect(hosts.flatMap(({ properties }) => properties).sort()).toEqual((await tagsOf(bytes)).sort());
      expect(hosts.map(({ quality }) => quality.findings).reduce((a, b) => a + b, 0)).toBe(expected.items);
    } finally {
      await rm(taskDir, { recursive: true });
    }
  });
});

describe('a file that is no export', () => {
  it.each([...invalid, ...valid.filter(({ expected }) => !expected.has_report)])(
    '$name is refused',
    async ({ bytes, expected }) => {
      expect(await faultOf(chunks(bytes))).toBe(expected.kind ?? 'no_report');
    },
  );
});

describe('the reader', () => {
  it.each([
    ['dojo-was-one.nessus', 1],
    ['cloud-repeated-host.nessus', 13],
    ['cloud-repeated-host.nessus', 1_021],
    ['nessus-4.2-2009.nessus', 65_537],
  ])('does not depend on where its input is cut (%s, every %d bytes)', async (name, size) => {
    const sample = valid.find((candidate) => candidate.name === name);
    if (!sample) throw new Error('the sample is missing');
    expect(await measure(chunks(sample.bytes, size))).toEqual(await measure(chunks(sample.bytes)));
  });

  it('does not depend on where its input is cut, inside characters and line ends too', async () => {
    const bytes = Buffer.from(
      '\ufeff<?xml version="1.0"?>\r\n<NessusClientData_v2><Report name="Größe 𝒳">\r\n<ReportHost name="ü"><HostProperties><tag name="os">a\r\nb\rc</tag></HostProperties><ReportItem pluginID="1" port="0" protocol="tcp" severity="0"><plugin_output>\r\n€ 😀&#xd;\r\n&lt;&amp;]]&gt;<![CDATA[<b>\r\n😀]]></plugin_output><cve>CVE-1</cve></ReportItem></ReportHost></Report></NessusClientData_v2>\r\n',
    );
    const whole = await measure(chunks(bytes));
    // counted by hand: LF € blank 😀 CR LF < & ] ] > < b > LF 😀
    expect(whole.plugin_output_chars).toBe(16);
    await fc.assert(
      fc.asyncProperty(fc.uniqueArray(fc.integer({ min: 0, max: bytes.length })), async (cuts) => {
        const borders = [0, ...cuts.sort((a, b) => a - b), bytes.length];
        async function* pieces(): AsyncGenerator<Uint8Array> {
          for (const [index, border] of borders.slice(1).entries())
            yield bytes.subarray(borders[index], border);
        }
        expect(await measure(pieces())).toEqual(whole);
      }),
      { numRuns: 200 },
    );
  });

  // the parser under xml2js leaves carriage returns as they are: exports that hold one are read differently by design
  it.each(
    valid.filter(
      ({ bytes, expected }) => expected.items > 0 && bytes.length < 1_000_000 && !bytes.includes('\r'),
    ),
  )('agrees with xml2js, which reads the whole of $name another way', async ({ bytes }) => {
    const tree = await parseStringPromise(bytes.toString('utf8'), {
      explicitChildren: true,
      preserveChildrenOrder: true,
      includeWhiteChars: true,
      trim: false,
      normalize: false,
    });
    const second: unknown[] = [];
    for (const host of tree.NessusClientData_v2.Report[0].ReportHost) {
      for (const item of host.ReportItem ?? [])
        second.push([
          { ...item.$ },
          ((item.$$ ?? []) as { '#name': string; _?: string }[])
            .filter((child) => child['#name'] !== '__text__')
            .map((child) => [child['#name'], child._ ?? '']),
        ]);
    }
    const first: unknown[] = [];
    await readExport(chunks(bytes), {
      onItem: ({ attributes, elements }) =>
        first.push([{ ...attributes }, elements.map((element) => [...element])]),
    });
    expect(first).toEqual(second);
  });

  it.each([
    [
      'entities of its own',
      '<?xml version="1.0"?><!DOCTYPE x [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;">]><NessusClientData_v2><Report name="&b;"/></NessusClientData_v2>',
    ],
    [
      'an external subset',
      '<!DOCTYPE x SYSTEM "file:///etc/passwd"><NessusClientData_v2><Report name="x"/></NessusClientData_v2>',
    ],
    ['deep nesting', `<NessusClientData_v2>${'<a>'.repeat(10_000)}`],
    [
      'a huge attribute',
      `<NessusClientData_v2><Report name="${'x'.repeat(100_000)}"/></NessusClientData_v2>`,
    ],
    [
      'bytes that are not UTF-8',
      Buffer.concat([
        Buffer.from('<NessusClientData_v2><Report name="'),
        Buffer.from([0xff, 0xfe, 0xc0]),
        Buffer.from('"/></NessusClientData_v2>'),
      ]),
    ],
    ['an error message of a scanner', '{"error":"The requested file was not found."}'],
    ['binary', Buffer.from([0x00, 0x01, 0x02, 0x03])],
    ['nothing but blanks', ' \n '],
    ['a declaration and no more', '<?xml version="1.0"?>\n'],
    ['more than one root', '<NessusClientData_v2><Report name="x"/></NessusClientData_v2><a/>'],
    ['an encoding that nobody knows', '<?xml version="1.0" encoding="klingon"?><NessusClientData_v2/>'],
  ])('refuses %s', async (_, content) => {
    expect(await faultOf(chunks(Buffer.from(content)))).toBe('malformed');
  });

  it('takes out control characters that XML forbids, and says how many', async () => {
    const items: RawItem[] = [];
    const facts = await readExport(
      chunks(
        Buffer.from(
          '\ufeff<NessusClientData_v2><Report name="r"><ReportHost name="h"><ReportItem pluginID="1"><plugin_output>a\u0001\u001bb</plugin_output></ReportItem></ReportHost></Report></NessusClientData_v2>',
        ),
      ),
      { onItem: (item) => items.push(item) },
    );
    expect(items[0]?.elements).toEqual([['plugin_output', 'ab']]);
    expect(facts.removedCharacters).toBe(2);
  });

  it('reads UTF-16 by its byte order mark, and other encodings by their declaration', async () => {
    const text = '<NessusClientData_v2><Report name="Größe"/></NessusClientData_v2>';
    const utf16 = Buffer.concat([Buffer.from([0xff, 0xfe]), Buffer.from(text, 'utf16le')]);
    expect((await readExport(chunks(utf16), {})).reportName).toBe('Größe');
    const latin1 = Buffer.from(`<?xml version="1.0" encoding="ISO-8859-1"?>${text}`, 'latin1');
    expect((await readExport(chunks(latin1), {})).reportName).toBe('Größe');
  });

  it.each<[string, string, string]>([
    ['a text', `<plugin_output>${'x'.repeat(100_000)}`, ''],
    ['an item', `<a>${'x'.repeat(50_000)}</a><b>${'x'.repeat(50_000)}</b>`, ''],
    ['an attribute', '<a b="', 'x'.repeat(100_000)],
  ])('stops at %s that never ends, instead of collecting it', async (_, repeated, instead) => {
    let sent = 0;
    async function* endless(): AsyncGenerator<Uint8Array> {
      yield Buffer.from(
        '<NessusClientData_v2><Report name="r"><ReportHost name="h"><ReportItem pluginID="1">',
      );
      yield Buffer.from(repeated);
      for (; sent < 200_000_000; sent += 100_000)
        yield Buffer.from(instead || repeated.replace('<plugin_output>', ''));
    }
    expect(await faultOf(endless())).toBe('malformed');
    expect(sent).toBeLessThan(40_000_000);
  });

  it('needs no more memory for a host of 200 MB than for its largest item', async () => {
    const item = `<ReportItem port="1" pluginID="7"><plugin_output>${'x'.repeat(10_000)}</plugin_output></ReportItem>`;
    async function* large(): AsyncGenerator<Uint8Array> {
      yield Buffer.from('<NessusClientData_v2><Report name="r"><ReportHost name="h">');
      const chunk = Buffer.from(item.repeat(10));
      for (let i = 0; i < 2_000; i += 1) yield chunk;
      yield Buffer.from('</ReportHost></Report></NessusClientData_v2>');
    }
    let peak = 0;
    const before = process.memoryUsage().rss;
    const facts = await readExport(large(), {
      onItem: () => (peak = Math.max(peak, process.memoryUsage().rss)),
    });
    expect(facts.items).toBe(20_000);
    expect((peak - before) / 1024 / 1024).toBeLessThan(100);
  });
});
