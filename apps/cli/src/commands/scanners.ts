import { type OperatorAction, scannerListSchema, scannerViewSchema } from '@scanmq/contract';
import type { Client } from '../client.js';
import { EXIT } from '../exit-codes.js';
import type { ProgramIo } from '../program-io.js';
import { scannersTable } from '../tables.js';

interface Output {
  readonly json?: boolean;
}

/** `scanmq scanners list`. */
export async function listScanners(
  io: ProgramIo,
  client: Client,
  options: Output & { readonly pool?: string },
): Promise<number> {
  const answer = await client.call('get', 'scanners', scannerListSchema, {
    query: options.pool === undefined ? {} : { scanner_pool: options.pool },
  });
  io.stdout.write(options.json ? `${JSON.stringify(answer)}\n` : `${scannersTable(answer.scanners)}\n`);
  return EXIT.passed;
}

/** `scanmq scanners enable`, `disable` and `drain`. */
export async function operateScanner(
  io: ProgramIo,
  client: Client,
  scanner: string,
  action: OperatorAction,
  options: Output & { readonly reason?: string },
): Promise<number> {
  const view = await client.call(
    'post',
    `scanners/${encodeURIComponent(scanner)}/${action}`,
    scannerViewSchema,
    {
      json: { reason: options.reason ?? '' },
    },
  );
  io.stdout.write(options.json ? `${JSON.stringify(view)}\n` : `${scannersTable([view])}\n`);
  return EXIT.passed;
}
