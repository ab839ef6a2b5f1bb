import { type IpTarget, parseAddress } from '@scanmq/contract';

/**
 * A text for a host that sorts as people expect and that networks can be found by: addresses by their number, IPv4 first,
 * then names without regard to case.
 */
export function hostKey(host: string): string {
  const address = parseAddress(host);
  return address ? addressKey(address.family, address.value) : `n${host.toLowerCase()}`;
}

/** First and last key of a range of addresses, both belonging to it. */
export function keyRange(target: IpTarget): readonly [first: string, last: string] {
  return [addressKey(target.family, target.first), addressKey(target.family, target.last)];
}

function addressKey(family: 4 | 6, value: bigint): string {
  return `${family}${value.toString(16).padStart(family === 4 ? 8 : 32, '0')}`;
}
