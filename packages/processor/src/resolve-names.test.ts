import { afterEach, describe, expect, it, jest } from '@jest/globals';
import { LIMITS } from '@scanmq/contract';
import { type DnsAnswer, type DnsStub, startDnsStub } from '@scanmq/testkit';
import { createNameResolver, resolveNames } from './resolve-names.js';

let stub: DnsStub | undefined;
afterEach(async () => {
  await stub?.close();
  stub = undefined;
});

async function resolverFor(answer: (name: string, kind: string) => DnsAnswer) {
  stub = await startDnsStub(answer);
  return createNameResolver([stub]);
}

describe('a name', () => {
  it('is resolved by the servers that were named, to all of its addresses', async () => {
    const resolve = await resolverFor(() => ['192.0.2.1', '192.0.2.2', '2001:db8::1']);
    expect([...(await resolve('a.example'))].sort()).toEqual(['192.0.2.1', '192.0.2.2', '2001:db8::1']);
    expect(stub?.asked).toEqual(['a.example', 'a.example']);
  });

  it('is known by one kind of address, where the other is not there', async () => {
    const resolve = await resolverFor((_, kind) => (kind === 'A' ? ['192.0.2.1'] : 'not_there'));
    expect(await resolve('a.example')).toEqual(['192.0.2.1']);
  });

  it('is not known while one kind of address is not', async () => {
    const resolve = await resolverFor((_, kind) => (kind === 'A' ? ['192.0.2.1'] : 'failure'));
    expect(await resolveNames(['a.example'], resolve)).toEqual(
      new Map([['a.example', { addresses: undefined, temporary: true }]]),
    );
  });

  it.each<[DnsAnswer, boolean]>([
    ['not_there', false],
    ['failure', true],
    [[], false],
  ])('that is answered with %j is not resolved, for the moment: %s', async (answer, temporary) => {
    const resolve = await resolverFor(() => answer);
    expect(await resolveNames(['a.example'], resolve)).toEqual(
      new Map([['a.example', { addresses: undefined, temporary }]]),
    );
  });

  it('is waited for no longer than its time, however silent the server is', async () => {
    const resolve = await resolverFor((name) => (name === 'slow.example' ? 'silence' : ['192.0.2.1']));
    const begun = Date.now();
    const found = await resolveNames(['slow.example', 'quick.example'], resolve);
    // far less than what all names together may take, and no matter of how busy the machine is
    expect(Date.now() - begun).toBeLessThan(3 * LIMITS.nameLookupMs);
    expect(found.get('quick.example')).toEqual({ addresses: ['192.0.2.1'] });
    expect(found.get('slow.example')).toEqual({ addresses: undefined, temporary: true });
  });

  it('of the system is looked up with its hosts file', async () => {
    const addresses = await createNameResolver()('localhost');
    expect(addresses.some((address) => address === '127.0.0.1' || address === '::1')).toBe(true);
  });
});

describe('many names', () => {
  it('are all resolved, a few at a time', async () => {
    const resolve = await resolverFor(() => ['192.0.2.1']);
    const names = Array.from({ length: LIMITS.targetEntries }, (_, index) => `h${index}.example`);
    // on a busy machine so many take longer than they may
    jest.useFakeTimers({ doNotFake: ['nextTick', 'queueMicrotask', 'setImmediate'] });
    try {
      const found = await resolveNames(names, resolve);
      expect(found.size).toBe(LIMITS.targetEntries);
      expect([...found.values()].every(({ addresses }) => addresses?.[0] === '192.0.2.1')).toBe(true);
    } finally {
      jest.useRealTimers();
    }
  });

  it('that take too long together are refused, and nobody asks for the rest of them', async () => {
    let asked = 0;
    jest.useFakeTimers();
    try {
      const answer = resolveNames(['a.example', 'b.example'], async (_, signal) => {
        asked += 1;
        return await new Promise((_, reject) => signal?.addEventListener('abort', reject));
      });
      const refused = expect(answer).rejects.toMatchObject({ code: 'unavailable', retryable: 'yes' });
      await jest.advanceTimersByTimeAsync(LIMITS.namesLookupMs);
      await refused;
      expect(asked).toBe(2);
    } finally {
      jest.useRealTimers();
    }
  });
});
