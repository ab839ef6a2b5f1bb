/** The scans of a simulated scanner: what exists, what runs, and how it goes on with time (nessus-api.md sections 4 to 6). */
import { randomUUID } from 'node:crypto';
import { parseTargets, type Target } from '@scanmq/contract';
import type { FaultBoard } from './faults.js';
import type { SimulatorSettings } from './options.js';
import type { CredentialScene, ReplayedHost, SampleHost } from './samples.js';

export type ScanStatus =
  | 'empty'
  | 'pending'
  | 'running'
  | 'pausing'
  | 'paused'
  | 'resuming'
  | 'stopping'
  | 'canceled'
  | 'stopped'
  | 'aborted'
  | 'completed';

const ACTIVE = new Set<ScanStatus>(['pending', 'running', 'pausing', 'paused', 'resuming', 'stopping']);

export interface SimulatedRun {
  readonly historyId: number;
  readonly uuid: string;
  status: ScanStatus;
  readonly launchedAtMs: number;
  startedAtMs: number | undefined;
  endedAtMs: number | undefined;
  /** When the present status passes by itself. */
  nextAtMs: number;
  /** Left of the scan while it is paused. */
  remainingMs: number;
  readonly hosts: readonly ReplayedHost[];
  readonly notes: readonly { title: string; message: string; severity: number }[];
  readonly aborts: boolean;
  readonly strangeStatus: boolean;
  readonly credentials: CredentialScene;
}

export interface SimulatedScan {
  readonly id: number;
  name: string;
  description: string;
  targets: string;
  templateUuid: string;
  folderId: number;
  withCredentials: boolean;
  readonly createdAtMs: number;
  readonly runs: SimulatedRun[];
}

/** What a control call of the API answers. */
export type ControlOutcome = 'done' | 'unknown' | 'conflict';

export interface EngineStats {
  created: number;
  launched: number;
  stopped: number;
  deleted: number;
  exports_requested: number;
  downloads: number;
  logins: number;
  requests: number;
  max_active_ever: number;
}

export interface Engine {
  readonly stats: EngineStats;
  activeNow(): number;
  scans(): readonly SimulatedScan[];
  scan(id: number): SimulatedScan | undefined;
  /** @throws InvalidRequestError for targets that are none. */
  create(fields: {
    name: string;
    description: string;
    targets: string;
    templateUuid: string;
    folderId: number;
    withCredentials: boolean;
  }): SimulatedScan;
  launch(id: number): SimulatedRun | ControlOutcome;
  control(id: number, action: 'pause' | 'resume' | 'stop' | 'kill'): ControlOutcome;
  remove(id: number): ControlOutcome;
  /** Ends a run at once, as the scanner itself would. */
  end(id: number, status: 'completed' | 'aborted'): boolean;
  /** What a restart does to scans: those in progress are aborted. */
  restart(): void;
  /** 0 to 1, over time. */
  progressOf(run: SimulatedRun): number;
}

/** Hosts of a network or range that are made up at most. */
const HOSTS_PER_TARGET = 256;

export function createEngine(
  settings: SimulatorSettings,
  samples: readonly SampleHost[],
  faults: FaultBoard,
): Engine {
  const scans = new Map<number, SimulatedScan>();
  const stats: EngineStats = {
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
  // scans and runs share one counter on a real scanner (nessus-api.md section 4.5)
  let lastId = 50;
  let lastSample = 0;

  const current = (scan: SimulatedScan): SimulatedRun | undefined => scan.runs.at(-1);
  const allRuns = (): SimulatedRun[] => [...scans.values()].flatMap((scan) => current(scan) ?? []);
  const isActive = (run: SimulatedRun | undefined): run is SimulatedRun =>
    run !== undefined && ACTIVE.has(run.status);

  /** Lets time pass: nothing runs in the background, every look brings all scans up to date. */
  function advance(): void {
    const now = Date.now();
    const due = allRuns()
      .filter(isActive)
      .sort((a, b) => a.nextAtMs - b.nextAtMs);
    for (const run of due) while (isActive(run) && run.nextAtMs <= now && step(run)) {}
  }

  /** @returns false when the run has to wait in its status. */
  function step(run: SimulatedRun): boolean {
    switch (run.status) {
      case 'pending': {
        const running = allRuns().filter((other) => isActive(other) && other.status !== 'pending').length;
        if (settings.maxScans > 0 && running >= settings.maxScans) return false;
        // from the moment in which it became possible, not from the look that noticed
        run.startedAtMs = settings.maxScans > 0 ? Math.max(run.nextAtMs, Date.now()) : run.nextAtMs;
        run.status = 'running';
        run.nextAtMs = run.startedAtMs + (run.aborts ? Math.min(200, run.remainingMs) : run.remainingMs);
        return true;
      }
      case 'running':
        finish(run, run.aborts ? 'aborted' : 'completed', run.nextAtMs);
        return true;
      case 'pausing':
        run.status = 'paused';
        run.nextAtMs = Number.POSITIVE_INFINITY;
        return true;
      case 'resuming':
        run.status = 'running';
        run.nextAtMs += run.remainingMs;
        return true;
      case 'stopping':
        finish(run, settings.stoppedWord, run.nextAtMs);
        return true;
      default:
        return false;
    }
  }

  function finish(run: SimulatedRun, status: ScanStatus, atMs: number): void {
    run.status = status;
    run.endedAtMs = atMs;
  }

  const find = (id: number): SimulatedScan | undefined => {
    advance();
    return scans.get(id);
  };

  function hostsFor(targets: readonly Target[]): ReplayedHost[] {
    return targets.flatMap(namesOf).map((name): ReplayedHost => {
      const sample = samples[lastSample % samples.length];
      if (!sample) throw new TypeError('there are samples');
      lastSample += 1;
      return { name, sample };
    });
  }

  function namesOf(target: Target): string[] {
    if (target.kind === 'name' || target.kind === 'address') return [target.text];
    if (target.family === 6) return [target.text.split(/[/-]/)[0] ?? target.text];
    const names: string[] = [];
    const wholeNetwork = target.kind === 'network' && target.last - target.first > 2n;
    const [first, last] = wholeNetwork ? [target.first + 1n, target.last - 1n] : [target.first, target.last];
    for (let address = first; address <= last && names.length < HOSTS_PER_TARGET; address += 1n) {
      // the same addresses answer each time
      if (Number((address * 2_654_435_761n) % 1_000n) < settings.aliveShare * 1_000)
        names.push(dotted(address));
    }
    return names;
  }

  return {
    stats,
    activeNow() {
      advance();
      return allRuns().filter(isActive).length;
    },
    scans() {
      advance();
      return [...scans.values()];
    },
    scan: find,

    create(fields) {
      parseTargets(fields.targets);
      lastId += 1;
      const scan: SimulatedScan = { id: lastId, ...fields, createdAtMs: Date.now(), runs: [] };
      scans.set(scan.id, scan);
      stats.created += 1;
      return scan;
    },

    launch(id) {
      const scan = find(id);
      if (!scan) return 'unknown';
      if (isActive(current(scan))) return 'conflict';
      const now = Date.now();
      let hosts = faults.hits('no_hosts') ? [] : hostsFor(parseTargets(scan.targets));
      const limit = faults.hits('licence_trim') ? hosts.length - 1 : settings.licenceIps;
      const notes =
        limit !== undefined && hosts.length > limit
          ? [
              {
                title: 'Licence limit',
                message: `${hosts.length - limit} hosts are above the licence limit and were not scanned.`,
                severity: 2,
              },
            ]
          : [];
      hosts = hosts.slice(0, limit);
      lastId += 1;
      const run: SimulatedRun = {
        historyId: lastId,
        uuid: longUuid(),
        status: 'pending',
        launchedAtMs: now,
        startedAtMs: undefined,
        endedAtMs: undefined,
        nextAtMs: now + settings.startDelayMs,
        remainingMs: settings.scanDurationMs,
        hosts,
        notes,
        aborts: faults.hits('abort_scan'),
        strangeStatus: faults.hits('unknown_status'),
        credentials: !scan.withCredentials
          ? 'none'
          : faults.hits('credentials_rejected')
            ? 'rejected'
            : faults.hits('escalation_failed')
              ? 'escalation_failed'
              : 'success',
      };
      scan.runs.push(run);
      stats.launched += 1;
      stats.max_active_ever = Math.max(stats.max_active_ever, allRuns().filter(isActive).length);
      return run;
    },

    control(id, action) {
      const scan = find(id);
      if (!scan) return 'unknown';
      const run = current(scan);
      if (!isActive(run)) return 'conflict';
      const now = Date.now();
      switch (action) {
        case 'pause':
          if (run.status !== 'running') return 'conflict';
          run.remainingMs = Math.max(0, run.nextAtMs - now);
          run.status = 'pausing';
          break;
        case 'resume':
          if (run.status !== 'paused') return 'conflict';
          run.status = 'resuming';
          break;
        case 'stop':
          if (run.status === 'stopping') return 'conflict';
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

    end(id, status) {
      const scan = find(id);
      const run = scan && current(scan);
      if (!isActive(run)) return false;
      run.startedAtMs ??= Date.now();
      finish(run, status, Date.now());
      return true;
    },

    restart() {
      advance();
      for (const run of allRuns().filter(isActive)) finish(run, 'aborted', Date.now());
    },

    progressOf(run) {
      if (run.status === 'completed') return 1;
      if (run.startedAtMs === undefined || settings.scanDurationMs === 0) return 0;
      const left = run.status === 'running' ? run.nextAtMs - Date.now() : run.remainingMs;
      return Math.min(1, Math.max(0, 1 - left / settings.scanDurationMs));
    },
  };
}

function dotted(address: bigint): string {
  return [24n, 16n, 8n, 0n].map((shift) => String((address >> shift) & 255n)).join('.');
}

/** 52 characters in the form of a uuid with a long tail, as scanners use them (nessus-api.md section 3.1). */
export function longUuid(): string {
  return `${randomUUID()}${randomUUID().replaceAll('-', '').slice(0, 16)}`;
}
