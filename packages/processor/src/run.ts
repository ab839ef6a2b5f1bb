/** One run: a worker's go at a task, from owning it to its results. */
import { isDeepStrictEqual } from 'node:util';
import { type Checkpoint, type InstanceKey, ScanmqError, type TaskRecord } from '@scanmq/contract';
import type { IngestResult } from '@scanmq/findings';
import { parentOfTask } from '@scanmq/observability';
import {
  type JobLock,
  nextGeneration,
  type ScanJobData,
  type ScanJobOutcome,
  type TaskChange,
  type TaskNews,
} from '@scanmq/queue';
import type { Job } from 'bullmq';
import { collectResults } from './collect-results.js';
import { countEnd } from './count-end.js';
import { findOrCreateScan } from './create-scan.js';
import { hostProgress } from './host-progress.js';
import { collectImport, recordOfImport } from './import-results.js';
import { Interruption, type Interrupts } from './interruption.js';
import { launchScan } from './launch-scan.js';
import { cleanUp, noteCleanup, releaseAll } from './release.js';
import type { ProcessorDeps, RunContext } from './run-context.js';
import { watchScan } from './watch-scan.js';

export type ScanJob = Job<ScanJobData, ScanJobOutcome, 'scan'>;

export interface RunInput {
  readonly deps: ProcessorDeps;
  readonly job: ScanJob;
  readonly lock: JobLock;
  readonly interrupts: Interrupts;
  readonly task: TaskRecord;
  /** Ours: every write of the run is refused once another run owns the task. */
  readonly runToken: string;
  readonly instanceKey: InstanceKey;
  /** Runs in a row, up to this one, that ended without a word. */
  readonly crashes: number;
}

export interface Run extends RunInput {
  readonly startedAt: string;
  /** For the steps; its signal is aborted by every interruption and by the time limit. */
  readonly ctx: RunContext;
  /** The same with another signal. */
  contextWith(signal: AbortSignal): RunContext;
  /** Stops the clock of the time limit. */
  close(): void;
}

/** Writes that the run has begun, and opens what its steps need. */
export async function openRun(input: RunInput): Promise<Run> {
  const { deps, job, interrupts, task, runToken, instanceKey } = input;
  const { tasks, health } = deps.queue;
  // a scan on an instance that is no longer configured cannot be followed: a new one is made elsewhere
  const moved = task.checkpoint !== null && task.checkpoint.instance_key !== instanceKey;
  const kept = moved ? nextGeneration(task) : task.checkpoint;
  let checkpoint: Checkpoint = { ...kept, generation: kept?.generation ?? 1, instance_key: instanceKey };
  const startedAt = task.started_at ?? deps.now().toISOString();
  const deadlineAt = task.deadline_at ?? new Date(Date.parse(startedAt) + task.timeout_ms).toISOString();
  const begin: TaskChange = {
    started_at: startedAt,
    deadline_at: deadlineAt,
    scanner_instance:
      task.imported?.source === 'upload' ? null : instanceKey.slice(task.scanner_pool.length + 1),
    checkpoint,
    waiting_for: null,
    simulator: task.simulator || ((await health.get(instanceKey))?.simulator ?? false),
  };
  const assigned: TaskNews = {
    type: 'log',
    message: begin.scanner_instance === null ? 'Reading of the file begins.' : `Assigned to ${instanceKey}.`,
  };
  if (task.state === 'queued')
    await tasks.transition(
      task.task_id,
      'running',
      { ...begin, error: null },
      { runToken, news: [assigned] },
    );
  else await tasks.update(task.task_id, begin, { runToken });

  const log = deps.log.child({ task_id: task.task_id, trace_id: task.trace_id, instance: instanceKey });
  let shown = { progress: task.progress, status: task.scanner_status };
  let hostsShown = hostProgress([]);
  // the limit of a scan (24 days) is below what a timer of Node can hold
  const timer = setTimeout(
    () => interrupts.interrupt('deadline'),
    Math.max(0, Date.parse(deadlineAt) - Date.now()),
  );
  const parent = parentOfTask(task);
  const facts = {
    'scanmq.task_id': task.task_id,
    'scanmq.attempt': job.attemptsMade + 1,
    'scanmq.scanner': instanceKey,
  };
  const contextWith = (signal: AbortSignal): RunContext => ({
    deps,
    task,
    // looked up when it is needed: an uploaded file has none
    get scanner() {
      return deps.registry.scanner(instanceKey);
    },
    signal,
    log,
    checkpoint: () => checkpoint,
    async save(change) {
      const next = { ...checkpoint, ...change };
      // whatever was achieved shows that the task does not crash its worker
      await tasks.update(task.task_id, { checkpoint: next, crashes: 0 }, { runToken });
      checkpoint = next;
    },
    async report(progressPercent, status, hosts) {
      const progress = Math.max(shown.progress, Math.floor(progressPercent));
      const further = progress !== shown.progress || status !== shown.status;
      const hostsNow = hosts === undefined ? hostsShown : hostProgress(hosts);
      if (!further && isDeepStrictEqual(hostsNow, hostsShown)) return;
      shown = { progress, status };
      hostsShown = hostsNow;
      await tasks.update(task.task_id, further ? { progress, scanner_status: status } : {}, {
        runToken,
        news: [{ type: 'progress', progress: { progress, scanner_status: status, ...hostsNow } }],
      });
      // the dashboard shows no hosts
      if (further)
        await job.updateProgress({ percent: progress, scanner_status: status, instance: instanceKey });
    },
    update: async (change) => await tasks.update(task.task_id, change, { runToken }),
    phase: (name, work) => deps.tracing.span(name, facts, work, { under: parent }),
    mark: (name, more = {}, code) =>
      deps.tracing.begin(name, { ...facts, ...more }, { under: parent }).end(code),
    nap: (ms) => interrupts.nap(ms, signal),
    note: async (line, code) => {
      await job.log(`${deps.now().toISOString()} ${line}`);
      await tasks.tell(
        task.task_id,
        { type: 'log', message: line, ...(code === undefined ? {} : { code }) },
        { runToken },
      );
    },
  });
  return {
    ...input,
    startedAt,
    ctx: contextWith(interrupts.any),
    contextWith,
    close: () => clearTimeout(timer),
  };
}

/** The steps, one after the other. @throws whatever ends the run early; `endRun` decides what that means. */
export async function performRun(run: Run): Promise<ScanJobOutcome> {
  const { deps, job, task, ctx, crashes } = run;
  ctx.log.info({ event: 'run.begun', attempt: job.attemptsMade + 1, crashes }, 'run begun');
  if (crashes > 0) {
    deps.meter.count('scanmq_handoffs_total', { reason: 'crash' });
    await ctx.note('The worker before ended without a word; another goes on with the task.');
  }
  if (crashes >= deps.settings.maxCrashes) {
    throw new ScanmqError(
      'crashed_repeatedly',
      `The task was given up after ${crashes} runs in a row that ended without a word: it crashes its worker.`,
    );
  }
  const latest = await deps.queue.tasks.get(task.task_id);
  if (latest.cancel_requested) throw new Interruption('cancel');
  // of a run before this one: nothing may be begun any more, not even in the moment before the timer fires
  if (latest.deadline_at !== null && Date.parse(latest.deadline_at) <= deps.now().getTime())
    throw new Interruption('deadline');
  const { summary, ...verdict } = task.imported ? await collectImport(ctx, task.imported) : await scan(ctx);
  await ctx.note(`Stored: ${summary.total_findings} findings on ${summary.hosts_scanned} hosts.`);
  await ctx.phase('task.finish', () => finish(run, summary, verdict));
  ctx.log.info({ event: 'task.completed', findings: summary.total_findings }, 'task completed');
  return { outcome: 'completed', total_findings: summary.total_findings };
}

async function finish(
  { deps, task, runToken, startedAt }: Run,
  summary: IngestResult['summary'],
  verdict: Omit<IngestResult, 'summary'>,
): Promise<void> {
  await noteCleanup(deps, task, 'completed');
  const finished = await deps.queue.tasks.transition(
    task.task_id,
    'completed',
    {
      completed_at: deps.now().toISOString(),
      progress: 100,
      error: null,
      run_token: null,
      ...resultsOf(summary, verdict),
      ...(task.imported ? recordOfImport(task, verdict) : {}),
    },
    { runToken },
  );
  countEnd(deps, finished);
  await releaseAll(deps, finished);
  await cleanUp(deps, finished);
  if (!task.imported)
    await deps.queue.rememberDuration(task.scanner_pool, deps.now().getTime() - Date.parse(startedAt));
}

/** What the record says of results. */
export function resultsOf(
  summary: IngestResult['summary'],
  verdict: Omit<IngestResult, 'summary'>,
): TaskChange {
  return {
    authentication_status: verdict.authenticationStatus,
    validation_warnings: [...verdict.warnings],
    results_summary: summary,
    troubleshooting: verdict.troubleshooting,
    quality: verdict.quality,
  };
}

/** Find or create → launch → watch → export → ingest. */
async function scan(ctx: RunContext): Promise<IngestResult> {
  const scanId = await ctx.phase('scan.create', () => findOrCreateScan(ctx));
  await ctx.phase('scan.launch', () => launchScan(ctx, scanId));
  await watchScan(ctx, scanId);
  return await collectResults(ctx, scanId);
}
