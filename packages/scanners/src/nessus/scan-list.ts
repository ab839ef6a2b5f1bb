import type { FolderScan, ScanListing, Scanner } from '../scanner.js';
import type { Connection } from './connection.js';
import { scanListSchema } from './decode.js';
import type { Folders } from './folders.js';
import { statusClass } from './words.js';

/** Scans as listed, in one answer without pages (nessus-api.md section 4.4). */
export function createScanList(
  { ask }: Connection,
  folders: Folders,
): Pick<Scanner, 'findScans' | 'listFolder'> {
  return {
    async findScans(marker, signal) {
      const { scans } = await ask(
        { method: 'GET', path: '/scans', operation: 'list scans', kind: 'read', signal },
        scanListSchema,
      );
      return scans.filter((scan) => scan.name.includes(marker)).map(toListing);
    },

    async listFolder(name, signal) {
      const id = await folders.find(name, signal);
      if (id === undefined) return undefined;
      const { scans } = await ask(
        { method: 'GET', path: `/scans?folder_id=${id}`, operation: 'list scans', kind: 'read', signal },
        scanListSchema,
      );
      return scans.map(
        (scan): FolderScan => ({ ...toListing(scan), changedAt: scan.last_modification_date }),
      );
    },
  };
}

function toListing(scan: { id: number; name: string; status: string }): ScanListing {
  return { scanId: scan.id, name: scan.name, status: scan.status, statusClass: statusClass(scan.status) };
}
