import { type Comparison, InvalidRequestError, SEVERITY_NAMES } from '@scanmq/contract';
import type { Client, Task } from '../client.js';
import { EXIT } from '../exit-codes.js';
import type { ProgramIo } from '../program-io.js';
import { comparisonTable } from '../tables.js';
import { follow } from './scans.js';

export interface ImportOptions {
  readonly scanner?: string;
  readonly scanId?: number;
  readonly historyId?: number;
  readonly name?: string;
  readonly description?: string;
  readonly idempotencyKey?: string;
  readonly wait?: boolean;
  readonly json?: boolean;
}

/** `scanmq import`. */
export async function runImport(
  io: ProgramIo,
  client: Client,
  file: string | undefined,
  options: ImportOptions,
): Promise<number> {
  const task = await importTask(client, file, options);
  if (!options.wait) {
    io.stdout.write(
      options.json
        ? `${JSON.stringify(task)}\n`
        : `${task.task_id} ${task.status}\nFollow it: scanmq status ${task.task_id} --wait\n`,
    );
    return EXIT.passed;
  }
  if (!options.json) io.stdout.write(`${task.task_id}\n`);
  return await follow(io, client, task.task_id, options);
}

async function importTask(client: Client, file: string | undefined, options: ImportOptions): Promise<Task> {
  if (file !== undefined && (options.scanner !== undefined || options.scanId !== undefined))
    throw new InvalidRequestError('Give a file, or --scanner and --scan-id, not both.');
  if (file !== undefined)
    return await client.upload(
      file,
      {
        ...(options.name === undefined ? {} : { name: options.name }),
        ...(options.description === undefined ? {} : { description: options.description }),
      },
      options.idempotencyKey,
    );
  if (options.scanner === undefined || options.scanId === undefined)
    throw new InvalidRequestError('Nothing to import: give a .nessus file, or --scanner and --scan-id.');
  return await client.importScan({
    scanner: options.scanner,
    scan_id: options.scanId,
    history_id: options.historyId,
    name: options.name,
    description: options.description,
    idempotency_key: options.idempotencyKey,
  });
}

/** Items printed; --json has the cursor for more. */
const SHOWN_ITEMS = '200';

/** `scanmq compare`. */
export async function runCompare(
  io: ProgramIo,
  client: Client,
  baseTaskId: string,
  headTaskId: string,
  options: { severity?: string; status?: string; json?: boolean },
): Promise<number> {
  const comparison = await client.compare(headTaskId, baseTaskId, {
    limit: SHOWN_ITEMS,
    ...(options.severity === undefined ? {} : { severity: options.severity }),
    ...(options.status === undefined ? {} : { status: options.status }),
  });
  io.stdout.write(options.json ? `${JSON.stringify(comparison)}\n` : describeComparison(comparison));
  return EXIT.passed;
}

function describeComparison({ counts, items, base_quality, head_quality, next_cursor }: Comparison): string {
  const lines = [
    `new ${counts.new}, changed severity ${counts.changed_severity}, fixed ${counts.fixed}, not re-tested ${counts.not_retested}, persisting ${counts.persisting}`,
  ];
  for (const [which, quality] of [
    ['older', base_quality],
    ['newer', head_quality],
  ] as const)
    if (quality.verdict !== 'complete')
      lines.push(`The ${which} scan is ${quality.verdict}: ${quality.reasons.join(', ')}.`);
  const shown = items.filter((item) => item.status !== 'persisting');
  if (shown.length > 0) lines.push('', comparisonTable(shown));
  if (next_cursor !== null)
    lines.push(
      `The first ${items.length} are shown; narrow down with --severity (for example ">=${SEVERITY_NAMES[3]}") or --status, or use --json.`,
    );
  return `${lines.join('\n')}\n`;
}
