/** The client of S3, with its errors in our words. */

import type { Readable } from 'node:stream';
import {
  DeleteObjectsCommand,
  GetObjectCommand,
  HeadBucketCommand,
  ListObjectsV2Command,
  PutObjectCommand,
  S3Client,
  S3ServiceException,
} from '@aws-sdk/client-s3';
import { Upload } from '@aws-sdk/lib-storage';
import type { S3Settings } from '@scanmq/config';
import { ScanmqError } from '@scanmq/contract';

export interface S3Listing {
  readonly keys: readonly { readonly key: string; readonly modifiedAt: Date | undefined }[];
  /** What follows the prefix, up to the next `/`. */
  readonly folders: readonly string[];
}

/** Objects of one bucket. Everything throws ScanmqError `unavailable` when S3 does not do what it is asked. */
export interface S3Bucket {
  put(key: string, text: string, signal?: AbortSignal): Promise<void>;
  upload(key: string, body: Readable, signal?: AbortSignal): Promise<void>;
  /** @returns undefined when there is no such object. */
  get(
    key: string,
    signal?: AbortSignal,
  ): Promise<{ readonly body: Readable; readonly bytes: number } | undefined>;
  /** Everything below a prefix, a page at a time. @param folded answers what lies deeper as folders. */
  list(prefix: string, folded: boolean): AsyncIterable<S3Listing>;
  delete(keys: readonly string[]): Promise<void>;
  check(): Promise<void>;
  close(): void;
}

/** Tries of one request; a part of an upload is one. */
const ATTEMPTS = 4;
const CONNECT_MS = 3_000;
/** Nothing goes over the connection for so long. */
const SILENCE_MS = 30_000;
const PART_BYTES = 8 * 1024 * 1024;
/** Parts on their way at once; each is held in memory. */
const PARTS_AT_ONCE = 2;
/** Objects that one request can delete. */
const DELETE_BATCH = 1_000;

export function openBucket(settings: S3Settings): S3Bucket {
  const { bucket: Bucket, accessKeyId, secretAccessKey } = settings;
  const s3 = new S3Client({
    region: settings.region,
    maxAttempts: ATTEMPTS,
    forcePathStyle: settings.forcePathStyle,
    // stores that speak S3 but are not of Amazon know the older checksums only
    requestChecksumCalculation: 'WHEN_REQUIRED',
    responseChecksumValidation: 'WHEN_REQUIRED',
    requestHandler: { connectionTimeout: CONNECT_MS, requestTimeout: SILENCE_MS },
    ...(settings.endpoint === undefined ? {} : { endpoint: settings.endpoint }),
    // without keys of ours, the usual places: environment, files and services of AWS
    ...(accessKeyId === undefined || secretAccessKey === undefined
      ? {}
      : { credentials: { accessKeyId, secretAccessKey } }),
  });

  const within = (signal: AbortSignal | undefined): { abortSignal?: AbortSignal } =>
    signal === undefined ? {} : { abortSignal: signal };

  return {
    async put(key, text, signal) {
      await asked(signal, () =>
        s3.send(new PutObjectCommand({ Bucket, Key: key, Body: text }), within(signal)),
      );
    },

    async upload(key, body, signal) {
      const upload = new Upload({
        client: s3,
        params: { Bucket, Key: key, Body: body },
        partSize: PART_BYTES,
        queueSize: PARTS_AT_ONCE,
      });
      const abort = (): void => void upload.abort();
      signal?.addEventListener('abort', abort, { once: true });
      try {
        await asked(signal, () => upload.done());
      } finally {
        signal?.removeEventListener('abort', abort);
        body.destroy();
      }
    },

    async get(key, signal) {
      return await asked(signal, async () => {
        try {
          const answer = await s3.send(new GetObjectCommand({ Bucket, Key: key }), within(signal));
          return { body: answer.Body as Readable, bytes: answer.ContentLength ?? 0 };
        } catch (error) {
          if (isMissing(error)) return undefined;
          throw error;
        }
      });
    },

    async *list(prefix, folded) {
      let next: string | undefined;
      do {
        const page = await asked(undefined, () =>
          s3.send(
            new ListObjectsV2Command({
              Bucket,
              Prefix: prefix,
              ...(folded ? { Delimiter: '/' } : {}),
              ...(next === undefined ? {} : { ContinuationToken: next }),
            }),
          ),
        );
        yield {
          keys: (page.Contents ?? []).map(({ Key = '', LastModified }) => ({
            key: Key,
            modifiedAt: LastModified,
          })),
          folders: (page.CommonPrefixes ?? []).map(({ Prefix = '' }) => Prefix.slice(prefix.length, -1)),
        };
        next = page.IsTruncated ? page.NextContinuationToken : undefined;
      } while (next !== undefined);
    },

    async delete(keys) {
      for (let at = 0; at < keys.length; at += DELETE_BATCH) {
        const Objects = keys.slice(at, at + DELETE_BATCH).map((Key) => ({ Key }));
        const answer = await asked(undefined, () =>
          s3.send(new DeleteObjectsCommand({ Bucket, Delete: { Objects, Quiet: true } })),
        );
        const [failed] = answer.Errors ?? [];
        if (failed) throw away(new Error(`${failed.Code ?? 'an object'} could not be deleted`));
      }
    },

    async check() {
      await asked(undefined, () => s3.send(new HeadBucketCommand({ Bucket })));
    },

    close: () => s3.destroy(),
  };
}

/** True where the object does not exist; a bucket that does not is another thing. */
function isMissing(error: unknown): boolean {
  return (
    error instanceof S3ServiceException &&
    error.name !== 'NoSuchBucket' &&
    error.$metadata.httpStatusCode === 404
  );
}

async function asked<T>(signal: AbortSignal | undefined, question: () => Promise<T>): Promise<T> {
  try {
    return await question();
  } catch (error) {
    signal?.throwIfAborted();
    throw error instanceof ScanmqError ? error : away(error);
  }
}

/** Names no bucket and no address: whoever asks for results reads it. The cause is for the log. */
export function away(cause: unknown): ScanmqError {
  const { name, $metadata } = (cause ?? {}) as Partial<S3ServiceException>;
  const status = $metadata?.httpStatusCode;
  const why =
    status === undefined ? 'it cannot be reached' : `it answers ${status}, ${name ?? 'without a reason'}`;
  return new ScanmqError('unavailable', `The store of the results is away (${why}). Try again later.`, {
    cause,
    retryAfterSeconds: 5,
  });
}
