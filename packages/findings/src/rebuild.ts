import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import { ScanmqError } from '@scanmq/contract';
import { FILES, type ResultFacts } from './facts.js';
import { type ScanFacts, storeFindings } from './ingest.js';

/** What belongs to a rebuild where files are kept elsewhere than in the directory that they are read from. */
export interface RebuildHooks {
  /** Brings the raw export, if there is one. */
  before(): Promise<void>;
  /** Keeps what was derived, for others. */
  after(): Promise<void>;
}

/** Throws ScanmqError `not_found` when there is no export; InvalidExportError when it is not usable; as the hooks. */
export type Rebuild = (taskDir: string, scan: ScanFacts, hooks: RebuildHooks) => Promise<ResultFacts>;

/** Derives results anew from the raw export, once for however many ask for the same task at a time. */
export function createRebuilder(memoryMb: number): Rebuild {
  const running = new Map<string, Promise<ResultFacts>>();
  return async (taskDir, scan, hooks) => {
    const begun = running.get(taskDir);
    if (begun) return await begun;
    const rebuilding = rebuild(memoryMb, taskDir, scan, hooks);
    running.set(taskDir, rebuilding);
    try {
      return await rebuilding;
    } finally {
      running.delete(taskDir);
    }
  };
}

async function rebuild(
  memoryMb: number,
  taskDir: string,
  scan: ScanFacts,
  hooks: RebuildHooks,
): Promise<ResultFacts> {
  await hooks.before();
  const raw = await stat(join(taskDir, FILES.raw)).catch(() => undefined);
  if (raw === undefined) throw new ScanmqError('not_found', 'The results of this task are no longer stored.');
  const facts = await storeFindings({ memoryMb, taskDir, ...scan });
  await hooks.after();
  return facts;
}
