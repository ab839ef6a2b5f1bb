import {
  type DeadLetter,
  deadLetterListSchema,
  deadLetterSchema,
  discardManyAnswerSchema,
  retryManyAnswerSchema,
} from '@scanmq/contract';
import type { Client } from '../client.js';
import { EXIT } from '../exit-codes.js';
import type { ProgramIo } from '../program-io.js';
import { deadLettersTable } from '../tables.js';

interface Output {
  readonly json?: boolean;
}

interface Filters {
  readonly code?: string;
  readonly pool?: string;
}

/** `scanmq dlq list`. */
export async function listDeadLetters(
  io: ProgramIo,
  client: Client,
  options: Output & Filters & { readonly limit: string },
): Promise<number> {
  const answer = await client.call('get', 'dead-letters', deadLetterListSchema, {
    query: {
      limit: options.limit,
      ...(options.code === undefined ? {} : { code: options.code }),
      ...(options.pool === undefined ? {} : { scanner_pool: options.pool }),
    },
  });
  const counts = Object.entries(answer.by_code).map(([code, count]) => `${count} ${code}`);
  const text =
    answer.total === 0
      ? 'There are no dead letters that match.'
      : `${deadLettersTable(answer.dead_letters)}\n${answer.total} match. All: ${counts.join(', ')}.`;
  io.stdout.write(options.json ? `${JSON.stringify(answer)}\n` : `${text}\n`);
  return EXIT.passed;
}

/** `scanmq dlq show`. */
export async function showDeadLetter(
  io: ProgramIo,
  client: Client,
  taskId: string,
  options: Output,
): Promise<number> {
  const letter = await client.call('get', `dead-letters/${encodeURIComponent(taskId)}`, deadLetterSchema);
  io.stdout.write(options.json ? `${JSON.stringify(letter)}\n` : describe(letter));
  return EXIT.passed;
}

function describe(letter: DeadLetter): string {
  const lines = [
    `${letter.task_id} ${letter.status}: ${letter.name}`,
    `why: ${letter.error ? `${letter.error.code}: ${letter.error.message}` : 'not known'}`,
    `attempts: ${letter.attempts}; workers that died with it in a row: ${letter.crashes}`,
    letter.can_retry ? 'It can be retried.' : `It cannot be retried: ${letter.why_not}`,
    ...letter.failures.map((failure) =>
      [
        `  attempt ${failure.attempt} at ${failure.at}: ${failure.code}: ${failure.message}`,
        failure.scanner_instance === null ? '' : ` [${failure.scanner_instance}`,
        failure.operation === null ? '' : `, ${failure.operation}`,
        failure.scanner_http_status === null ? '' : `, HTTP ${failure.scanner_http_status}`,
        failure.scanner_message === null ? '' : `, it said: ${failure.scanner_message}`,
        failure.scanner_instance === null ? '' : ']',
      ].join(''),
    ),
    ...(letter.log ?? []).map((line) => `  ${line}`),
  ];
  // what a scanner said must not move the cursor
  return `${lines.map((line) => line.replaceAll(/\p{Cc}/gu, ' ')).join('\n')}\n`;
}

/** What `retry` and `purge` are asked for. */
function wanted(
  taskIds: readonly string[],
  options: Filters & { readonly all?: boolean },
): Record<string, unknown> {
  return {
    ...(taskIds.length === 0 ? {} : { task_ids: taskIds }),
    code: options.code,
    scanner_pool: options.pool,
    all: options.all,
  };
}

/** `scanmq dlq retry`. */
export async function retryDeadLetters(
  io: ProgramIo,
  client: Client,
  taskIds: readonly string[],
  options: Output & Filters & { readonly all?: boolean },
): Promise<number> {
  const answer = await client.call('post', 'dead-letters/retry', retryManyAnswerSchema, {
    json: wanted(taskIds, options),
  });
  const lines = [
    `${answer.retried.length} queued again.`,
    ...answer.skipped.map(({ task_id, message }) => `${task_id} not: ${message}`),
  ];
  io.stdout.write(options.json ? `${JSON.stringify(answer)}\n` : `${lines.join('\n')}\n`);
  return answer.skipped.length > 0 ? EXIT.scanFailed : EXIT.passed;
}

/** `scanmq dlq purge`. */
export async function purgeDeadLetters(
  io: ProgramIo,
  client: Client,
  taskIds: readonly string[],
  options: Output & Filters & { readonly all?: boolean },
): Promise<number> {
  const answer = await client.call('post', 'dead-letters/discard', discardManyAnswerSchema, {
    json: wanted(taskIds, options),
  });
  const lines = [
    `${answer.discarded.length} removed.`,
    ...answer.skipped.map(({ task_id, message }) => `${task_id} not: ${message}`),
  ];
  io.stdout.write(options.json ? `${JSON.stringify(answer)}\n` : `${lines.join('\n')}\n`);
  return answer.skipped.length > 0 ? EXIT.scanFailed : EXIT.passed;
}
