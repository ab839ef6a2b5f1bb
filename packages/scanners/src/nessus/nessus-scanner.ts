import type { ScannerInstanceConfig } from '@scanmq/config';
import { ScannerError } from '@scanmq/contract';
import type { Readiness, Scanner, ScanRun, ScanSnapshot } from '../scanner.js';
import { errorOf } from './api.js';
import { type Connection, createConnection } from './connection.js';
import { createControl } from './control.js';
import { createScanMaker } from './create-scan.js';
import {
  hostStates,
  noteTexts,
  parseJson,
  progressPercent,
  scanDetailsSchema,
  serverPropertiesSchema,
} from './decode.js';
import { createExports } from './exports.js';
import { createFolders } from './folders.js';
import { healthOf } from './health.js';
import type { HttpTimeouts } from './http.js';
import { licenceFacts, modeOf, scanApiOf } from './licence.js';
import { readinessOf } from './readiness.js';
import { createScanList } from './scan-list.js';
import { statusClass } from './words.js';

export interface NessusScannerOptions {
  readonly timeouts?: Partial<HttpTimeouts>;
  readonly now?: () => Date;
}

/** More makes a busy scanner answer 503 (nessus-api.md section 8.1). */
const PARALLEL_REQUESTS = 4;
/** Without the version, newer releases drop the plugins of a scan without a word (nessus-api.md section 1.4). */
const HEADERS = { 'user-agent': 'scanmq', 'x-api-version': '2' };

/** Drives one on-premises Nessus by its API (nessus-api.md; the ten rules of its section 0 hold throughout). */
export function createNessusScanner(
  config: ScannerInstanceConfig,
  options: NessusScannerOptions = {},
): Scanner {
  const { instanceKey } = config;
  const now = options.now ?? (() => new Date());
  const connection = createConnection(config, {
    timeouts: options.timeouts,
    headers: HEADERS,
    parallelRequests: PARALLEL_REQUESTS,
  });
  const { http, ask } = connection;
  const folders = createFolders(connection);

  async function readiness(signal?: AbortSignal): Promise<Readiness> {
    // without login: it must work while logins do not
    const answer = await http.exchange({
      method: 'GET',
      path: '/server/status',
      operation: 'readiness',
      write: false,
      signal,
    });
    const found = readinessOf(answer);
    if (found) return found;
    throw errorOf(answer, { operation: 'readiness' }, instanceKey, config);
  }

  return {
    instanceKey,
    readiness,
    ...createScanList(connection, folders),
    ...createScanMaker(connection, folders, async () => ({
      // of the scanner's own schedule: ours are launched by us
      enabled: false,
      launch: 'ON_DEMAND',
      launch_now: false,
    })),
    ...createControl(connection),
    ...createExports(connection),
    getScan: (scanId, historyId, signal) => getScan(connection, scanId, historyId, signal),

    probe: (signal) =>
      healthOf(
        instanceKey,
        now(),
        () => readiness(signal),
        async () => {
          const properties = await ask(
            { method: 'GET', path: '/server/properties', operation: 'properties', kind: 'read', signal },
            serverPropertiesSchema,
          );
          const mode = modeOf(properties, config);
          return {
            mode,
            // server_version may be the number of the engine (nessus-api.md section 2.2)
            version: properties.nessus_ui_version ?? properties.server_version ?? null,
            licence: properties.license?.name ?? properties.nessus_type ?? null,
            ...licenceFacts(properties),
            scan_api: scanApiOf(properties),
            plugin_set: properties.loaded_plugin_set ?? properties.plugin_set ?? null,
            simulator: properties.simulator ?? false,
            reason: mode === 'export_only' ? 'its licence does not offer launching scans by API' : null,
          };
        },
      ),

    close: () => connection.close(),
  };
}

/** Everything about a scan is in one answer: the run asked for, its hosts, and the history, oldest first (nessus-api.md section 4.5). */
async function getScan(
  { instanceKey, api }: Connection,
  scanId: number,
  historyId: number | undefined,
  signal: AbortSignal | undefined,
): Promise<ScanSnapshot | undefined> {
  const query = historyId === undefined ? '' : `?history_id=${historyId}`;
  const answer = await api.call({
    method: 'GET',
    path: `/scans/${scanId}${query}`,
    operation: 'status',
    kind: 'read',
    accept: [404],
    signal,
  });
  if (answer.status === 404) return undefined;
  const parsed = scanDetailsSchema.safeParse(parseJson(answer.body));
  if (!parsed.success) {
    throw new ScannerError(
      'scanner_unreachable',
      `${instanceKey} answered 'status' in a form that scanmq does not know.`,
      { instanceKey, operation: 'status' },
    );
  }
  const details = parsed.data;
  const runs = details.history.map(
    (run): ScanRun => ({
      historyId: run.history_id,
      uuid: run.uuid,
      status: run.status,
      statusClass: statusClass(run.status),
    }),
  );
  const status = details.info?.status ?? runs.at(-1)?.status ?? 'empty';
  return {
    scanId,
    name: details.info?.name ?? '',
    status,
    statusClass: statusClass(status),
    progressPercent: status === 'completed' ? 100 : progressPercent(details),
    hostsSeen: details.hosts.length,
    hosts: hostStates(details),
    runs,
    notes: noteTexts(details.notes),
  };
}
