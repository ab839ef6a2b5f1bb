/** The targets of a task in little memory, to be compared with one target many times. */
import { parseTarget, type Target } from '@scanmq/contract';

/** Interval after interval as first, last, first, last …; names in lower case. */
export interface CompactTargets {
  /** IPv4 addresses as numbers. */
  readonly v4: ArrayLike<number>;
  readonly v6: readonly bigint[];
  readonly names: readonly string[];
}

const NOTHING: readonly never[] = [];
export const NO_COMPACT_TARGETS: CompactTargets = { v4: NOTHING, v6: NOTHING, names: NOTHING };
/** Below this a plain list takes less than a typed array with its head. */
const TYPED_FROM = 16;

/** What is no target of ours is left out: nobody can search by it. */
export function compactTargets(text: string): CompactTargets {
  if (text === '') return NO_COMPACT_TARGETS;
  const v4: number[] = [];
  const v6: bigint[] = [];
  const names = new Set<string>();
  for (const part of text.split(/[\s,;]+/)) {
    const target = part === '' ? undefined : parseTarget(part);
    if (target === undefined) continue;
    // a text cut out of a larger one keeps the whole of it in memory
    if (target.kind === 'name') names.add(Buffer.from(target.text).toString());
    else if (target.family === 4) v4.push(Number(target.first), Number(target.last));
    else v6.push(target.first, target.last);
  }
  const merged = mergeIntervals(v4);
  return {
    v4: merged.length === 0 ? NOTHING : merged.length < TYPED_FROM ? merged : Uint32Array.from(merged),
    v6: v6.length === 0 ? NOTHING : v6,
    names: names.size === 0 ? NOTHING : [...names],
  };
}

/** The same addresses in as few intervals as possible, ascending. */
function mergeIntervals(flat: readonly number[]): number[] {
  if (flat.length <= 2) return [...flat];
  const pairs: [number, number][] = [];
  for (let at = 0; at < flat.length; at += 2) pairs.push([flat[at] ?? 0, flat[at + 1] ?? 0]);
  pairs.sort(([a], [b]) => a - b);
  const merged: number[] = [];
  for (const [first, last] of pairs) {
    const end = merged.at(-1);
    if (end === undefined || first > end + 1) merged.push(first, last);
    else if (last > end) merged[merged.length - 1] = last;
  }
  return merged;
}

/** Tells of sets whether they share an address with this target, or have its name. */
export function overlapsWith(wanted: Target): (set: CompactTargets) => boolean {
  if (wanted.kind === 'name') return ({ names }) => names.includes(wanted.text);
  const [first, last] = [wanted.first, wanted.last];
  if (wanted.family === 6) return ({ v6 }) => anyOverlap6(v6, first, last);
  const [first4, last4] = [Number(first), Number(last)];
  return ({ v4 }) => anyOverlap4(v4, first4, last4);
}

// two plain loops, not one for both: asked a hundred thousand times for one list
function anyOverlap4(flat: ArrayLike<number>, first: number, last: number): boolean {
  for (let at = 0; at < flat.length; at += 2)
    if ((flat[at] ?? 0) <= last && first <= (flat[at + 1] ?? -1)) return true;
  return false;
}

function anyOverlap6(flat: readonly bigint[], first: bigint, last: bigint): boolean {
  for (let at = 0; at < flat.length; at += 2)
    if ((flat[at] ?? 0n) <= last && first <= (flat[at + 1] ?? -1n)) return true;
  return false;
}
