/** Which addresses may be called: those of the public Internet, and what WEBHOOK_ALLOW_NETWORKS names. */
import { asTarget, setCoversAddresses, type TargetSet } from '@scanmq/contract';
import ipaddr from 'ipaddr.js';

/**
 * - `allowed`: named by the operator, whatever kind of address it is.
 * - `public`: everybody's.
 * - `refused`: loopback, link-local, private, shared, multicast, reserved, or a form that leads to another address.
 */
export type AddressVerdict = 'allowed' | 'public' | 'refused';

/** Addresses that look public, but answer inside a cloud only: the agent host of Azure. */
const INSIDE_CLOUDS: ReadonlySet<string> = new Set(['168.63.129.16']);

/** What is given out to be reached on the Internet; all other IPv6 leads to ourselves, our network, or through a translator. */
const GLOBAL_UNICAST: [ipaddr.IPv6, number] = [ipaddr.IPv6.parse('2000::'), 3];

/** @param text an address; a zone (`%eth0`) or any other text is refused. */
export function judgeAddress(text: string, allow: TargetSet): AddressVerdict {
  const target = asTarget(text);
  if (!target) return 'refused';
  // IPv4-mapped IPv6 counts as the IPv4 address that it reaches, here and in the set
  if (setCoversAddresses(allow, target)) return 'allowed';
  return isPublic(ipaddr.process(text)) ? 'public' : 'refused';
}

function isPublic(address: ipaddr.IPv4 | ipaddr.IPv6): boolean {
  // everything that the library knows by name is special: 6to4, Teredo and NAT64 carry another address inside
  if (address.range() !== 'unicast') return false;
  return 'octets' in address ? !INSIDE_CLOUDS.has(address.toString()) : address.match(GLOBAL_UNICAST);
}
