/** Files on their way between a directory and the bucket; what arrives is what was sent, or an error. */
import { randomUUID } from 'node:crypto';
import { createReadStream, createWriteStream } from 'node:fs';
import { access, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import type { Manifest } from './manifest.js';
import { measure } from './measure.js';
import { away, type S3Bucket } from './s3-client.js';

type Entry = Manifest['files'][string];

/** Sends a file. @throws ScanmqError `unavailable`; errors of the file system. */
export async function sendFile(
  bucket: S3Bucket,
  path: string,
  key: string,
  signal: AbortSignal | undefined,
): Promise<Entry> {
  // what we lack is not to be told as a store that is away
  await access(path);
  const measured = measure();
  const source = createReadStream(path);
  // an error of the disk ends the upload
  source.on('error', (error) => measured.stream.destroy(error));
  await bucket.upload(key, source.pipe(measured.stream), signal);
  return { key, ...measured.result() };
}

/** Brings a file under its name, whole or not at all. @returns false when the object is gone. */
export async function bringFile(
  bucket: S3Bucket,
  { key, bytes, sha256 }: Entry,
  directory: string,
  name: string,
  signal: AbortSignal | undefined,
): Promise<boolean> {
  const object = await bucket.get(key, signal);
  if (!object) return false;
  const part = join(directory, `.${name}.${randomUUID()}.part`);
  const measured = measure();
  try {
    await pipeline(object.body, measured.stream, createWriteStream(part, { mode: 0o640 }));
    const arrived = measured.result();
    if (arrived.bytes !== bytes || arrived.sha256 !== sha256)
      throw new Error(`${name} arrived with ${arrived.bytes} of ${bytes} bytes, or damaged`);
    await rename(part, join(directory, name));
    return true;
  } catch (error) {
    await rm(part, { force: true });
    signal?.throwIfAborted();
    // a full disk is ours, everything else theirs
    if (error instanceof Error && 'syscall' in error && 'path' in error) throw error;
    throw away(error);
  }
}
