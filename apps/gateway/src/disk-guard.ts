/** Stops what would fill the disk before it is full: what runs still has to store its results. */
import { mkdir, statfs } from 'node:fs/promises';
import type { Settings } from '@scanmq/config';
import { ScanmqError } from '@scanmq/contract';

export interface DiskGuard {
  /** @throws ScanmqError `unavailable` when DATA_DIR has too little room for more. */
  check(): Promise<void>;
}

/** What is known of the disk holds for so long. */
const KNOWN_MS = 2_000;
const RETRY_SECONDS = 60;
const MB = 1024 * 1024;

export function createDiskGuard({
  dataDir,
  minFreeDiskBytes,
}: Pick<Settings, 'dataDir' | 'minFreeDiskBytes'>): DiskGuard {
  let looked = Number.NEGATIVE_INFINITY;
  let free: Promise<number> | undefined;

  async function look(): Promise<number> {
    await mkdir(dataDir, { recursive: true });
    const { bavail, bsize } = await statfs(dataDir);
    return bavail * bsize;
  }

  return {
    async check() {
      if (minFreeDiskBytes === 0) return;
      const now = performance.now();
      if (free === undefined || now - looked > KNOWN_MS) {
        looked = now;
        free = look();
      }
      // a disk that cannot be looked at is found out by whoever writes to it
      if ((await free.catch(() => Number.POSITIVE_INFINITY)) >= minFreeDiskBytes) return;
      throw new ScanmqError(
        'unavailable',
        `The disk of the results has less than ${Math.round(minFreeDiskBytes / MB)} MB left (MIN_FREE_DISK_MB): nothing new is taken in.`,
        { retryAfterSeconds: RETRY_SECONDS },
      );
    },
  };
}
