import type { Scanner } from '../scanner.js';
import type { Connection } from './connection.js';
import { launchedSchema } from './decode.js';

/** Calls that make a scan do something. All are asynchronous: what came of them is what the next look tells (nessus-api.md section 4.6). */
export function createControl({
  api,
  ask,
}: Connection): Pick<Scanner, 'launchScan' | 'stopScan' | 'pauseScan' | 'resumeScan' | 'deleteScan'> {
  /** Its body is empty or without meaning; 409 means that the state of the scan does not fit. */
  async function control(
    scanId: number,
    action: string,
    accept: readonly number[],
    signal: AbortSignal | undefined,
  ): Promise<void> {
    await api.call({
      method: 'POST',
      path: `/scans/${scanId}/${action}`,
      operation: action,
      kind: 'scan',
      json: {},
      accept,
      signal,
    });
  }

  return {
    async launchScan(scanId, signal, write) {
      const { scan_uuid } = await ask(
        {
          method: 'POST',
          path: `/scans/${scanId}/launch`,
          operation: 'launch',
          kind: 'scan',
          json: {},
          signal,
          ...write,
        },
        launchedSchema,
      );
      return { runUuid: scan_uuid };
    },

    // 409: not active any more. Whether it has stopped is what getScan tells
    stopScan: (scanId, signal) => control(scanId, 'stop', [409], signal),
    pauseScan: (scanId, signal) => control(scanId, 'pause', [], signal),
    resumeScan: (scanId, signal) => control(scanId, 'resume', [], signal),

    async deleteScan(scanId, signal) {
      await api.call({
        method: 'DELETE',
        path: `/scans/${scanId}`,
        operation: 'delete',
        kind: 'scan',
        accept: [404],
        signal,
      });
    },
  };
}
