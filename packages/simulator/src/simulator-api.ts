import type { EngineStats } from './engine.js';
import type { Fault, FaultInput, FaultName } from './faults.js';
import type { Product } from './options.js';

export interface SimulatorStats extends EngineStats {
  active_now: number;
}

export interface ScanFacts {
  readonly scan_id: number;
  readonly name: string;
  readonly description: string;
  /** As they were sent. */
  readonly targets: string;
  readonly status: string;
  readonly launches: number;
  readonly with_credentials: boolean;
}

/** A simulated Nessus that runs in this process. What the control address does, these methods do. */
export interface Simulator {
  /** `https://127.0.0.1:…` */
  readonly url: string;
  readonly controlUrl: string;
  readonly certPem: string;
  readonly keyPem: string;
  /** SHA-256 of the certificate: 64 lower-case hex digits. */
  readonly fingerprint256: string;
  /** The pair that is valid now. */
  readonly accessKey: string;
  readonly secretKey: string;
  stats(): SimulatorStats;
  /** Counts from zero again; what is active stays counted in `max_active_ever`. */
  resetStats(): void;
  scans(): readonly ScanFacts[];
  faults(): readonly Fault[];
  setFault(fault: FaultInput): void;
  clearFaults(name?: FaultName): void;
  /** The next exports, one after the other, are exactly these bytes. */
  nextExport(bytes: Buffer): void;
  /** @returns how many scans it ended. */
  endScans(scanId: number | 'all', status: 'completed' | 'aborted'): number;
  expireSessions(): void;
  rotateToken(): void;
  /** Loads its plugins for so long: 503 for everything. */
  load(forMs: number): void;
  /** The word of /server/status until it is `ready` again. */
  setServerStatus(word: string): void;
  /** Has another licence from now on, as after a renewal that did not happen. Not to or from the cloud service. */
  setProduct(product: Exclude<Product, 'tenable_vm'>): void;
  /** Refuses connections, then loads, then is ready; sessions and exports are gone, scans in progress aborted. Resolves when it listens again. */
  restart(times: { downMs: number; loadingMs: number }): Promise<void>;
  close(): Promise<void>;
}
