/**
 * Checks an audit log from its first entry to its last.
 *
 * Found: an entry that was changed, removed, repeated or moved; one that was put in; the end cut off, and a whole chain
 * taken away, where Redis knows the newest entry. Not found: what somebody does who can write to the files *and* to
 * Redis, and makes all of it anew; and entries that were never written.
 */
import { createReadStream } from 'node:fs';
import { basename } from 'node:path';
import { LIMITS } from '@scanmq/contract';
import { type Entry, type Head, NO_HASH, openLine, sha256 } from './chain.js';
import { segmentsOf, sizeOf, slotsOf } from './files.js';
import type { KnownHead } from './heads.js';

export interface AuditProblem {
  /** Undefined where all of its files are gone. */
  readonly file: string | undefined;
  /** Of the file, from 1; undefined where nothing is left to point at. */
  readonly line: number | undefined;
  readonly why: string;
}

export interface AuditReport {
  readonly ok: boolean;
  readonly files: number;
  readonly chains: number;
  readonly entries: number;
  /** The first of each file and its predecessors: what comes after it proves nothing. */
  readonly problems: readonly AuditProblem[];
  /** Ends of entries that a crash cut off, and that were noted afterwards. */
  readonly torn: number;
  /** Chains whose newest entry nobody knows: their end may have been cut off. */
  readonly unanchored: number;
}

/** @param heads newest entries by chain, read before this is called; undefined when Redis cannot be asked. */
export async function verifyAuditLog(
  file: string,
  heads: ReadonlyMap<string, KnownHead> | undefined,
): Promise<AuditReport> {
  const seen = new Map<string, Head>();
  const problems: AuditProblem[] = [];
  const count = { files: 0, entries: 0, torn: 0 };
  for (const slot of await slotsOf(file)) {
    const files = [...(await segmentsOf(slot)), slot];
    const problem = await verifyFiles(files, seen, heads, count);
    if (problem) problems.push(problem);
  }
  const broken = problems.length > 0;
  // a chain whose entries stand behind a problem was not reached
  for (const [chain, known] of heads ?? [])
    if (!seen.has(chain) && !broken)
      problems.push({
        file: undefined,
        line: undefined,
        why: `the chain ${chain} with ${known.seq} entries is gone; it was in ${known.file} on ${known.host}`,
      });
  return {
    ok: problems.length === 0,
    ...count,
    chains: seen.size,
    problems,
    unanchored: [...seen.keys()].filter((chain) => !heads?.has(chain)).length,
  };
}

/** @returns the first problem. */
async function verifyFiles(
  files: readonly string[],
  seen: Map<string, Head>,
  heads: ReadonlyMap<string, KnownHead> | undefined,
  count: { files: number; entries: number; torn: number },
): Promise<AuditProblem | undefined> {
  let head: Head | undefined;
  let place: { file: string; line: number } | undefined;
  /** A line that is no entry: fine if the next one tells of it. */
  let fragment:
    | { readonly line: Line; readonly at: { readonly file: string; readonly line: number } }
    | undefined;

  for (const file of files) {
    if ((await sizeOf(file)) === undefined) continue;
    count.files += 1;
    let line = 0;
    for await (const read of linesOf(file)) {
      line += 1;
      const opened = read.text === undefined ? undefined : openLine(read.text);
      if (fragment && (!opened || opened.entry.torn_sha256 !== sha256(fragment.line.bytes)))
        return { ...fragment.at, why: changed(fragment.line) };
      if (!opened) {
        fragment = { line: read, at: { file, line } };
        continue;
      }
      if (fragment) count.torn += 1;
      fragment = undefined;
      const { entry } = opened;
      if (head && head.chain !== entry.chain && entry.seq === 1) {
        // a new chain was begun because the last entry before it had been changed: found above, unless it was repaired
        const end = endOf(head, place, heads);
        if (end) return end;
        head = undefined;
      }
      const why =
        misfit(entry, head) ??
        (seen.has(entry.chain) && !head ? 'its chain is in another file too' : undefined);
      if (why !== undefined) return { file, line, why };
      head = opened.head;
      place = { file, line };
      seen.set(entry.chain, head);
      count.entries += 1;
      const known = heads?.get(entry.chain);
      if (known?.seq === entry.seq && known.hash !== head.hash)
        return {
          file,
          line,
          why: 'it is not the entry that was written: the chain was made anew up to here',
        };
    }
  }
  if (fragment) {
    // the newest entry may be half written, by a process that crashed or is at it
    const { line, at } = fragment;
    if (line.ended || at.file !== files.at(-1)) return { ...at, why: changed(line) };
    count.torn += 1;
  }
  return head && endOf(head, place, heads);
}

/** Why an entry does not follow the one before. */
function misfit(entry: Entry, head: Head | undefined): string | undefined {
  const expected = (head?.seq ?? 0) + 1;
  if (head && entry.chain !== head.chain) return 'it belongs to another chain';
  if (entry.seq > expected) return `entries ${expected} to ${entry.seq - 1} before it are missing`;
  if (entry.seq < expected) return `it is entry ${entry.seq}, after entry ${expected - 1}: repeated or moved`;
  if (entry.prev !== (head?.hash ?? NO_HASH))
    return 'it does not follow the entry before it: one of both was replaced';
  if (typeof entry.lost_up_to === 'number')
    return `entries before it, up to ${entry.lost_up_to}, were removed while nobody wrote`;
  return undefined;
}

/** Whether the chain goes as far as it is known to. */
function endOf(
  { chain, seq }: Head,
  place: { readonly file: string; readonly line: number } | undefined,
  heads: ReadonlyMap<string, KnownHead> | undefined,
): AuditProblem | undefined {
  const known = heads?.get(chain);
  if (!known || known.seq <= seq) return undefined;
  return {
    file: place?.file,
    line: place?.line,
    why: `entries ${seq + 1} to ${known.seq} after it are missing`,
  };
}

function changed({ text = '' }: Line): string {
  return text.startsWith('{') && text.endsWith('}') ? 'it was changed' : 'it is no entry';
}

interface Line {
  readonly bytes: Buffer;
  /** Undefined where the bytes are no text. */
  readonly text: string | undefined;
  /** False for what stands after the last line end. */
  readonly ended: boolean;
}

const LINE_END = 0x0a;

async function* linesOf(file: string): AsyncGenerator<Line> {
  let rest = Buffer.alloc(0);
  for await (const chunk of createReadStream(file)) {
    rest = Buffer.concat([rest, chunk as Buffer]);
    for (let end = rest.indexOf(LINE_END); end >= 0; end = rest.indexOf(LINE_END)) {
      yield lineOf(rest.subarray(0, end), true);
      rest = rest.subarray(end + 1);
    }
    // nothing that we wrote is so long
    if (rest.length > LIMITS.auditLineBytes) break;
  }
  if (rest.length > 0) yield lineOf(rest, false);
}

function lineOf(bytes: Buffer, ended: boolean): Line {
  try {
    return { bytes, text: new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes), ended };
  } catch {
    return { bytes, text: undefined, ended };
  }
}

/** For people: `audit.log, line 7`. */
export function describeProblem({ file, line, why }: AuditProblem): string {
  const place = file === undefined ? '' : `${basename(file)}${line === undefined ? '' : `, line ${line}`}: `;
  return `${place}${why}`;
}
