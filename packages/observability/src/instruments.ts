/**
 * Every metric of ours: name, form, labels and meaning in one table. What counts is typed by it, `/metrics` is made from
 * it, and tests compare the documentation with it. Every label has few values, all of them ours.
 */

export type Program = 'gateway' | 'worker';

/** How a figure is told: as it is now, as a sum since the program began, or as many measured values. */
export type InstrumentKind = 'gauge' | 'counter' | 'histogram';

export interface Instrument {
  readonly kind: InstrumentKind;
  /** Which programs tell it. */
  readonly of: readonly Program[];
  readonly help: string;
  readonly labels: readonly string[];
  /** Of a histogram. */
  readonly buckets?: readonly number[];
  /** Told as 0 before anything has happened, so that the first time is seen as a change. */
  readonly zeros?: readonly Readonly<Record<string, string>>[];
}

const GATEWAY = ['gateway'] as const;
const WORKER = ['worker'] as const;
const BOTH = ['gateway', 'worker'] as const;

const gauge = <L extends string = never>(of: readonly Program[], help: string, labels: readonly L[] = []) =>
  ({ kind: 'gauge', of, help, labels }) as const;
const counter = <L extends string = never>(
  of: readonly Program[],
  help: string,
  labels: readonly L[] = [],
  zeros: readonly Readonly<Record<L, string>>[] = [],
) => ({ kind: 'counter', of, help, labels, zeros }) as const;
const histogram = <L extends string = never>(
  of: readonly Program[],
  help: string,
  labels: readonly L[],
  buckets: readonly number[],
) => ({ kind: 'histogram', of, help, labels, buckets }) as const;

/** One label with each of these values. */
const each = <L extends string>(label: L, values: readonly string[]) =>
  values.map((value) => ({ [label]: value }) as Record<L, string>);

const MINUTE = 60;
const HOUR = 60 * MINUTE;
/** From a minute to the day that is the longest time limit by default. */
const SCAN_SECONDS = [1, 5, 15, 30, 60, 120, 240, 480, 720, 1_440].map((minutes) => minutes * MINUTE);
/** Those of the version before. */
const TASK_SECONDS = [1, 5, 10, 30, 60, 120, 240].map((minutes) => minutes * MINUTE);
const PARSE_SECONDS = [0.1, 0.5, 1, 5, 10, 30, MINUTE, 5 * MINUTE, 15 * MINUTE, HOUR / 2];
/** A request may wait for the end of a scan, and a stream of events lasts as long as one. */
const REQUEST_SECONDS = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, MINUTE];

export const INSTRUMENTS = {
  scanmq_tasks: gauge(GATEWAY, 'Tasks by state', ['state']),
  scanmq_queue_depth: gauge(GATEWAY, 'Tasks that wait for a scanner', ['pool']),
  scanmq_queue_held_back: gauge(GATEWAY, 'Of these, those that wait for a limit, a window or somebody', [
    'pool',
  ]),
  scanmq_queue_delayed: gauge(GATEWAY, 'Tasks that wait for their next attempt', ['pool']),
  scanmq_dead_letters: gauge(GATEWAY, 'Dead letters', ['pool']),
  scanmq_oldest_waiting_seconds: gauge(GATEWAY, 'How long the oldest waiting task has waited', ['pool']),
  scanmq_active_scans: gauge(GATEWAY, 'Slots in use', ['scanner']),
  scanmq_scan_limit: gauge(GATEWAY, 'Scans at once; 0 = disabled', ['scanner']),
  scanmq_scanner_healthy: gauge(GATEWAY, '1 = healthy; missing while nobody knows', ['scanner']),
  scanmq_scanner_circuit_open: gauge(GATEWAY, '1 = its circuit is open or half open', ['scanner']),
  scanmq_scanner_draining: gauge(GATEWAY, '1 = it is drained', ['scanner']),
  scanmq_event_streams: gauge(GATEWAY, 'Clients of this gateway that follow a task'),
  scanmq_last_sweep_timestamp_seconds: gauge(
    BOTH,
    'When the last sweep ended, of all workers; seconds since 1970',
  ),

  scanmq_last_job_fetch_timestamp_seconds: gauge(
    WORKER,
    'When Redis last answered this worker asking for jobs; seconds since 1970',
  ),

  scanmq_http_request_duration_seconds: histogram(
    GATEWAY,
    'How long requests took, by the pattern of their route',
    ['method', 'route', 'status'],
    REQUEST_SECONDS,
  ),
  scanmq_tool_calls_total: counter(GATEWAY, 'Calls of MCP tools: ok, or the code of the error', [
    'tool',
    'outcome',
  ]),
  scanmq_policy_refusals_total: counter(
    BOTH,
    'Targets refused by the policy: at a submission, before create, before launch',
    ['stage'],
    each('stage', ['submission', 'create', 'launch']),
  ),

  scanmq_scan_duration_seconds: histogram(
    WORKER,
    'From the start of a scan task to its end, over all attempts',
    ['outcome'],
    SCAN_SECONDS,
  ),
  scanmq_launches_total: counter(WORKER, 'Scans launched on a scanner', ['pool']),
  scanmq_exports_total: counter(
    WORKER,
    'Exports of scans: stored, invalid (not usable) or failed',
    ['outcome'],
    each('outcome', ['stored', 'invalid', 'failed']),
  ),
  scanmq_parsed_bytes_total: counter(WORKER, 'Bytes of exports that were read and stored as findings'),
  scanmq_parse_duration_seconds: histogram(
    WORKER,
    'How long reading and storing an export took',
    [],
    PARSE_SECONDS,
  ),
  scanmq_retries_total: counter(WORKER, 'Attempts that failed with another to follow, by error code', [
    'code',
  ]),
  scanmq_handoffs_total: counter(
    WORKER,
    'Tasks that went on elsewhere: shutdown or crash of their worker, or their scanner stayed away',
    ['reason'],
    each('reason', ['shutdown', 'crash', 'scanner_away']),
  ),
  scanmq_stalls_total: counter(WORKER, 'Jobs whose worker died, found by this one'),
  scanmq_webhook_deliveries_total: counter(
    WORKER,
    'Attempts to deliver to a webhook: delivered, retry, failed (given up) or gone',
    ['outcome'],
    each('outcome', ['delivered', 'retry', 'failed', 'gone']),
  ),

  // the names of the version before scanmq, for dashboards that have them
  nessus_scans_total: counter(BOTH, 'Scans by type: queued (gateway), and as they ended (worker)', [
    'scan_type',
    'status',
  ]),
  nessus_api_requests_total: counter(GATEWAY, 'Calls of MCP tools: success or error', ['tool', 'status']),
  nessus_active_scans: gauge(GATEWAY, 'Scans that run'),
  nessus_scanner_instances: gauge(GATEWAY, 'Configured scanners', ['scanner_type', 'enabled']),
  nessus_queue_depth: gauge(GATEWAY, 'Tasks that wait (main) and dead letters (dead)', ['queue']),
  nessus_dlq_size: gauge(GATEWAY, 'Dead letters'),
  nessus_pool_queue_depth: gauge(GATEWAY, 'As scanmq_queue_depth', ['pool']),
  nessus_pool_dlq_depth: gauge(GATEWAY, 'As scanmq_dead_letters', ['pool']),
  nessus_pool_total_capacity: gauge(GATEWAY, 'Scans at once, of all scanners'),
  nessus_pool_total_active: gauge(GATEWAY, 'As nessus_active_scans'),
  nessus_scanner_active_scans: gauge(GATEWAY, 'As scanmq_active_scans', ['scanner_instance']),
  nessus_scanner_capacity: gauge(GATEWAY, 'As scanmq_scan_limit', ['scanner_instance']),
  nessus_scanner_utilization_pct: gauge(GATEWAY, 'Active scans in percent of the limit', [
    'scanner_instance',
  ]),
  nessus_validation_total: counter(WORKER, 'Results of scans: success or failed (not usable)', [
    'pool',
    'result',
  ]),
  nessus_validation_failures_total: counter(WORKER, 'Results that failed, by error code', ['pool', 'reason']),
  nessus_auth_failures_total: counter(WORKER, 'Scans whose credentials did not work on any host', [
    'pool',
    'scan_type',
  ]),
  nessus_task_duration_seconds: histogram(WORKER, 'As scanmq_scan_duration_seconds', [], TASK_SECONDS),
  nessus_ttl_deletions_total: counter(WORKER, 'Tasks removed because their retention was over'),
} as const satisfies Record<string, Instrument>;

export type InstrumentName = keyof typeof INSTRUMENTS;
type OfKind<K extends InstrumentKind> = {
  [N in InstrumentName]: (typeof INSTRUMENTS)[N]['kind'] extends K ? N : never;
}[InstrumentName];
export type GaugeName = OfKind<'gauge'>;
export type CounterName = OfKind<'counter'>;
export type HistogramName = OfKind<'histogram'>;
export type LabelsOf<N extends InstrumentName> = Readonly<
  Record<(typeof INSTRUMENTS)[N]['labels'][number], string>
>;
