/** Filters and sorting in SQL, against a slow and obvious second implementation over the same findings. */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import {
  type Filters,
  InvalidRequestError,
  parseAddress,
  parseTarget,
  type ResultsQuery,
  resultsQuerySchema,
  SEVERITY_NAMES,
  type Target,
} from '@scanmq/contract';
import fc from 'fast-check';
import { COMMON_FIELDS } from './fields.js';
import { numberIn } from './filters.js';
import { hasSeverity, severityOf } from './finding.js';
import { createResultsStore, type Finding, type Results, type ResultsStore } from './index.js';

const SCAN = { scanType: 'untrusted', targets: [], endedAs: 'completed' } as const;
const HOSTS = ['10.0.0.9', '10.0.0.10', '10.0.1.3', '2001:db8::5', 'App.example.test', 'größe.test'];
const ADDRESS_OF: Readonly<Record<string, string>> = { 'App.example.test': '10.0.0.200' };

const asXml = (text: string): string =>
  text.replace(/[<>&"']/g, (one) => `&#${one.codePointAt(0)};`).replaceAll('\r', '&#xd;');

const words = fc.constantFrom(
  '',
  'a',
  'OpenSSH 7',
  'Größe',
  '100%',
  "O'Brien",
  '7.5',
  ' 8 ',
  '>9',
  'true',
  '_x',
  'n/a',
);
const score = fc.oneof(
  fc.integer({ min: 0, max: 100 }).map((tenths) => String(tenths / 10)),
  fc.constant('n/a'),
);
const element = fc.oneof(
  fc.tuple(
    fc.constantFrom('synopsis', 'solution', 'plugin_output', 'see_also', 'made_up', 'risk_factor'),
    words,
  ),
  fc.tuple(fc.constantFrom('cve', 'xref'), fc.constantFrom('CVE-2024-1', 'CVE-2024-22', 'IAVA:7')),
  fc.tuple(fc.constantFrom('cvss3_base_score', 'cvss_base_score', 'vpr_score', 'unheard_of_score'), score),
  fc.tuple(fc.constantFrom('exploit_available', 'in_the_news'), fc.constantFrom('true', 'false', 'maybe')),
);
const item = fc.record({
  host: fc.constantFrom(...HOSTS),
  plugin: fc.constantFrom('0', '7', '10', '10881', '19506', 'odd'),
  severity: fc.constantFrom('0', '1', '2', '3', '4', '7', ''),
  port: fc.constantFrom('0', '22', '443', '8443'),
  elements: fc.array(element, { maxLength: 6 }),
});
type Item = typeof item extends fc.Arbitrary<infer T> ? T : never;

function exportOf(items: readonly Item[]): string {
  const hosts = HOSTS.map((host) => {
    const own = items.filter((one) => one.host === host);
    const address = ADDRESS_OF[host];
    const tag = address === undefined ? '' : `<tag name="host-ip">${address}</tag>`;
    return `<ReportHost name="${host}"><HostProperties>${tag}</HostProperties>${own
      .map(
        ({ plugin, severity, port, elements }) =>
          `<ReportItem port="${port}" svc_name="x" protocol="tcp" severity="${severity}" pluginID="${plugin}" pluginName="P ${plugin}" pluginFamily="F">${elements
            .map(([name, text]) => `<${name}>${asXml(text)}</${name}>`)
            .join('')}</ReportItem>`,
      )
      .join('')}</ReportHost>`;
  });
  return `<NessusClientData_v2><Report name="r">${hosts.join('')}</Report></NessusClientData_v2>`;
}

const field = fc.constantFrom(
  'host',
  'plugin_id',
  'plugin_name',
  'port',
  'synopsis',
  'solution',
  'plugin_output',
  'see_also',
  'made_up',
  'cve',
  'xref',
  'cvss_score',
  'cvss3_base_score',
  'vpr_score',
  'unheard_of_score',
  'exploit_available',
  'in_the_news',
  'finding_id',
  'host_ip',
);
const operator = fc.constantFrom('>', '>=', '<', '<=', '=', '> ');
const value = fc.oneof(
  words,
  fc.boolean(),
  fc.constant(null),
  fc.integer({ min: 0, max: 12 }),
  fc.tuple(operator, fc.integer({ min: 0, max: 120 })).map(([sign, tenths]) => `${sign}${tenths / 10}`),
  fc.constantFrom('cve-2024', '22', '10.0', 'TRUE', 'größe', 'ssh', '5'),
);
const leaf: fc.Arbitrary<Record<string, unknown>> = fc.oneof(
  { weight: 4, arbitrary: fc.tuple(field, value).map(([name, wanted]) => ({ [name]: wanted })) },
  { weight: 1, arbitrary: fc.record({ severity: fc.constantFrom('high', '>=medium', '<2', '=info', '3') }) },
  {
    weight: 1,
    arbitrary: fc.record({
      host: fc.constantFrom(
        '10.0.0.0/24',
        '10.0.0.9-10.0.0.255',
        '10.0.0.9',
        '2001:db8::/32',
        'EXAMPLE',
        '::/0',
      ),
    }),
  },
);
const group: fc.Arbitrary<Record<string, unknown>> = fc.letrec<{ group: Record<string, unknown> }>((tie) => ({
  group: fc.oneof(
    { maxDepth: 3 },
    leaf,
    fc.tuple(leaf, leaf).map(([a, b]) => ({ ...a, ...b })),
    fc.record({ or: fc.array(tie('group'), { minLength: 1, maxLength: 3 }) }),
    fc.record({ not: tie('group') }),
  ),
})).group;

// --- the slow and obvious implementation: filters as functions of a finding ---

type Predicate = (finding: Finding) => boolean;

const OPERATOR = /^(>=|<=|>|<|=)\s*(.+)$/s;
/** Groups within groups; the recursion below must not be driven to the end of the stack. */
const NESTING = 16;
const OPERATORS = '">7.0", ">=7.0", "<7.0", "<=7.0", "=7.0"';

/**
 * Compiles filters. All must match; a finding that lacks a field does not match a filter on it.
 * @param known fields of this export, beside those that every export may have.
 * @throws InvalidRequestError for an unknown field or operator, with the known ones.
 */
function compileFilters(filters: Filters | undefined, known: ReadonlySet<string>): Predicate {
  return compileGroup(filters ?? {}, known, 'filters');
}

function compileGroup(group: unknown, known: ReadonlySet<string>, path: string, depth = 0): Predicate {
  if (depth > NESTING) refuse('filters', `groups are nested more than ${NESTING} deep`);
  if (group === null || typeof group !== 'object' || Array.isArray(group))
    refuse(path, 'expected an object of filters');
  const parts = Object.entries(group).map(([field, value]) =>
    compileOne(field, value, known, `${path}.${field.slice(0, 60)}`, depth),
  );
  return (finding) => parts.every((part) => part(finding));
}

function compileOne(
  field: string,
  value: unknown,
  known: ReadonlySet<string>,
  path: string,
  depth: number,
): Predicate {
  if (field === 'or') {
    if (!Array.isArray(value) || value.length === 0)
      return refuse(path, 'expected a list of groups, for example [{"severity":"4"},{"host":"10.0.0.1"}]');
    const groups = value.map((group: unknown, index) =>
      compileGroup(group, known, `${path}.${index}`, depth + 1),
    );
    return (finding) => groups.some((group) => group(finding));
  }
  if (field === 'not') {
    const group = compileGroup(value, known, path, depth + 1);
    return (finding) => !group(finding);
  }
  if (!known.has(field)) {
    const names = [...new Set([...COMMON_FIELDS, ...known])].sort().join(', ');
    return refuse(path, `unknown field '${field.slice(0, 60)}'. Known fields: ${names}`);
  }
  if (value !== null && typeof value === 'object')
    return refuse(path, `expected a text, a number or true/false; operators are ${OPERATORS}`);
  if (field === 'severity' && value !== null) return compileSeverity(value, path);
  if ((field === 'host' || field === 'host_ip') && typeof value === 'string')
    return compileHost(field, value);
  return compileValue(field, value, path);
}

function refuse(path: string, message: string): never {
  throw new InvalidRequestError(`Bad filter: ${path}: ${message}.`, [{ path, message }]);
}

function compileSeverity(value: unknown, path: string): Predicate {
  const text = String(value).trim().toLowerCase();
  const [, operator = '=', word = text] = OPERATOR.exec(text) ?? [];
  const byName = (SEVERITY_NAMES as readonly string[]).indexOf(word);
  const level = byName >= 0 ? byName : Number(word);
  if (byName < 0 && !/^[0-4]$/.test(word)) {
    return refuse(
      path,
      `expected a severity: ${SEVERITY_NAMES.join(', ')} or 0 to 4, also with an operator such as ">=high"`,
    );
  }
  return (finding) => hasSeverity(finding) && compare(severityOf(finding), operator, level);
}

/** An address, range or network matches by address; anything else is a text like in every field. */
function compileHost(field: string, value: string): Predicate {
  const target = parseTarget(value.trim());
  const asText = compileText(field, value);
  if (!target || target.kind === 'name') return asText;
  const byAddress: Predicate = (finding) => within(finding.host, target) || within(finding.host_ip, target);
  return target.kind === 'address' ? (finding) => byAddress(finding) || asText(finding) : byAddress;
}

function within(host: unknown, target: Exclude<Target, { kind: 'name' }>): boolean {
  const address = parseAddress(String(host));
  return (
    address !== undefined &&
    address.family === target.family &&
    target.first <= address.value &&
    address.value <= target.last
  );
}

function compileValue(field: string, value: unknown, path: string): Predicate {
  if (value === null) return (finding) => finding[field] === undefined || finding[field] === null;
  if (typeof value === 'boolean') return (finding) => finding[field] === value;
  if (typeof value === 'number') return (finding) => anyOf(finding[field], (one) => toNumber(one) === value);
  const text = String(value);
  const match = OPERATOR.exec(text);
  if (!match) return compileText(field, text);
  const [, operator = '', operand = ''] = match;
  const number = toNumber(operand);
  if (number === undefined)
    return refuse(path, `expected a number after ${operator}; operators are ${OPERATORS}`);
  return (finding) =>
    anyOf(finding[field], (one) => {
      const actual = toNumber(one);
      return actual !== undefined && compare(actual, operator, number);
    });
}

function compileText(field: string, text: string): Predicate {
  const wanted = text.toLowerCase();
  return (finding) => anyOf(finding[field], (one) => String(one).toLowerCase().includes(wanted));
}

/** One element of a list is enough; a missing field has none. */
function anyOf(value: unknown, test: (one: unknown) => boolean): boolean {
  if (value === undefined || value === null) return false;
  return Array.isArray(value) ? value.some(test) : test(value);
}

function toNumber(value: unknown): number | undefined {
  if (typeof value === 'number') return value;
  return typeof value === 'string' ? numberIn(value) : undefined;
}

function compare(actual: number, operator: string, wanted: number): boolean {
  switch (operator) {
    case '>':
      return actual > wanted;
    case '>=':
      return actual >= wanted;
    case '<':
      return actual < wanted;
    case '<=':
      return actual <= wanted;
    default:
      return actual === wanted;
  }
}

// --- the tests ---

let store: ResultsStore;
beforeAll(async () => {
  store = await createResultsStore({ memoryMb: 128, threads: 2 });
});
afterAll(async () => await store.close());

async function withResults(items: readonly Item[], use: (results: Results) => Promise<void>): Promise<void> {
  const directory = await mkdtemp(join(tmpdir(), 'scanmq-questions-'));
  try {
    await writeFile(join(directory, 'scan_native.nessus'), exportOf(items));
    await use(await store.open(directory, { defaultProfile: 'full', extraMetadata: {}, scan: SCAN }));
  } finally {
    await rm(directory, { recursive: true });
  }
}

const ask = async (results: Results, query: Partial<ResultsQuery>): Promise<Finding[]> =>
  (await results.query(resultsQuerySchema.parse({ page: 0, ...query }))).vulnerabilities as Finding[];

describe('a filter', () => {
  it('finds what the obvious implementation finds, in the order of the export', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(item, { minLength: 1, maxLength: 40 }),
        fc.array(group, { minLength: 30, maxLength: 30 }),
        async (items, groups) => {
          await withResults(items, async (results) => {
            const all = await ask(results, {});
            expect(all).toHaveLength(items.length);
            const known = new Set([...COMMON_FIELDS, ...results.facts.fields, 'made_up', 'unheard_of_score']);
            for (const filters of groups as Filters[]) {
              if (!namesKnown(filters, new Set([...COMMON_FIELDS, ...results.facts.fields]))) continue;
              const expected = all.filter(compileFilters(filters, known)).map(({ finding_id: id }) => id);
              const found = (await ask(results, { filters })).map(({ finding_id: id }) => id);
              expect({ filters, found }).toEqual({ filters, found: expected });
            }
          });
        },
      ),
      { numRuns: 15 },
    );
  }, 300_000);
});

/** A filter on a field that this export does not have is refused, which is another test. */
function namesKnown(filters: Filters, known: ReadonlySet<string>): boolean {
  return Object.entries(filters).every(([name, inner]) =>
    name === 'or'
      ? (inner as Filters[]).every((one) => namesKnown(one, known))
      : name === 'not'
        ? namesKnown(inner as Filters, known)
        : known.has(name),
  );
}

/** What sorting means: numbers by value, hosts by address, texts without case; missing last; then the export's order. */
function obviousKey(finding: Finding, name: string): readonly (number | string | undefined)[] {
  const raw = finding[name];
  const value: unknown = Array.isArray(raw) ? raw[0] : raw;
  const text = value === undefined || value === '' ? undefined : String(value).toLowerCase();
  if (name === 'severity') return [/^[0-4]$/.test(String(value)) ? Number(value) : undefined];
  if (name === 'host') {
    // the order that people expect, by hand
    const order = ['10.0.0.9', '10.0.0.10', '10.0.1.3', '2001:db8::5', 'App.example.test', 'größe.test'];
    return [order.indexOf(String(value))];
  }
  if (name === 'port' || name === 'plugin_id')
    return [/^\d+$/.test(String(value)) ? Number(value) : undefined, text];
  if (name === 'exploit_available' || name.endsWith('_score')) {
    const number = typeof value === 'boolean' ? Number(value) : numberIn(text ?? '');
    return typeof raw === 'boolean' ? [number] : [number, text];
  }
  return [text];
}

function obviousOrder(
  findings: readonly Finding[],
  fields: readonly { name: string; sign: 1 | -1 }[],
): Finding[] {
  return findings
    .map((finding, place) => ({ finding, place }))
    .sort((a, b) => {
      for (const { name, sign } of fields) {
        const [left, right] = [obviousKey(a.finding, name), obviousKey(b.finding, name)];
        for (let i = 0; i < Math.max(left.length, right.length); i += 1) {
          const [x, y] = [left[i], right[i]];
          if (x === y) continue;
          if (x === undefined) return 1;
          if (y === undefined) return -1;
          const order =
            typeof x === 'number' && typeof y === 'number'
              ? x - y
              : Buffer.compare(Buffer.from(String(x)), Buffer.from(String(y)));
          if (order !== 0) return order * sign;
        }
      }
      return a.place - b.place;
    })
    .map(({ finding }) => finding);
}

describe('a sort order', () => {
  // fields whose values have the form expected in every export; the others are compared as texts
  const sorted = fc.uniqueArray(
    fc.constantFrom('severity', 'host', 'port', 'plugin_id', 'plugin_name', 'synopsis', 'cve', 'cvss_score'),
    { minLength: 1, maxLength: 3 },
  );
  it('is the one of the obvious implementation, page by page, by number and by cursor', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(item, { minLength: 1, maxLength: 60 }),
        fc.array(fc.tuple(sorted, fc.array(fc.boolean(), { minLength: 3, maxLength: 3 })), {
          minLength: 4,
          maxLength: 4,
        }),
        async (items, orders) => {
          await withResults(items, async (results) => {
            const all = await ask(results, {});
            for (const [names, directions] of orders) {
              const fields = names.map((name, i) => ({
                name,
                sign: directions[i] ? (-1 as const) : (1 as const),
              }));
              const sort = fields.map(({ name, sign }) => `${sign < 0 ? '-' : ''}${name}`).join(',');
              const expected = obviousOrder(all, fields).map(({ finding_id: id }) => id);
              const ids = (found: readonly Finding[]): unknown[] => found.map(({ finding_id: id }) => id);
              expect({ sort, ids: ids(await ask(results, { sort })) }).toEqual({ sort, ids: expected });
              const paged: unknown[] = [];
              let query: Partial<ResultsQuery> = { page: 1 };
              for (;;) {
                const answer = await results.query(
                  resultsQuerySchema.parse({ sort, page_size: 10, ...query }),
                );
                expect(answer.schema.total_vulnerabilities).toBe(items.length);
                paged.push(...ids(answer.vulnerabilities as Finding[]));
                if (!answer.pagination?.next_cursor) break;
                query = { cursor: answer.pagination.next_cursor };
              }
              expect(paged).toEqual(expected);
              const streamed: unknown[] = [];
              const { stream, total } = await results.findings({ sort }, ['finding_id']);
              for await (const finding of stream()) streamed.push(finding.finding_id);
              expect([total, streamed]).toEqual([items.length, expected]);
            }
          });
        },
      ),
      { numRuns: 12 },
    );
  }, 300_000);
});

describe('a cursor', () => {
  it('is refused for another question, and when it is none', async () => {
    const items: Item[] = Array.from({ length: 25 }, () => ({
      host: '10.0.0.9',
      plugin: '7',
      severity: '2',
      port: '22',
      elements: [],
    }));
    await withResults(items, async (results) => {
      const first = await results.query(resultsQuerySchema.parse({ page_size: 10 }));
      const cursor = first.pagination?.next_cursor ?? '';
      const refused = { code: 'invalid_request', issues: [expect.objectContaining({ path: 'cursor' })] };
      for (const query of [
        { cursor, page_size: 10, sort: 'host' },
        { cursor: 'nonsense' },
        { cursor: Buffer.from('[-1,"x"]').toString('base64url') },
      ])
        await expect(results.query(resultsQuerySchema.parse(query))).rejects.toMatchObject(refused);
    });
  });
});
