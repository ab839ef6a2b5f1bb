import type { Settings } from '@scanmq/config';
import { createDirectoryStore } from './directory-store.js';
import type { ResultStore } from './store.js';

/** Opens the store that the settings name. S3 is loaded by those who use it. */
export async function openResultStore(
  settings: Pick<Settings, 'dataDir' | 's3' | 'resultCacheBytes'>,
): Promise<ResultStore> {
  const { dataDir, s3, resultCacheBytes: cacheBytes } = settings;
  if (s3 === undefined) return createDirectoryStore(dataDir);
  const { openS3Store } = await import('./s3-store.js');
  return await openS3Store({ s3, dataDir, cacheBytes });
}
