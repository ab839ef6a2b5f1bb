import type { Target } from '@scanmq/contract';

/** Addresses of one network or range that are looked at; a /8 must not keep the simulator busy. */
const ADDRESSES_LOOKED_AT = 65_536;

/**
 * The addresses and names that answer a scan of these targets: every single one, and of networks and ranges a share, the
 * same each time. A network's first and last address never answer.
 */
export function aliveHosts(targets: readonly Target[], aliveShare: number, limit: number): string[] {
  const names: string[] = [];
  for (const target of targets) {
    for (const name of namesOf(target, aliveShare)) {
      if (names.length === limit) return names;
      names.push(name);
    }
  }
  return names;
}

function* namesOf(target: Target, aliveShare: number): Generator<string> {
  if (target.kind === 'name' || target.kind === 'address') return yield target.text;
  if (target.family === 6) return yield target.text.split(/[/-]/)[0] ?? target.text;
  const wholeNetwork = target.kind === 'network' && target.last - target.first > 2n;
  const [first, last] = wholeNetwork ? [target.first + 1n, target.last - 1n] : [target.first, target.last];
  for (let at = 0; at < ADDRESSES_LOOKED_AT && first + BigInt(at) <= last; at += 1) {
    const address = Number(first) + at;
    // scattered, but the same addresses each time
    if ((Math.imul(address, 0x9e37_79b1) >>> 0) / 4_294_967_296 < aliveShare) yield dotted(address);
  }
}

function dotted(address: number): string {
  return [24, 16, 8, 0].map((shift) => String((address >>> shift) & 255)).join('.');
}
