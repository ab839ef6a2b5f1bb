/** The whole service for one test: own queue prefix, own directory, simulated scanners, real programs. */
import { randomBytes } from 'node:crypto';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { ScanStatus } from '@scanmq/contract';
import { freePort } from '@scanmq/local-redis';
import { type Simulator, type SimulatorOptions, startSimulator } from '@scanmq/simulator';
import { type RunningProgram, startProgram } from './program.js';
import { PATIENCE_MS, until } from './until.js';

export interface ScannerSetup extends Partial<SimulatorOptions> {
  /** Pool of the instance; `nessus` when left out. */
  readonly pool?: string;
  /** Limit of concurrent scans in `scanners.yaml`. */
  readonly limit?: number;
  /** Further lines of the instance in `scanners.yaml`; also replaces `url`, `password` and `tls_fingerprint`. */
  readonly yaml?: Readonly<Record<string, string | number | boolean>>;
}

export interface ServiceOptions {
  readonly redisUrl: string;
  readonly scanners?: readonly ScannerSetup[];
  /** Rules of pools: networks, windows. */
  readonly poolRules?: Readonly<Record<string, object>>;
  /** Other sections of `scanners.yaml`: target_limits, principals. */
  readonly sections?: Readonly<Record<string, unknown>>;
  readonly env?: Readonly<Record<string, string>>;
}

export interface TestService {
  readonly simulators: readonly Simulator[];
  readonly directory: string;
  readonly dataDir: string;
  readonly prefix: string;
  readonly env: Readonly<Record<string, string>>;
  /** Writes `scanners.yaml` anew; the programs read it by themselves. */
  rewriteScanners(change: (document: ScannersDocument) => void): Promise<void>;
  /** @param env in which this program differs from the others. */
  startGateway(env?: Readonly<Record<string, string>>): Promise<{ url: string; program: RunningProgram }>;
  startWorker(env?: Readonly<Record<string, string>>): Promise<RunningProgram>;
  /** Starts a program without waiting for anything; it is ended with the service. */
  start(args: readonly string[], env?: Readonly<Record<string, string>>): RunningProgram;
  /** Ends every program and simulator, and removes the directory. */
  close(): Promise<void>;
}

type Instance = Record<string, string | number | boolean>;
/** What `scanners.yaml` holds. */
export interface ScannersDocument {
  readonly pools: Record<string, { rules: Record<string, unknown>; instances: Instance[] }>;
  sections: Record<string, unknown>;
}

/** Compressed time, so that a test of minutes takes seconds; the programs are the same. */
const FAST: Readonly<Record<string, string>> = {
  POLL_INTERVAL_SECONDS: '0.1',
  WORKER_LOCK_SECONDS: '4',
  WORKER_STALLED_CHECK_SECONDS: '1',
  RETRY_BACKOFF_SECONDS: '0.2',
  HEALTH_INTERVAL_SECONDS: '0.5',
  CIRCUIT_OPEN_SECONDS: '0.5',
  SWEEP_INTERVAL_SECONDS: '1',
  SCANNER_OUTAGE_SECONDS: '20',
  SHUTDOWN_GRACE_SECONDS: '10',
};

export async function createService(options: ServiceOptions): Promise<TestService> {
  const directory = await mkdtemp(join(tmpdir(), 'scanmq-test-'));
  const dataDir = join(directory, 'tasks');
  const prefix = `t${randomBytes(4).toString('hex')}`;
  const simulators: Simulator[] = [];
  const document: ScannersDocument = { pools: {}, sections: { ...options.sections } };
  for (const [index, { limit, yaml, pool = 'nessus', ...setup }] of (options.scanners ?? [{}]).entries()) {
    const simulator = await startSimulator({
      // one that is restarted finds its port free again
      port: await freePort(),
      scanDurationMs: 400,
      startDelayMs: 30,
      exportDelayMs: 50,
      stopDelayMs: 100,
      username: 'tester',
      password: 'simulated-password',
      ...setup,
    });
    simulators.push(simulator);
    const instance: Instance = {
      instance_id: `scanner${index + 1}`,
      name: `Simulator ${index + 1}`,
      url: simulator.url,
      username: 'tester',
      password: 'simulated-password',
      tls_fingerprint: simulator.fingerprint256,
      max_concurrent_scans: limit ?? 3,
      ...yaml,
    };
    const section = document.pools[pool] ?? { rules: { ...options.poolRules?.[pool] }, instances: [] };
    section.instances.push(Object.fromEntries(Object.entries(instance).filter(([, value]) => value !== '')));
    document.pools[pool] = section;
  }
  const scannerConfig = join(directory, 'scanners.yaml');
  const write = async (): Promise<void> => {
    const pools = Object.entries(document.pools).map(([pool, { rules, instances }]) => [
      pool,
      Object.keys(rules).length === 0 ? instances : { ...rules, instances },
    ]);
    // JSON is YAML too
    await writeFile(
      scannerConfig,
      JSON.stringify({ ...Object.fromEntries(pools), ...document.sections }, null, 2),
    );
  };
  await write();
  const env: Record<string, string> = {
    ...FAST,
    HOST: '127.0.0.1',
    PORT: '0',
    WORKER_PORT: '0',
    REDIS_URL: options.redisUrl,
    QUEUE_PREFIX: prefix,
    DATA_DIR: dataDir,
    SCANNER_CONFIG: scannerConfig,
    LOG_LEVEL: 'info',
    CREDENTIALS_KEY: randomBytes(32).toString('base64'),
    ...options.env,
  };
  const programs: RunningProgram[] = [];
  const start = (args: readonly string[], own: Readonly<Record<string, string>> = {}): RunningProgram => {
    const program = startProgram(args, { ...env, ...own });
    programs.push(program);
    return program;
  };

  return {
    simulators,
    directory,
    dataDir,
    prefix,
    env,
    async rewriteScanners(change) {
      change(document);
      await write();
    },
    start,
    async startGateway(own) {
      const program = start(['gateway'], own);
      const { url } = await program.event('gateway.listening');
      return { url: String(url), program };
    },
    async startWorker(own) {
      const program = start(['worker'], own);
      await program.event('worker.started');
      return program;
    },
    async close() {
      for (const program of programs) program.kill('SIGKILL');
      await Promise.all(programs.map((program) => program.ended));
      await Promise.all(simulators.map((simulator) => simulator.close()));
      await rm(directory, { recursive: true, force: true });
    },
  };
}

export interface RestAnswer {
  readonly status: number;
  readonly headers: Headers;
  readonly text: string;
  // biome-ignore lint/suspicious/noExplicitAny: whatever the API answers
  json(): any;
}

/** The REST API as a test uses it. */
export interface RestClient {
  readonly url: string;
  call(
    method: string,
    path: string,
    body?: unknown,
    headers?: Readonly<Record<string, string>>,
  ): Promise<RestAnswer>;
  submit(body: Record<string, unknown>, headers?: Readonly<Record<string, string>>): Promise<ScanStatus>;
  status(taskId: string): Promise<ScanStatus>;
  /** Waits until the task has ended, in whatever way. */
  ended(taskId: string, timeoutMs?: number): Promise<ScanStatus>;
}

/** @param common headers of every request, for example a key. */
export function restClient(url: string, common: Readonly<Record<string, string>> = {}): RestClient {
  const call: RestClient['call'] = async (method, path, body, headers = {}) => {
    const response = await fetch(`${url}${path}`, {
      method,
      headers: {
        ...(body === undefined ? {} : { 'content-type': 'application/json' }),
        ...common,
        ...headers,
      },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    const text = await response.text();
    return { status: response.status, headers: response.headers, text, json: () => JSON.parse(text) };
  };
  return {
    url,
    call,
    async submit(body, headers) {
      const answer = await call('POST', '/api/v1/scans', body, headers);
      if (answer.status !== 202) throw new Error(`submission answered ${answer.status}: ${answer.text}`);
      return answer.json();
    },
    async status(taskId) {
      return (await call('GET', `/api/v1/scans/${taskId}`)).json();
    },
    async ended(taskId, timeoutMs = PATIENCE_MS) {
      return await until(
        `${taskId} ends`,
        async () => {
          const answer = await call('GET', `/api/v1/scans/${taskId}?wait=5`);
          if (answer.status !== 200) return undefined;
          const status: ScanStatus = answer.json();
          return status.status !== 'queued' && status.status !== 'running' ? status : undefined;
        },
        timeoutMs,
      );
    },
  };
}

/** Lets the scan of a task complete that would go on for long, as soon as it has begun. */
export async function finishScan(simulator: Simulator | undefined, taskId: string): Promise<void> {
  await until('its scan has begun', () =>
    simulator
      ?.scans()
      .some(({ name, scan_id }) => name.includes(taskId) && simulator.endScans(scan_id, 'completed') > 0),
  );
}
