/**
 * One line of the audit log, and how it holds on to the one before. The hash is taken of the very bytes of the line
 * without the hash itself: there is no second form of an entry that could hash alike.
 *
 *     {"chain":"…","seq":7,"prev":"<hash of line 6>","time":"…",…,"hash":"<SHA-256 of all that stands before it, and }>"}
 */
import { createHash } from 'node:crypto';
import { z } from 'zod';

export const NO_HASH = '0'.repeat(64);
const HASH_BYTES = 64;
const TAIL = /,"hash":"([0-9a-f]{64})"\}$/;

/** Where a chain stands. */
export interface Head {
  readonly chain: string;
  readonly seq: number;
  readonly hash: string;
}

const linkSchema = z.looseObject({
  chain: z.string(),
  seq: z.number().int().min(1),
  prev: z.string().length(HASH_BYTES),
  event: z.string(),
});
export type Entry = z.output<typeof linkSchema>;

export function sha256(text: string | Buffer): string {
  return createHash('sha256').update(text).digest('hex');
}

/**
 * The next line of a chain.
 * @param previous undefined for the first.
 * @returns the line without its end, and where the chain stands after it.
 */
export function sealLine(
  chain: string,
  previous: Head | undefined,
  fields: Readonly<Record<string, unknown>>,
): { readonly line: string; readonly head: Head } {
  const seq = (previous?.seq ?? 0) + 1;
  const text = printable(JSON.stringify({ chain, seq, prev: previous?.hash ?? NO_HASH, ...fields }));
  const hash = sha256(text);
  return { line: `${text.slice(0, -1)},"hash":"${hash}"}`, head: { chain, seq, hash } };
}

/** @returns undefined for what is no entry, or one that was changed. */
export function openLine(line: string): { readonly entry: Entry; readonly head: Head } | undefined {
  const [tail, hash] = TAIL.exec(line) ?? [];
  if (tail === undefined || hash === undefined) return undefined;
  const text = `${line.slice(0, -tail.length)}}`;
  if (sha256(text) !== hash) return undefined;
  try {
    const entry = linkSchema.parse(JSON.parse(text));
    return { entry, head: { chain: entry.chain, seq: entry.seq, hash } };
  } catch {
    return undefined;
  }
}

/** Control characters that JSON leaves as they are, and those that turn text around: a terminal would obey them. */
function printable(json: string): string {
  return json.replace(
    /[\u007f-\u009f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb]/g,
    (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );
}
