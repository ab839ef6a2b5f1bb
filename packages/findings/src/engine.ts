/** DuckDB, bounded: the one place that opens it. It only ever reads and writes Parquet files and spills to its own folder. */
import { randomBytes } from 'node:crypto';
import { lstat, mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { DuckDBConnection, DuckDBInstance, DuckDBValue } from '@duckdb/node-api';
import { ScanmqError } from '@scanmq/contract';

export interface EngineOptions {
  /** Memory that queries may use at once; what needs more spills to disk. Megabytes. */
  readonly memoryMb: number;
  readonly threads: number;
  /** A query that takes longer is ended; milliseconds. */
  readonly queryTimeoutMs?: number;
}

/** Values of a question by name; in the SQL they stand as `$name`, never as text. */
export type Params = Readonly<Record<string, DuckDBValue>>;
export type Row = Record<string, unknown>;

export interface FindingsEngine {
  /** @throws ScanmqError `unavailable` when it takes longer than allowed. */
  rows(sql: string, params?: Params): Promise<Row[]>;
  /** Long answers of 32-bit whole numbers: one row after the other, -1 for NULL. */
  integers(sql: string, params?: Params): Promise<Int32Array>;
  /** Rows as they come, a few thousand at a time. Ends the query when the reader stops early. */
  stream(sql: string, params?: Params): AsyncIterable<Row[]>;
  /** Several statements on one connection, which sees its own temporary tables. */
  session<T>(use: (session: Pick<FindingsEngine, 'rows' | 'integers'>) => Promise<T>): Promise<T>;
  close(): Promise<void>;
}

const QUERY_TIMEOUT_MS = 60_000;

/**
 * Opens an engine; one per process. DuckDB itself is loaded with the first question: it is a quarter of the start of a
 * process that may never be asked one.
 * Spilled data lies in a private folder below the system's temporary folder, made when it is needed, removed by `close`.
 */
export async function openFindingsEngine(options: EngineOptions): Promise<FindingsEngine> {
  const spill = join(await privateFolder(), `${process.pid}-${randomBytes(4).toString('hex')}`);
  let opening: Promise<DuckDBInstance> | undefined;
  const connect = async (): Promise<DuckDBConnection> => {
    opening ??= openDatabase(options, spill);
    try {
      return await (await opening).connect();
    } catch (error) {
      // the next question tries again
      opening = undefined;
      throw error;
    }
  };
  const timeoutMs = options.queryTimeoutMs ?? QUERY_TIMEOUT_MS;
  let closed = false;

  async function connected<T>(use: (connection: DuckDBConnection) => Promise<T>): Promise<T> {
    if (closed) throw new ScanmqError('unavailable', 'The service is stopping.');
    const connection = await connect();
    try {
      return await use(connection);
    } finally {
      connection.closeSync();
    }
  }

  async function timed<T>(connection: DuckDBConnection, query: () => Promise<T>): Promise<T> {
    const timer = setTimeout(() => connection.interrupt(), timeoutMs);
    try {
      return await query();
    } catch (error) {
      throw describe(error, timeoutMs);
    } finally {
      clearTimeout(timer);
    }
  }

  const rowsOn = (connection: DuckDBConnection, sql: string, params: Params): Promise<Row[]> =>
    timed(connection, async () => await (await connection.run(sql, { ...params })).getRowObjectsJS());

  const integersOn = (connection: DuckDBConnection, sql: string, params: Params): Promise<Int32Array> =>
    timed(connection, async () => {
      // a chunk at a time, so that the answer is not in memory twice
      const result = await connection.stream(sql, { ...params });
      const width = result.columnCount;
      const parts: Int32Array[] = [];
      for await (const chunk of result) {
        const part = new Int32Array(width * chunk.rowCount);
        for (let column = 0; column < width; column += 1) {
          const vector = chunk.getColumnVector(column);
          for (let row = 0; row < chunk.rowCount; row += 1)
            part[row * width + column] = Number(vector.getItem(row) ?? -1);
        }
        parts.push(part);
      }
      const values = new Int32Array(parts.reduce((sum, part) => sum + part.length, 0));
      let at = 0;
      for (const part of parts) {
        values.set(part, at);
        at += part.length;
      }
      return values;
    });

  async function* streamOn(connection: DuckDBConnection, sql: string, params: Params): AsyncGenerator<Row[]> {
    const result = await timed(connection, () => connection.stream(sql, { ...params }));
    const batches = result.yieldRowObjectJs();
    for (;;) {
      const next = await timed(connection, () => batches.next());
      if (next.done) return;
      yield next.value;
    }
  }

  return {
    rows: (sql, params = {}) => connected((connection) => rowsOn(connection, sql, params)),
    integers: (sql, params = {}) => connected((connection) => integersOn(connection, sql, params)),
    async *stream(sql, params = {}) {
      if (closed) throw new ScanmqError('unavailable', 'The service is stopping.');
      const connection = await connect();
      try {
        yield* streamOn(connection, sql, params);
      } finally {
        connection.interrupt();
        connection.closeSync();
      }
    },
    session: (use) =>
      connected((connection) =>
        use({
          rows: (sql, params = {}) => rowsOn(connection, sql, params),
          integers: (sql, params = {}) => integersOn(connection, sql, params),
        }),
      ),
    async close() {
      closed = true;
      await opening?.then(
        (instance) => instance.closeSync(),
        () => undefined,
      );
      await rm(spill, { recursive: true, force: true });
    },
  };
}

async function openDatabase({ memoryMb, threads }: EngineOptions, spill: string): Promise<DuckDBInstance> {
  const { DuckDBInstance } = await import('@duckdb/node-api');
  const instance = await DuckDBInstance.create(':memory:', {
    memory_limit: `${memoryMb}MB`,
    threads: String(threads),
    temp_directory: spill,
    // nothing is fetched or loaded: what is needed (parquet, json) is built in
    autoinstall_known_extensions: 'false',
    autoload_known_extensions: 'false',
    // what is free goes back to the system soon: storing 1 GB took 360 MB with the defaults, and takes 290 MB so
    allocator_flush_threshold: '1MB',
    allocator_bulk_deallocation_flush_threshold: '1MB',
  });
  const first = await instance.connect();
  // footers of files that hardly ever change; DuckDB looks whether they did
  await first.run('SET GLOBAL parquet_metadata_cache = true');
  first.closeSync();
  return instance;
}

/** One for all processes of this user: a process that is killed must not leave an empty folder each time. */
async function privateFolder(): Promise<string> {
  const uid = process.getuid?.();
  const shared = join(tmpdir(), `scanmq-spill-${uid ?? 'user'}`);
  await mkdir(shared, { mode: 0o700 }).catch(() => undefined);
  const found = await lstat(shared);
  const ours =
    found.isDirectory() && (uid === undefined || (found.uid === uid && (found.mode & 0o077) === 0));
  // somebody else was there first
  return ours ? shared : await mkdtemp(join(tmpdir(), 'scanmq-spill-'));
}

function describe(error: unknown, timeoutMs: number): unknown {
  const message =
    typeof error === 'object' && error !== null && 'message' in error ? String(error.message) : '';
  if (/INTERRUPT/i.test(message))
    return new ScanmqError(
      'unavailable',
      `The question took longer than ${timeoutMs / 1000} s and was ended; narrow it down with filters.`,
      { cause: error },
    );
  if (/Out of Memory/i.test(message))
    return new ScanmqError(
      'unavailable',
      'The question needs more memory than RESULTS_MEMORY_MB allows; narrow it down with filters.',
      { cause: error },
    );
  return error;
}
