import { ScannerError } from '@scanmq/contract';

/**
 * - `malformed`: not well-formed XML (broken off, empty, binary, forbidden constructs).
 * - `not_v2`: another root element: the older format, a fragment, something else.
 * - `no_report`: a v2 file without `Report`, such as a policy export.
 */
export type ExportFault = 'malformed' | 'not_v2' | 'no_report';

/** The bytes are no usable `.nessus` v2 export; the message says why. */
export class InvalidExportError extends ScannerError {
  readonly exportFault: ExportFault;
  constructor(exportFault: ExportFault, why: string, cause?: unknown) {
    super('invalid_export', `The export is not usable: ${why}.`, { operation: 'ingest', cause });
    this.exportFault = exportFault;
  }
}
