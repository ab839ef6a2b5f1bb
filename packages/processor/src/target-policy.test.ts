import { BlockList } from 'node:net';
import { describe, expect, it } from '@jest/globals';
import { parseTargets, ScanmqError, type TargetScope } from '@scanmq/contract';
import fc from 'fast-check';
import { checkTargetPolicy, createTargetPolicy, type PolicySettings } from './target-policy.js';

const OPEN: PolicySettings = {
  targetsAllow: [],
  targetsDeny: [],
  targetsDenyDefaults: true,
  maxHostsPerScan: 0,
  dnsServers: [],
};
const NAMES: Readonly<Record<string, readonly string[]>> = {
  'ok.example': ['192.0.2.10'],
  'two.example': ['192.0.2.10', '192.0.2.11'],
  'half.example': ['192.0.2.10', '127.0.0.1'],
  'rebound.example': ['127.0.0.1'],
  'six.example': ['2001:db8::1'],
  'mapped.example': ['::ffff:127.0.0.1'],
  'nat64.example': ['64:ff9b::7f00:1'],
  'meta.example': ['169.254.169.254'],
  'scoped.example': ['fe80::1%eth0'],
};
const resolve = async (name: string): Promise<readonly string[]> => {
  const found = NAMES[name];
  if (found) return found;
  throw Object.assign(new Error('no such name'), { code: 'ENOTFOUND' });
};

/** Undefined when allowed, else why not. */
async function refusal(
  targets: string,
  settings: Partial<PolicySettings> = {},
  scope: Partial<TargetScope> | null = null,
): Promise<string | undefined> {
  const policy = createTargetPolicy({ ...OPEN, ...settings }, resolve);
  const full = scope && { allow: null, deny: [], max_hosts: null, ...scope };
  try {
    await checkTargetPolicy(parseTargets(targets), policy, full);
    return undefined;
  } catch (error) {
    if (!(error instanceof ScanmqError) || error.code !== 'target_refused') throw error;
    return error.message;
  }
}

describe('without any list', () => {
  it.each([
    '127.0.0.1',
    '127.255.0.1-9',
    '126.0.0.0/7',
    '0.0.0.0',
    '0.0.0.0/0',
    '169.254.1.1',
    '169.254.169.254',
    '100.100.100.0/24',
    '224.0.0.1',
    '255.255.255.255',
    '::1',
    '::',
    '::/0',
    'fe80::1',
    'ff02::1',
    'fd00:ec2::254',
    '::ffff:127.0.0.1',
    '::127.0.0.1',
    '::ffff:0:127.0.0.1',
    '64:ff9b::127.0.0.1',
    '64:ff9b:1::1',
    '2002:7f00:1::1',
    '2001:0:c000:201::80ff:fffe',
    'localhost',
    'LOCALHOST.',
    'a.localhost',
    'metadata.google.internal',
    'rebound.example',
    'half.example',
    'mapped.example',
    'nat64.example',
    'meta.example',
    'scoped.example',
    'ok.example rebound.example',
  ])('%s is refused', async (targets) => expect(await refusal(targets)).toMatch(/refused|hosts/));

  it.each([
    '192.0.2.1',
    '10.0.0.0/8',
    '100.100.101.0/24',
    '2001:db8::/64',
    '64:ff9b::10.0.0.1',
    'ok.example',
    'two.example',
    'six.example',
    'no-such.example',
    'localhost.example',
  ])('%s is allowed', async (targets) => expect(await refusal(targets)).toBeUndefined());

  it('what is denied by default can be denied no more, all of it or what TARGETS_ALLOW names', async () => {
    expect(await refusal('127.0.0.1', { targetsDenyDefaults: false })).toBeUndefined();
    const some = { targetsAllow: ['127.0.0.1', '0.0.0.0/0', '::/0'] };
    expect(await refusal('127.0.0.1', some)).toBeUndefined();
    expect(await refusal('127.0.0.2', some)).toContain('loopback');
    expect(await refusal('127.0.0.0/8', some)).toContain('loopback');
    expect(await refusal('169.254.169.254', some)).toContain('metadata');
    expect(await refusal('rebound.example', some)).toBeUndefined();
    const meta = { targetsAllow: ['100.100.100.200', '100.64.0.0/10'] };
    expect(await refusal('100.100.100.0/24', meta)).toBeUndefined();
    const name = { targetsAllow: ['localhost', '127.0.0.0/8'] };
    expect(await refusal('localhost', name)).toBeUndefined();
  });
});

describe('with lists', () => {
  const lists = { targetsAllow: ['192.0.2.0/24', '.example'], targetsDeny: ['192.0.2.11', 'bad.example'] };
  it.each<[string, boolean]>([
    ['192.0.2.1', true],
    ['192.0.2.11', false],
    ['192.0.2.8/29', false],
    ['192.0.2.8-192.0.2.10', true],
    ['192.0.3.1', false],
    ['ok.example', true],
    ['two.example', false],
    ['bad.example', false],
    ['BAD.example.', false],
    ['a.bad.example', false],
    ['six.example', true],
    ['no-such.example', false],
    ['example', false],
    ['notexample', false],
    ['::ffff:192.0.2.1', true],
    ['::ffff:192.0.2.11', false],
    ['64:ff9b::192.0.2.1', false],
  ])('%s is allowed: %s', async (targets, allowed) =>
    expect((await refusal(targets, lists)) === undefined).toBe(allowed),
  );

  it('a denied IPv4 address is denied in every IPv6 address that leads to it', async () => {
    const denied = { targetsDeny: ['10.0.0.0/8'] };
    for (const text of ['::ffff:10.1.2.3', '::10.1.2.3', '64:ff9b::10.1.2.3', '2002:a01:203::1', '::/64'])
      expect(await refusal(text, denied)).toMatch(/TARGETS_DENY|scanned unless/);
  });

  it('an IPv6 network allows no IPv4 address under its mapped name', async () => {
    const allowed = { targetsAllow: ['::/0'], targetsDenyDefaults: false };
    expect(await refusal('2001:db8::1', allowed)).toBeUndefined();
    expect(await refusal('::/64', allowed)).toContain('TARGETS_ALLOW');
  });

  it('those of the key have to agree too, and lift nothing', async () => {
    const scope = { allow: ['192.0.2.0/24', '127.0.0.1', 'ok.example'], deny: ['192.0.2.5'] };
    expect(await refusal('192.0.2.1', {}, scope)).toBeUndefined();
    expect(await refusal('192.0.2.5', {}, scope)).toContain('key');
    expect(await refusal('198.51.100.1', {}, scope)).toContain('key');
    expect(await refusal('127.0.0.1', {}, scope)).toContain('loopback');
    expect(await refusal('192.0.2.1', { targetsDeny: ['192.0.2.1'] }, scope)).toContain('TARGETS_DENY');
    expect(await refusal('ok.example', {}, scope)).toBeUndefined();
    expect(await refusal('six.example', {}, scope)).toContain('key');
    expect(await refusal('192.0.2.1', {}, { allow: [] })).toContain('key');
  });
});

describe('the size of one scan', () => {
  it('is limited by the service and by the key, whichever is less', async () => {
    const limited = { maxHostsPerScan: 256 };
    expect(await refusal('192.0.2.0/24', limited)).toBeUndefined();
    expect(await refusal('192.0.2.0/24 a.example', limited)).toContain('257 hosts, more than the 256');
    expect(await refusal('2001:db8::/64', limited)).toContain('18446744073709551616 hosts');
    expect(await refusal('192.0.2.0/30', limited, { max_hosts: 3 })).toContain('more than the 3');
    expect(await refusal('192.0.2.0/24 a.example', limited, { max_hosts: 1_000 })).toContain('256');
    expect(await refusal('10.0.0.0/8', { maxHostsPerScan: 0 }, { max_hosts: 3 })).toContain('3');
  });
});

describe('whatever is asked for', () => {
  // the model: Node's own block list, asked address by address
  const ALLOW = [
    '10.0.0.0/8',
    '192.0.2.0/24',
    '2001:db8::/32',
    '64:ff9b::/96',
    '::/64',
    '2002::/16',
  ] as const;
  const DENY = ['10.1.0.0/16', '192.0.2.7', '2001:db8:bad::/48'] as const;
  const allowed = listOf(ALLOW);
  const denied = listOf([
    ...DENY,
    ...['127.0.0.0/8', '0.0.0.0/8', '169.254.0.0/16', '224.0.0.0/4', '255.255.255.255'],
    ...['::1', '::', 'fe80::/10', 'ff00::/8', 'fd00:ec2::254', '64:ff9b:1::/48'],
  ]);
  /** One list for each family: Node would find an IPv4 address in an IPv6 network as well. */
  function listOf(texts: readonly string[]): (address: string) => boolean {
    const lists = { ipv4: new BlockList(), ipv6: new BlockList() };
    const familyOf = (address: string) => (address.includes(':') ? 'ipv6' : 'ipv4');
    for (const text of texts) {
      const [address = '', prefix] = text.split('/');
      const family = familyOf(address);
      lists[family].addSubnet(address, Number(prefix ?? (family === 'ipv4' ? 32 : 128)), family);
    }
    return (address) => lists[familyOf(address)].check(address, familyOf(address));
  }
  const text4 = (value: bigint) => [24n, 16n, 8n, 0n].map((shift) => (value >> shift) & 255n).join('.');
  const text6 = (value: bigint) =>
    Array.from({ length: 8 }, (_, index) =>
      ((value >> BigInt(112 - 16 * index)) & 0xffffn).toString(16),
    ).join(':');
  /** The IPv4 addresses that a gateway may make of an IPv6 one. */
  function hidden(value: bigint): string[] {
    const hex = value.toString(16).padStart(32, '0');
    const at = (from: number) => text4(BigInt(`0x${hex.slice(from, from + 8)}`));
    if (/^0{24}/.test(hex)) return value > 1n ? [at(24)] : [];
    if (/^(0{20}ffff|0{16}ffff0000|0064ff9b0{16})/.test(hex)) return [at(24)];
    if (hex.startsWith('2002')) return [at(4)];
    if (hex.startsWith('20010000')) return [at(8), text4(BigInt(`0x${hex.slice(24)}`) ^ 0xffff_ffffn)];
    return [];
  }
  function permitted(family: 4 | 6, value: bigint): boolean {
    const mapped = family === 6 && value >> 32n === 0xffffn;
    if (family === 4 || mapped) {
      const text = text4(value & 0xffff_ffffn);
      return allowed(text) && !denied(text);
    }
    const text = text6(value);
    return allowed(text) && !denied(text) && !hidden(value).some((inner) => denied(inner));
  }

  const near4 = fc.oneof(
    fc.ipV4(),
    fc
      .tuple(fc.constantFrom('10.1', '10.2', '192.0', '127.0', '169.254'), fc.nat(255), fc.nat(255))
      .map((parts) => parts.join('.')),
    fc.constantFrom(
      '192.0.2.6',
      '192.0.2.7',
      '192.0.2.8',
      '10.0.255.255',
      '10.2.0.0',
      '9.255.255.255',
      '192.0.2.255',
    ),
  );
  const near6 = fc.oneof(
    fc.ipV6(),
    fc
      .tuple(fc.constantFrom('::', '::ffff:', '::ffff:0:', '64:ff9b::', '64:ff9b:1::', '2001:db8::'), near4)
      .map(([a, b]) => a + b),
    fc
      .tuple(fc.constantFrom('2002:', '2001:0:', '2001:db8:'), fc.nat(0xffff), fc.nat(0xffff), fc.nat(0xffff))
      .map(([p, a, b, c]) => `${p}${a.toString(16)}:${b.toString(16)}::${c.toString(16)}`),
    fc.constantFrom(
      '2001:db8:bad::1',
      '2001:db8:bac:ffff::',
      '2002:a01:203::1',
      '2002:a00:1::1',
      '2001:0:a00:1::80ff:fffe',
    ),
  );
  const address = fc.oneof(near4, near6);
  const target = fc.oneof(
    { weight: 4, arbitrary: address },
    { weight: 3, arbitrary: fc.tuple(near4, fc.integer({ min: 0, max: 33 })).map(([a, b]) => `${a}/${b}`) },
    { weight: 3, arbitrary: fc.tuple(near6, fc.integer({ min: 0, max: 129 })).map(([a, b]) => `${a}/${b}`) },
    { weight: 2, arbitrary: fc.tuple(address, address).map(([a, b]) => `${a}-${b}`) },
    { weight: 1, arbitrary: fc.tuple(near4, fc.nat(300)).map(([a, b]) => `${a}-${b}`) },
    { weight: 1, arbitrary: fc.domain() },
    { weight: 1, arbitrary: fc.constantFrom(...Object.keys(NAMES), 'localhost', 'LocalHost.') },
    { weight: 1, arbitrary: fc.string({ maxLength: 40 }) },
    {
      weight: 1,
      arbitrary: fc.string({ unit: fc.constantFrom(...'0123456789abcdef:./-%[]x,; '), maxLength: 40 }),
    },
  );
  const policy = createTargetPolicy({ ...OPEN, targetsAllow: [...ALLOW], targetsDeny: [...DENY] }, resolve);
  let accepted = 0;
  let refused = 0;

  it('no accepted target holds an address that may not be scanned, and nothing fails but by a refusal', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(target, { minLength: 1, maxLength: 3 }),
        fc.array(fc.double({ min: 0, max: 1, noNaN: true }), { minLength: 6, maxLength: 6 }),
        async (texts, points) => {
          let targets: ReturnType<typeof parseTargets>;
          try {
            targets = parseTargets(texts.join(' '));
            await checkTargetPolicy(targets, policy);
          } catch (error) {
            if (!(error instanceof ScanmqError)) throw error;
            expect(['invalid_request', 'target_refused']).toContain(error.code);
            refused += 1;
            return;
          }
          accepted += 1;
          for (const one of targets) {
            if (one.kind === 'name') {
              for (const text of NAMES[one.text] ?? ['(unknown)'])
                expect([one.text, allowed(text)]).toEqual([one.text, true]);
              continue;
            }
            const span = one.last - one.first;
            const samples = [
              one.first,
              one.last,
              ...points.map((point) => one.first + (span * BigInt(Math.floor(point * 2 ** 40))) / 2n ** 40n),
            ];
            for (const value of samples)
              expect([one.text, value, permitted(one.family, value)]).toEqual([one.text, value, true]);
          }
        },
      ),
      { numRuns: 15_000 },
    );
    // the search found both
    expect(accepted).toBeGreaterThan(500);
    expect(refused).toBeGreaterThan(500);
  });

  it('a single address is accepted exactly when the model permits it', async () => {
    await fc.assert(
      fc.asyncProperty(address, async (text) => {
        const [one] = parseTargets(text);
        if (!one || one.kind === 'name') throw new Error('not an address');
        const verdict = await checkTargetPolicy([one], policy).then(
          () => true,
          () => false,
        );
        expect([text, verdict]).toEqual([text, permitted(one.family, one.first)]);
      }),
      { numRuns: 10_000 },
    );
  });
});
