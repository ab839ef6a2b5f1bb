import { isIPv6 } from 'node:net';
import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { asTarget, embeddedAddresses, type IpTarget, parseTarget } from './index.js';

function target(text: string): IpTarget {
  const parsed = parseTarget(text);
  if (!parsed || parsed.kind === 'name') throw new Error(`${text} is no address`);
  return parsed;
}
const dotted = (value: bigint): string =>
  [24n, 16n, 8n, 0n].map((shift) => (value >> shift) & 255n).join('.');
const found = (text: string): string[] =>
  embeddedAddresses(target(text)).map(({ form, target: { first, last } }) =>
    first === last ? `${form} ${dotted(first)}` : `${form} ${dotted(first)}-${dotted(last)}`,
  );

describe('an IPv6 address', () => {
  it.each<[string, string[]]>([
    ['192.0.2.1', []],
    ['2001:db8::1', []],
    ['::', []],
    ['::1', []],
    ['::7f00:1', ['compatible 127.0.0.1']],
    ['::ffff:0:7f00:1', ['translated 127.0.0.1']],
    ['64:ff9b::169.254.169.254', ['nat64 169.254.169.254']],
    ['2002:7f00:1::', ['6to4 127.0.0.1']],
    ['2002:a00:1:2:3:4:5:6', ['6to4 10.0.0.1']],
    ['2001:0:7f00:1:0:0:f5ff:fffe', ['teredo 127.0.0.1', 'teredo 10.0.0.1']],
    ['64:ff9b::/96', ['nat64 0.0.0.0-255.255.255.255']],
    ['64:ff9b::a00:0/104', ['nat64 10.0.0.0-10.255.255.255']],
    ['2002:a00::/24', ['6to4 10.0.0.0-10.255.255.255']],
    ['2001:0:a00:1::f5ff:0-2001:0:a00:1::f5ff:ff', ['teredo 10.0.0.1', 'teredo 10.0.255.0-10.0.255.255']],
    [
      '2001:0:a00:1::ffff:ffff-2001:0:a00:1:0:1:0:1',
      ['teredo 10.0.0.1', 'teredo 0.0.0.0', 'teredo 255.255.255.254-255.255.255.255'].sort(),
    ],
    ['2001::/32', ['teredo 0.0.0.0-255.255.255.255', 'teredo 0.0.0.0-255.255.255.255']],
  ])('%s leads to %j', (text, expected) => expect(found(text).sort()).toEqual([...expected].sort()));

  it('leads nowhere else than a range that holds it', () => {
    const address = fc
      .tuple(
        fc.constantFrom('2002:', '2001:0:', '64:ff9b::', '::', '::ffff:0:', '::ffff:'),
        fc.ipV4(),
        fc.integer({ min: 0, max: 127 }),
      )
      .map(([prefix, four, bits]) => ({
        text: `${prefix.endsWith('::') || prefix === '::ffff:0:' || prefix === '::ffff:' ? prefix : `${prefix}:`}${four}`,
        bits,
      }))
      .filter(({ text }) => isIPv6(text));
    fc.assert(
      fc.property(address, ({ text, bits }) => {
        const one = asTarget(text);
        const network = parseTarget(`${text}/${bits}`);
        if (!one || !network || network.kind === 'name' || one.family === 4) return;
        const wide = embeddedAddresses(network);
        for (const { form, target: inner } of embeddedAddresses(one))
          expect(
            wide.some(
              (outer) =>
                outer.form === form && outer.target.first <= inner.first && inner.last <= outer.target.last,
            ),
          ).toBe(true);
      }),
      { numRuns: 5_000 },
    );
  });
});
