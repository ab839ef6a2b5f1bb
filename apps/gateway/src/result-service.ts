/**
 * What users can ask of results, once for every front: REST and MCP call these functions and nothing below them.
 */
import type { Readable } from 'node:stream';
import {
  type Comparison,
  type ComparisonQuery,
  InvalidRequestError,
  type ResultsAnswer,
  type ResultsQuery,
  ScanmqError,
  type SearchAnswer,
  type SearchParams,
  type SeverityName,
  type TaskRecord,
} from '@scanmq/contract';
import {
  type ComparedTask,
  FILES,
  type Finding,
  FORMATS,
  type FormatName,
  type HostPage,
  type QueryOptions,
  type Results,
  type ResultsStore,
  renderComparison,
  renderReport,
  type SearchedTask,
} from '@scanmq/findings';
import { isRedisAway, type QueueSystem } from '@scanmq/queue';
import type { ResultStore } from '@scanmq/store';
import { type CompletedResults, renderedTask } from './completed-results.js';
import { type HeldResults, heldWhileRead, holding, letGo, orLetGo, writtenOut } from './held-results.js';

export interface ResultServiceDeps {
  readonly queue: QueueSystem;
  readonly files: ResultStore;
  readonly store: ResultsStore;
  readonly completed: CompletedResults;
  readonly version: string;
  readonly now: () => Date;
}

/** A file made while it is sent. */
export interface Download {
  readonly mediaType: string;
  readonly fileName: string;
  readonly body: AsyncIterable<string>;
}

export interface RawExport {
  readonly bytes: number;
  readonly fileName: string;
  /** Another one for another export. */
  readonly version: string;
  open(): Promise<Readable>;
}

export interface FormatQuery {
  readonly filters: ResultsQuery['filters'];
  readonly sort: ResultsQuery['sort'];
  /** Columns of `csv`. */
  readonly fields: readonly string[] | undefined;
  /** Severity from which on a finding is a failure in `junit`. */
  readonly failOn: SeverityName | undefined;
}

export interface ResultService {
  results(taskId: string, query: ResultsQuery, options?: QueryOptions): Promise<ResultsAnswer>;
  /** The answer of `results` as lines of JSON, one after the other, however many. */
  streamResults(taskId: string, query: ResultsQuery): Promise<AsyncIterable<string>>;
  /** All findings that match, in a format for another program. */
  document(taskId: string, format: FormatName, query: FormatQuery): Promise<Download>;
  /** The whole finding. @throws ScanmqError `not_found`. */
  finding(taskId: string, findingId: string): Promise<Finding>;
  hosts(
    taskId: string,
    page: { readonly limit: number; readonly offset: number; readonly cursor?: string | undefined },
  ): Promise<HostPage>;
  report(taskId: string): Promise<Download>;
  /** The raw export, byte for byte; also of a task whose export turned out to be invalid. */
  rawExport(taskId: string): Promise<RawExport>;
  /**
   * Names the state of what is answered about the results of a task: as long as it is the same, so are the answers.
   * @throws as the answers would, where there are no results.
   */
  version(taskId: string): Promise<string>;
  compare(baseTaskId: string, headTaskId: string, query: ComparisonQuery): Promise<Comparison>;
  comparisonReport(baseTaskId: string, headTaskId: string): Promise<Download>;
  /** @param owner looks at tasks of this principal only, where none is named. */
  search(params: SearchParams, owner?: string): Promise<SearchAnswer>;
}

/** Findings written out in a report; more make a page that no browser likes. */
const REPORT_FINDINGS = 5_000;
const REPORT_ITEMS = 2_000;
const REPORT_HOSTS = 100;
const REPORT_PLUGINS = 20;
/** The worst first, and what belongs together beside each other. */
const REPORT_SORT = '-severity,plugin_id,host';
const HTML = 'text/html; charset=utf-8';
const TASK_BATCH = 50;

export function createResultService(deps: ResultServiceDeps): ResultService {
  const { queue, store, completed } = deps;

  async function compared(baseTaskId: string, headTaskId: string): Promise<ComparedPair> {
    if (baseTaskId === headTaskId)
      throw new InvalidRequestError('A task cannot be compared with itself.', [
        { path: 'base_task_id', message: 'expected another task than head_task_id' },
      ]);
    const base = await completed.open(baseTaskId);
    const head = await orLetGo([base], () => completed.open(headTaskId));
    return {
      held: [base, head],
      base: { taskId: baseTaskId, results: base.results },
      head: { taskId: headTaskId, results: head.results },
      baseTask: base.task,
      headTask: head.task,
    };
  }

  /** Completed tasks, the newest first. */
  async function* completedTasks(
    since: string | undefined,
    owner: string | undefined,
  ): AsyncGenerator<TaskRecord> {
    const sinceMs = since === undefined ? Number.NEGATIVE_INFINITY : Date.parse(since);
    let cursor: string | undefined;
    for (;;) {
      const ids = await queue.tasks.idsByCreation(cursor, TASK_BATCH, 'completed');
      for (const task of await queue.tasks.getMany(ids)) {
        if (task?.state !== 'completed') continue;
        if (Date.parse(task.completed_at ?? task.created_at) < sinceMs) return;
        if (owner === undefined || task.principal === owner) yield task;
      }
      cursor = ids.at(-1);
      if (ids.length < TASK_BATCH) return;
    }
  }

  /**
   * Searches one task after the other; each is let go when the next is opened.
   * @param lenient leaves out a task whose results cannot be opened.
   */
  async function searchIn(
    tasks: AsyncIterable<TaskRecord>,
    params: SearchParams,
    lenient: boolean,
  ): Promise<SearchAnswer> {
    let held: readonly HeldResults[] = [];
    async function openNext(task: TaskRecord): Promise<Results | undefined> {
      await letGo(held);
      held = [];
      try {
        const opened = await completed.resultsOf(task);
        held = [opened];
        return opened.results;
      } catch (error) {
        // files that are away for now are not "nothing found"
        if (!lenient || isRedisAway(error) || (error instanceof ScanmqError && error.code === 'unavailable'))
          throw error;
        // one task whose files were cleared away must not spoil the search over all others
        return undefined;
      }
    }
    async function* searched(): AsyncGenerator<SearchedTask> {
      for await (const task of tasks)
        yield { taskId: task.task_id, completedAt: task.completed_at, open: () => openNext(task) };
    }
    try {
      return await store.search(searched(), params);
    } finally {
      await letGo(held);
    }
  }

  return {
    async results(taskId, query, options) {
      return await completed.use(taskId, (results) => results.query(query, options));
    },

    async streamResults(taskId, query) {
      const held = await completed.open(taskId);
      const stream = await orLetGo([held], () => held.results.stream(query));
      return heldWhileRead([held], stream);
    },

    async document(taskId, format, query) {
      const held = await completed.open(taskId);
      const { task, results } = held;
      const { mediaType, extension, write } = FORMATS[format];
      return await writtenOut([held], async () => {
        if (query.fields) results.checkFields(query.fields);
        const input = await completed.rendered(task, results, query);
        return {
          mediaType,
          fileName: `${taskId}.${extension}`,
          body: write(input, {
            version: deps.version,
            ...(query.fields === undefined ? {} : { fields: query.fields }),
            ...(query.failOn === undefined ? {} : { failOn: query.failOn }),
          }),
        };
      });
    },

    async finding(taskId, findingId) {
      const finding = await completed.use(taskId, (results) => results.finding(findingId));
      if (!finding)
        throw new ScanmqError('not_found', `Task ${taskId} has no finding ${findingId.slice(0, 80)}.`);
      return finding;
    },

    async hosts(taskId, page) {
      return await completed.use(taskId, (results) => results.hosts(page));
    },

    async report(taskId) {
      const held = await completed.open(taskId);
      const { task, results } = held;
      return await writtenOut([held], async () => {
        const [input, topPlugins, hosts, doubtful] = await Promise.all([
          completed.rendered(task, results, { filters: undefined, sort: REPORT_SORT }),
          results.topPlugins(REPORT_PLUGINS),
          results.hosts({ limit: REPORT_HOSTS }),
          results.hosts({ limit: REPORT_HOSTS, doubtful: true }),
        ]);
        return {
          mediaType: HTML,
          fileName: `${taskId}.html`,
          body: renderReport(
            {
              ...input,
              topPlugins,
              hosts: hosts.hosts.map(({ counts }) => counts),
              hostsTotal: hosts.total,
              doubtfulHosts: doubtful.hosts.map(({ quality }) => quality),
              generatedAt: deps.now(),
            },
            { maxFindings: REPORT_FINDINGS },
          ),
        };
      });
    },

    async rawExport(taskId) {
      const task = await queue.tasks.get(taskId);
      const file = await deps.files.file(taskId, FILES.raw);
      if (!file) throw new ScanmqError('not_found', `Task ${taskId} (${task.state}) has no export.`);
      return {
        bytes: file.bytes,
        fileName: `${taskId}.nessus`,
        version: file.version,
        open: () => file.open(),
      };
    },

    async version(taskId) {
      const { revision, checkpoint } = await completed.task(taskId);
      // another version of the program may answer in other words
      return [taskId, revision, checkpoint?.export?.sha256, deps.version].join(':');
    },

    async compare(baseTaskId, headTaskId, query) {
      const { base, head, held } = await compared(baseTaskId, headTaskId);
      return await holding(held, () => store.compare(base, head, query));
    },

    async comparisonReport(baseTaskId, headTaskId) {
      const { base, head, baseTask, headTask, held } = await compared(baseTaskId, headTaskId);
      return await writtenOut(held, async () => ({
        mediaType: HTML,
        fileName: `${baseTaskId}-${headTaskId}.html`,
        body: renderComparison({
          comparison: await store.compare(base, head, { limit: 1 }),
          base: renderedTask(baseTask),
          head: renderedTask(headTask),
          items: store.comparisonItems(base, head, {}, REPORT_ITEMS),
          maxItems: REPORT_ITEMS,
          generatedAt: deps.now(),
        }),
      }));
    },

    async search(params, owner) {
      if (params.task_id === undefined)
        return await searchIn(completedTasks(params.since, owner), params, true);
      // with a task that was named, an error is the answer
      return await searchIn(only(await completed.task(params.task_id)), params, false);
    },
  };
}

interface ComparedPair {
  readonly held: readonly HeldResults[];
  readonly base: ComparedTask;
  readonly head: ComparedTask;
  readonly baseTask: TaskRecord;
  readonly headTask: TaskRecord;
}

async function* only(task: TaskRecord): AsyncGenerator<TaskRecord> {
  yield task;
}
