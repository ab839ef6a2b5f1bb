import { parseTargets, type ScanCredentials, ScanmqError, ScannerError } from '@scanmq/contract';
import { sleep } from './interruption.js';
import { hideScanSecrets } from './log-secrets.js';
import { checkPolicyAgain } from './policy-again.js';
import { asOwner, patiently, type RunContext, scanMarker } from './run-context.js';

/** After an unknown outcome the scanner may still be busy with the request: looks this often before concluding. */
const LOOKS = 3;
const LOOK_PAUSE_MS = 1_000;
/** Creates that may be tried again after an unknown outcome that turned out to be "did not happen". */
const CREATES = 3;

/** Waits until scans may be launched. @throws ScannerError `scanner_rejected` when only an operator can help. */
export async function waitUntilReady(ctx: RunContext): Promise<void> {
  for (let waited = false; ; waited = true) {
    const readiness = await patiently(ctx, 'readiness', () => ctx.scanner.readiness(ctx.signal));
    if (readiness.ready) return;
    if (readiness.operatorNeeded) {
      throw new ScannerError(
        'scanner_rejected',
        `The scanner says '${readiness.word}': it needs its operator (registration, licence or plugin feed) before it can scan.`,
        { instanceKey: ctx.scanner.instanceKey, operation: 'readiness' },
      );
    }
    if (!waited) await ctx.note(`The scanner is not ready yet (${readiness.word}); waiting.`);
    await ctx.report(0, readiness.word);
    await sleep(Math.min(ctx.deps.settings.pollIntervalMs, 5_000), ctx.signal);
  }
}

/**
 * The scan of this task on the scanner: the one that the checkpoint names, else the one that carries our marker
 * (made by a run that crashed before it could say so), else a new one. Create is not idempotent and names are not
 * unique (nessus-api.md section 0, rule 10), therefore: intent, look, create, record; after an unknown outcome, look.
 */
export async function findOrCreateScan(ctx: RunContext): Promise<number> {
  const done = ctx.checkpoint().nessus_scan_id;
  if (done !== undefined) return done;
  const { task } = ctx;
  const marker = scanMarker(task, ctx.checkpoint().generation);

  if (ctx.checkpoint().create_intent_at !== undefined) {
    const adopted = await findByMarker(ctx, marker, LOOKS);
    if (adopted !== undefined) return await record(ctx, adopted, 'adopted');
  }
  await waitUntilReady(ctx);
  // what became forbidden since the submission is not even made
  await checkPolicyAgain(ctx, 'create');
  const credentials = task.has_credentials ? await ctx.deps.queue.credentialsOf(task) : undefined;
  if (task.has_credentials && !credentials) {
    throw new ScanmqError(
      'not_found',
      task.credential_ref === null
        ? 'The credentials of this task are gone; submit it again.'
        : `The credential '${task.credential_ref}' was removed, or is not among those of this worker.`,
    );
  }
  const showAgain = credentials && hideScanSecrets(ctx.log, credentials);
  try {
    return await createOnce(ctx, marker, credentials);
  } finally {
    showAgain?.();
  }
}

async function createOnce(
  ctx: RunContext,
  marker: string,
  credentials: ScanCredentials | undefined,
): Promise<number> {
  const { task } = ctx;
  for (let tries = 1; ; tries += 1) {
    await ctx.save({ create_intent_at: ctx.deps.now().toISOString() });
    try {
      const plan = {
        name: `${task.name} ${marker}`,
        description: `${task.description === '' ? '' : `${task.description}\n`}Made by scanmq for task ${task.task_id} ${marker}`,
        // as we read them: the scanner must not take another separator or spelling for something else
        targets: parseTargets(task.targets)
          .map(({ text }) => text)
          .join(','),
        template: task.template,
        credentials,
      };
      const { scanId } = await patiently(ctx, 'create', () =>
        asOwner(ctx, (write) => ctx.scanner.createScan(plan, ctx.signal, write)),
      );
      return await record(ctx, scanId, 'created');
    } catch (error) {
      if (!(error instanceof ScannerError) || error.retryable !== 'unknown_outcome') throw error;
      ctx.signal.throwIfAborted();
      await ctx.note(`Create: ${error.message} Looking whether it happened.`);
      const found = await findByMarker(ctx, marker, LOOKS);
      if (found !== undefined) return await record(ctx, found, 'adopted');
      if (tries >= CREATES) throw error;
    }
  }
}

async function record(ctx: RunContext, scanId: number, how: 'created' | 'adopted'): Promise<number> {
  await ctx.save({ nessus_scan_id: scanId });
  ctx.log.info({ event: 'scan.created', nessus_scan_id: scanId, how }, `scan ${how} on the scanner`);
  await ctx.note(`Scan ${scanId} ${how} on ${ctx.scanner.instanceKey}.`);
  return scanId;
}

/** Looks for our scan several times: a request whose connection broke may take effect a moment later. */
export async function findByMarker(
  ctx: RunContext,
  marker: string,
  looks: number,
): Promise<number | undefined> {
  for (let look = 1; ; look += 1) {
    const found = await patiently(ctx, 'find', () => ctx.scanner.findScans(marker, ctx.signal));
    // the lowest id is the oldest: any other with the same marker was never launched by us
    const ids = found.map((scan) => scan.scanId).sort((a, b) => a - b);
    if (ids[0] !== undefined) return ids[0];
    if (look >= looks) return undefined;
    await sleep(Math.min(LOOK_PAUSE_MS, ctx.deps.settings.pollIntervalMs), ctx.signal);
  }
}
