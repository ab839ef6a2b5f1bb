/**
 * Scans of ours that nobody follows: given up while their scanner was away, or left by a task that has ended without the
 * scanner's confirmation. They are stopped as soon as the scanner can be asked, and keep their slot until then.
 */
import { isTerminal, type TaskRecord } from '@scanmq/contract';
import type { Logger } from '@scanmq/observability';
import type { AbandonedScan, QueueSystem } from '@scanmq/queue';
import type { ScannerRegistry } from '@scanmq/scanners';
import type { Admission } from './admit.js';
import { readMarker } from './run-context.js';

export interface SettleDeps {
  readonly queue: QueueSystem;
  readonly registry: ScannerRegistry;
  readonly admission: Pick<Admission, 'request'>;
  readonly log: Logger;
  readonly now: () => Date;
}

export interface SettleReport {
  /** Tasks whose scan has ended on its scanner, or whose scanner is configured no more. */
  readonly settled: readonly string[];
  /** Tasks whose scan was found running on a scanner without anybody following it. */
  readonly found: readonly string[];
}

/** One scanner that hangs must not hold up the others for long. */
const ASK_MS = 15_000;
/** Begin of every marker (`scanMarker`). */
const OURS = '[scanmq ne_';

export async function settleAbandoned(deps: SettleDeps): Promise<SettleReport> {
  const found = (
    await Promise.all(deps.registry.instances().map((instance) => findOrphans(deps, instance.instanceKey)))
  ).flat();
  const abandoned = await deps.queue.bindings.abandoned();
  const settled = await Promise.all(
    abandoned.map(async (scan) => ((await settle(deps, scan)) ? scan.task_id : undefined)),
  );
  if (settled.some((taskId) => taskId !== undefined)) deps.admission.request();
  return { settled: settled.filter((taskId) => taskId !== undefined), found };
}

/** Stops the scan. @returns true when it runs no more. */
async function settle({ queue, registry, log }: SettleDeps, scan: AbandonedScan): Promise<boolean> {
  const signal = AbortSignal.timeout(ASK_MS);
  const trace_id = (await queue.tasks.find(scan.task_id))?.trace_id;
  if (registry.instance(scan.instance_key)) {
    const scanner = registry.scanner(scan.instance_key);
    try {
      // never a scan without our marker: ids begin anew after a reinstallation
      const ours = await scanner.findScans(scan.marker, signal);
      const found = ours.find(({ scanId }) => scan.scan_id === null || scanId === scan.scan_id);
      const now = found && (await scanner.getScan(found.scanId, undefined, signal));
      if (found && now?.statusClass === 'active') {
        await scanner.stopScan(found.scanId, signal);
        return false;
      }
    } catch (error) {
      log.debug(
        { event: 'abandoned.waits', task_id: scan.task_id, trace_id, err: error },
        'the scanner cannot be asked yet',
      );
      return false;
    }
  }
  await queue.bindings.settle(scan);
  log.info(
    {
      event: 'abandoned.settled',
      task_id: scan.task_id,
      trace_id,
      instance: scan.instance_key,
      nessus_scan_id: scan.scan_id,
    },
    'a scan that was given up runs no more',
  );
  return true;
}

/** Running scans with our marker whose task has ended, or has another scan by now. Those of unknown tasks are not ours to judge. */
async function findOrphans(
  { queue, registry, log, now }: SettleDeps,
  instanceKey: string,
): Promise<string[]> {
  if ((await queue.health.get(instanceKey))?.healthy !== true) return [];
  const listed = await registry
    .scanner(instanceKey)
    .findScans(OURS, AbortSignal.timeout(ASK_MS))
    .catch(() => []);
  const found: string[] = [];
  for (const scan of listed) {
    const marker = readMarker(scan.name);
    if (scan.statusClass !== 'active' || !marker) continue;
    const task = await queue.tasks.find(marker.taskId);
    if (!task || !isOrphan(task, marker.generation, instanceKey)) continue;
    found.push(task.task_id);
    log.warn(
      {
        event: 'scan.orphan',
        task_id: task.task_id,
        trace_id: task.trace_id,
        instance: instanceKey,
        nessus_scan_id: scan.scanId,
      },
      'a scan of ours runs without anybody following it; it is stopped',
    );
    await queue.bindings.abandon({
      task_id: task.task_id,
      instance_key: instanceKey,
      marker: marker.text,
      scan_id: scan.scanId,
      at: now().toISOString(),
    });
  }
  return found;
}

function isOrphan(task: TaskRecord, generation: number, instanceKey: string): boolean {
  if (isTerminal(task.state)) return true;
  const { checkpoint } = task;
  // between two attempts the checkpoint may not say yet which scan is next
  if (!checkpoint) return false;
  return (
    checkpoint.generation > generation ||
    (checkpoint.generation === generation && checkpoint.instance_key !== instanceKey)
  );
}
