/** Deletes the scan of an ended task on its scanner, where that is wanted (`SCANNER_CLEANUP`). Never one without our marker. */
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
 * The scan of a task: by the id that its checkpoint has, and only if it still carries the marker, has ended, and has no
 * run but ours. A copy that somebody made of it, or a scan that somebody launched again, is theirs.
 * @param dryRun only tells whether it would be deleted.
 * @returns undefined when there is nothing to delete.
 * @throws ScannerError when the scanner cannot be asked, or refuses.
 */
export async function deleteScanOf(
  deps: Pick<CleanDeps, 'registry'>,
  task: TaskRecord,
  dryRun: boolean,
): Promise<CleanedScan | undefined> {
  const { instance_key: instanceKey = '', nessus_scan_id: scanId } = task.checkpoint ?? {};
  // an import made nothing on a scanner; and one that is configured no more cannot be asked
  if (task.imported || scanId === undefined || !deps.registry.instance(instanceKey)) return undefined;
  const scanner = deps.registry.scanner(instanceKey);
  const signal = AbortSignal.timeout(ASK_MS);
  const scan = await scanner.getScan(scanId, undefined, signal);
  if (scan?.statusClass !== 'terminal' || scan.runs.length !== 1) return undefined;
  const marker = readMarker(scan.name);
  if (marker?.taskId !== task.task_id || !scan.name.endsWith(marker.text)) return undefined;
  if (!dryRun) await scanner.deleteScan(scanId, signal);
  return { task_id: task.task_id, scanner: instanceKey, nessus_scan_id: scanId, name: scan.name };
}

/** Right after the end of a task; what does not work now is done by housekeeping. Never throws. */
export async function cleanScanner(deps: CleanDeps, task: TaskRecord): Promise<void> {
  try {
    const deleted = await deleteScanOf(deps, task, false);
    await deps.queue.scannerCleanup.done(task.task_id);
    if (deleted)
      deps.log.info(
        {
          event: 'scan.deleted',
          task_id: task.task_id,
          trace_id: task.trace_id,
          nessus_scan_id: deleted.nessus_scan_id,
        },
        'scan deleted on the scanner',
      );
  } catch (error) {
    deps.log.warn(
      { event: 'scan.delete_failed', task_id: task.task_id, trace_id: task.trace_id, err: error },
      'a scan could not be deleted on the scanner; it is tried again later',
    );
  }
}
