import type { ScannerInstanceConfig } from '@scanmq/config';
import { errorOf } from '../nessus/api.js';
import { type Connection, createConnection } from '../nessus/connection.js';
import { createControl } from '../nessus/control.js';
import { createScanMaker } from '../nessus/create-scan.js';
import { parseJson, serverPropertiesSchema } from '../nessus/decode.js';
import { createExports } from '../nessus/exports.js';
import { createFolders } from '../nessus/folders.js';
import { type HealthFacts, healthOf } from '../nessus/health.js';
import type { HttpTimeouts } from '../nessus/http.js';
import { readinessOf } from '../nessus/readiness.js';
import { createScanList } from '../nessus/scan-list.js';
import type { Readiness, Scanner } from '../scanner.js';
import { userSchema } from './decode.js';
import { withRateLimit } from './rate-limit.js';
import { getScan } from './scan-state.js';
import { scannerUuid } from './scanner-choice.js';

export interface TenableVmScannerOptions {
  readonly timeouts?: Partial<HttpTimeouts>;
  readonly now?: () => Date;
}

/** The vendor asks integrations not to send requests side by side (developer.tenable.com/docs/rate-limiting); one more for a stop. */
const PARALLEL_REQUESTS = 2;
/** In the form that the vendor asks for (pyTenable, recorded in `tests/io/cassettes/test_scan_create_scan_success.yaml`). */
const HEADERS = { 'user-agent': 'Integration/1.0 (scanmq; scanmq; Build/unknown)' };
/** Role that may launch scans (developer.tenable.com/reference/scans-launch). */
const SCAN_OPERATOR = 24;

/**
 * Drives Tenable Vulnerability Management, the cloud service, whose scan API is that of a Nessus but for these differences,
 * each with its source where it is dealt with:
 * - API keys only, no licence without launching, no page's token;
 * - requests above a rate are turned away (`rate-limit.ts`);
 * - the work is done by a scanner of one's choice (`scanner-choice.ts`);
 * - the state of a scan is asked in small parts, its history in pages and newest first (`scan-state.ts`);
 * - status words `initializing` and `publishing`, which count as active as every other word that ends in no rest;
 *   `stopped` counts as ended, as in developer.tenable.com/docs/concurrency-limiting;
 * - ids of exports are texts (pyTenable, `tests/io/cassettes/test_scan_export_bytesio.yaml`: `SSE-…-nessus`). Results older
 *   than 35 days are archived, and can be exported in our format all the same (tenable/pyTenable issue 506).
 */
export function createTenableVmScanner(
  config: ScannerInstanceConfig,
  options: TenableVmScannerOptions = {},
): Scanner {
  const { instanceKey } = config;
  const now = options.now ?? (() => new Date());
  const connection = createConnection(config, {
    timeouts: options.timeouts,
    headers: HEADERS,
    parallelRequests: PARALLEL_REQUESTS,
    around: (api) => withRateLimit(api, instanceKey),
  });
  const folders = createFolders(connection);

  /** With the keys, as the vendor's client asks it (pyTenable, `tests/io/cassettes/test_server_status.yaml`). */
  async function readiness(signal?: AbortSignal): Promise<Readiness> {
    const call = { operation: 'readiness', kind: 'read', accept: [503], signal } as const;
    const answer = await connection.api.call({ method: 'GET', path: '/server/status', ...call });
    const found = readinessOf(answer);
    if (found) return found;
    throw errorOf(answer, call, instanceKey, config);
  }

  return {
    instanceKey,
    readiness,
    ...createScanList(connection, folders),
    // no schedule is mentioned: a scan made with `enabled: false` may refuse to be launched (403 of
    // developer.tenable.com/reference/scans-launch), and one made without is not scheduled either (pyTenable,
    // `tests/io/cassettes/test_scan_create_scan_success.yaml`: rrules and starttime are null)
    ...createScanMaker(connection, folders, async (templateUuid, signal) =>
      config.scanner === undefined
        ? {}
        : { scanner_id: await scannerUuid(connection, templateUuid, config.scanner, signal) },
    ),
    ...createControl(connection),
    ...createExports(connection),
    getScan: (scanId, historyId, signal) => getScan(connection, scanId, historyId, signal),
    probe: (signal) =>
      healthOf(
        instanceKey,
        now(),
        () => readiness(signal),
        () => factsOf(connection, signal),
      ),
    close: () => connection.close(),
  };
}

/** What the service and our user are. Neither is needed for scanning, so a user who may not ask is no failure; bad keys are. */
async function factsOf({ api }: Connection, signal: AbortSignal | undefined): Promise<HealthFacts> {
  const accept = [403, 404];
  const user = await api.call({
    method: 'GET',
    path: '/session',
    operation: 'user',
    kind: 'read',
    accept,
    signal,
  });
  const answer = await api.call({
    method: 'GET',
    path: '/server/properties',
    operation: 'properties',
    kind: 'read',
    accept,
    signal,
  });
  const properties = serverPropertiesSchema.safeParse(parseJson(answer.body)).data;
  const permissions = userSchema.safeParse(parseJson(user.body)).data?.permissions ?? SCAN_OPERATOR;
  return {
    mode: 'full',
    scan_api: true,
    version: properties?.nessus_ui_version ?? properties?.server_version ?? null,
    licence: properties?.license?.name ?? properties?.nessus_type ?? 'Tenable Vulnerability Management',
    // of the service as a whole, not of a scanner
    licence_expires_at: null,
    licence_hosts: null,
    plugin_set: properties?.loaded_plugin_set ?? properties?.plugin_set ?? null,
    simulator: properties?.simulator ?? false,
    // told, not judged: a role of one's own may allow what the number does not say
    reason:
      permissions < SCAN_OPERATOR
        ? `its user has the permissions ${permissions}; launching scans needs those of a Scan Operator (${SCAN_OPERATOR})`
        : null,
  };
}
