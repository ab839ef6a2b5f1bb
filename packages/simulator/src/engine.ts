/** The scans of a simulated scanner: what exists, what runs, and how it goes on with time (nessus-api.md sections 4 to 6). */
import { randomUUID } from 'node:crypto';
import { parseTargets } from '@scanmq/contract';
import { aliveHosts } from './alive-hosts.js';
import type { FaultBoard } from './faults.js';
import type { LoginOutcome } from './login-outcome.js';
import type { Clock, SimulatorSettings } from './options.js';
import type { ReplayedHost } from './report.js';
import type { SampleHost } from './samples.js';

export type ScanStatus =
  | 'empty'
  /** Of the cloud service: before pending. */
  | 'initializing'
  | 'pending'
  | 'running'
  | 'pausing'
  | 'paused'
  | 'resuming'
  | 'stopping'
  /** Of the cloud service: the scanners are done, their results are not in yet. */
  | 'publishing'
  | 'canceled'
  | 'stopped'
  | 'aborted'
  | 'completed';

export interface SimulatedRun {
  readonly historyId: number;
  readonly uuid: string;
  status: ScanStatus;
  readonly launchedAtMs: number;
  startedAtMs: number | undefined;
  endedAtMs: number | undefined;
  /** When the present status passes by itself; for `pending`, not before. */
  nextAtMs: number;
  /** Left of the scan while it does not run. */
  remainingMs: number;
  readonly targets: string;
  /** The targets were given at the launch, for this run only. */
  readonly altTargets: boolean;
  readonly hosts: readonly ReplayedHost[];
  readonly notes: readonly { title: string; message: string; severity: number }[];
  readonly aborts: boolean;
  readonly strangeStatus: boolean;
  readonly login: LoginOutcome;
}

/** What was asked for when a scan was made. Of credentials nothing is kept but that there were some. */
export interface ScanFields {
  name: string;
  description: string;
  targets: string;
  templateUuid: string;
  folderId: number;
  withCredentials: boolean;
  /** The schedule is switched on. */
  enabled: boolean;
  /** Which scanner does the work; of the cloud service only. */
  scannerUuid: string | undefined;
  plugins: Readonly<Record<string, unknown>> | undefined;
}

export interface SimulatedScan extends ScanFields {
  readonly id: number;
  readonly createdAtMs: number;
  /** Oldest first. */
  readonly runs: SimulatedRun[];
}

/** What a call that changes a scan comes to. */
export type ControlOutcome = 'done' | 'unknown' | 'conflict';
/** Not yet with a scanner. */
const WAITING: ReadonlySet<ScanStatus> = new Set(['initializing', 'pending']);

/** Counted since the start, or since the last `reset-stats`. */
export interface EngineStats {
  created: number;
  launched: number;
  stopped: number;
  deleted: number;
  exports_requested: number;
  downloads: number;
  logins: number;
  requests: number;
  /** Most scans that were launched and not ended at one time. */
  max_active_ever: number;
}

/** A host that a run has begun with. */
export interface BegunHost {
  readonly host: ReplayedHost;
  readonly index: number;
  /** 0 to 1. */
  readonly share: number;
}

export interface Engine {
  readonly stats: EngineStats;
  resetStats(): void;
  activeNow(): number;
  scans(): readonly SimulatedScan[];
  scan(id: number): SimulatedScan | undefined;
  /** @throws InvalidRequestError for targets that are none. */
  create(fields: ScanFields): SimulatedScan;
  /** @throws InvalidRequestError for other targets that are none. */
  launch(id: number, altTargets?: string): SimulatedRun | Exclude<ControlOutcome, 'done'>;
  control(id: number, action: 'pause' | 'resume' | 'stop' | 'kill'): ControlOutcome;
  remove(id: number): ControlOutcome;
  removeRun(id: number, historyId: number): ControlOutcome;
  /** Ends a run at once, as the scanner itself would. */
  end(id: number, status: 'completed' | 'aborted'): boolean;
  /** What a restart does to scans: those in progress are aborted. */
  restart(): void;
  /** The hosts enter one after the other, after a while in which there is none (nessus-api.md section 5). */
  begunHosts(run: SimulatedRun): readonly BegunHost[];
}

/** The cloud service cannot stop these (developer.tenable.com/reference/scans-stop). */
const UNSTOPPABLE: ReadonlySet<ScanStatus> = new Set(['initializing', 'pausing', 'publishing']);
/** Share of a run in which hosts are looked for, and none is shown. */
const DISCOVERY_SHARE = 0.1;
/** A run that will be aborted without a reason lasts no longer. */
const ABORT_AFTER_MS = 200;
/** Hosts of which it is remembered what was found on them. */
const REMEMBERED_HOSTS = 100_000;

export function createEngine(
  settings: SimulatorSettings,
  samples: readonly SampleHost[],
  faults: FaultBoard,
  clock: Clock,
): Engine {
  const scans = new Map<number, SimulatedScan>();
  const active = new Set<SimulatedRun>();
  const stats = zeroStats();
  // scans and runs share one counter on a real scanner (nessus-api.md section 4.5)
  let lastId = 50;
  let nextSample = 0;
  const known = new Map<string, SampleHost>();
  let slotFreedAtMs = 0;
  const cloud = settings.product === 'tenable_vm';

  const current = (scan: SimulatedScan): SimulatedRun | undefined => scan.runs.at(-1);
  const isActive = (run: SimulatedRun | undefined): run is SimulatedRun =>
    run !== undefined && active.has(run);

  /** Lets time pass. Nothing runs in the background: every look brings all scans up to date, in the order of events. */
  function advance(): void {
    const now = clock();
    for (;;) {
      const [due] = [...active]
        .map((run) => ({ run, atMs: dueAtMs(run) }))
        .filter(({ atMs }) => atMs <= now)
        .sort((a, b) => a.atMs - b.atMs || a.run.nextAtMs - b.run.nextAtMs);
      if (!due) return;
      step(due.run, due.atMs);
    }
  }

  function dueAtMs(run: SimulatedRun): number {
    if (run.status !== 'pending' || settings.maxScans === 0) return run.nextAtMs;
    const slotsTaken = [...active].filter((other) => !WAITING.has(other.status)).length;
    return slotsTaken < settings.maxScans ? Math.max(run.nextAtMs, slotFreedAtMs) : Number.POSITIVE_INFINITY;
  }

  function step(run: SimulatedRun, atMs: number): void {
    switch (run.status) {
      case 'initializing':
        run.status = 'pending';
        run.nextAtMs = atMs + settings.startDelayMs;
        return;
      case 'pending':
        run.startedAtMs = atMs;
        run.status = 'running';
        run.nextAtMs = atMs + (run.aborts ? Math.min(ABORT_AFTER_MS, run.remainingMs) : run.remainingMs);
        return;
      case 'running':
        if (cloud && !run.aborts) {
          freeze(run, atMs);
          run.status = 'publishing';
          run.nextAtMs = atMs + settings.stopDelayMs;
          return;
        }
        finish(run, run.aborts ? 'aborted' : 'completed', atMs);
        return;
      case 'publishing':
        finish(run, 'completed', atMs);
        return;
      case 'pausing':
        run.status = 'paused';
        run.nextAtMs = Number.POSITIVE_INFINITY;
        return;
      case 'resuming':
        run.status = 'running';
        run.nextAtMs = atMs + run.remainingMs;
        return;
      case 'stopping':
        finish(run, settings.stoppedWord, atMs);
        return;
      default:
        throw new TypeError(`a run that is ${run.status} does not go on by itself`);
    }
  }

  /** Keeps how far a running run has come. */
  function freeze(run: SimulatedRun, atMs: number): void {
    if (run.status === 'running' && !run.aborts) run.remainingMs = Math.max(0, run.nextAtMs - atMs);
  }

  function finish(run: SimulatedRun, status: ScanStatus, atMs: number): void {
    freeze(run, atMs);
    if (!WAITING.has(run.status)) slotFreedAtMs = atMs;
    run.status = status;
    run.endedAtMs = atMs;
    active.delete(run);
  }

  const find = (id: number): SimulatedScan | undefined => {
    advance();
    return scans.get(id);
  };

  /** A host that is scanned again is the same one: only so can scans be compared. */
  function replay(name: string): ReplayedHost {
    const before = known.get(name);
    if (before) return { name, sample: before };
    const sample = samples[nextSample % samples.length];
    if (!sample) throw new TypeError('there are samples');
    nextSample += 1;
    if (known.size < REMEMBERED_HOSTS) known.set(name, sample);
    return { name, sample };
  }

  function shareOf(run: SimulatedRun): number {
    if (run.status === 'completed') return 1;
    if (run.startedAtMs === undefined || run.aborts || settings.scanDurationMs === 0) return 0;
    const left = run.status === 'running' ? run.nextAtMs - clock() : run.remainingMs;
    return Math.min(1, Math.max(0, 1 - left / settings.scanDurationMs));
  }

  return {
    stats,
    resetStats() {
      advance();
      Object.assign(stats, zeroStats(), { max_active_ever: active.size });
    },
    activeNow() {
      advance();
      return active.size;
    },
    scans() {
      advance();
      return [...scans.values()];
    },
    scan: find,

    create(fields) {
      parseTargets(fields.targets);
      lastId += 1;
      const scan: SimulatedScan = { id: lastId, ...fields, createdAtMs: clock(), runs: [] };
      scans.set(scan.id, scan);
      stats.created += 1;
      return scan;
    },

    launch(id, altTargets) {
      const scan = find(id);
      if (!scan) return 'unknown';
      if (isActive(current(scan))) return 'conflict';
      const targets = altTargets ?? scan.targets;
      const found = aliveHosts(parseTargets(targets), settings.aliveShare, settings.hostsPerScan);
      const names = faults.hits('no_hosts') ? [] : found;
      const limit = faults.hits('licence_trim') ? Math.max(0, names.length - 1) : settings.licenceIps;
      const left = limit === undefined ? 0 : Math.max(0, names.length - limit);
      const now = clock();
      lastId += 1;
      const run: SimulatedRun = {
        historyId: lastId,
        // a plain uuid in pyTenable, `tests/io/cassettes/test_scan_results.yaml`
        uuid: cloud ? randomUUID() : longUuid(),
        status: cloud ? 'initializing' : 'pending',
        launchedAtMs: now,
        startedAtMs: undefined,
        endedAtMs: undefined,
        nextAtMs: now + settings.startDelayMs,
        remainingMs: settings.scanDurationMs,
        targets,
        altTargets: altTargets !== undefined,
        hosts: names.slice(0, names.length - left).map(replay),
        notes:
          left === 0
            ? []
            : [
                {
                  title: 'Licence limit',
                  message: `${left} hosts are above the licence limit and were not scanned.`,
                  severity: 2,
                },
              ],
        aborts: faults.hits('abort_scan'),
        strangeStatus: faults.hits('unknown_status'),
        login: loginOf(scan, faults),
      };
      scan.runs.push(run);
      active.add(run);
      stats.launched += 1;
      stats.max_active_ever = Math.max(stats.max_active_ever, active.size);
      return run;
    },

    control(id, action) {
      const scan = find(id);
      if (!scan) return 'unknown';
      const run = current(scan);
      if (!isActive(run)) return 'conflict';
      const now = clock();
      switch (action) {
        case 'pause':
          if (run.status !== 'running') return 'conflict';
          freeze(run, now);
          run.status = 'pausing';
          break;
        case 'resume':
          if (run.status !== 'paused') return 'conflict';
          run.status = 'resuming';
          break;
        case 'stop':
          if (run.status === 'stopping' || (cloud && UNSTOPPABLE.has(run.status))) return 'conflict';
          freeze(run, now);
          run.status = 'stopping';
          stats.stopped += 1;
          break;
        case 'kill':
          finish(run, settings.stoppedWord, now);
          stats.stopped += 1;
          return 'done';
      }
      run.nextAtMs = now + settings.stopDelayMs;
      return 'done';
    },

    remove(id) {
      const scan = find(id);
      if (!scan) return 'unknown';
      if (isActive(current(scan))) return 'conflict';
      scans.delete(id);
      stats.deleted += 1;
      return 'done';
    },

    removeRun(id, historyId) {
      const scan = find(id);
      const index = scan?.runs.findIndex((run) => run.historyId === historyId) ?? -1;
      if (!scan || index === -1) return 'unknown';
      if (isActive(scan.runs[index])) return 'conflict';
      scan.runs.splice(index, 1);
      return 'done';
    },

    end(id, status) {
      const scan = find(id);
      const run = scan && current(scan);
      if (!isActive(run)) return false;
      const now = clock();
      run.startedAtMs ??= now;
      finish(run, status, now);
      return true;
    },

    restart() {
      advance();
      for (const run of [...active]) finish(run, 'aborted', clock());
    },

    begunHosts(run) {
      const share = shareOf(run);
      const alone = run.hosts.length === 1;
      return run.hosts
        .map((host, index) => {
          const from = DISCOVERY_SHARE + (alone ? 0 : (index / (run.hosts.length - 1)) * 0.4);
          const own = (share - from) / (alone ? 1 - DISCOVERY_SHARE : 0.5);
          return { host, index, share: share === 1 ? 1 : Math.min(1, own) };
        })
        .filter((host) => host.share > 0);
    },
  };
}

function loginOf(scan: SimulatedScan, faults: FaultBoard): LoginOutcome {
  if (!scan.withCredentials) return 'none';
  if (faults.hits('credentials_rejected')) return 'rejected';
  return faults.hits('escalation_failed') ? 'escalation_failed' : 'success';
}

function zeroStats(): EngineStats {
  return {
    created: 0,
    launched: 0,
    stopped: 0,
    deleted: 0,
    exports_requested: 0,
    downloads: 0,
    logins: 0,
    requests: 0,
    max_active_ever: 0,
  };
}

/** 52 characters in the form of a uuid with a long tail, as scanners use them (nessus-api.md section 3.1). */
export function longUuid(): string {
  return `${randomUUID()}${randomUUID().replaceAll('-', '').slice(0, 16)}`;
}
