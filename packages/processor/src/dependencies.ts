/** What a program depends on, and how it is: for `/health` of gateways and workers. Names no address. */
import { statfs } from 'node:fs/promises';
import type { Settings } from '@scanmq/config';
import type { Dependencies, DependencyHealth } from '@scanmq/contract';
import type { QueueSystem } from '@scanmq/queue';
import type { ScannerRegistry } from '@scanmq/scanners';
import type { ResultStore } from '@scanmq/store';
import { isEnabled, lookAtFleet } from './fleet.js';

export interface DependenciesDeps {
  readonly queue: QueueSystem;
  readonly files: Pick<ResultStore, 'check'>;
  readonly registry: ScannerRegistry;
  readonly settings: Pick<Settings, 'dataDir' | 'minFreeDiskBytes' | 'sweepIntervalMs'>;
  readonly now: () => Date;
}

/** A worker waits for Redis for ever; whoever asks how it is does not. */
const PATIENCE_MS = 2_000;
/** A sweep that takes its time is not late yet. */
const SWEEP_LATE_MS = 3 * 60_000;
const SWEEPS_MISSED = 3;
const MB = 1024 * 1024;

/** What a program cannot do without. */
export type Needs = Pick<Dependencies, 'redis' | 'filesystem'>;

/** For those who only ask whether a program is ready, which they do all the time. */
export async function lookAtNeeds(deps: DependenciesDeps): Promise<Needs> {
  const [redis, filesystem] = await Promise.all([
    lookAtRedisInTime(deps),
    inTime(() => lookAtFiles(deps), {
      status: 'unhealthy',
      detail: 'the store of the results cannot be used',
    }),
  ]);
  return { redis, filesystem };
}

export async function lookAtDependencies(deps: DependenciesDeps): Promise<Dependencies> {
  const [needs, scanners, sweeper] = await Promise.all([
    lookAtNeeds(deps),
    inTime(() => lookAtScanners(deps), { status: 'unknown' }),
    inTime(() => lookAtSweeper(deps), { status: 'unknown' }),
  ]);
  return { ...needs, scanners, sweeper };
}

/** Redis alone: a worker is ready when it answers. */
export async function lookAtRedisInTime(deps: Pick<DependenciesDeps, 'queue'>): Promise<Needs['redis']> {
  return await inTime(() => lookAtRedis(deps), { status: 'unhealthy', detail: 'does not answer' });
}

/** True when a program can do its work: scanners come and go, and what is late is done later. */
export function canWork({ redis, filesystem }: Needs): boolean {
  return redis.status === 'healthy' && filesystem.status !== 'unhealthy';
}

/** The same with nothing but the words, for those who show nothing of themselves. */
export function wordsOnly<D extends Readonly<Record<string, DependencyHealth>>>(
  dependencies: D,
): { [N in keyof D]: Pick<DependencyHealth, 'status'> } {
  return Object.fromEntries(Object.entries(dependencies).map(([name, { status }]) => [name, { status }])) as {
    [N in keyof D]: Pick<DependencyHealth, 'status'>;
  };
}

/** The answer within a moment, or what it means that there is none. */
export async function inTime<T>(question: () => Promise<T>, otherwise: T): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<T>((resolve) => {
    timer = setTimeout(resolve, PATIENCE_MS, otherwise);
  });
  try {
    return await Promise.race([question(), late]);
  } catch {
    return otherwise;
  } finally {
    clearTimeout(timer);
  }
}

async function lookAtRedis({ queue }: Pick<DependenciesDeps, 'queue'>): Promise<Dependencies['redis']> {
  const begunMs = performance.now();
  await queue.redis.ping();
  return { status: 'healthy', round_trip_ms: Math.round((performance.now() - begunMs) * 10) / 10 };
}

async function lookAtFiles({ files, settings }: DependenciesDeps): Promise<Dependencies['filesystem']> {
  const { dataDir, minFreeDiskBytes } = settings;
  await files.check();
  // with a bucket: of what is in the making, and of copies
  const { bavail, bsize } = await statfs(dataDir);
  const free_mb = Math.floor((bavail * bsize) / MB);
  return bavail * bsize < minFreeDiskBytes
    ? { status: 'degraded', detail: 'too little room: no new scans are taken', free_mb }
    : { status: 'healthy', free_mb };
}

async function lookAtScanners({ queue, registry, now }: DependenciesDeps): Promise<Dependencies['scanners']> {
  const view = await lookAtFleet(registry, queue);
  const scanners = registry
    .instances()
    .filter((instance) => isEnabled(view, instance))
    .map(({ instanceKey }) => {
      const known = view.health.get(instanceKey);
      return {
        scanner: instanceKey,
        status: known === undefined ? 'unknown' : known.healthy ? 'healthy' : 'unhealthy',
        circuit: known?.circuit ?? 'closed',
        checked_seconds_ago: known === undefined ? null : secondsSince(new Date(known.checked_at), now()),
      } as const;
    });
  const count = (word: DependencyHealth['status']) => scanners.filter(({ status }) => status === word).length;
  if (scanners.length === 0) return { status: 'unhealthy', detail: 'none is enabled', scanners };
  if (count('healthy') === scanners.length) return { status: 'healthy', scanners };
  if (count('unhealthy') === 0) return { status: 'unknown', scanners };
  const detail = `${count('unhealthy')} of ${scanners.length} cannot be used`;
  return { status: count('unhealthy') === scanners.length ? 'unhealthy' : 'degraded', detail, scanners };
}

async function lookAtSweeper({ queue, settings, now }: DependenciesDeps): Promise<Dependencies['sweeper']> {
  const swept = await queue.lastSweep();
  if (!swept) return { status: 'unknown', swept_seconds_ago: null };
  const ageMs = now().getTime() - swept.getTime();
  const swept_seconds_ago = secondsSince(swept, now());
  return ageMs <= Math.max(SWEEP_LATE_MS, SWEEPS_MISSED * settings.sweepIntervalMs)
    ? { status: 'healthy', swept_seconds_ago }
    : { status: 'unhealthy', detail: 'no worker has swept for too long', swept_seconds_ago };
}

/** Whole seconds; the clocks of two machines may differ. */
export function secondsSince(at: Date, now: Date): number {
  return Math.max(0, Math.round((now.getTime() - at.getTime()) / 1_000));
}
