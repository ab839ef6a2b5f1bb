import { ScannerError } from '@scanmq/contract';
import type { Connection } from '../nessus/connection.js';
import { templateSchema } from './decode.js';

/**
 * The uuid of the scanner that is to do the work, for `scanner_id` of a new scan: of a cloud scanner, of a linked one, or of
 * a group. It is looked up where the user may choose it, in the inputs of the template, because the list of all scanners
 * needs more rights (pyTenable, `tenable/io/scans.py` `_create_scan_document`, `tenable/io/scanners.py` `allowed_scanners`,
 * `tests/io/cassettes/test_list_scanners_permissionerror.yaml`).
 * @param wanted its name or uuid.
 * @throws ScannerError `scanner_rejected` with those that there are.
 */
export async function scannerUuid(
  { instanceKey, ask }: Connection,
  templateUuid: string,
  wanted: string,
  signal: AbortSignal | undefined,
): Promise<string> {
  const { settings } = await ask(
    {
      method: 'GET',
      path: `/editor/scan/templates/${templateUuid}`,
      operation: 'scanners of the template',
      kind: 'read',
      signal,
    },
    templateSchema,
  );
  const options = settings.basic.inputs.find((input) => input.id === 'scanner_id')?.options ?? [];
  const byUuid = options.find((option) => option.id === wanted);
  if (byUuid) return byUuid.id;
  const byName = options.filter((option) => option.name === wanted);
  const [only] = byName;
  if (only && byName.length === 1) return only.id;
  throw new ScannerError(
    'scanner_rejected',
    byName.length > 1
      ? `${instanceKey} has ${byName.length} scanners of the name '${wanted}'. Name it by its uuid in scanners.yaml: ${byName.map(({ id }) => id).join(', ')}.`
      : `${instanceKey} offers our user no scanner '${wanted}' for this template. It offers: ${options.map(({ name }) => name).join(', ') || 'none'}.`,
    { instanceKey, operation: 'create' },
  );
}
