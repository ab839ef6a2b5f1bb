/**
 * What scanmq needs of a scanner. One implementation per kind of scanner; `packages/processor` knows only
 * this interface. Every method throws `ScannerError` and nothing else, except for an abort by `signal`,
 * which rejects with the reason of the signal.
 */
import type { Readable } from 'node:stream';
import type { InstanceKey, ScanCredentials, ScannerProbe, SeverityName } from '@scanmq/contract';

/** Idle: never launched. Active: the scanner still works on it, or holds state for it (paused). */
export type ScanStatusClass = 'idle' | 'active' | 'terminal';

/** For writes that must not happen twice. */
export interface WriteOptions {
  /**
   * Epoch milliseconds: what cannot be sent before is not sent at all (`yes`, to be tried again). For a caller whose
   * right to write runs out: a process that stood still must not go on with what another has taken over.
   */
  readonly sendBeforeMs?: number;
}

/** A scan as listed: enough to find our own by its marker. */
export interface ScanListing {
  readonly scanId: number;
  readonly name: string;
  /** The scanner's own word, for example `running`. */
  readonly status: string;
  readonly statusClass: ScanStatusClass;
}

/** A scan of a folder, made by whomever. */
export interface FolderScan extends ScanListing {
  /** Epoch seconds of its last change, by the scanner's clock; changes with every run. */
  readonly changedAt: number;
}

/** One run in the history of a scan, oldest first. */
export interface ScanRun {
  readonly historyId: number;
  readonly uuid: string;
  readonly status: string;
  readonly statusClass: ScanStatusClass;
}

/** One host of a run, as far as the scanner has come with it. */
export interface HostState {
  /** As the scanner calls it: never to be shown without `hostLabel`. */
  readonly name: string;
  /** 0–100. */
  readonly progressPercent: number;
  /** What was found so far; null where the scanner does not tell. */
  readonly found: Readonly<Record<SeverityName, number>> | null;
}

/** A scan in detail, of the run asked for. */
export interface ScanSnapshot {
  readonly scanId: number;
  readonly name: string;
  readonly status: string;
  readonly statusClass: ScanStatusClass;
  /** 0–100 over the hosts that the scanner lists; may fall between two polls (nessus-api.md section 5). */
  readonly progressPercent: number;
  readonly hostsSeen: number;
  /** The same hosts one by one; none where the scanner does not tell while the run goes on. */
  readonly hosts: readonly HostState[];
  readonly runs: readonly ScanRun[];
  /** Warnings of the scanner about this scan, for example a licence limit. */
  readonly notes: readonly string[];
}

export interface ScanPlan {
  /** Name shown in the scanner's own interface; holds the marker. */
  readonly name: string;
  readonly description: string;
  readonly targets: string;
  /** Name of the template, for example `basic`. */
  readonly template: string;
  readonly credentials: ScanCredentials | undefined;
}

export interface Readiness {
  /** True when scans may be launched. */
  readonly ready: boolean;
  /** The scanner's own word, for example `loading`. */
  readonly word: string;
  /** 0–100 while loading, if told. */
  readonly progressPercent: number | null;
  /** Waiting does not help: somebody has to register it, renew its feed … (nessus-api.md section 2.1). */
  readonly operatorNeeded: boolean;
}

export type ExportState = 'loading' | 'ready' | 'failed' | 'gone';

export interface Scanner {
  readonly instanceKey: InstanceKey;

  /** Asks for version, readiness, licence and `scan_api`. Never throws: a failure is an unhealthy answer. */
  probe(signal?: AbortSignal): Promise<ScannerProbe>;
  readiness(signal?: AbortSignal): Promise<Readiness>;

  /** Scans whose name contains the marker, in any folder. */
  findScans(marker: string, signal?: AbortSignal): Promise<readonly ScanListing[]>;
  /** Scans in the folder of this name. @returns undefined when the scanner has no such folder. */
  listFolder(name: string, signal?: AbortSignal): Promise<readonly FolderScan[] | undefined>;
  /** Not idempotent. `unknown_outcome` when it may have happened: look with `findScans` before anything else. */
  createScan(
    plan: ScanPlan,
    signal?: AbortSignal,
    options?: WriteOptions,
  ): Promise<{ readonly scanId: number }>;
  /** Not idempotent. `unknown_outcome` when it may have happened: look with `getScan` before anything else. */
  launchScan(
    scanId: number,
    signal?: AbortSignal,
    options?: WriteOptions,
  ): Promise<{ readonly runUuid: string }>;
  /** @param historyId the run to show; the latest when left out. @returns undefined for an unknown scan. */
  getScan(scanId: number, historyId?: number, signal?: AbortSignal): Promise<ScanSnapshot | undefined>;
  /** Asks the scanner to stop; it has stopped when `getScan` shows a terminal status. No error when it is not active. */
  stopScan(scanId: number, signal?: AbortSignal): Promise<void>;
  pauseScan(scanId: number, signal?: AbortSignal): Promise<void>;
  resumeScan(scanId: number, signal?: AbortSignal): Promise<void>;
  /** No error when it is gone already. An active scan is refused by the scanner. */
  deleteScan(scanId: number, signal?: AbortSignal): Promise<void>;

  /** Asks for a `.nessus` export of one run. @returns the id of the file being made. */
  requestExport(scanId: number, historyId: number | undefined, signal?: AbortSignal): Promise<string>;
  exportState(scanId: number, fileId: string, signal?: AbortSignal): Promise<ExportState>;
  /** The bytes of the export. The stream fails with `ScannerError` when the transfer breaks. */
  downloadExport(scanId: number, fileId: string, signal?: AbortSignal): Promise<Readable>;

  /** Ends the session on the scanner and closes idle connections. */
  close(): Promise<void>;
}
