import { describe, expect, it } from '@jest/globals';
import { targetSet } from '@scanmq/contract';
import fc from 'fast-check';
import { judgeAddress } from './addresses.js';

const nobody = targetSet([]);

describe('an address', () => {
  it.each([
    ['127.0.0.1'],
    ['127.255.255.254'],
    ['0.0.0.0'],
    ['0.1.2.3'],
    ['10.0.0.1'],
    ['172.16.0.1'],
    ['172.31.255.255'],
    ['192.168.1.1'],
    ['169.254.169.254'],
    ['100.64.0.1'],
    ['100.100.100.200'],
    ['168.63.129.16'],
    ['192.0.0.192'],
    ['192.0.2.1'],
    ['198.18.0.1'],
    ['198.51.100.1'],
    ['203.0.113.1'],
    ['224.0.0.1'],
    ['240.0.0.1'],
    ['255.255.255.255'],
    ['::'],
    ['::1'],
    ['::7f00:1'],
    ['::ffff:127.0.0.1'],
    ['::ffff:a00:1'],
    ['::ffff:169.254.169.254'],
    ['::ffff:0:127.0.0.1'],
    ['64:ff9b::7f00:1'],
    ['64:ff9b::808:808'],
    ['64:ff9b:1::1'],
    ['2002:7f00:1::'],
    ['2001:0:1::1'],
    ['2001:db8::1'],
    ['fe80::1'],
    ['fe80::1%eth0'],
    ['fec0::1'],
    ['fc00::1'],
    ['fd00:ec2::254'],
    ['ff02::1'],
    ['100::1'],
    ['5f00::1'],
    ['4000::1'],
    ['2130706433'],
    ['0x7f.1'],
    ['0177.0.0.1'],
    ['localhost'],
    [''],
  ])('%s is refused', (address) => {
    expect(judgeAddress(address, nobody)).toBe('refused');
  });

  it.each([['8.8.8.8'], ['100.128.0.1'], ['172.32.0.1'], ['2606:4700::1111'], ['::ffff:8.8.8.8']])(
    '%s is public',
    (address) => {
      expect(judgeAddress(address, nobody)).toBe('public');
    },
  );

  it('of a network that the operator named is allowed, in its mapped form too', () => {
    const allow = targetSet(['10.1.0.0/16', '127.0.0.1', 'fd00:1::/32']);
    for (const address of ['10.1.2.3', '::ffff:10.1.2.3', '127.0.0.1', 'fd00:1::5'])
      expect(judgeAddress(address, allow)).toBe('allowed');
    for (const address of ['10.2.0.1', '127.0.0.2', 'fd00:2::5'])
      expect(judgeAddress(address, allow)).toBe('refused');
    expect(judgeAddress('8.8.8.8', allow)).toBe('public');
  });

  it('is public only outside of what RFC 6890 sets apart, by a plain model of it', () => {
    const special = (a: number, b: number, c: number, d: number): boolean =>
      a === 0 ||
      a === 10 ||
      a === 127 ||
      a >= 224 ||
      (a === 100 && b >= 64 && b < 128) ||
      (a === 169 && b === 254) ||
      (a === 172 && b >= 16 && b < 32) ||
      (a === 192 && b === 168) ||
      (a === 192 && b === 0 && (c === 0 || c === 2)) ||
      (a === 198 && (b === 18 || b === 19)) ||
      (a === 198 && b === 51 && c === 100) ||
      (a === 203 && b === 0 && c === 113) ||
      (a === 168 && b === 63 && c === 129 && d === 16);
    const byte = fc.integer({ min: 0, max: 255 });
    fc.assert(
      fc.property(byte, byte, byte, byte, (a, b, c, d) => {
        const verdicts = [`${a}.${b}.${c}.${d}`, `::ffff:${a}.${b}.${c}.${d}`].map((text) =>
          judgeAddress(text, nobody),
        );
        if (special(a, b, c, d)) expect(verdicts).toEqual(['refused', 'refused']);
        expect(verdicts[0]).toBe(verdicts[1]);
      }),
      { numRuns: 10_000 },
    );
  });
});
