/** `scanners.yaml` (contract section 6), or the one scanner that the environment describes. */
import { readFileSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import { type InputIssue, poolNameSchema } from '@scanmq/contract';
import { LineCounter, parseDocument } from 'yaml';
import { ConfigError } from './config-error.js';
import {
  PRINCIPALS,
  type ReportMistake,
  readPool,
  readPrincipals,
  readTargetLimits,
  TARGET_LIMITS,
} from './fleet-rules.js';
import { fillPlaceholders } from './placeholders.js';
import { readInstance } from './scanner-instance.js';
import { readSecretFile, withSecretFiles } from './secret-files.js';
import type { Environment, PoolRules, ScannerInstanceConfig, ScannersConfig, Settings } from './types.js';

export type ScannersSource = Pick<Settings, 'scannerConfigFile' | 'maxConcurrentScans'>;

/**
 * Reads the scanners: from `scanners.yaml` where there is one, otherwise from `NESSUS_URL` and its like.
 * @throws ConfigError that lists every mistake with its place, such as `nessus[0].url`.
 */
export function readScannersConfig(settings: ScannersSource, given: Environment): ScannersConfig {
  const issues: InputIssue[] = [];
  const env = withSecretFiles(given, (path, message) => void issues.push({ path, message }));
  if (issues.length > 0) throw new ConfigError('The environment', issues);
  const file = readFileIfThere(settings.scannerConfigFile);
  if (file !== undefined) return fromFile(file, settings, env);
  if (env.NESSUS_URL?.trim()) return fromEnvironment(settings, env);
  throw new ConfigError('The list of scanners', [
    {
      path: 'SCANNER_CONFIG',
      message: `there is no file ${settings.scannerConfigFile}. Copy config/scanners.example.yaml there, or set NESSUS_URL with NESSUS_USERNAME and NESSUS_PASSWORD (or NESSUS_ACCESS_KEY and NESSUS_SECRET_KEY)`,
    },
  ]);
}

/** @throws ConfigError when there is something that cannot be read. */
function readFileIfThere(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    const code = errorCode(error);
    if (code === 'ENOENT') return undefined;
    throw new ConfigError('The list of scanners', [
      { path: 'SCANNER_CONFIG', message: `${path} cannot be read (${code})` },
    ]);
  }
}

function errorCode(error: unknown): string {
  return typeof error === 'object' && error !== null && 'code' in error ? String(error.code) : 'unknown';
}

function fromEnvironment(settings: ScannersSource, env: Environment): ScannersConfig {
  const issues: InputIssue[] = [];
  const variables = {
    url: 'NESSUS_URL',
    username: 'NESSUS_USERNAME',
    password: 'NESSUS_PASSWORD',
    access_key: 'NESSUS_ACCESS_KEY',
    secret_key: 'NESSUS_SECRET_KEY',
    ca_file: 'NESSUS_CA_FILE',
    tls_fingerprint: 'NESSUS_TLS_FINGERPRINT',
  };
  const entry = Object.fromEntries(Object.entries(variables).map(([key, name]) => [key, env[name] ?? '']));
  const instance = readInstance(
    { ...entry, instance_id: 'scanner1' },
    {
      pool: 'nessus',
      place: (key) => new Map(Object.entries(variables)).get(key) ?? 'NESSUS_URL',
      issues,
      baseDir: process.cwd(),
      defaultLimit: settings.maxConcurrentScans,
    },
  );
  if (!instance) throw new ConfigError('The scanner in the environment', issues);
  return {
    pools: new Map([['nessus', [instance]]]),
    defaultPool: 'nessus',
    poolRules: new Map(),
    targetRules: [],
    principalRules: new Map(),
  };
}

function fromFile(file: string, settings: ScannersSource, env: Environment): ScannersConfig {
  const subject = settings.scannerConfigFile;
  const document = readYaml(file, subject);
  if (document === null || typeof document !== 'object' || Array.isArray(document)) {
    throw new ConfigError(subject, [
      { path: '(file)', message: 'expected a mapping from pool names to lists of instances' },
    ]);
  }
  const issues: InputIssue[] = [];
  const pools = new Map<string, readonly ScannerInstanceConfig[]>();
  const poolRules = new Map<string, PoolRules>();
  const report: ReportMistake = (path, message) => void issues.push({ path, message });
  const fill = (value: unknown, place: string): unknown =>
    fillPlaceholders(value, {
      env,
      readFile: (path) => readSecretFile(resolve(dirname(subject), path)),
      onMissing: (path, { kind, name }) =>
        report(
          [place, ...path].join('.'),
          kind === 'file'
            ? `the file ${name} cannot be read, or is larger than a secret`
            : `the variable ${name} is not set; set it, or give a default: \${${name}:-default}`,
        ),
    });
  const {
    [TARGET_LIMITS]: targetLimits,
    [PRINCIPALS]: principals,
    ...sections
  } = document as Record<string, unknown>;
  const targetRules = readTargetLimits(fill(targetLimits ?? [], TARGET_LIMITS), report);
  const principalRules = readPrincipals(fill(principals ?? {}, PRINCIPALS), report);
  for (const [pool, section] of Object.entries(sections)) {
    const name = poolNameSchema.safeParse(pool);
    if (!name.success)
      issues.push({ path: pool, message: `expected ${name.error.issues[0]?.message ?? 'a pool name'}` });
    let entries: readonly unknown[] = Array.isArray(section) ? (section as unknown[]) : [];
    if (section !== null && typeof section === 'object' && !Array.isArray(section)) {
      const { instances, ...rules } = section as Record<string, unknown>;
      const read = readPool({ instances: instances ?? [], ...(fill(rules, pool) as object) }, pool, report);
      if (!read) continue;
      entries = read.instances;
      poolRules.set(pool, read.rules);
    }
    if (entries.length === 0) {
      report(pool, 'expected a list with at least one instance, or a mapping with such a list as instances');
      continue;
    }
    const filled = entries.map((entry, index) => fill(entry, `${pool}[${index}]`));
    const instances = filled.map((entry, index) =>
      readInstance(entry, {
        pool,
        place: (key) => `${pool}[${index}]${key === '' ? '' : `.${key}`}`,
        issues,
        baseDir: dirname(settings.scannerConfigFile),
        defaultLimit: settings.maxConcurrentScans,
      }),
    );
    for (const [index, instance] of instances.entries()) {
      const first = instances.findIndex((other) => other && other.instanceId === instance?.instanceId);
      if (instance && first < index) {
        issues.push({
          path: `${pool}[${index}].instance_id`,
          message: `expected an id of its own; ${pool}[${first}] has the same`,
        });
      }
    }
    const firstType = instances.findIndex((instance) => instance !== undefined);
    for (const [index, instance] of instances.entries()) {
      const expected = instances[firstType]?.type;
      if (instance && expected !== undefined && instance.type !== expected) {
        issues.push({
          path: `${pool}[${index}].type`,
          message: `expected ${expected}, as ${pool}[${firstType}]: all instances of a pool are of one type; give the other type a pool of its own`,
        });
      }
    }
    pools.set(
      pool,
      instances.filter((instance) => instance !== undefined),
    );
  }
  if (pools.size === 0 && issues.length === 0)
    issues.push({ path: '(file)', message: 'expected at least one pool' });
  if (issues.length > 0) throw new ConfigError(subject, issues);
  const [first = 'nessus'] = pools.keys();
  return {
    pools,
    defaultPool: pools.has('nessus') ? 'nessus' : first,
    poolRules,
    targetRules,
    principalRules,
  };
}

/** @throws ConfigError with line and column of each mistake. The words of the parser quote the file, so they are not used. */
function readYaml(file: string, subject: string): unknown {
  const lines = new LineCounter();
  const document = parseDocument(file, { lineCounter: lines, prettyErrors: false });
  const issues = [...document.errors, ...document.warnings].map(({ code, pos: [offset] }) => {
    const { line, col } = lines.linePos(offset);
    return {
      path: `line ${line}, column ${col}`,
      message: `expected valid YAML (${code.toLowerCase().replaceAll('_', ' ')})`,
    };
  });
  if (issues.length > 0) throw new ConfigError(subject, issues);
  try {
    return document.toJS();
  } catch (error) {
    throw new ConfigError(subject, [
      { path: '(file)', message: `expected valid YAML (${error instanceof Error ? error.name : 'error'})` },
    ]);
  }
}
