/** Which findings the rules of an ignore file cover, found by joins: rules can be hundreds, and findings a million. */
import { type IgnoreRule, parseTarget } from '@scanmq/contract';
import type { FindingsEngine } from './engine.js';
import { hostKey, keyRange } from './host-key.js';
import type { TableFiles } from './rows.js';

type Session = Pick<FindingsEngine, 'rows'>;

/** A rule as the engine sees it; null where it does not care. */
interface RuleRow {
  readonly rule: number;
  readonly plugin_id: string | null;
  readonly cve: string | null;
  readonly first_key: string | null;
  readonly last_key: string | null;
  readonly port: number | null;
  readonly finding_id: string | null;
}

const COLUMNS: Readonly<Record<keyof RuleRow, string>> = {
  rule: 'INTEGER',
  plugin_id: 'VARCHAR',
  cve: 'VARCHAR',
  first_key: 'VARCHAR',
  last_key: 'VARCHAR',
  port: 'INTEGER',
  finding_id: 'VARCHAR',
};

/** What a selector asks of a finding `f`, a rule `r`, and the tables below. */
const JOINS = {
  plugin_id: 'f.plugin_id = r.plugin_id',
  cve: 'c.plugin_ref = f.plugin_ref AND c.cve = r.cve',
  first_key: 'h.rule = r.rule AND h.host_no = f.host_no',
  port: 'f.port_no = r.port',
  finding_id: 'f.finding_id = r.finding_id',
} as const;
type Selector = keyof typeof JOINS;

/**
 * Makes the temporary table `covered` (rule, ord): a row for each finding that a rule covers, however many rules do.
 * Rules that name the same selectors are joined together, so that each join is one of equal values.
 */
export async function coverFindings(
  session: Session,
  files: TableFiles,
  rules: readonly IgnoreRule[],
): Promise<void> {
  await session.rows('CREATE TEMP TABLE covered (rule INTEGER, ord INTEGER)');
  if (rules.length === 0) return;
  const rows = rules.map(rowOf);
  await session.rows(
    `CREATE TEMP TABLE rules AS SELECT r.* FROM (SELECT unnest(from_json($rules, '[${JSON.stringify(COLUMNS)}]')) AS r)`,
    { rules: JSON.stringify(rows) },
  );
  // hosts are few beside findings: ranges are compared with each of them once
  await session.rows(
    `CREATE TEMP TABLE rule_hosts AS
       SELECT DISTINCT r.rule, h.host_no
       FROM rules r JOIN (SELECT DISTINCT host_no, host_key, ip_key FROM read_parquet($findings)) h
         ON h.host_key BETWEEN r.first_key AND r.last_key
           OR coalesce(h.ip_key BETWEEN r.first_key AND r.last_key, false)`,
    { findings: files.findings },
  );
  await session.rows(
    `CREATE TEMP TABLE rule_cves AS
       SELECT plugin_ref, cve FROM (
         SELECT plugin_ref, upper(trim(unnest(cve))) AS cve FROM read_parquet($plugins)
       ) SEMI JOIN rules USING (cve)`,
    { plugins: files.plugins },
  );
  for (const selectors of shapesOf(rows)) await cover(session, files, selectors);
}

function rowOf(rule: IgnoreRule, index: number): RuleRow {
  const [first, last] = rule.host === undefined ? [null, null] : keysOf(rule.host);
  return {
    rule: index,
    plugin_id: rule.plugin_id ?? null,
    cve: rule.cve?.toUpperCase() ?? null,
    first_key: first,
    last_key: last,
    port: rule.port ?? null,
    finding_id: rule.finding_id ?? null,
  };
}

/** Of a name both are its own: it covers that host only, never one whose name holds it. */
function keysOf(host: string): readonly [first: string, last: string] {
  const target = parseTarget(host.trim());
  if (target && target.kind !== 'name') return keyRange(target);
  const key = hostKey(target?.text ?? host);
  return [key, key];
}

const SELECTORS = Object.keys(JOINS) as Selector[];

/** Which selectors occur together. */
function shapesOf(rows: readonly RuleRow[]): Selector[][] {
  const shapes = new Map(
    rows.map((row) => {
      const shape = SELECTORS.filter((selector) => row[selector] !== null);
      return [shape.join(), shape];
    }),
  );
  return [...shapes.values()];
}

async function cover(session: Session, files: TableFiles, selectors: readonly Selector[]): Promise<void> {
  const ofShape = SELECTORS.map(
    (selector) => `r.${selector} IS ${selectors.includes(selector) ? 'NOT NULL' : 'NULL'}`,
  );
  const tables = [
    '(SELECT ord, plugin_ref, host_no, plugin_id, port_no, finding_id FROM read_parquet($findings)) f',
    'rules r',
    ...(selectors.includes('cve') ? ['rule_cves c'] : []),
    ...(selectors.includes('first_key') ? ['rule_hosts h'] : []),
  ];
  await session.rows(
    `INSERT INTO covered SELECT DISTINCT r.rule, f.ord FROM ${tables.join(', ')}
     WHERE ${[...ofShape, ...selectors.map((selector) => JOINS[selector])].join(' AND ')}`,
    { findings: files.findings },
  );
}
