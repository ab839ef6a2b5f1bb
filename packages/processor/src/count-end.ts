import type { TaskRecord } from '@scanmq/contract';
import type { ProcessorDeps } from './run-context.js';

/** Counts that a task has ended, by whoever ended it; imports are no scans. */
export function countEnd({ meter }: Pick<ProcessorDeps, 'meter'>, task: TaskRecord): void {
  if (task.imported !== null) return;
  meter.count('nessus_scans_total', { scan_type: task.scan_type, status: task.state });
  const pool = task.scanner_pool;
  if (task.state === 'completed') {
    meter.count('nessus_validation_total', { pool, result: 'success' });
    if (task.authentication_status === 'failed')
      meter.count('nessus_auth_failures_total', { pool, scan_type: task.scan_type });
  } else if (task.error?.code === 'invalid_export') {
    meter.count('nessus_validation_total', { pool, result: 'failed' });
    meter.count('nessus_validation_failures_total', { pool, reason: task.error.code });
  }
  if (task.started_at === null || task.completed_at === null) return;
  const seconds = Math.max(0, Date.parse(task.completed_at) - Date.parse(task.started_at)) / 1_000;
  meter.observe('scanmq_scan_duration_seconds', { outcome: task.state }, seconds);
  meter.observe('nessus_task_duration_seconds', {}, seconds);
}
