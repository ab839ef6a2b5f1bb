import type {
  Comparison,
  ComparisonItem,
  ComparisonQuery,
  GatePolicy,
  SearchAnswer,
  SearchParams,
} from '@scanmq/contract';
import { type ComparedTask, compareResults, comparisonItems } from './compare.js';
import type { EngineOptions, FindingsEngine } from './engine.js';
import { openFindingsEngine } from './engine.js';
import {
  type GateInput,
  type GateResult,
  type Judgements,
  judgeEach,
  judgeFindings,
  type KnownFinding,
  knownFindings,
} from './gate.js';
import { createRebuilder } from './rebuild.js';
import { openResults, type Results, type ResultsOptions } from './results.js';
import { type SearchedTask, searchFindings } from './search.js';
import { createSelectionCache } from './selection.js';

/** Everything that can be asked of stored results, with what is remembered between questions. */
export interface ResultsStore {
  readonly engine: FindingsEngine;
  /** Throws as `openResults`. */
  open(taskDir: string, options: ResultsOptions): Promise<Results>;
  /** Throws as `compareResults`. */
  compare(base: ComparedTask, head: ComparedTask, query: ComparisonQuery): Promise<Comparison>;
  comparisonItems(
    base: ComparedTask,
    head: ComparedTask,
    query: Pick<ComparisonQuery, 'severity' | 'status'>,
    most?: number,
  ): AsyncIterable<ComparisonItem>;
  /** Measures the findings of a task by a gate. @param limit findings that broke it and are wanted. */
  judge(input: GateInput, limit: number): Promise<GateResult>;
  /** The same for each finding. */
  judgeEach(input: GateInput): Promise<Judgements>;
  /** What a baseline file holds. */
  knownFindings(
    head: ComparedTask,
    policy: GatePolicy,
  ): Promise<{ total: number; stream(): AsyncIterable<KnownFinding> }>;
  /** Throws as `searchFindings`. */
  search(tasks: AsyncIterable<SearchedTask>, params: SearchParams): Promise<SearchAnswer>;
  close(): Promise<void>;
}

/** Of the memory for questions, the part that remembers which findings answered them. */
const SELECTIONS_SHARE = 0.125;

/** Opens a store; one per process. */
export async function createResultsStore(options: EngineOptions): Promise<ResultsStore> {
  const engine = await openFindingsEngine(options);
  const rebuild = createRebuilder(options.memoryMb);
  const selections = createSelectionCache(options.memoryMb * 1024 * 1024 * SELECTIONS_SHARE);
  return {
    engine,
    open: (taskDir, resultsOptions) => openResults({ engine, selections, rebuild }, taskDir, resultsOptions),
    compare: (base, head, query) => compareResults({ engine, selections }, base, head, query),
    comparisonItems: (base, head, query, most) =>
      comparisonItems({ engine, selections }, base, head, query, most),
    judge: (input, limit) => judgeFindings({ engine, selections }, input, limit),
    judgeEach: (input) => judgeEach({ engine, selections }, input),
    knownFindings: (head, policy) => knownFindings({ engine, selections }, head, policy),
    search: (tasks, params) => searchFindings({ engine, selections }, tasks, params),
    close: () => engine.close(),
  };
}
