/** The results of a task that has some: opened with what was asked of its scan, and as formats and reports want them. */
import { isTerminal, parseTargets, type ResultsQuery, ScanmqError, type TaskRecord } from '@scanmq/contract';
import {
  DERIVED_FILES,
  FILES,
  type RenderedTask,
  type RenderInput,
  type Results,
  type ResultsStore,
  type ScanFacts,
  toResult,
} from '@scanmq/findings';
import type { QueueSystem } from '@scanmq/queue';
import type { ResultStore } from '@scanmq/store';
import { type HeldResults, holding } from './held-results.js';

export interface CompletedResults {
  /**
   * Also what a scan had found that was stopped early; its quality says so.
   * @throws ScanmqError `not_found`; `invalid_state` while there are none, or when there never will be.
   */
  task(taskId: string): Promise<TaskRecord>;
  /** Whoever opens results lets go of them. Throws as `task`; ScanmqError `unavailable` when the store of the files is away. */
  open(taskId: string): Promise<HeldResults>;
  /** Throws as `open`. */
  resultsOf(task: TaskRecord): Promise<HeldResults>;
  /** Opens results, uses them, and lets go of them. Throws as `open`. */
  use<T>(taskId: string, use: (results: Results) => Promise<T>): Promise<T>;
  /** Throws as `Results.findings`. */
  rendered(
    task: TaskRecord,
    results: Results,
    query: Pick<ResultsQuery, 'filters' | 'sort'>,
  ): Promise<RenderInput>;
}

export function createCompletedResults({
  queue,
  files: kept,
  store,
}: {
  readonly queue: QueueSystem;
  readonly files: ResultStore;
  readonly store: ResultsStore;
}): CompletedResults {
  async function resultsOf(task: TaskRecord): Promise<HeldResults> {
    const files = await kept.read(task.task_id, versionOf(task));
    try {
      await files.fetch(DERIVED_FILES);
      const results = await store.open(files.directory, {
        defaultProfile: task.schema_profile,
        extraMetadata: metadataOf(task),
        scan: scanFactsOf(task),
        rebuilding: {
          before: () => files.fetch([FILES.raw]),
          // for others: here they are already
          after: () => files.publish(DERIVED_FILES).catch(() => undefined),
        },
      });
      return { task, results, files };
    } catch (error) {
      await files.close();
      throw error;
    }
  }

  async function completedTask(taskId: string): Promise<TaskRecord> {
    const task = await queue.tasks.get(taskId);
    if (task.state !== 'completed' && !task.partial_results) {
      throw new ScanmqError(
        'invalid_state',
        isTerminal(task.state)
          ? `The task is ${task.state}: it has no results.`
          : `The task is ${task.state}: results exist once it is completed.`,
      );
    }
    return task;
  }

  return {
    task: completedTask,
    resultsOf,

    open: async (taskId) => await resultsOf(await completedTask(taskId)),

    async use(taskId, use) {
      const held = await resultsOf(await completedTask(taskId));
      return await holding([held], () => use(held.results));
    },

    async rendered(task, results, query) {
      const { total, stream } = await results.findings(query, 'all');
      const { summary, quality } = toResult(results.facts);
      return { task: renderedTask(task), summary, quality, total, findings: stream };
    },
  };
}

/** As long as it is the same, so are the files of the results. */
function versionOf(task: TaskRecord): string {
  return `${task.completed_at}:${task.checkpoint?.export?.sha256}`;
}

/** What was asked of the scan: of an import only its export tells. */
function scanFactsOf(task: TaskRecord): ScanFacts {
  if (task.imported)
    return {
      scanType: undefined,
      targets: undefined,
      endedAs: task.imported.source === 'upload' ? 'imported' : (task.checkpoint?.ended_as ?? 'completed'),
    };
  return {
    scanType: task.scan_type,
    targets: parseTargets(task.targets),
    endedAs: task.checkpoint?.ended_as ?? 'completed',
  };
}

export function renderedTask(task: TaskRecord): RenderedTask {
  return {
    task_id: task.task_id,
    name: task.name,
    targets: task.targets,
    scan_type: task.scan_type,
    scanner_pool: task.scanner_pool,
    scanner_instance: task.scanner_instance,
    started_at: task.started_at,
    completed_at: task.completed_at,
    simulator: task.simulator,
    imported: task.imported !== null,
  };
}

/** What the results say of the task they belong to. */
function metadataOf(task: TaskRecord): Record<string, unknown> {
  const { simulator, imported: _, ...facts } = renderedTask(task);
  return {
    ...facts,
    authentication_status: task.authentication_status,
    validation_warnings: task.validation_warnings,
    results_summary: task.results_summary,
    imported: task.imported,
    simulator,
  };
}
