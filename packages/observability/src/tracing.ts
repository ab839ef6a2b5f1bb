import { createHash } from 'node:crypto';

/** Facts of a span: names and figures of ours, never what a client or a scanned host wrote. */
export type SpanFacts = Readonly<Record<string, string | number | boolean>>;

export interface OpenSpan {
  /** 32 hex digits; the same for all spans of a trace. Empty when nothing is traced. */
  readonly traceId: string;
  set(facts: SpanFacts): void;
  /** @param code of the error, where it ended with one. */
  end(code?: string): void;
  /** Runs this with the span as the one that others become children of. */
  within<T>(work: () => T): T;
}

export interface SpanOptions {
  /** W3C `traceparent` of the span above; the one that runs now when left out, else it begins a trace. */
  readonly under?: string | undefined;
  /** `server`: answers a request of another program. `consumer`: works at what another program left. */
  readonly kind?: 'internal' | 'server' | 'consumer' | 'client';
  /** When it began, where that was before; milliseconds since 1970. */
  readonly startMs?: number;
}

/**
 * Spans of one program. Everything that lasts has a short span per phase, never one over the whole: what waits for a day
 * would be seen a day late, and not at all after a crash.
 */
export interface Tracing {
  /** False when nothing is traced: then all of it does nothing. */
  readonly on: boolean;
  begin(name: string, facts: SpanFacts, options?: SpanOptions): OpenSpan;
  /** A span around some work; an error ends it with its code and is thrown on. */
  span<T>(name: string, facts: SpanFacts, work: () => Promise<T>, options?: SpanOptions): Promise<T>;
  /** As `span`, but only below a span that runs now: for calls that are too many to be told of otherwise. */
  childSpan<T>(name: string, facts: SpanFacts, work: () => Promise<T>): Promise<T>;
  /** `traceparent` of the span that runs now. */
  current(): string | undefined;
  /** Sends what is not sent yet. */
  close(): Promise<void>;
}

export interface TracingOptions {
  /** Undefined = nothing is traced. */
  readonly settings: { readonly url: string; readonly serviceName: string | undefined } | undefined;
  /** Name of the program, where the settings have none. */
  readonly program: string;
  readonly version: string;
  /** Told why spans could not be sent; they are lost then, and nothing else is. */
  readonly onProblem: (reason: string) => void;
}

const NO_SPAN: OpenSpan = {
  traceId: '',
  set: () => undefined,
  end: () => undefined,
  within: (work) => work(),
};

/** Traces nothing, and costs nothing. */
export const NO_TRACING: Tracing = {
  on: false,
  begin: () => NO_SPAN,
  span: async (_name, _facts, work) => await work(),
  childSpan: async (_name, _facts, work) => await work(),
  current: () => undefined,
  close: async () => undefined,
};

/** Version 00, or a later one, which begins the same way; ids of zeros only mean that there is none. */
const TRACEPARENT =
  /^(?:00-(?!0{32})([0-9a-f]{32})-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}|(?!00|ff)[0-9a-f]{2}-(?!0{32})([0-9a-f]{32})-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}(?:-.*)?)$/;

/** The trace id of a W3C `traceparent`; undefined for anything else. */
export function traceIdOf(traceparent: unknown): string | undefined {
  const match = typeof traceparent === 'string' ? TRACEPARENT.exec(traceparent) : null;
  return match?.[1] ?? match?.[2];
}

/**
 * What the spans of a task hang from: the span of its submission, or, where that was not traced, a place of its own in the
 * trace whose id the task has anyway, the same for every worker.
 */
export function parentOfTask(task: {
  readonly task_id: string;
  readonly trace_id: string;
  readonly trace_parent: string | null;
}): string {
  if (task.trace_parent !== null && traceIdOf(task.trace_parent) === task.trace_id) return task.trace_parent;
  const place = createHash('sha256').update(task.task_id).digest('hex').slice(0, 16);
  return `00-${task.trace_id}-${place}-01`;
}
