/** Pauses and resumes the scan of a run, as somebody or a window wants it. */
import { ScannerError, type TaskRecord, type WaitingFor } from '@scanmq/contract';
import { patiently, type RunContext } from './run-context.js';
import { closedWindow, rulesFor } from './target-rules.js';

type Wish = { readonly why: 'asked' } | { readonly why: 'window'; readonly of: string; readonly until: Date };

/**
 * Brings the scan closer to what is wanted of it. Called with every look: what did not happen this time, or whose outcome
 * is not known, is seen with the next. Only what we paused is resumed: a scan that somebody paused on the scanner stays so.
 * @param status the scanner's own word.
 */
export async function steerPause(ctx: RunContext, scanId: number, status: string): Promise<void> {
  const task = await ctx.deps.queue.tasks.get(ctx.task.task_id);
  const wish = await pauseWanted(ctx, task);
  const ours = ctx.checkpoint().paused;
  if (wish && status === 'running') {
    await ctx.save({ paused: wish.why });
    await tell(ctx, wish);
    await ignoringWrongState(() => patiently(ctx, 'pause', () => ctx.scanner.pauseScan(scanId, ctx.signal)));
    await ctx.note(
      wish.why === 'asked'
        ? `Asked the scanner to pause scan ${scanId}.`
        : `The window of ${wish.of} is closed: asked the scanner to pause scan ${scanId}.`,
    );
  } else if (wish && ours && (wish.why !== ours || !isTold(ctx, task, wish))) {
    await ctx.save({ paused: wish.why });
    await tell(ctx, wish);
  } else if (!wish && ours && status === 'paused') {
    await ignoringWrongState(() =>
      patiently(ctx, 'resume', () => ctx.scanner.resumeScan(scanId, ctx.signal)),
    );
    await ctx.note(`Asked the scanner to resume scan ${scanId}.`);
  } else if (!wish && ours && status === 'running') {
    await ctx.save({ paused: null });
    await tell(ctx, undefined);
  }
}

async function pauseWanted(ctx: RunContext, task: TaskRecord): Promise<Wish | undefined> {
  const { registry, policy, now } = ctx.deps;
  if (task.pause_requested) return { why: 'asked' };
  const rules = await rulesFor(registry, task, policy.resolve);
  const closed = closedWindow(registry, task.scanner_pool, rules, now(), { pausing: true });
  return closed && { why: 'window', of: closed.of, until: closed.opensAt };
}

/** What the record says of a running task that stands still; of one that somebody holds, its request does. */
function waitingForOf(ctx: RunContext, wish: Wish | undefined): WaitingFor | null {
  if (wish?.why !== 'window') return null;
  return {
    kind: 'window',
    reason: `its scan is paused, because the window of ${wish.of} is closed`,
    since: ctx.deps.now().toISOString(),
    until: wish.until.toISOString(),
    blocker: null,
  };
}

/** False when the windows have changed since. */
function isTold(ctx: RunContext, { waiting_for: told }: TaskRecord, wish: Wish): boolean {
  const meant = waitingForOf(ctx, wish);
  return told?.reason === meant?.reason && told?.until === meant?.until;
}

/** The record says why a running task stands still. */
async function tell(ctx: RunContext, wish: Wish | undefined): Promise<void> {
  await ctx.update({ waiting_for: waitingForOf(ctx, wish) });
}

/** The state of the scan has changed in between, or the outcome is not known: the next look tells. */
async function ignoringWrongState(act: () => Promise<void>): Promise<void> {
  try {
    await act();
  } catch (error) {
    if (!(error instanceof ScannerError)) throw error;
    if (error.scannerHttpStatus !== 409 && error.retryable !== 'unknown_outcome') throw error;
  }
}
