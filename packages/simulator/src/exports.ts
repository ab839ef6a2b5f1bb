import { randomBytes, randomUUID } from 'node:crypto';
import { Readable } from 'node:stream';
import type { Engine, SimulatedRun, SimulatedScan } from './engine.js';
import type { FaultBoard } from './faults.js';
import type { Clock, SimulatorSettings } from './options.js';
import { renderReport } from './report.js';

/** How an export goes wrong; decided when it is asked for. */
type ExportFault =
  | 'export_500'
  | 'export_gone'
  | 'export_truncated'
  | 'export_empty'
  | 'export_json_body'
  | 'export_cut_connection'
  | undefined;

interface SimulatedExport {
  readonly file: number | string;
  readonly token: string;
  readonly scanId: number;
  readonly scan: SimulatedScan;
  readonly run: SimulatedRun;
  readonly readyAtMs: number;
  readonly fault: ExportFault;
  readonly bytes: Buffer | undefined;
  failed: boolean;
}

export interface ExportBook {
  request(scan: SimulatedScan, run: SimulatedRun): { file: number | string; token?: string };
  /** @returns undefined for an unknown or expired file. */
  status(file: string, scanId: number | undefined): 'loading' | 'ready' | 'error' | undefined;
  /** The bytes; `cut` when the connection is to break after them. */
  download(
    file: string,
    scanId: number | undefined,
  ): { body: Readable; fileName: string; cut: boolean } | undefined;
  /** The next exports, one after the other, are exactly these bytes. */
  next(bytes: Buffer): void;
  /** Generated files do not survive a restart. */
  clear(): void;
}

const EXPORT_FAULTS = [
  'export_500',
  'export_gone',
  'export_truncated',
  'export_empty',
  'export_json_body',
  'export_cut_connection',
] as const;

/** Export files of a simulated scanner (nessus-api.md section 6). */
export function createExportBook({
  settings,
  faults,
  engine,
  pluginSet,
  clock,
}: {
  settings: SimulatorSettings;
  faults: FaultBoard;
  engine: Engine;
  pluginSet: string;
  clock: Clock;
}): ExportBook {
  const exports = new Map<string, SimulatedExport>();
  const queued: Buffer[] = [];
  let lastFile = 1_900_000_000;
  const cloud = settings.product === 'tenable_vm';

  function find(file: string, scanId: number | undefined): SimulatedExport | undefined {
    forgetOld();
    const found = exports.get(file) ?? [...exports.values()].find((candidate) => candidate.token === file);
    if (!found || (scanId !== undefined && found.scanId !== scanId)) return undefined;
    return found;
  }

  function forgetOld(): void {
    for (const [file, { readyAtMs }] of exports)
      if (clock() > readyAtMs + settings.exportLifeMs) exports.delete(file);
  }

  function render({ scan, run, bytes }: SimulatedExport): Iterable<Buffer> {
    if (bytes) return [bytes];
    return renderReport({
      scanName: scan.name,
      runUuid: run.uuid,
      targets: run.targets,
      pluginSet,
      hosts: engine.begunHosts(run).map(({ host, share }) => ({ host, complete: share === 1 })),
      startedAt: new Date(run.startedAtMs ?? run.launchedAtMs),
      endedAt: new Date(run.endedAtMs ?? clock()),
      login: run.login,
    });
  }

  return {
    request(scan, run) {
      forgetOld();
      lastFile += 1 + Math.floor(Math.random() * 1_000);
      const entry: SimulatedExport = {
        // pyTenable, `tests/io/cassettes/test_scan_export_bytesio.yaml`
        file: cloud ? `SSE-${randomUUID()}-nessus` : lastFile,
        token: randomBytes(32).toString('hex'),
        scanId: scan.id,
        scan,
        run,
        readyAtMs: clock() + settings.exportDelayMs,
        fault: EXPORT_FAULTS.find((fault) => faults.hits(fault)),
        bytes: queued.shift(),
        failed: false,
      };
      exports.set(String(entry.file), entry);
      return cloud ? { file: entry.file } : { file: entry.file, token: entry.token };
    },

    status(file, scanId) {
      const found = find(file, scanId);
      if (!found || found.failed) return undefined;
      if (clock() < found.readyAtMs) return 'loading';
      if (found.fault === 'export_500') {
        // said once; afterwards the file is unknown
        found.failed = true;
        return 'error';
      }
      if (found.fault === 'export_gone') {
        exports.delete(String(found.file));
        return undefined;
      }
      return 'ready';
    },

    download(file, scanId) {
      const found = find(file, scanId);
      if (!found || found.failed || clock() < found.readyAtMs) return undefined;
      const fileName = `${found.scan.name.replace(/[^A-Za-z0-9]+/g, '_').slice(0, 60)}_${found.token.slice(0, 6)}.nessus`;
      if (found.fault === 'export_empty') return { body: Readable.from([]), fileName, cut: false };
      if (found.fault === 'export_json_body')
        return {
          body: Readable.from([Buffer.from('{"error":"The requested file was not found."}')]),
          fileName,
          cut: false,
        };
      if (found.fault === 'export_truncated' || found.fault === 'export_cut_connection') {
        const whole = Buffer.concat([...render(found)]);
        return {
          body: Readable.from([whole.subarray(0, Math.floor(whole.length / 2))]),
          fileName,
          cut: found.fault === 'export_cut_connection',
        };
      }
      return { body: Readable.from(render(found)), fileName, cut: false };
    },

    next: (bytes) => void queued.push(bytes),
    clear: () => exports.clear(),
  };
}
