/** Sets of targets as operators write them: addresses, ranges, networks, host names, and `.example.com` for all names below it. */
import { type IpTarget, parseAddress, parseTarget, type Target } from './targets.js';

type SetEntry = IpTarget | { readonly kind: 'name'; readonly text: string; readonly subdomains: boolean };

/** A set of targets; what it holds is asked by the functions of this file. */
export interface TargetSet {
  /** As it was written. */
  readonly texts: readonly string[];
  readonly entries: readonly SetEntry[];
}

/** @returns undefined when the text is no entry of a target set. */
function parseEntry(text: string): SetEntry | undefined {
  const name = text.replace(/^(\*\.|\.)/, '');
  const target = parseTarget(name);
  if (target?.kind === 'name') return { kind: 'name', text: target.text, subdomains: name !== text };
  // a leading dot makes sense before a name only
  return name === text ? target : undefined;
}

/** @throws TypeError naming the first text that is no entry; check with `badTargetSetEntry` what comes from outside. */
export function targetSet(texts: readonly string[]): TargetSet {
  const entries = texts.map((text) => {
    const entry = parseEntry(text);
    if (!entry) throw new TypeError(`'${text}' is no target`);
    return entry;
  });
  return { texts, entries };
}

/** The first text that is no entry, or undefined. */
export function badTargetSetEntry(texts: readonly string[]): string | undefined {
  return texts.find((text) => parseEntry(text) === undefined);
}

export function isEmptySet(set: TargetSet): boolean {
  return set.entries.length === 0;
}

/** True for a name that is an entry itself or lies below one. */
export function setHasName(set: TargetSet, name: string): boolean {
  return set.entries.some(
    (entry) =>
      entry.kind === 'name' && (entry.subdomains ? name.endsWith(`.${entry.text}`) : name === entry.text),
  );
}

/** True when the set has names at all. */
export function setHasNames(set: TargetSet): boolean {
  return set.entries.some((entry) => entry.kind === 'name');
}

/** True when the set has addresses at all. */
export function setHasAddresses(set: TargetSet): boolean {
  return set.entries.some((entry) => entry.kind !== 'name');
}

/** True when one entry holds every address of the target. */
export function setCoversAddresses(set: TargetSet, target: IpTarget): boolean {
  return narrowestCover(set, target) !== undefined;
}

/** Addresses in the smallest entry that holds every address of the target; undefined when none does. */
export function narrowestCover(set: TargetSet, target: IpTarget): bigint | undefined {
  let narrowest: bigint | undefined;
  for (const entry of set.entries) {
    if (entry.kind === 'name' || entry.family !== target.family) continue;
    if (entry.first > target.first || entry.last < target.last) continue;
    const size = entry.last - entry.first;
    if (narrowest === undefined || size < narrowest) narrowest = size;
  }
  return narrowest;
}

/** True when the target and the set share an address. */
export function setTouchesAddresses(set: TargetSet, target: IpTarget): boolean {
  return set.entries.some(
    (entry) =>
      entry.kind !== 'name' &&
      entry.family === target.family &&
      entry.first <= target.last &&
      target.first <= entry.last,
  );
}

/** True when the target, or for a name one of the addresses it stands for, has something in common with the set. */
export function setTouches(set: TargetSet, target: Target, addressesOfName: readonly string[] = []): boolean {
  if (target.kind !== 'name') return setTouchesAddresses(set, target);
  return (
    setHasName(set, target.text) ||
    addressesOfName.some((text) => {
      const address = asTarget(text);
      return address !== undefined && setTouchesAddresses(set, address);
    })
  );
}

/** An address as a target; undefined for a text that is none. */
export function asTarget(address: string): IpTarget | undefined {
  const parsed = parseAddress(address);
  return (
    parsed && {
      kind: 'address',
      text: address,
      family: parsed.family,
      first: parsed.value,
      last: parsed.value,
    }
  );
}
