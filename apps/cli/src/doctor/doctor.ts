import type { Environment, ScannersConfig, Settings } from '@scanmq/config';
import type { ScannerProbe } from '@scanmq/contract';
import { type Inspection, inspectRedis } from '@scanmq/queue';
import { createScannerRegistry } from '@scanmq/scanners';
import { AREAS, type Area } from './areas.js';
import { type CheckResult, examine, skipped, type Verdict } from './check.js';
import { checkGateway } from './gateway-check.js';
import { judgeQueues, judgeRedis, redisAddress } from './redis-checks.js';
import { judgeScanner } from './scanner-checks.js';
import {
  checkBucket,
  checkData,
  checkEnvFile,
  checkNode,
  checkScannerList,
  checkSettings,
} from './settings-checks.js';

/** Of each check; Redis and its queues come one after the other, all others at once: half a minute at most. */
const LIMITS_MS = {
  local: 5_000,
  bucket: 10_000,
  redis: 8_000,
  queues: 8_000,
  scanner: 20_000,
  gateway: 8_000,
} as const;
const REDIS_WAIT_MS = 5_000;
/** How long the end may take: sessions on scanners are ended, but nobody waits for one that hangs. */
const CLOSE_MS = 3_000;

export interface DoctorOptions {
  readonly env: Environment;
  /** Ours, and what Node has to be, as in package.json. */
  readonly version: string;
  readonly engines: string;
  readonly only: readonly Area[];
}

/** Looks at everything that a service needs, in the order of the areas. Takes half a minute at most, whatever hangs. */
export async function runChecks({
  env,
  version,
  engines,
  only,
}: DoctorOptions): Promise<readonly CheckResult[]> {
  const wanted = (area: Area): boolean => only.includes(area);
  const begun = performance.now();
  const { verdicts, settings, wrong } = checkSettings(env);
  const list = await checkScannerList(settings, env);
  const since = (found: readonly Verdict[]): CheckResult[] =>
    found.map((verdict) => ({ ...verdict, ms: Math.round(performance.now() - begun) }));
  const parts: Partial<Record<Area, Promise<readonly CheckResult[]>>> = {
    node: Promise.resolve(since([checkNode(process.version, engines)])),
    settings: checkEnvFile('.env').then((found) =>
      since([...verdicts, ...found, ...(wrong.has('SCANNER_CONFIG') ? [] : list.verdicts)]),
    ),
    ...(wanted('data') ? { data: lookAtData(settings, wrong) } : {}),
    ...(wanted('redis') || wanted('queues')
      ? lookAtRedis(settings, wrong, wanted('queues') ? list.scanners : undefined)
      : {}),
    ...(wanted('scanners') ? { scanners: lookAtScanners(list.scanners) } : {}),
    ...(wanted('gateway')
      ? {
          gateway: examine({
            name: 'gateway.connection',
            limitMs: LIMITS_MS.gateway,
            advice: 'Start it with "scanmq gateway", or correct SCANMQ_URL.',
            look: (signal) => checkGateway(env, version, LIMITS_MS.gateway, signal),
          }),
        }
      : {}),
  };
  const found = await Promise.all(AREAS.filter(wanted).map((area) => parts[area] ?? []));
  return found.flat();
}

async function lookAtData(settings: Settings, wrong: ReadonlySet<string>): Promise<readonly CheckResult[]> {
  const directory = await examine({
    name: 'data.directory',
    limitMs: LIMITS_MS.local,
    advice: 'Look at the file system that DATA_DIR is on: it does not answer.',
    look: async () =>
      wrong.has('DATA_DIR')
        ? [skipped('data.directory', 'DATA_DIR is not valid.')]
        : await checkData(settings.dataDir),
  });
  // the directory has copies then, and files in the making
  if (settings.s3 === undefined || directory.some(({ status }) => status === 'problem')) return directory;
  const bucket = await examine({
    name: 'data.bucket',
    limitMs: LIMITS_MS.bucket,
    advice: 'Look at S3_ENDPOINT, and at what is between: the store does not answer.',
    look: async () => [await checkBucket(settings)],
  });
  return [...directory, ...bucket];
}

function lookAtRedis(
  settings: Settings,
  wrong: ReadonlySet<string>,
  scanners: ScannersConfig | undefined,
): Record<'redis' | 'queues', Promise<readonly CheckResult[]>> {
  if ([...wrong].some((name) => name.startsWith('REDIS_') || name === 'QUEUE_PREFIX')) {
    const why = 'The settings of Redis are not valid.';
    return {
      redis: Promise.resolve([{ ...skipped('redis.connection', why), ms: 0 }]),
      queues: Promise.resolve([{ ...skipped('queues', why), ms: 0 }]),
    };
  }
  let inspection: Inspection | undefined;
  const redis = examine({
    name: 'redis.connection',
    limitMs: LIMITS_MS.redis,
    advice: `Start Redis, and look whether REDIS_URL is right (${redisAddress(settings.redis)}), with its password.`,
    look: async (signal) => {
      const opened = await inspectRedis({
        redis: settings.redis,
        prefix: settings.queuePrefix,
        waitMs: REDIS_WAIT_MS,
      });
      if (signal.aborted) await opened.close();
      else inspection = opened;
      return judgeRedis(await opened.redis(), settings.redis, settings.redisWaitReplicas);
    },
  });
  const queues = redis.then(async () => {
    const open = inspection;
    if (!open) return [{ ...skipped('queues', 'Redis does not answer.'), ms: 0 }];
    const pools = new Map(
      [...(scanners?.pools ?? [])].map(([pool, instances]) => [pool, instances.map((one) => one.instanceId)]),
    );
    const found = await examine({
      name: 'queues',
      limitMs: LIMITS_MS.queues,
      advice: 'Look at the log of Redis.',
      look: async () =>
        scanners === undefined
          ? [skipped('queues', 'The pools are not known: the list of scanners is broken.')]
          : judgeQueues(await open.queues(pools), [...pools.keys()]),
    });
    await open.close();
    return found;
  });
  return { redis, queues };
}

async function lookAtScanners(scanners: ScannersConfig | undefined): Promise<readonly CheckResult[]> {
  if (!scanners) return [{ ...skipped('scanners', 'The list of scanners is broken.'), ms: 0 }];
  const registry = createScannerRegistry(scanners);
  const found = await Promise.all(
    registry.instances().map((instance) =>
      examine({
        name: `scanners.${instance.instanceKey}.connection`,
        limitMs: LIMITS_MS.scanner,
        advice: 'Look on the scanner whether it hangs (systemctl status nessusd), and at what is between.',
        look: async (signal) => {
          const name = `scanners.${instance.instanceKey}`;
          if (!instance.enabled) return [skipped(name, 'It is disabled in the list of scanners.')];
          const probe: ScannerProbe = await registry.scanner(instance.instanceKey).probe(signal);
          return judgeScanner(instance, probe, new Date());
        },
      }),
    ),
  );
  await Promise.race([
    registry.close().catch(() => undefined),
    new Promise<void>((resolve) => setTimeout(resolve, CLOSE_MS).unref()),
  ]);
  return found.flat();
}

/** @returns true when nothing is wrong; warnings are allowed. */
export function allWell(results: readonly CheckResult[]): boolean {
  return results.every((result) => result.status !== 'problem');
}

export function settingsAreWrong(results: readonly CheckResult[]): boolean {
  return results.some((result) => result.status === 'problem' && result.name.startsWith('settings.'));
}
