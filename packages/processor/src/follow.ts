/** Collects each finished scan of a folder that people work in on the scanner (`follow` in scanners.yaml), once. */
import type { ScannerInstanceConfig } from '@scanmq/config';
import { ScanmqError } from '@scanmq/contract';
import type { Logger } from '@scanmq/observability';
import type { FollowedMark, QueueSystem } from '@scanmq/queue';
import type { ScannerRegistry, ScanRun, ScanSnapshot } from '@scanmq/scanners';
import { importScan } from './import-scan.js';

export interface FollowDeps {
  readonly queue: QueueSystem;
  readonly registry: ScannerRegistry;
  readonly log: Logger;
  readonly now: () => Date;
}

export interface FollowReport {
  /** Tasks made, by instance. */
  readonly collected: Readonly<Record<string, readonly string[]>>;
}

/** Runs that ended by themselves; a scan that somebody stopped half-way is not what they want collected. */
const COLLECTED: ReadonlySet<string> = new Set(['completed', 'imported']);
/** A run is collected once, for as long as the record of its key lives. */
const REMEMBERED_MS = 10 * 365 * 86_400_000;
const FOLLOWER = 'follow';
/** A look at one scanner. */
const LOOK_MS = 60_000;

/** Looks at every followed folder once. A scanner that is away, or has no such folder, does not hold up the others. */
export async function followFolders(deps: FollowDeps): Promise<FollowReport> {
  const collected: Record<string, string[]> = {};
  for (const instance of deps.registry.instances()) {
    if (!instance.enabled || instance.follow === undefined) continue;
    try {
      const tasks = await followFolder(deps, instance, instance.follow);
      if (tasks.length > 0) collected[instance.instanceKey] = tasks;
    } catch (error) {
      deps.log.warn(
        { event: 'follow.failed', instance: instance.instanceKey, err: error },
        'the followed folder could not be looked at',
      );
    }
  }
  return { collected };
}

async function followFolder(
  { queue, registry, log, now }: FollowDeps,
  instance: ScannerInstanceConfig,
  folder: string,
): Promise<string[]> {
  const scanner = registry.scanner(instance.instanceKey);
  const signal = AbortSignal.timeout(LOOK_MS);
  const scans = await scanner.listFolder(folder, signal);
  if (scans === undefined) {
    log.warn(
      { event: 'follow.no_folder', instance: instance.instanceKey, folder },
      'the scanner has no folder of the name that is to be followed',
    );
    return [];
  }
  const seen = await queue.followed.seen(instance.instanceKey);
  const tasks: string[] = [];
  for (const scan of scans) {
    const mark = seen.get(scan.scanId);
    // ours have a task already
    if (scan.name.includes('[scanmq ') || mark?.changedAt === scan.changedAt) continue;
    if (scan.statusClass === 'active') continue;
    const runs = newRuns(await scanner.getScan(scan.scanId, undefined, signal), mark);
    for (const run of runs) {
      const { task, replay } = await importScan(
        queue,
        instance,
        {
          scan_id: scan.scanId,
          history_id: run.historyId,
          name: scan.name.replace(/\p{C}/gu, '').trim().slice(0, 200) || undefined,
          description: `Collected from folder '${folder}'.`,
          schema_profile: 'brief',
          // whoever crashes between this and the mark below finds the same task again
          idempotency_key: `${instance.instanceKey} ${scan.scanId} ${run.historyId} ${run.uuid}`,
        },
        { followed: true, now: now(), idempotencyTtlMs: REMEMBERED_MS },
        { principal: FOLLOWER },
      ).catch((error: unknown) => {
        // it was collected, and is past its retention by now
        if (error instanceof ScanmqError && error.code === 'not_found')
          return { task: undefined, replay: true };
        throw error;
      });
      if (replay || !task) continue;
      tasks.push(task.task_id);
      log.info(
        {
          event: 'follow.collected',
          instance: instance.instanceKey,
          scan_id: scan.scanId,
          task_id: task.task_id,
          trace_id: task.trace_id,
        },
        'a finished scan of a followed folder is collected',
      );
    }
    await queue.followed.mark(instance.instanceKey, scan.scanId, {
      changedAt: scan.changedAt,
      historyId: Math.max(mark?.historyId ?? 0, ...runs.map((run) => run.historyId)),
    });
  }
  return tasks;
}

/** Finished runs since the last that was collected; of a scan that is seen for the first time only the latest, not its past. */
function newRuns(scan: ScanSnapshot | undefined, mark: FollowedMark | undefined): readonly ScanRun[] {
  const finished = scan?.runs.filter((run) => COLLECTED.has(run.status)) ?? [];
  return mark === undefined || mark.historyId === 0
    ? finished.slice(-1)
    : finished.filter((run) => run.historyId > mark.historyId);
}
