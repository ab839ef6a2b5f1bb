import type { Client } from '../client.js';
import { EXIT } from '../exit-codes.js';
import type { ProgramIo } from '../program-io.js';
import { tasksTable } from '../tables.js';

export interface ListOptions {
  readonly status?: string;
  readonly pool?: string;
  readonly principal?: string;
  readonly target?: string;
  readonly createdAfter?: string;
  readonly createdBefore?: string;
  readonly limit: number;
  readonly cursor?: string;
  readonly json?: boolean;
}

/** `scanmq list`. */
export async function runList(io: ProgramIo, client: Client, options: ListOptions): Promise<number> {
  const query = {
    status_filter: options.status,
    scanner_pool: options.pool,
    principal: options.principal,
    target_filter: options.target,
    created_after: options.createdAfter,
    created_before: options.createdBefore,
    limit: String(options.limit),
    cursor: options.cursor,
  };
  const list = await client.list(
    Object.fromEntries(
      Object.entries(query).flatMap(([name, value]) => (value === undefined ? [] : [[name, value]])),
    ),
  );
  if (options.json) {
    io.stdout.write(`${JSON.stringify(list)}\n`);
    return EXIT.passed;
  }
  if (list.tasks.length > 0) io.stdout.write(`${tasksTable(list.tasks)}\n`);
  io.stdout.write(
    list.next_cursor === null
      ? `${list.total} tasks.\n`
      : `${list.tasks.length} of ${list.total} tasks; go on with --cursor ${list.next_cursor}\n`,
  );
  return EXIT.passed;
}
