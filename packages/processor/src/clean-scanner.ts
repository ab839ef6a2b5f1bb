/** Deletes the scans of ended tasks on their scanners, where that is wanted (`SCANNER_CLEANUP`). Never one without our marker. */
import type { TaskRecord } from '@scanmq/contract';
import type { Logger } from '@scanmq/observability';
import type { QueueSystem } from '@scanmq/queue';
import type { ScannerRegistry } from '@scanmq/scanners';
import { readMarker } from './run-context.js';

export interface CleanDeps {
  readonly queue: QueueSystem;
  readonly registry: ScannerRegistry;
  readonly log: Logger;
}

export interface CleanedScan {
  readonly task_id: string;
  readonly scanner: string;
  readonly nessus_scan_id: number;
  readonly name: string;
}

const ASK_MS = 30_000;

/**
 * All scans of a task on the scanner that had it last: also those of earlier tries.
 * @param dryRun only tells which would be deleted.
 * @throws ScannerError when the scanner cannot be asked, or refuses; a scan that is still active is left for later.
 */
export async function deleteScansOf(
  deps: Pick<CleanDeps, 'registry'>,
  task: TaskRecord,
  dryRun: boolean,
): Promise<readonly CleanedScan[]> {
  const instanceKey = task.checkpoint?.instance_key;
  // an import made nothing on a scanner; and one that is configured no more cannot be asked
  if (task.imported || instanceKey === undefined || !deps.registry.instance(instanceKey)) return [];
  const scanner = deps.registry.scanner(instanceKey);
  const signal = AbortSignal.timeout(ASK_MS);
  const listed = await scanner.findScans(`[scanmq ${task.task_id}`, signal);
  const ours = listed.filter(
    (scan) => readMarker(scan.name)?.taskId === task.task_id && scan.statusClass !== 'active',
  );
  if (!dryRun) for (const scan of ours) await scanner.deleteScan(scan.scanId, signal);
  return ours.map((scan) => ({
    task_id: task.task_id,
    scanner: instanceKey,
    nessus_scan_id: scan.scanId,
    name: scan.name,
  }));
}

/** Right after the end of a task; what does not work now is done by housekeeping. Never throws. */
export async function cleanScanner(deps: CleanDeps, task: TaskRecord): Promise<void> {
  try {
    const deleted = await deleteScansOf(deps, task, false);
    await deps.queue.scannerCleanup.done(task.task_id);
    if (deleted.length > 0)
      deps.log.info(
        {
          event: 'scan.deleted',
          task_id: task.task_id,
          nessus_scan_ids: deleted.map((scan) => scan.nessus_scan_id),
        },
        'scans deleted on the scanner',
      );
  } catch (error) {
    deps.log.warn(
      { event: 'scan.delete_failed', task_id: task.task_id, err: error },
      'a scan could not be deleted on the scanner; it is tried again later',
    );
  }
}
