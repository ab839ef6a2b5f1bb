import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import { ScanmqError } from '@scanmq/contract';
import { FILES, type ResultFacts } from './facts.js';
import { type ScanFacts, storeFindings } from './ingest.js';

/**
 * Derives results anew from the raw export, once for however many ask for the same task at a time.
 * @returns throws ScanmqError `not_found` when there is no export; InvalidExportError when it is not usable.
 */
export function createRebuilder(
  memoryMb: number,
): (taskDir: string, scan: ScanFacts) => Promise<ResultFacts> {
  const running = new Map<string, Promise<ResultFacts>>();
  return async (taskDir, scan) => {
    const begun = running.get(taskDir);
    if (begun) return await begun;
    const rebuilding = rebuild(memoryMb, taskDir, scan);
    running.set(taskDir, rebuilding);
    try {
      return await rebuilding;
    } finally {
      running.delete(taskDir);
    }
  };
}

async function rebuild(memoryMb: number, taskDir: string, scan: ScanFacts): Promise<ResultFacts> {
  const raw = await stat(join(taskDir, FILES.raw)).catch(() => undefined);
  if (raw === undefined) throw new ScanmqError('not_found', 'The results of this task are no longer stored.');
  return await storeFindings({ memoryMb, taskDir, ...scan });
}
