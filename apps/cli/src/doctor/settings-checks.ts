/** Checks of what this machine itself has: Node, settings, the list of scanners, the data directory. */
import { randomBytes } from 'node:crypto';
import { access, constants, open, readFile, rm, stat, statfs } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import {
  ConfigError,
  type Environment,
  readScannersConfig,
  readSettings,
  type ScannersConfig,
  type Settings,
} from '@scanmq/config';
import { ok, problem, skipped, type Verdict, warning } from './check.js';

const GIGABYTE = 1024 ** 3;
const LEAST_FREE_BYTES = GIGABYTE;
const LEAST_FREE_SHARE = 0.1;
/** Others than owner and group may read. */
const WORLD_READABLE = 0o004;
/** Variables that hold secrets, where they stand in a file `.env`. */
const SECRET_LINE =
  /^\s*(?:export\s+)?(CREDENTIALS_KEY|NESSUS_PASSWORD|NESSUS_SECRET_KEY|SCANMQ_API_KEY)\s*=\s*\S/m;

/** @param engines as in package.json: `>=20.19`. */
export function checkNode(version: string, engines: string): Verdict {
  const least = /^>=\s*(\d+)\.(\d+)/.exec(engines);
  const have = /^v?(\d+)\.(\d+)/.exec(version);
  if (!least || !have) return skipped('node.version', `Node ${version}; needed is ${engines}.`);
  const [, leastMajor, leastMinor] = least.map(Number) as [number, number, number];
  const [, major, minor] = have.map(Number) as [number, number, number];
  return major > leastMajor || (major === leastMajor && minor >= leastMinor)
    ? ok('node.version', `Node ${version}; needed is ${engines}.`)
    : problem(
        'node.version',
        `Node ${version} is too old; needed is ${engines}.`,
        'Install a newer Node, for example the current LTS from https://nodejs.org.',
      );
}

export interface SettingsLook {
  readonly verdicts: readonly Verdict[];
  /** With the defaults in place of what is wrong, so that the other checks can go on. */
  readonly settings: Settings;
  /** Variables that are wrong: what depends on them cannot be judged. */
  readonly wrong: ReadonlySet<string>;
}

export function checkSettings(env: Environment): SettingsLook {
  const wrong = new Set<string>();
  const verdicts: Verdict[] = [];
  let settings: Settings | undefined;
  // a relation between two variables shows only once each of them is right by itself
  for (let left: Environment = env; settings === undefined; ) {
    try {
      settings = readSettings(left);
    } catch (error) {
      if (!(error instanceof ConfigError)) throw error;
      for (const { path, message } of error.issues) {
        wrong.add(path);
        verdicts.push(
          problem(
            `settings.${path}`,
            `${path}: ${message}.`,
            'Correct it in the environment or in .env; .env.example describes every variable.',
          ),
        );
      }
      // what was left out and is needed by another is wrong together with it
      const named = new Set([
        ...wrong,
        ...error.issues.flatMap(({ message }) => message.match(/[A-Z][A-Z0-9_]{4,}/g) ?? []),
      ]);
      left = Object.fromEntries(Object.entries(left).filter(([name]) => !named.has(name)));
    }
  }
  if (wrong.size === 0) verdicts.push(ok('settings.variables', 'All variables are valid.'));
  if (!wrong.has('CREDENTIALS_KEY'))
    verdicts.push(
      settings.credentialsKey
        ? ok('settings.credentials-key', 'CREDENTIALS_KEY is set: scans may log in.')
        : warning(
            'settings.credentials-key',
            'CREDENTIALS_KEY is not set: scans that log in are refused.',
            'Make a key with "openssl rand -base64 32" and set it, the same for all gateways and workers.',
          ),
    );
  return { verdicts, settings, wrong };
}

/** Whether everybody on this machine can read the secrets of `.env`. */
export async function checkEnvFile(path: string): Promise<readonly Verdict[]> {
  const found = await readIfThere(path);
  if (found === undefined || !SECRET_LINE.test(found.text) || (found.mode & WORLD_READABLE) === 0) return [];
  return [
    warning(
      'settings.env-file',
      `Everybody on this machine can read the secrets in ${path}.`,
      `chmod 600 ${path}`,
    ),
  ];
}

export interface ScannersLook {
  readonly verdicts: readonly Verdict[];
  /** Undefined when the list is broken. */
  readonly scanners: ScannersConfig | undefined;
}

export async function checkScannerList(settings: Settings, env: Environment): Promise<ScannersLook> {
  const name = 'settings.scanners';
  const { scannerConfigFile: path } = settings;
  try {
    const scanners = readScannersConfig(settings, env);
    const instances = [...scanners.pools.values()].flat();
    const file = await readIfThere(path);
    const from = file === undefined ? 'NESSUS_URL and its like' : path;
    const verdicts = [
      ok(
        name,
        `${count(instances.length, 'scanner')} in ${count(scanners.pools.size, 'pool')}, from ${from}.`,
      ),
    ];
    const written = instances.some(({ auth, headers }) =>
      [auth.kind === 'session' ? auth.password : auth.secretKey, ...Object.values(headers)].some(
        (secret) => secret !== '' && file?.text.includes(secret),
      ),
    );
    if (file !== undefined && written && (file.mode & WORLD_READABLE) !== 0)
      verdicts.push(
        warning(
          'settings.scanners-file',
          `Everybody on this machine can read the passwords in ${path}.`,
          `chmod 640 ${path}, or write \${VARIABLE} in their place.`,
        ),
      );
    return { verdicts, scanners };
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    return {
      scanners: undefined,
      verdicts: error.issues.map(({ path: place, message }) =>
        problem(
          name,
          `${error.subject}: ${place}: ${message}.`,
          'Correct the list of scanners; config/scanners.example.yaml shows every key.',
        ),
      ),
    };
  }
}

async function readIfThere(path: string): Promise<{ text: string; mode: number } | undefined> {
  try {
    return { text: await readFile(path, 'utf8'), mode: (await stat(path)).mode };
  } catch {
    return undefined;
  }
}

/** Whether the directory of the results can be written, and has room. */
export async function checkData(dataDir: string): Promise<readonly Verdict[]> {
  const place = await nearestDirectory(dataDir);
  if (place === undefined)
    return [
      problem(
        'data.directory',
        `${dataDir} cannot be made: something on the way to it is no directory.`,
        'Set DATA_DIR to a directory, the same for gateways and workers.',
      ),
    ];
  const room = await checkRoom(place);
  const refusal = place === dataDir ? await tryToWrite(dataDir) : await refusalOf(place);
  if (refusal !== undefined)
    return [
      problem(
        'data.directory',
        place === dataDir
          ? `${dataDir} cannot be written (${refusal}).`
          : `${dataDir} does not exist, and cannot be made in ${place} (${refusal}).`,
        refusal === 'ENOSPC'
          ? 'Make room on this disk; "scanmq housekeeping" tells what is past its retention.'
          : 'Give the user of scanmq the right to write there, or set DATA_DIR to another directory.',
      ),
      ...room,
    ];
  return [
    ok(
      'data.directory',
      place === dataDir ? `${dataDir} can be written.` : `${dataDir} does not exist yet; it will be made.`,
    ),
    ...room,
  ];
}

/** Whether the bucket of the results answers, for whoever we are there. */
export async function checkBucket(
  settings: Pick<Settings, 's3' | 'dataDir' | 'resultCacheBytes'>,
): Promise<Verdict> {
  const { openResultStore } = await import('@scanmq/store');
  const store = await openResultStore(settings);
  try {
    await store.check();
    return ok('data.bucket', `The bucket ${settings.s3?.bucket} can be used.`);
  } catch (error) {
    return problem(
      'data.bucket',
      `The bucket ${settings.s3?.bucket} cannot be used: ${error instanceof Error ? error.message : String(error)}`,
      'Look at S3_ENDPOINT, S3_BUCKET, S3_REGION and the keys; whoever uses it has to list, read, write and delete.',
    );
  } finally {
    await store.close();
  }
}

/** The directory itself, or the nearest one above that exists; undefined where a file is in the way. */
async function nearestDirectory(path: string): Promise<string | undefined> {
  for (let place = path; ; place = dirname(place)) {
    try {
      return (await stat(place)).isDirectory() ? place : undefined;
    } catch (error) {
      const code = codeOf(error);
      if (code === 'ENOTDIR' || dirname(place) === place) return undefined;
      if (code !== 'ENOENT') return place;
    }
  }
}

async function refusalOf(directory: string): Promise<string | undefined> {
  return await access(directory, constants.W_OK | constants.X_OK).then(() => undefined, codeOf);
}

/** Permissions do not tell all: disks are full, and file systems read-only. */
async function tryToWrite(directory: string): Promise<string | undefined> {
  const path = join(directory, `.doctor-${randomBytes(6).toString('hex')}`);
  try {
    const file = await open(path, 'wx', 0o600);
    try {
      await file.writeFile('scanmq doctor\n');
      await file.sync();
    } finally {
      await file.close();
    }
    return undefined;
  } catch (error) {
    return codeOf(error);
  } finally {
    await rm(path, { force: true }).catch(() => undefined);
  }
}

async function checkRoom(directory: string): Promise<readonly Verdict[]> {
  const { bsize, bavail, blocks, files, ffree } = await statfs(directory);
  return judgeRoom({
    freeBytes: bavail * bsize,
    totalBytes: blocks * bsize,
    freeFiles: ffree,
    totalFiles: files,
  });
}

/** @param room files are 0 where the file system makes as many as wanted. */
export function judgeRoom(room: {
  readonly freeBytes: number;
  readonly totalBytes: number;
  readonly freeFiles: number;
  readonly totalFiles: number;
}): readonly Verdict[] {
  const share = room.totalBytes === 0 ? 1 : room.freeBytes / room.totalBytes;
  const free = `${(room.freeBytes / GIGABYTE).toFixed(1)} GB (${Math.floor(share * 100)} %) of the disk are free.`;
  const verdicts = [
    room.freeBytes < LEAST_FREE_BYTES || share < LEAST_FREE_SHARE
      ? warning(
          'data.space',
          free,
          'Make room, or keep results for a shorter time (RETENTION_COMPLETED_DAYS); "scanmq housekeeping" tells what could go.',
        )
      : ok('data.space', free),
  ];
  if (room.totalFiles > 0 && room.freeFiles / room.totalFiles < LEAST_FREE_SHARE)
    verdicts.push(
      warning(
        'data.inodes',
        `${Math.floor((room.freeFiles / room.totalFiles) * 100)} % of the inodes of the disk are free.`,
        'Remove files that nobody needs from this disk, or use one with more inodes: each task has a directory with a few files.',
      ),
    );
  return verdicts;
}

function codeOf(error: unknown): string {
  return error instanceof Error && 'code' in error ? String(error.code) : 'unknown error';
}

export function count(number: number, noun: string): string {
  return `${number} ${noun}${number === 1 ? '' : 's'}`;
}
