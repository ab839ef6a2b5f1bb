import { PassThrough, type Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { ScannerError } from '@scanmq/contract';
import type { Scanner } from '../scanner.js';
import { errorOf } from './api.js';
import type { Connection } from './connection.js';
import { exportRequestedSchema, exportStatusSchema, parseJson } from './decode.js';

/** Exports: asked for, waited for, fetched (nessus-api.md section 6). */
export function createExports({
  config,
  instanceKey,
  api,
  ask,
}: Connection): Pick<Scanner, 'requestExport' | 'exportState' | 'downloadExport'> {
  return {
    async requestExport(scanId, historyId, signal) {
      const query = historyId === undefined ? '' : `?history_id=${historyId}`;
      try {
        const { file } = await ask(
          {
            method: 'POST',
            path: `/scans/${scanId}/export${query}`,
            operation: 'export',
            kind: 'export',
            json: { format: 'nessus' },
            signal,
          },
          exportRequestedSchema,
        );
        return file;
      } catch (error) {
        if (
          !(error instanceof ScannerError) ||
          (error.scannerHttpStatus !== 409 && error.scannerHttpStatus !== 404)
        )
          throw error;
        // 409: the scanner has not quite ended the run yet
        throw new ScannerError('export_failed', error.message, {
          instanceKey,
          operation: 'export',
          scannerHttpStatus: error.scannerHttpStatus,
        });
      }
    },

    async exportState(scanId, fileId, signal) {
      const { status, body } = await api.call({
        method: 'GET',
        path: `/scans/${scanId}/export/${encodeURIComponent(fileId)}/status`,
        operation: 'export status',
        kind: 'read',
        accept: [404, 500],
        signal,
      });
      if (status === 404) return 'gone';
      // a 200 does not mean ready (nessus-api.md section 6.2)
      const word = exportStatusSchema.safeParse(parseJson(body)).data?.status;
      if (status === 500 || word === 'error') return 'failed';
      return word === 'ready' ? 'ready' : 'loading';
    },

    async downloadExport(scanId, fileId, signal) {
      const { status, body } = await api.download({
        method: 'GET',
        path: `/scans/${scanId}/export/${encodeURIComponent(fileId)}/download`,
        operation: 'download',
        signal,
      });
      if (status === 200) return translated(body, instanceKey);
      body.destroy();
      if (status === 404 || status === 409) {
        throw new ScannerError('export_failed', `${instanceKey} no longer has the export (${status}).`, {
          instanceKey,
          operation: 'download',
          scannerHttpStatus: status,
        });
      }
      throw errorOf({ status, body: '' }, { operation: 'download' }, instanceKey, config);
    },
  };
}

/** The stream with its failures as ScannerError; a connection that closes early must not look like the end of the file. */
function translated(body: Readable, instanceKey: string): Readable {
  const out = new PassThrough();
  void pipeline(body, out, { end: true }).catch(() => {
    out.destroy(
      new ScannerError('export_failed', `The download from ${instanceKey} broke off.`, {
        instanceKey,
        operation: 'download',
      }),
    );
  });
  return out;
}
