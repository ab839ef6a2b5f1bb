import { createReadStream } from 'node:fs';
import { stat } from 'node:fs/promises';
import { basename } from 'node:path';
import {
  type CancelAnswer,
  type Comparison,
  type ControlAction,
  type ControlAnswer,
  cancelAnswerSchema,
  comparisonSchema,
  controlAnswerSchema,
  ERROR_CODES,
  type ErrorCode,
  type InputIssue,
  LIMITS,
  problemSchema,
  type ResultsAnswer,
  resultsAnswerSchema,
  type ScanEvent,
  ScanmqError,
  type ScanStatus,
  type Schedule,
  type ScheduleList,
  scanEventSchema,
  scanStatusSchema,
  scheduleListSchema,
  scheduleSchema,
  submissionSchema,
  type TaskList,
  taskListSchema,
} from '@scanmq/contract';
import { createParser } from 'eventsource-parser';
import got, { type Got, RequestError } from 'got';
import { z } from 'zod';

export type Task = ScanStatus & { idempotent_replay: boolean };

export interface StreamOptions {
  readonly signal?: AbortSignal | undefined;
  /** Called when something comes, if only a sign of life. */
  readonly onAlive?: () => void;
}

/** Nothing came for so long, not even a sign of life: the connection is dead. */
const SILENCE_MS = 3 * LIMITS.eventHeartbeatMs;

/** What the client commands need of the REST API. */
export interface Client {
  readonly url: string;
  submit(body: Record<string, unknown>): Promise<Task>;
  /** @param waitSeconds the service holds the answer until the task has ended, or this long. */
  status(taskId: string, waitSeconds?: number): Promise<ScanStatus>;
  /**
   * What happens to a task, from the beginning or after an event. Ends when the service ends the stream: with the task, or
   * when it is being stopped.
   */
  events(taskId: string, lastEventId: string | undefined, options: StreamOptions): AsyncIterable<ScanEvent>;
  list(query: Record<string, string>): Promise<TaskList>;
  findings(taskId: string, query: Record<string, string>): Promise<ResultsAnswer>;
  findingLines(taskId: string, query: Record<string, string>): NodeJS.ReadableStream;
  cancel(taskId: string, options: { reason: string; keep_results: boolean }): Promise<CancelAnswer>;
  control(taskId: string, action: ControlAction): Promise<ControlAnswer>;
  /** Any other route: those of operators and administrators. */
  call<S extends z.ZodType>(
    method: 'get' | 'post' | 'delete',
    path: string,
    schema: S,
    body?: { readonly json?: unknown; readonly query?: Record<string, string> },
  ): Promise<z.output<S>>;
  /** Sends a file as it is read. */
  upload(path: string, query: Record<string, string>, idempotencyKey?: string): Promise<Task>;
  importScan(body: Record<string, unknown>): Promise<Task>;
  compare(headTaskId: string, baseTaskId: string, query: Record<string, string>): Promise<Comparison>;
  schedules(): Promise<ScheduleList>;
  schedule(scheduleId: string): Promise<Schedule>;
  createSchedule(body: Record<string, unknown>): Promise<Schedule>;
  switchSchedule(scheduleId: string, action: 'pause' | 'resume'): Promise<Schedule>;
  removeSchedule(scheduleId: string): Promise<void>;
  /** Submits the scan of a schedule now. */
  runSchedule(scheduleId: string, idempotencyKey?: string): Promise<Task>;
  /** Anything below `/scans`, as bytes. @param json a body; the request is a POST then. */
  download(path: string, query: Record<string, string>, json?: object): NodeJS.ReadableStream;
}

/** Where the service is, without a slash at the end. @throws ScanmqError `invalid_request` when it is no URL. */
export function serviceUrl(env: Readonly<Record<string, string | undefined>>): string {
  const url = (env.SCANMQ_URL ?? 'http://127.0.0.1:8835').replace(/\/+$/, '');
  // not repeated: a password may be in what somebody took for a URL
  if (!URL.canParse(url) || !/^https?:$/.test(new URL(url).protocol))
    throw new ScanmqError('invalid_request', 'SCANMQ_URL is no URL: expected http:// or https://.');
  return url;
}

/** A URL for people: without user name and password. */
export function shownUrl(url: string): string {
  const { origin, pathname } = new URL(url);
  return `${origin}${pathname.replace(/\/+$/, '')}`;
}

/**
 * A client for `SCANMQ_URL`.
 * All its methods throw ScanmqError: the code of the service's problem document, or `unavailable` when it is not there.
 */
export function createClient(env: Readonly<Record<string, string | undefined>>): Client {
  const url = serviceUrl(env);
  const http: Got = got.extend({
    prefixUrl: `${url}/api/v1`,
    ...(env.SCANMQ_API_KEY === undefined
      ? {}
      : { headers: { authorization: `Bearer ${env.SCANMQ_API_KEY}` } }),
    responseType: 'json',
    throwHttpErrors: true,
    followRedirect: false,
    timeout: { connect: 5_000, response: 90_000 },
    // a submission is repeated only where it carries an idempotency key, which the caller decides
    retry: { limit: 2, methods: ['GET'] },
  });

  async function ask<S extends z.ZodType>(
    schema: S,
    request: Promise<{ body: unknown }>,
  ): Promise<z.output<S>> {
    try {
      return schema.parse((await request).body);
    } catch (error) {
      throw asScanmqError(error, url);
    }
  }

  return {
    url,
    submit: (body) => ask(taskSchema, http.post('scans', { json: body })),
    status: (taskId, waitSeconds) =>
      ask(
        scanStatusSchema,
        http.get(`scans/${encodeURIComponent(taskId)}`, { searchParams: { wait: waitSeconds ?? 0 } }),
      ),
    events: (taskId, lastEventId, options) => streamEvents(http, url, taskId, lastEventId, options),
    list: (query) => ask(taskListSchema, http.get('scans', { searchParams: query })),
    findings: (taskId, query) =>
      ask(
        resultsAnswerSchema,
        http.get(`scans/${encodeURIComponent(taskId)}/findings`, { searchParams: query }),
      ),
    findingLines: (taskId, query) =>
      http.stream.get(`scans/${encodeURIComponent(taskId)}/findings`, {
        searchParams: { ...query, format: 'ndjson', page: '0' },
      }),
    cancel: (taskId, options) =>
      ask(cancelAnswerSchema, http.post(`scans/${encodeURIComponent(taskId)}/cancel`, { json: options })),
    control: (taskId, action) =>
      ask(controlAnswerSchema, http.post(`scans/${encodeURIComponent(taskId)}/${action}`)),
    call: (method, path, schema, { json, query } = {}) =>
      ask(
        schema,
        http(path, {
          method,
          ...(json === undefined ? {} : { json }),
          ...(query === undefined ? {} : { searchParams: query }),
        }),
      ),
    upload: async (path, query, idempotencyKey) => {
      const { size } = await stat(path).catch(() => {
        throw new ScanmqError('invalid_request', `There is no readable file ${path}.`);
      });
      return await ask(
        taskSchema,
        http.post('imports', {
          body: createReadStream(path),
          headers: {
            'content-type': 'application/octet-stream',
            'content-length': String(size),
            ...(idempotencyKey === undefined ? {} : { 'idempotency-key': idempotencyKey }),
          },
          searchParams: { file_name: basename(path), ...query },
          retry: { limit: 0 },
        }),
      );
    },
    importScan: (body) => ask(taskSchema, http.post('imports', { json: body })),
    compare: (headTaskId, baseTaskId, query) =>
      ask(
        comparisonSchema,
        http.get(`scans/${encodeURIComponent(headTaskId)}/compare/${encodeURIComponent(baseTaskId)}`, {
          searchParams: query,
        }),
      ),
    schedules: () => ask(scheduleListSchema, http.get('schedules')),
    schedule: (scheduleId) => ask(scheduleSchema, http.get(`schedules/${encodeURIComponent(scheduleId)}`)),
    createSchedule: (body) => ask(scheduleSchema, http.post('schedules', { json: body })),
    switchSchedule: (scheduleId, action) =>
      ask(scheduleSchema, http.post(`schedules/${encodeURIComponent(scheduleId)}/${action}`)),
    removeSchedule: async (scheduleId) => {
      // the answer has no body
      await ask(z.unknown(), http.delete(`schedules/${encodeURIComponent(scheduleId)}`));
    },
    runSchedule: (scheduleId, idempotencyKey) =>
      ask(
        taskSchema,
        http.post(`schedules/${encodeURIComponent(scheduleId)}/run`, {
          headers: idempotencyKey === undefined ? {} : { 'idempotency-key': idempotencyKey },
        }),
      ),
    download: (path, query, json) =>
      json === undefined
        ? http.stream.get(`scans/${path}`, { searchParams: query })
        : http.stream.post(`scans/${path}`, { searchParams: query, json }),
  };
}

async function* streamEvents(
  http: Got,
  url: string,
  taskId: string,
  lastEventId: string | undefined,
  { signal, onAlive }: StreamOptions,
): AsyncGenerator<ScanEvent> {
  const stream = http.stream.get(`scans/${encodeURIComponent(taskId)}/events`, {
    headers: {
      accept: 'text/event-stream',
      ...(lastEventId === undefined ? {} : { 'last-event-id': lastEventId }),
    },
    timeout: { connect: 5_000, response: SILENCE_MS, socket: SILENCE_MS },
    retry: { limit: 0 },
    ...(signal === undefined ? {} : { signal }),
  });
  const events: ScanEvent[] = [];
  const parser = createParser({
    onEvent({ id, event, data }) {
      // a newer service may tell of more than we know
      const parsed = scanEventSchema.safeParse({ id: Number(id), type: event, data: parseBody(data) });
      if (parsed.success) events.push(parsed.data);
    },
  });
  const text = new TextDecoder();
  try {
    for await (const chunk of stream) {
      const type = stream.response?.headers['content-type'] ?? '';
      if (!type.startsWith('text/event-stream'))
        throw new ScanmqError('internal', `${url} answers the request for events with something else.`);
      onAlive?.();
      parser.feed(text.decode(chunk, { stream: true }));
      yield* events.splice(0);
    }
  } catch (error) {
    throw asScanmqError(error, url);
  } finally {
    stream.destroy();
  }
}

const taskSchema = scanStatusSchema.extend({ idempotent_replay: submissionSchema.shape.idempotent_replay });

/** An error that the service answered with. */
export class ServiceError extends ScanmqError {
  /** Of the request, to find it in the logs of the service. */
  readonly traceId: string | null;
  constructor(code: ErrorCode, message: string, issues: readonly InputIssue[], traceId: string | null) {
    super(code, message, { issues });
    this.traceId = traceId;
  }
}

/** The service's own error, or the reason why there was none. */
export function asScanmqError(error: unknown, url: string): ScanmqError {
  if (error instanceof ScanmqError) return error;
  if (error instanceof z.ZodError) {
    return new ScanmqError(
      'unavailable',
      `${shownUrl(url)} answers, but not like scanmq. Is SCANMQ_URL right?`,
      {
        cause: error,
      },
    );
  }
  if (error instanceof RequestError) {
    const problem = problemSchema.safeParse(parseBody(error.response?.body));
    if (problem.success) {
      const { code, detail, errors, trace_id: traceId } = problem.data;
      const told =
        code === 'unauthenticated'
          ? `${detail} This command takes it from SCANMQ_API_KEY; scanmq keys create makes one.`
          : detail;
      return new ServiceError(code in ERROR_CODES ? code : 'internal', told, errors ?? [], traceId);
    }
    const what = error.response
      ? `answered ${error.response.statusCode}`
      : error.code === 'ECONNREFUSED'
        ? 'is not there (connection refused)'
        : `could not be reached (${error.code})`;
    return new ScanmqError(
      'unavailable',
      `${shownUrl(url)} ${what}. Start it with "scanmq gateway", or set SCANMQ_URL.`,
      { cause: error },
    );
  }
  return new ScanmqError('internal', error instanceof Error ? error.message : String(error), {
    cause: error,
  });
}

function parseBody(body: unknown): unknown {
  if (typeof body !== 'string') return body;
  try {
    return JSON.parse(body);
  } catch {
    return undefined;
  }
}
