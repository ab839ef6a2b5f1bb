/** Writes the audit log: append only, one line per decision, each holding on to the one before. */
import { randomBytes } from 'node:crypto';
import { type FileHandle, mkdir, open, rename } from 'node:fs/promises';
import { hostname } from 'node:os';
import { dirname } from 'node:path';
import { LIMITS, ScanmqError } from '@scanmq/contract';
import { lock } from 'proper-lockfile';
import { type Head, NO_HASH, openLine, sealLine, sha256 } from './chain.js';
import { type Decision, fieldsOf } from './entry.js';
import { nextSegment, segmentsOf, sizeOf, slotFile } from './files.js';
import type { AuditHeads } from './heads.js';

export interface AuditLog {
  /** The file that this process writes to now; undefined before the first entry, and after a failure. */
  readonly file: string | undefined;
  /**
   * Resolves when the entry is written (and on the disk, unless told otherwise).
   * @throws ScanmqError `unavailable` when it cannot be: then what it tells of must not be done.
   */
  write(decision: Decision): Promise<void>;
  close(): Promise<void>;
}

export interface AuditLogOptions {
  /** Absolute path. */
  readonly file: string;
  readonly maxBytes: number;
  readonly sync: 'always' | 'never';
  readonly heads: AuditHeads;
  readonly now: () => Date;
  /** Told of what was found wrong with the log, and of heads that could not be noted. */
  readonly onProblem: (what: string, error?: unknown) => void;
}

const MODE = 0o600;
const MOST_SLOTS = 256;
/** A lock whose process has died is taken over after so long. */
const LOCK_STALE_MS = 10_000;
const LOCK_UPDATE_MS = 2_000;
/** Entries written in one go, while the disk was busy with those before. */
const BATCH = 256;
const TAIL_BYTES = 2 * LIMITS.auditLineBytes;

/** The right to write to a file, as long as this process is not taken for dead. */
interface Lease {
  readonly file: string;
  readonly release: () => Promise<void>;
  lost: boolean;
}

/** Where this process writes. */
interface Place {
  readonly lease: Lease;
  handle: FileHandle;
  head: Head;
  /** Of the file, as we left it. */
  size: number;
}

interface Waiting {
  readonly fields: Readonly<Record<string, unknown>>;
  readonly done: () => void;
  readonly failed: (error: unknown) => void;
}

export function createAuditLog(options: AuditLogOptions): AuditLog {
  const { file, maxBytes, sync, heads, now, onProblem } = options;
  const host = hostname();
  let place: Place | undefined;
  let waiting: Waiting[] = [];
  let draining: Promise<void> | undefined;
  let noting: Promise<void> = Promise.resolve();
  let unnoted: { readonly head: Head; readonly file: string } | undefined;

  async function append(target: Place, lines: readonly string[]): Promise<void> {
    const bytes = Buffer.from(lines.map((line) => `${line}\n`).join(''));
    await target.handle.appendFile(bytes);
    if (sync === 'always') await target.handle.datasync();
    target.size += bytes.length;
  }

  function note(head: Head, ofFile: string): void {
    unnoted = { head, file: ofFile };
    noting = noting.then(async () => {
      const latest = unnoted;
      unnoted = undefined;
      if (!latest) return;
      await heads
        .set(latest.head, latest.file, host)
        .catch((error: unknown) => onProblem('the newest entry could not be noted in Redis', error));
    });
  }

  async function take(): Promise<Place> {
    await mkdir(dirname(file), { recursive: true });
    for (let slot = 1; slot <= MOST_SLOTS; slot += 1) {
      const lease = await hold(slotFile(file, slot));
      if (!lease) continue;
      try {
        return await goOn(lease);
      } catch (error) {
        await lease.release().catch(() => undefined);
        throw error;
      }
    }
    throw new Error(`all of ${MOST_SLOTS} audit logs beside ${file} are held by other processes`);
  }

  /** Takes up the chain of a file that nobody else holds, or begins one. */
  async function goOn(lease: Lease): Promise<Place> {
    let handle = await open(lease.file, 'a+', MODE);
    try {
      let end = await lookAtEnd(handle);
      const { broken } = end;
      if (broken) {
        onProblem(`the last entry of ${lease.file} was changed; a new chain begins`);
        await handle.close();
        await rename(lease.file, await nextSegment(lease.file));
        handle = await open(lease.file, 'a+', MODE);
        end = NOTHING;
      }
      // none in the file: a crash between putting one aside and writing to the next
      const before = broken ? undefined : (end.last ?? (await lastOfSegments(lease.file)));
      const made: Place = { lease, handle, head: before ?? nobody(), size: 0 };
      await resume(made, before, end);
      return made;
    } catch (error) {
      await handle.close().catch(() => undefined);
      throw error;
    }
  }

  /** The first line of this process says what it found. */
  async function resume(made: Place, before: Head | undefined, end: End): Promise<void> {
    const { file: ofFile } = made.lease;
    if (end.torn) onProblem(`the last entry of ${ofFile} was cut off by a crash`);
    const known = before && (await heads.get(before.chain));
    const isBehind =
      before && known && (known.seq > before.seq || (known.seq === before.seq && known.hash !== before.hash));
    if (isBehind)
      onProblem(
        `entries of ${ofFile} are missing: it ends with ${before.seq}, and ${known.seq} were written`,
      );
    if (end.open) await made.handle.appendFile('\n');
    made.size = (await made.handle.stat()).size;
    const sealed = sealLine(made.head.chain, before, {
      time: now().toISOString(),
      event: before ? 'resume' : 'begin',
      host,
      pid: process.pid,
      torn_sha256: end.torn && sha256(end.torn),
      lost_up_to: isBehind ? known.seq : undefined,
    });
    await append(made, [sealed.line]);
    made.head = sealed.head;
    note(made.head, ofFile);
  }

  async function putAside(full: Place): Promise<void> {
    const aside = await nextSegment(full.lease.file);
    await full.handle.close();
    await rename(full.lease.file, aside);
    full.handle = await open(full.lease.file, 'a+', MODE);
    full.size = 0;
  }

  async function letGo(): Promise<void> {
    const held = place;
    place = undefined;
    if (!held) return;
    await held.handle.close().catch(() => undefined);
    if (!held.lease.lost) await held.lease.release().catch(() => undefined);
  }

  async function writeBatch(batch: readonly Waiting[]): Promise<void> {
    // somebody who took us for dead has gone on with our chain, or the file was replaced
    if (place && (place.lease.lost || (await sizeOf(place.lease.file)) !== place.size)) await letGo();
    place ??= await take();
    const target = place;
    if (target.size >= maxBytes) await putAside(target);
    let { head } = target;
    const lines: string[] = [];
    for (const { fields } of batch) {
      const sealed = sealLine(head.chain, head, fields);
      lines.push(sealed.line);
      head = sealed.head;
    }
    await append(target, lines);
    target.head = head;
    note(head, target.lease.file);
  }

  async function drain(): Promise<void> {
    while (waiting.length > 0) {
      const batch = waiting.slice(0, BATCH);
      waiting = waiting.slice(BATCH);
      try {
        await writeBatch(batch);
        for (const { done } of batch) done();
      } catch (error) {
        onProblem('the audit log cannot be written', error);
        // perhaps a part was written: the next attempt looks at the file again
        await letGo();
        for (const { failed } of batch) failed(unwritable(error));
      }
    }
  }

  return {
    get file() {
      return place?.lease.file;
    },
    async write(decision) {
      const written = new Promise<void>((done, failed) => {
        waiting.push({ fields: fieldsOf(decision, now()), done, failed });
      });
      draining ??= drain().finally(() => {
        draining = undefined;
      });
      await written;
    },
    async close() {
      await draining;
      await letGo();
      await noting;
    },
  };
}

/** @returns undefined when another process holds it. */
async function hold(file: string): Promise<Lease | undefined> {
  const state = { lost: false };
  try {
    const release = await lock(file, {
      // the file may not exist yet
      realpath: false,
      stale: LOCK_STALE_MS,
      update: LOCK_UPDATE_MS,
      onCompromised: () => {
        state.lost = true;
      },
    });
    return Object.assign(state, { file, release });
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ELOCKED') return undefined;
    throw error;
  }
}

/** Before the first entry of a new chain. */
function nobody(): Head {
  return { chain: randomBytes(8).toString('hex'), seq: 0, hash: NO_HASH };
}

interface End {
  /** Undefined for an empty file. */
  readonly last: Head | undefined;
  /** The begin of an entry whose end was never written. */
  readonly torn: Buffer | undefined;
  /** The file does not end with the end of a line. */
  readonly open: boolean;
  /** The last whole line is no entry, or was changed. */
  readonly broken: boolean;
}

const NOTHING: End = { last: undefined, torn: undefined, open: false, broken: false };

async function lookAtEnd(handle: FileHandle): Promise<End> {
  const { size } = await handle.stat();
  const from = Math.max(0, size - TAIL_BYTES);
  const tail = Buffer.alloc(size - from);
  const { bytesRead } = await handle.read(tail, 0, tail.length, from);
  const bytes = tail.subarray(0, bytesRead);
  const lineEnd = bytes.lastIndexOf('\n');
  const rest = bytes.subarray(lineEnd + 1);
  // written whole, but for the end of the line
  const whole = rest.length > 0 ? openLine(rest.toString('utf8')) : undefined;
  if (whole) return { last: whole.head, torn: undefined, open: true, broken: false };
  const torn = rest.length > 0 ? Buffer.from(rest) : undefined;
  if (lineEnd < 0) return { last: undefined, torn, open: torn !== undefined, broken: false };
  const lineBegin = bytes.subarray(0, lineEnd).lastIndexOf('\n') + 1;
  const last = openLine(bytes.subarray(lineBegin, lineEnd).toString('utf8'));
  return { last: last?.head, torn, open: torn !== undefined, broken: last === undefined };
}

async function lastOfSegments(file: string): Promise<Head | undefined> {
  const newest = (await segmentsOf(file)).at(-1);
  if (newest === undefined) return undefined;
  const handle = await open(newest, 'r');
  try {
    return (await lookAtEnd(handle)).last;
  } finally {
    await handle.close();
  }
}

function unwritable(cause: unknown): ScanmqError {
  return new ScanmqError(
    'unavailable',
    'The audit log cannot be written, so nothing is changed. The log of the gateway says why.',
    { cause, retryAfterSeconds: 5 },
  );
}
