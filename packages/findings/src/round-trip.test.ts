/** A report that is written out at random is read, stored and answered as it was. */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from '@jest/globals';
import { resultsQuerySchema } from '@scanmq/contract';
import fc from 'fast-check';
import { createResultsStore, type RawItem, type ResultsStore, readExport } from './index.js';

let store: ResultsStore;
beforeAll(async () => {
  store = await createResultsStore({ memoryMb: 128, threads: 2 });
});
afterAll(async () => await store.close());

// whatever XML 1.0 allows in a text
const character = fc.oneof(
  { weight: 6, arbitrary: fc.integer({ min: 0x20, max: 0x7e }).map((code) => String.fromCodePoint(code)) },
  {
    weight: 2,
    arbitrary: fc.constantFrom('<', '>', '&', '"', "'", '\n', '\t', '\r', ']]>', '\u00a0', '€', '😀'),
  },
  {
    weight: 1,
    arbitrary: fc.integer({ min: 0xe000, max: 0xfffd }).map((code) => String.fromCodePoint(code)),
  },
);
const text = fc.array(character, { maxLength: 30 }).map((parts) => parts.join(''));
const name = fc.constantFrom(
  'synopsis',
  'cve',
  'see_also',
  'plugin_output',
  'cvss3_base_score',
  'made-up',
  'cm:odd',
  'type',
);
const item = fc.record({
  attributes: fc.record({
    port: fc.constantFrom('0', '443'),
    svc_name: text,
    protocol: fc.constantFrom('tcp', 'UDP', ''),
    severity: fc.constantFrom('0', '4', '9'),
    pluginID: fc.constantFrom('1', '2'),
    pluginName: text,
    pluginFamily: text,
  }),
  elements: fc.array(fc.tuple(name, text), { maxLength: 8 }),
});
const host = fc.record({
  name: fc.constantFrom('10.0.0.1', 'b.test', 'c d'),
  tags: fc.array(fc.tuple(fc.constantFrom('host-fqdn', 'os', 'odd tag'), text), { maxLength: 4 }),
  items: fc.array(item, { maxLength: 5 }),
});
const report = fc.record({ name: text, hosts: fc.array(host, { maxLength: 4 }) });
type Report = typeof report extends fc.Arbitrary<infer T> ? T : never;

const asText = (raw: string): string =>
  raw.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;').replaceAll('\r', '&#13;');
const asAttribute = (raw: string): string =>
  asText(raw).replaceAll('"', '&quot;').replaceAll('\n', '&#10;').replaceAll('\t', '&#9;');

function written({ name: reportName, hosts }: Report): string {
  const blocks = hosts.map(
    (one) =>
      `<ReportHost name="${asAttribute(one.name)}"><HostProperties>${one.tags
        .map(([tag, value]) => `<tag name="${asAttribute(tag)}">${asText(value)}</tag>`)
        .join('\n')}</HostProperties>${one.items
        .map(
          ({ attributes, elements }) =>
            `<ReportItem ${Object.entries(attributes)
              .map(([key, value]) => `${key}="${asAttribute(value)}"`)
              .join(' ')}>\n${elements
              .map(([element, value]) => `<${element}>${asText(value)}</${element}>`)
              .join('\n')}</ReportItem>`,
        )
        .join('')}</ReportHost>`,
  );
  return `<?xml version="1.0" ?>\n<NessusClientData_v2><Report name="${asAttribute(reportName)}">${blocks.join('\n')}</Report></NessusClientData_v2>`;
}

it('is read back the same, and answered the same', async () => {
  const directory = await mkdtemp(join(tmpdir(), 'scanmq-round-trip-'));
  try {
    await fc.assert(
      fc.asyncProperty(report, async (given) => {
        const bytes = Buffer.from(written(given));
        const read: { name: string; tags: [string, string][]; items: RawItem[] }[] = [];
        async function* whole(): AsyncGenerator<Uint8Array> {
          yield bytes;
        }
        const facts = await readExport(whole(), {
          onHost: (hostName) => read.push({ name: hostName, tags: [], items: [] }),
          onHostTag: (tag, value) => read.at(-1)?.tags.push([tag, value]),
          onItem: (one) => read.at(-1)?.items.push(one),
        });
        expect(facts.reportName).toBe(given.name);
        expect(
          read.map((one) => ({
            ...one,
            items: one.items.map(({ attributes, elements }) => ({ attributes: { ...attributes }, elements })),
          })),
        ).toEqual(given.hosts);

        await writeFile(join(directory, 'scan_native.nessus'), bytes);
        await rm(join(directory, 'results.json'), { force: true });
        const results = await store.open(directory, {
          defaultProfile: 'full',
          extraMetadata: {},
          scan: { scanType: 'untrusted', targets: [], endedAs: 'completed' },
        });
        const answer = await results.query(resultsQuerySchema.parse({ page: 0 }));
        const items = given.hosts.flatMap((one) => one.items.map((inner) => ({ host: one.name, ...inner })));
        expect(answer.vulnerabilities).toHaveLength(items.length);
        for (const [index, { host: hostName, attributes, elements }] of items.entries()) {
          const finding: Record<string, unknown> = answer.vulnerabilities[index] ?? {};
          expect([finding.host, finding.plugin_id, finding.port, finding.protocol, finding.severity]).toEqual(
            [hostName, attributes.pluginID, attributes.port, attributes.protocol, attributes.severity],
          );
          for (const element of new Set(elements.map(([one]) => one))) {
            const values = elements.filter(([one]) => one === element).map(([, value]) => value);
            const stored = [finding[element === 'type' ? 'type_element' : element]].flat();
            // lists are trimmed, and numbers are numbers
            const form = (value: unknown): string =>
              element === 'cve'
                ? String(value).trim()
                : element === 'cvss3_base_score' &&
                    String(value).trim() !== '' &&
                    Number.isFinite(Number(value))
                  ? String(Number(value))
                  : String(value);
            expect(stored.map(String)).toEqual(values.map(form));
          }
        }
      }),
      { numRuns: 60 },
    );
  } finally {
    await rm(directory, { recursive: true });
  }
  // each report is stored and asked: on a busy machine that takes more than a second
}, 300_000);
