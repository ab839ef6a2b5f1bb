/** Accepts the import of a scan that somebody made in a scanner's own interface. */
import type { ScannerInstanceConfig } from '@scanmq/config';
import { InvalidRequestError, newTaskId, type ScanImportRequest, type TaskRecord } from '@scanmq/contract';
import type { QueueSystem, SubmitContext } from '@scanmq/queue';
import type { ScannerRegistry } from '@scanmq/scanners';

export interface ImportScanOptions {
  readonly followed: boolean;
  readonly now: Date;
  readonly idempotencyTtlMs?: number;
}

export async function importScan(
  queue: QueueSystem,
  instance: ScannerInstanceConfig,
  request: Omit<ScanImportRequest, 'scanner'>,
  options: ImportScanOptions,
  context: SubmitContext,
): Promise<{ task: TaskRecord; replay: boolean }> {
  const { scan_id: scanId, history_id: historyId } = request;
  return await queue.submitImport(
    {
      taskId: newTaskId(instance.instanceId, options.now),
      imported: {
        source: 'scanner',
        file_name: null,
        scanner: instance.instanceKey,
        scan_id: scanId,
        history_id: historyId ?? null,
        run_uuid: null,
        followed: options.followed,
      },
      scannerType: instance.type,
      pool: instance.pool,
      checkpoint: {
        generation: 1,
        instance_key: instance.instanceKey,
        nessus_scan_id: scanId,
        ...(historyId === undefined ? {} : { history_id: historyId }),
      },
      name: request.name ?? '',
      description: request.description,
      schemaProfile: request.schema_profile,
      idempotencyKey: request.idempotency_key,
      content: '',
      ...(options.idempotencyTtlMs === undefined ? {} : { idempotencyTtlMs: options.idempotencyTtlMs }),
    },
    context,
  );
}

/** The instance that a request names: `pool:instance`, or the instance alone. @throws InvalidRequestError with the known ones. */
export function instanceNamed(registry: ScannerRegistry, name: string): ScannerInstanceConfig {
  const all = registry.instances();
  const found = all.filter((instance) => instance.instanceKey === name || instance.instanceId === name);
  const [only] = found;
  if (only && found.length === 1) return only;
  const known = all.map((instance) => instance.instanceKey).join(', ');
  throw new InvalidRequestError(
    found.length > 1
      ? `Several scanners are called '${name}': ${found.map((instance) => instance.instanceKey).join(', ')}.`
      : `There is no scanner '${name.slice(0, 80)}'. Known scanners: ${known}.`,
    [{ path: 'scanner', message: `expected one of ${known}` }],
  );
}
