import { createWriteStream } from 'node:fs';
import { rename, rm } from 'node:fs/promises';
import { pipeline } from 'node:stream/promises';
import { asScanmqError, type Client } from './client.js';

/**
 * Writes an answer to a file, which is there whole or not at all.
 * @throws ScanmqError as the client does.
 */
export async function saveDownload(
  client: Client,
  download: NodeJS.ReadableStream,
  file: string,
): Promise<void> {
  const temporary = `${file}.part`;
  try {
    await pipeline(download, createWriteStream(temporary));
    await rename(temporary, file);
  } catch (error) {
    await rm(temporary, { force: true });
    throw asScanmqError(error, client.url);
  }
}
