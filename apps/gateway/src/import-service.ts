/** Bringing in results: an uploaded export, or a scan made in a scanner's own interface. */
import { createHash } from 'node:crypto';
import { open, rename, rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import type { Readable } from 'node:stream';
import type { Settings } from '@scanmq/config';
import {
  InvalidRequestError,
  newTaskId,
  type ScanImportRequest,
  ScanmqError,
  type ScanStatus,
  toScanStatus,
  type UploadParams,
} from '@scanmq/contract';
import { FILES } from '@scanmq/findings';
import { importScan, instanceNamed } from '@scanmq/processor';
import { IMPORT_POOL, type QueueSystem, type SubmitContext } from '@scanmq/queue';
import type { ScannerRegistry } from '@scanmq/scanners';
import type { ResultStore } from '@scanmq/store';
import type { DiskGuard } from './disk-guard.js';

export interface ImportServiceDeps {
  readonly queue: QueueSystem;
  readonly files: ResultStore;
  readonly registry: ScannerRegistry;
  readonly settings: Pick<Settings, 'importMaxBytes'>;
  readonly disk: DiskGuard;
  readonly now: () => Date;
}

export interface ImportAnswer {
  readonly task: ScanStatus;
  readonly replay: boolean;
}

export interface ImportService {
  /**
   * Takes a file in as it comes; a worker reads and checks it.
   * @throws ScanmqError `too_large`; `invalid_request` when it is empty or breaks off; `idempotency_conflict`.
   */
  upload(
    body: Readable,
    params: UploadParams & { readonly idempotencyKey?: string },
    context: SubmitContext,
  ): Promise<ImportAnswer>;
  /** @throws InvalidRequestError for an unknown scanner; ScanmqError `idempotency_conflict`. */
  fromScanner(
    request: ScanImportRequest,
    context: SubmitContext,
    /** Throws where nothing may be imported from the pool. */
    checkPool: (pool: string) => void,
  ): Promise<ImportAnswer>;
}

/** An upload of which nothing more comes is given up. */
const IDLE_MS = 60_000;
/** The disk is looked at again after so much. */
const LOOK_EVERY_BYTES = 16 * 1024 * 1024;
/** What follows a refused part of an upload is read for so long. */
const DISCARD_MS = 30_000;

export function createImportService(deps: ImportServiceDeps): ImportService {
  const { queue, files, registry, settings } = deps;
  return {
    async upload(body, params, context) {
      await deps.disk.check();
      const taskId = newTaskId(IMPORT_POOL, deps.now());
      const received = await files.work(taskId);
      try {
        const sha256 = await receive(
          body,
          join(received.directory, FILES.raw),
          settings.importMaxBytes,
          deps.disk,
        );
        await received.publish([FILES.raw]);
        const { task, replay } = await queue.submitImport(
          {
            taskId,
            imported: {
              source: 'upload',
              file_name: params.file_name ?? null,
              scanner: null,
              scan_id: null,
              history_id: null,
              run_uuid: null,
              followed: false,
            },
            // whoever made the file: its format is that of Nessus
            scannerType: 'nessus',
            pool: IMPORT_POOL,
            checkpoint: null,
            name: params.name ?? params.file_name?.replace(/\.nessus$/i, '').slice(0, 200) ?? '',
            description: params.description,
            schemaProfile: params.schema_profile,
            idempotencyKey: params.idempotencyKey,
            content: sha256,
          },
          context,
        );
        // the first upload has the file already
        if (replay) await files.remove(taskId);
        return { task: toScanStatus(task), replay };
      } catch (error) {
        // housekeeping removes what cannot be removed now
        if (!(await queue.tasks.find(taskId).catch(() => 'unknown')))
          await files.remove(taskId).catch(() => undefined);
        throw error;
      } finally {
        await received.close();
      }
    },

    async fromScanner(request, context, checkPool) {
      const instance = instanceNamed(registry, request.scanner);
      checkPool(instance.pool);
      const { task, replay } = await importScan(
        queue,
        instance,
        request,
        { followed: false, now: deps.now() },
        context,
      );
      return { task: toScanStatus(task), replay };
    },
  };
}

/** Writes a body to disk, whole or not at all. @returns its SHA-256. */
async function receive(body: Readable, path: string, maxBytes: number, disk: DiskGuard): Promise<string> {
  const temporary = `${path}.part`;
  const hash = createHash('sha256');
  let bytes = 0;
  let looked = 0;
  const idle = setTimeout(() => body.destroy(brokenOff(bytes)), IDLE_MS);
  const file = await open(temporary, 'w', 0o640);
  try {
    // not destroyed when we stop early: the sender could not read the answer then
    for await (const chunk of body.iterator({ destroyOnReturn: false }) as AsyncIterable<Buffer>) {
      idle.refresh();
      bytes += chunk.length;
      if (bytes > maxBytes) throw tooLarge(maxBytes);
      if (bytes - looked >= LOOK_EVERY_BYTES) {
        looked = bytes;
        await disk.check();
      }
      hash.update(chunk);
      await file.write(chunk);
    }
    if (bytes === 0)
      throw new InvalidRequestError('The upload is empty.', [
        { path: 'body', message: 'expected the content of a .nessus file' },
      ]);
    await file.sync();
    await rename(temporary, path);
    await syncDirectory(dirname(path));
    return hash.digest('hex');
  } catch (error) {
    if (!body.destroyed) discardRest(body);
    throw isBrokenOff(error) ? brokenOff(bytes) : error;
  } finally {
    clearTimeout(idle);
    await file.close();
    await rm(temporary, { force: true });
  }
}

/** Lets the sender finish, for a while, so that it comes to read why it was refused. */
function discardRest(body: Readable): void {
  const timer = setTimeout(() => body.destroy(), DISCARD_MS);
  timer.unref();
  body.on('error', () => undefined).once('close', () => clearTimeout(timer));
  body.resume();
}

async function syncDirectory(path: string): Promise<void> {
  const directory = await open(path);
  try {
    await directory.sync();
  } finally {
    await directory.close();
  }
}

function tooLarge(maxBytes: number): ScanmqError {
  return new ScanmqError(
    'too_large',
    `The upload is larger than the ${Math.round(maxBytes / 1024 / 1024)} MB that IMPORT_MAX_MB allows.`,
  );
}

function brokenOff(bytes: number): ScanmqError {
  return new InvalidRequestError(`The upload broke off after ${bytes} bytes.`, [
    { path: 'body', message: 'expected the whole file' },
  ]);
}

function isBrokenOff(error: unknown): boolean {
  const code = error instanceof Error && 'code' in error ? error.code : undefined;
  return (
    code === 'ECONNRESET' ||
    code === 'ERR_STREAM_PREMATURE_CLOSE' ||
    // of a form, which says nothing else about it
    (error instanceof Error && /unexpected end of multipart data/i.test(error.message))
  );
}
