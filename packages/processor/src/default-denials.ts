/**
 * What is never scanned unless `TARGETS_ALLOW` names it: addresses that mean another host to every machine, first of
 * all the scanner itself, and services that hand out credentials to whoever asks from inside.
 */
import {
  type IpTarget,
  parseTarget,
  setCoversAddresses,
  setHasName,
  sharedAddresses,
  targetSet,
} from '@scanmq/contract';

interface DefaultDenial {
  readonly what: string;
  readonly targets: readonly string[];
}

const DENIALS: readonly DefaultDenial[] = [
  {
    what: 'this host itself (loopback)',
    targets: [
      '127.0.0.0/8',
      '::1',
      'localhost',
      '.localhost',
      'localhost.localdomain',
      'localhost4',
      'localhost6',
      'ip6-localhost',
      'ip6-loopback',
    ],
  },
  { what: 'no host (unspecified)', targets: ['0.0.0.0/8', '::'] },
  {
    what: 'a metadata service of a cloud',
    targets: [
      '169.254.169.254',
      // Amazon, Google, Alibaba, Oracle, Azure
      'fd00:ec2::254',
      'fd20:ce::254',
      '100.100.100.200',
      '192.0.0.192',
      '168.63.129.16',
      'metadata.google.internal',
      'instance-data',
    ],
  },
  { what: 'the local link', targets: ['169.254.0.0/16', 'fe80::/10'] },
  { what: 'multicast', targets: ['224.0.0.0/4', 'ff00::/8'] },
  { what: 'broadcast', targets: ['255.255.255.255'] },
  // RFC 8215: the IPv4 address is in it, at a place that only the network itself knows
  { what: 'a translation to an IPv4 address that cannot be told', targets: ['64:ff9b:1::/48'] },
];

export interface DefaultDenials {
  /** Why the addresses are denied; undefined when they are not. */
  ofAddresses(target: IpTarget): string | undefined;
  ofName(name: string): string | undefined;
}

export const NOTHING_DENIED: DefaultDenials = { ofAddresses: () => undefined, ofName: () => undefined };

/** @param allowed texts of `TARGETS_ALLOW`: an entry that lies within what is denied here lifts that, for what it holds. */
export function createDefaultDenials(allowed: readonly string[]): DefaultDenials {
  const all = targetSet(DENIALS.flatMap(({ targets }) => targets));
  const lifted = targetSet(
    allowed.filter((text) => {
      const target = parseTarget(text);
      if (!target) return false;
      return target.kind === 'name' ? setHasName(all, target.text) : setCoversAddresses(all, target);
    }),
  );
  const sets = DENIALS.map(({ what, targets }) => ({
    what,
    set: targetSet(targets),
    addresses: targets.map(parseTarget).filter((target) => target !== undefined && target.kind !== 'name'),
  }));
  return {
    ofAddresses(target) {
      for (const { what, addresses } of sets) {
        for (const denied of addresses) {
          const common = sharedAddresses(target, denied);
          if (common && !setCoversAddresses(lifted, common)) return what;
        }
      }
      return undefined;
    },
    ofName: (name) =>
      setHasName(lifted, name) ? undefined : sets.find(({ set }) => setHasName(set, name))?.what,
  };
}
