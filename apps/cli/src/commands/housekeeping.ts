import { housekeepingReportSchema } from '@scanmq/contract';
import type { Client } from '../client.js';
import { EXIT } from '../exit-codes.js';
import type { ProgramIo } from '../program-io.js';

/** `scanmq housekeeping`: a dry run, unless told to apply it. */
export async function runHousekeeping(
  io: ProgramIo,
  client: Client,
  options: { readonly apply?: boolean; readonly json?: boolean },
): Promise<number> {
  const report = await client.call('post', 'housekeeping', housekeepingReportSchema, {
    json: { dry_run: options.apply !== true },
  });
  if (options.json) {
    io.stdout.write(`${JSON.stringify(report)}\n`);
    return EXIT.passed;
  }
  const verb = report.dry_run ? 'would go' : 'removed';
  const lines = [
    ...report.tasks.map((task) => `task ${task.task_id}: ${task.reason}, ended ${task.ended_at}`),
    ...report.directories.map(({ name, reason }) => `directory ${name}: ${reason}`),
    ...report.scans.map((scan) => `scan ${scan.nessus_scan_id} on ${scan.scanner}: of task ${scan.task_id}`),
    `${report.tasks.length} tasks, ${report.directories.length} directories and ${report.scans.length} scans on scanners ${verb}.`,
    ...report.unknown_directories.map(({ name, reason }) => `left alone: ${name}: ${reason}`),
    ...report.problems.map((problem) => `not done: ${problem}`),
    ...(report.dry_run && report.tasks.length + report.directories.length + report.scans.length > 0
      ? ['Remove it with: scanmq housekeeping --apply']
      : []),
  ];
  io.stdout.write(`${lines.join('\n')}\n`);
  return EXIT.passed;
}
