import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import {
  InvalidRequestError,
  LIMITS,
  parseAddress,
  parseTarget,
  parseTargets,
  type Target,
  targetHostCount,
  targetsOverlap,
} from './index.js';

function target(text: string): Target {
  const parsed = parseTarget(text);
  if (!parsed) throw new Error(`${text} is no target`);
  return parsed;
}

describe('a target', () => {
  it.each<[string, Target['kind'], bigint]>([
    ['192.0.2.1', 'address', 1n],
    ['2001:db8::1', 'address', 1n],
    ['::ffff:192.0.2.1', 'address', 1n],
    ['192.0.2.1-192.0.2.9', 'range', 9n],
    ['192.0.2.1-9', 'range', 9n],
    ['192.0.2.7-7', 'range', 1n],
    ['2001:db8::1-2001:db8::ff', 'range', 255n],
    ['192.0.2.0/24', 'network', 256n],
    ['192.0.2.77/24', 'network', 256n],
    ['192.0.2.1/32', 'network', 1n],
    ['0.0.0.0/0', 'network', 2n ** 32n],
    ['2001:db8::/64', 'network', 2n ** 64n],
    ['::ffff:192.0.2.0/120', 'network', 256n],
    ['app.example.com', 'name', 1n],
    ['App.Example.COM.', 'name', 1n],
    ['localhost', 'name', 1n],
    ['a_b-c.example', 'name', 1n],
    ['my-server', 'name', 1n],
    ['10-20.example.com', 'name', 1n],
    ['xn--bcher-kva.example', 'name', 1n],
  ])('may be %s: a kind of %s, for %s hosts', (text, kind, hosts) => {
    expect(target(text).kind).toBe(kind);
    expect(targetHostCount(target(text))).toBe(hosts);
  });

  it('that is a name is compared without regard to case and final dot', () => {
    expect(target('App.Example.COM.')).toEqual({ kind: 'name', text: 'app.example.com' });
  });

  it.each([
    '',
    '10.0.0.256',
    '10.0.0',
    '10.0.0.0.1',
    '010.0.0.1',
    '10.0.0.08',
    '0x0a000001',
    '167772161',
    '10.0.0.1/33',
    '10.0.0.1/-1',
    '10.0.0.1/',
    '10.0.0.1/24/24',
    '10.0.0.1/255.255.255.0',
    '2001:db8::/129',
    '::ffff:10.0.0.0/64',
    'fe80::1%eth0',
    '1:2:3',
    '10.0.0.9-10.0.0.1',
    '10.0.0.9-1',
    '10.0.0.1-256',
    '10.0.0.1-2-3',
    '10.0.0.1-',
    '-10.0.0.1',
    '10.0.0.1-2001:db8::1',
    'example.com/24',
    'http://example.com',
    'example..com',
    '.example.com',
    '*.example.com',
    '-a.example',
    'a-.example',
    'exa mple',
    'a'.repeat(64),
    `${'a.'.repeat(127)}aa`,
    'example.123',
    'ex;ample',
    '$(id)',
    '<b>',
  ])('may not be %j', (text) => expect(parseTarget(text)).toBeUndefined());
});

describe('an address', () => {
  it('reads back as the number it was written from', () => {
    fc.assert(
      fc.property(fc.ipV4(), (text) => {
        const parts = text.split('.').map(Number);
        const value = parts.reduce((sum, part) => sum * 256 + part, 0);
        expect(parseAddress(text)).toEqual({ family: 4, value: BigInt(value) });
      }),
    );
  });

  it('of IPv6 is always read, and is the IPv4 address it reaches where it is mapped', () => {
    fc.assert(fc.property(fc.ipV6(), (text) => expect(parseAddress(text)).toBeDefined()));
    expect(parseAddress('::ffff:192.0.2.1')).toEqual(parseAddress('192.0.2.1'));
  });
});

describe('targets', () => {
  it('are separated by commas, blanks and line ends, in any number; repeated ones count once', () => {
    expect(parseTargets(' 192.0.2.1,192.0.2.2\n\n a.example\t;192.0.2.1 ').map(({ text }) => text)).toEqual([
      '192.0.2.1',
      '192.0.2.2',
      'a.example',
    ]);
  });

  it.each(['', ' ', ',,\n'])('are at least one: %j', (text) =>
    expect(() => parseTargets(text)).toThrow(InvalidRequestError),
  );

  it('are refused with every part that is none', () => {
    expect(() => parseTargets('10.0.0.1 10.0.0.256 a..b')).toThrow(
      expect.objectContaining({
        code: 'invalid_request',
        issues: [
          { path: 'targets', message: expect.stringContaining("'10.0.0.256'") },
          { path: 'targets', message: expect.stringContaining("'a..b'") },
        ],
      }),
    );
  });

  it('are not more than the limit', () => {
    const many = (count: number) => Array.from({ length: count }, (_, index) => `h${index}`).join(' ');
    expect(parseTargets(many(LIMITS.targetEntries))).toHaveLength(LIMITS.targetEntries);
    expect(() => parseTargets(many(LIMITS.targetEntries + 1))).toThrow(InvalidRequestError);
  });
});

describe('two targets', () => {
  it.each<[string, string, boolean]>([
    ['10.0.0.5', '10.0.0.0/24', true],
    ['10.0.1.5', '10.0.0.0/24', false],
    ['10.0.0.0/24', '10.0.0.128/25', true],
    ['10.0.0.250-10.0.1.5', '10.0.1.0/24', true],
    ['10.0.0.1-9', '10.0.0.10', false],
    ['::ffff:10.0.0.5', '10.0.0.0/24', true],
    ['::a00:5', '10.0.0.0/24', false],
    ['a.example', 'A.example.', true],
    ['a.example', 'b.example', false],
    ['a.example', '0.0.0.0/0', false],
  ])('%s and %s overlap: %s, whichever comes first', (a, b, overlap) => {
    expect(targetsOverlap(target(a), target(b))).toBe(overlap);
    expect(targetsOverlap(target(b), target(a))).toBe(overlap);
  });
});
