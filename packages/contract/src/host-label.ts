import { createHash } from 'node:crypto';
import { isIP } from 'node:net';

/** Letters, digits, and what stands between them in names and addresses: no sentence can be written so. */
const HOST_NAME = /^[A-Za-z0-9](?:[A-Za-z0-9._:/-]{0,251}[A-Za-z0-9])?$/;

/**
 * A host as it may stand among our own words: a name in the form of a DNS name, or an address. A name of any other form
 * is told by a hash of it, always the same.
 */
export function hostLabel(name: string): string {
  if (isIP(name) !== 0 || HOST_NAME.test(name)) return name;
  return `host-${createHash('sha256').update(name).digest('hex').slice(0, 8)}`;
}
