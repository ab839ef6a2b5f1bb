import {
  accessKeys,
  createAuditHeads,
  describeProblem,
  type KnownHead,
  verifyAuditLog,
} from '@scanmq/access';
import { readSettings, type Settings } from '@scanmq/config';
import { toScanmqError } from '@scanmq/contract';
import { EXIT } from '../exit-codes.js';
import type { ProgramIo } from '../program-io.js';
import { withRedis } from '../with-redis.js';

const REDIS_WAIT_MS = 5_000;

export interface VerifyOptions {
  readonly file?: string;
  readonly json?: boolean;
}

/** `scanmq audit verify`. Exit code 1 where something was done to the log. */
export async function verifyAudit(io: ProgramIo, options: VerifyOptions): Promise<number> {
  const settings = readSettings(
    options.file === undefined ? io.env : { ...io.env, AUDIT_FILE: options.file },
  );
  // before the files: what is written meanwhile is in them, and no riddle
  const heads = await newestEntries(io, settings);
  const report = await verifyAuditLog(settings.auditFile, heads);
  if (options.json) io.stdout.write(`${JSON.stringify({ file: settings.auditFile, ...report })}\n`);
  else {
    const { entries, chains, files, torn, unanchored, problems } = report;
    for (const problem of problems) io.stdout.write(`${describeProblem(problem)}\n`);
    const counts = `${entries} entries in ${chains} ${chains === 1 ? 'chain' : 'chains'}, ${files} ${files === 1 ? 'file' : 'files'}`;
    io.stdout.write(
      report.ok
        ? `OK: ${counts} (${settings.auditFile})\n`
        : `NOT OK: ${counts} could be read (${settings.auditFile})\n`,
    );
    if (torn > 0)
      io.stdout.write(`A crash cut off the end of ${torn} ${torn === 1 ? 'entry' : 'entries'}.\n`);
    if (unanchored > 0)
      io.stdout.write(
        `The newest entry of ${unanchored === chains ? 'no chain' : `${unanchored} chains`} is known from elsewhere: entries may have been cut off at the end.\n`,
      );
  }
  return report.ok ? EXIT.passed : EXIT.gateFailed;
}

async function newestEntries(
  io: ProgramIo,
  settings: Settings,
): Promise<ReadonlyMap<string, KnownHead> | undefined> {
  try {
    return await withRedis(settings.redis, REDIS_WAIT_MS, (redis) =>
      createAuditHeads(redis, accessKeys(settings.queuePrefix)).all(),
    );
  } catch (error) {
    io.stderr.write(`scanmq: ${toScanmqError(error).message}\n`);
    return undefined;
  }
}
