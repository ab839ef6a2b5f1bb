/** The results of a task that has some: opened with what was asked of its scan, and as formats and reports want them. */
import type { Settings } from '@scanmq/config';
import { isTerminal, parseTargets, type ResultsQuery, ScanmqError, type TaskRecord } from '@scanmq/contract';
import {
  type RenderedTask,
  type RenderInput,
  type Results,
  type ResultsStore,
  type ScanFacts,
  toResult,
} from '@scanmq/findings';
import { type QueueSystem, taskDirectory } from '@scanmq/queue';

export interface CompletedResults {
  /**
   * Also what a scan had found that was stopped early; its quality says so.
   * @throws ScanmqError `not_found`; `invalid_state` while there are none, or when there never will be.
   */
  task(taskId: string): Promise<TaskRecord>;
  /** Throws as `task`. */
  open(taskId: string): Promise<{ task: TaskRecord; results: Results }>;
  resultsOf(task: TaskRecord): Promise<Results>;
  /** Throws as `Results.findings`. */
  rendered(
    task: TaskRecord,
    results: Results,
    query: Pick<ResultsQuery, 'filters' | 'sort'>,
  ): Promise<RenderInput>;
}

export function createCompletedResults({
  queue,
  store,
  settings,
}: {
  readonly queue: QueueSystem;
  readonly store: ResultsStore;
  readonly settings: Pick<Settings, 'dataDir'>;
}): CompletedResults {
  function resultsOf(task: TaskRecord): Promise<Results> {
    return store.open(taskDirectory(settings.dataDir, task.task_id), {
      defaultProfile: task.schema_profile,
      extraMetadata: metadataOf(task),
      scan: scanFactsOf(task),
    });
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

    async open(taskId) {
      const task = await completedTask(taskId);
      return { task, results: await resultsOf(task) };
    },

    async rendered(task, results, query) {
      const { total, stream } = await results.findings(query, 'all');
      const { summary, quality } = toResult(results.facts);
      return { task: renderedTask(task), summary, quality, total, findings: stream };
    },
  };
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
  return {
    task_id: task.task_id,
    name: task.name,
    targets: task.targets,
    scan_type: task.scan_type,
    scanner_pool: task.scanner_pool,
    scanner_instance: task.scanner_instance,
    started_at: task.started_at,
    completed_at: task.completed_at,
    authentication_status: task.authentication_status,
    validation_warnings: task.validation_warnings,
    results_summary: task.results_summary,
    imported: task.imported,
    simulator: task.simulator,
  };
}
