import { readSettings } from '@scanmq/config';
import { isTerminal, type RestoreReport, TASK_STATES } from '@scanmq/contract';
import { createLogger } from '@scanmq/observability';
import { EXIT } from '../exit-codes.js';
import type { ProgramIo } from '../program-io.js';

/** `scanmq restore`: a dry run, unless told to apply it. Talks to Redis and the store of the results, and needs no gateway. */
export async function runRestore(
  io: ProgramIo,
  options: { readonly apply?: boolean; readonly json?: boolean },
): Promise<number> {
  const settings = readSettings(io.env);
  const log = createLogger({ name: 'restore', level: settings.logLevel });
  const { restoreFrom } = await import('@scanmq/processor');
  const report = await restoreFrom({ settings, log, apply: options.apply === true });
  io.stdout.write(options.json ? `${JSON.stringify(report)}\n` : `${describe(report).join('\n')}\n`);
  return EXIT.passed;
}

function describe(report: RestoreReport): readonly string[] {
  const { restored, known, problems } = report;
  const counts = TASK_STATES.flatMap((state) => {
    const count = restored.filter((task) => task.state === state).length;
    return count === 0 ? [] : [`${count} ${state}`];
  });
  const goOn = restored.filter(({ state }) => !isTerminal(state)).length;
  return [
    ...restored.map(
      ({ task_id: taskId, state, name, credentials_lost: lost }) =>
        `${taskId}: ${state}, ${name}${lost ? ' (its credentials are lost: unless its scan was made already, it fails)' : ''}`,
    ),
    ...problems.map((problem) => `not restored: ${problem}`),
    `${restored.length} tasks ${report.dry_run ? 'would be restored' : 'restored'}${counts.length === 0 ? '' : `: ${counts.join(', ')}`}. ${goOn} of them ${report.dry_run ? 'would go on' : 'go on'}. Redis knows ${known} others.`,
    ...(report.dry_run && restored.length > 0 ? ['Restore them with: scanmq restore --apply'] : []),
  ];
}
