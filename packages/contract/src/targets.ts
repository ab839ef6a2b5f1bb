/**
 * The one parser of scan targets. What it accepts is what Nessus accepts in `text_targets`
 * (nessus-api.md section 4.1): addresses, ranges `a-b`, networks in CIDR form, host names.
 */
import { domainToASCII } from 'node:url';
import ipaddr from 'ipaddr.js';
import { type InputIssue, InvalidRequestError } from './errors.js';
import { LIMITS } from './limits.js';

export type Target =
  | {
      readonly kind: 'address';
      readonly text: string;
      readonly family: 4 | 6;
      readonly first: bigint;
      readonly last: bigint;
    }
  | {
      readonly kind: 'range';
      readonly text: string;
      readonly family: 4 | 6;
      readonly first: bigint;
      readonly last: bigint;
    }
  | {
      readonly kind: 'network';
      readonly text: string;
      readonly family: 4 | 6;
      readonly first: bigint;
      readonly last: bigint;
    }
  | { readonly kind: 'name'; readonly text: string };

export type IpTarget = Exclude<Target, { kind: 'name' }>;

// One label: letters, digits, hyphens and (seen in real networks) underscores.
const LABEL = /^(?!-)[A-Za-z0-9_-]{1,63}(?<!-)$/;

/**
 * An address as a number. IPv4-mapped IPv6 (`::ffff:10.0.0.1`) counts as the IPv4 address it reaches.
 * @returns undefined when the text is not an address in its canonical, unambiguous form.
 */
export function parseAddress(text: string): { family: 4 | 6; value: bigint } | undefined {
  if (text.includes(':')) {
    if (text.includes('%') || !ipaddr.IPv6.isValid(text)) return undefined;
    const six = ipaddr.IPv6.parse(text);
    if (six.isIPv4MappedAddress()) return { family: 4, value: toBigInt(six.toIPv4Address().toByteArray()) };
    return { family: 6, value: toBigInt(six.toByteArray()) };
  }
  // Octal, hexadecimal and shortened forms reach different hosts in different tools: refused.
  if (!ipaddr.IPv4.isValidFourPartDecimal(text) || /(^|\.)0\d/.test(text)) return undefined;
  return { family: 4, value: toBigInt(ipaddr.IPv4.parse(text).toByteArray()) };
}

function toBigInt(bytes: readonly number[]): bigint {
  return bytes.reduce((sum, byte) => (sum << 8n) | BigInt(byte), 0n);
}

function parseNetwork(text: string): IpTarget | undefined {
  const [addressText = '', prefixText = '', ...rest] = text.split('/');
  const address = parseAddress(addressText);
  if (rest.length > 0 || !address || !/^\d{1,3}$/.test(prefixText)) return undefined;
  const mapped = address.family === 4 && addressText.includes(':');
  const bits = address.family === 4 ? 32 : 128;
  const prefix = Number(prefixText) - (mapped ? 96 : 0);
  if (prefix < 0 || prefix > bits) return undefined;
  const size = 1n << BigInt(bits - prefix);
  const first = (address.value / size) * size;
  return { kind: 'network', text, family: address.family, first, last: first + size - 1n };
}

function parseRange(text: string): IpTarget | undefined {
  const [firstText = '', lastText = '', ...rest] = text.split('-');
  const first = parseAddress(firstText);
  if (!first || rest.length > 0) return undefined;
  // Nessus also takes the short form 10.0.0.1-20: the last byte only.
  const full =
    /^\d{1,3}$/.test(lastText) && first.family === 4 ? firstText.replace(/\d+$/, lastText) : lastText;
  const last = parseAddress(full);
  if (!last || last.family !== first.family || last.value < first.value) return undefined;
  return { kind: 'range', text, family: first.family, first: first.value, last: last.value };
}

/**
 * A mistyped address or range, never a host name: 10.0.0.256, 10.0.0.1-2-3, and 0x0a000001, which resolvers take for
 * 10.0.0.1. A name that ends in a number is an address to them (WHATWG URL, "ends in a number").
 */
function looksLikeNumbers(name: string, labels: readonly string[]): boolean {
  return /^(\d+|0x[0-9a-f]*)$/i.test(labels.at(-1) ?? '') || /^[\d.-]+$/.test(name);
}

/** One target, or undefined when the text is none. */
export function parseTarget(text: string): Target | undefined {
  if (text.includes('/')) return parseNetwork(text);
  const address = parseAddress(text);
  if (address) {
    return { kind: 'address', text, family: address.family, first: address.value, last: address.value };
  }
  const range = text.includes('-') ? parseRange(text) : undefined;
  if (range) return range;
  const name = text.endsWith('.') ? text.slice(0, -1) : text;
  const labels = name.split('.');
  const looksLikeName =
    name.length <= 253 && labels.every((label) => LABEL.test(label)) && !looksLikeNumbers(name, labels);
  return looksLikeName ? { kind: 'name', text: name.toLowerCase() } : undefined;
}

/**
 * All targets of a request: separated by commas, spaces or line ends, repeated ones dropped.
 * @throws InvalidRequestError that lists every part that is no target.
 */
export function parseTargets(text: string): readonly Target[] {
  const parts = [...new Set(text.split(/[\s,;]+/).filter((part) => part !== ''))];
  if (parts.length === 0) {
    throw new InvalidRequestError('No targets were given.', [
      { path: 'targets', message: 'expected at least one address, range, network or host name' },
    ]);
  }
  if (parts.length > LIMITS.targetEntries) {
    throw new InvalidRequestError(`More than ${LIMITS.targetEntries} targets were given.`, [
      { path: 'targets', message: `expected at most ${LIMITS.targetEntries} entries, got ${parts.length}` },
    ]);
  }
  const targets: Target[] = [];
  const issues: InputIssue[] = [];
  for (const part of parts) {
    const target = parseTarget(part);
    if (target) targets.push(target);
    else issues.push({ path: 'targets', message: whyNot(part) });
  }
  if (issues.length > 0) {
    const more = issues.length > 1 ? ` (and ${issues.length - 1} more)` : '';
    throw new InvalidRequestError(`Bad target: ${issues[0]?.message}${more}.`, issues);
  }
  return targets;
}

function whyNot(part: string): string {
  const shown = part.slice(0, 80);
  // a name is not rewritten by us: whoever reads the request must see what is scanned
  const ascii = /[^ -~]/.test(part) ? domainToASCII(part.slice(0, 253)) : '';
  return parseTarget(ascii)?.kind === 'name'
    ? `'${shown}' has letters beyond ASCII; write it as '${ascii}', if that is the host that is meant`
    : `'${shown}' is not an IP address, a range (10.0.0.1-10.0.0.9), a network (10.0.0.0/24) or a host name`;
}

/** How many hosts a target can stand for; a name counts as one. */
export function targetHostCount(target: Target): bigint {
  return target.kind === 'name' ? 1n : target.last - target.first + 1n;
}

/** True when two targets share an address, or are the same name. */
export function targetsOverlap(a: Target, b: Target): boolean {
  if (a.kind === 'name' || b.kind === 'name') {
    return a.kind === 'name' && b.kind === 'name' && a.text === b.text;
  }
  return a.family === b.family && a.first <= b.last && b.first <= a.last;
}

/** The addresses that two targets share; undefined when they share none. */
export function sharedAddresses(a: IpTarget, b: Omit<IpTarget, 'kind' | 'text'>): IpTarget | undefined {
  let { first, last } = a;
  if (b.first > first) first = b.first;
  if (b.last < last) last = b.last;
  return a.family === b.family && first <= last
    ? { kind: 'range', text: a.text, family: a.family, first, last }
    : undefined;
}
