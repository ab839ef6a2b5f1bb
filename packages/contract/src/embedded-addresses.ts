/** IPv6 addresses that lead to an IPv4 address written in them: a policy about the one is a policy about the other. */
import { type IpTarget, sharedAddresses } from './targets.js';

/** An IPv4 target that an IPv6 one stands for. */
export interface Embedded {
  /** `mapped` is the IPv4 address itself under another name; of the others a gateway makes one. */
  readonly form: 'mapped' | 'compatible' | 'translated' | 'nat64' | '6to4' | 'teredo';
  readonly target: IpTarget;
}

const MASK32 = (1n << 32n) - 1n;

/** Blocks that hold the IPv4 address at a fixed place, `shift` bits from the right. */
const BLOCKS: readonly Block[] = [
  // ::a.b.c.d (RFC 4291, 2.5.5.1), without :: and ::1, which are addresses of their own
  { form: 'compatible', family: 6, first: 2n, last: MASK32, shift: 0n },
  // ::ffff:a.b.c.d (RFC 4291, 2.5.5.2)
  block('mapped', 0xffffn << 32n, 96n, 0n),
  // ::ffff:0:a.b.c.d (RFC 2765)
  block('translated', 0xffffn << 48n, 96n, 0n),
  // 64:ff9b::a.b.c.d (RFC 6052)
  block('nat64', (0x64n << 112n) | (0xff9bn << 96n), 96n, 0n),
  // 2002:a.b.c.d::/48 (RFC 3056)
  block('6to4', 0x2002n << 112n, 16n, 80n),
  // 2001:0:server::/64 (RFC 4380); the client is in the last 32 bits, inverted: see `teredoClients`
  block('teredo', 0x2001n << 112n, 32n, 64n),
];
const TEREDO = block('teredo', 0x2001n << 112n, 32n, 0n);

interface Block {
  readonly form: Embedded['form'];
  readonly family: 6;
  readonly first: bigint;
  readonly last: bigint;
  readonly shift: bigint;
}

function block(form: Embedded['form'], first: bigint, prefix: bigint, shift: bigint): Block {
  return { form, family: 6, first, last: first + (1n << (128n - prefix)) - 1n, shift };
}

/** What an IPv6 target leads to in IPv4; nothing for an IPv4 target. A range gives ranges, never fewer addresses than there are. */
export function embeddedAddresses(target: IpTarget): readonly Embedded[] {
  if (target.family === 4) return [];
  const found: Embedded[] = [];
  for (const one of BLOCKS) {
    const part = sharedAddresses(target, one);
    if (!part) continue;
    const { form, shift } = one;
    found.push(ipv4(form, target.text, (part.first >> shift) & MASK32, (part.last >> shift) & MASK32));
  }
  return [...found, ...teredoClients(target)];
}

function teredoClients(target: IpTarget): Embedded[] {
  const part = sharedAddresses(target, TEREDO);
  if (!part) return [];
  const from = part.first & MASK32;
  const to = part.last & MASK32;
  // more than one turn of the last 32 bits: every address
  if (part.last - part.first >= MASK32) return [ipv4('teredo', target.text, 0n, MASK32)];
  if (from <= to) return [ipv4('teredo', target.text, MASK32 - to, MASK32 - from)];
  return [ipv4('teredo', target.text, 0n, MASK32 - from), ipv4('teredo', target.text, MASK32 - to, MASK32)];
}

function ipv4(form: Embedded['form'], text: string, first: bigint, last: bigint): Embedded {
  return { form, target: { kind: 'range', text, family: 4, first, last } };
}
