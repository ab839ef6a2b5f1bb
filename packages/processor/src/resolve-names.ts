/** Addresses of names, in bounded time and with bounded parallelism, however many names and however slow the resolver. */
import { lookup, Resolver } from 'node:dns/promises';
import type { NetworkAddress } from '@scanmq/config';
import { LIMITS, ScanmqError, type Target } from '@scanmq/contract';

/**
 * Addresses that a name stands for now, all of them.
 * @param signal ends waiting for a turn.
 * @throws whatever the resolver says; `isTemporary` tells whether it may say something else later.
 */
export type ResolveName = (name: string, signal?: AbortSignal) => Promise<readonly string[]>;

/** A resolver that did not answer in time. */
class NoAnswer extends Error {
  readonly code = 'ETIMEOUT';
}

/** Of both resolvers: the name, or the kind of address, is not there; whoever asks again gets the same answer. */
const NOT_THERE = new Set(['ENOTFOUND', 'ENODATA', 'EBADNAME']);

function codeOf(error: unknown): string {
  return typeof error === 'object' && error !== null && 'code' in error ? String(error.code) : '';
}

/** True for a failure that says nothing about the name. */
export function isTemporary(error: unknown): boolean {
  return !NOT_THERE.has(codeOf(error));
}

/**
 * @param servers of `DNS_SERVERS`; where it is empty the system is asked, with its hosts file.
 */
export function createNameResolver(servers: readonly NetworkAddress[] = []): ResolveName {
  if (servers.length === 0) {
    return inTurn(LIMITS.systemLookups, async (name) =>
      (await lookup(name, { all: true })).map(({ address }) => address),
    );
  }
  // the second try waits twice as long as the first: both within the time for one name
  const resolver = new Resolver({ timeout: Math.floor(LIMITS.nameLookupMs / 3), tries: 2 });
  resolver.setServers(
    servers.map(({ host, port }) => (host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`)),
  );
  return inTurn(LIMITS.dnsLookups, async (name) => {
    const answers = await Promise.allSettled([resolver.resolve4(name), resolver.resolve6(name)]);
    const failures = answers.filter((answer) => answer.status === 'rejected');
    // a kind of address that is not there is an answer; one that is not known could be anything
    const unknown =
      failures.find(({ reason }) => isTemporary(reason)) ?? (failures.length === 2 ? failures[0] : undefined);
    if (unknown) throw unknown.reason;
    return answers.flatMap((answer) => (answer.status === 'fulfilled' ? answer.value : []));
  });
}

/** Asks for a few names at once. A look-up that is given up keeps its place until it really ends. */
function inTurn(atOnce: number, ask: (name: string) => Promise<readonly string[]>): ResolveName {
  let free = atOnce;
  const waiting: (() => void)[] = [];
  const next = (): void => {
    const first = waiting.shift();
    if (first) first();
    else free += 1;
  };
  const turn = async (signal: AbortSignal | undefined): Promise<void> => {
    if (free > 0) {
      free -= 1;
      return;
    }
    await new Promise<void>((resolve, reject) => {
      const called = (): void => {
        signal?.removeEventListener('abort', gone);
        resolve();
      };
      const gone = (): void => {
        waiting.splice(waiting.indexOf(called), 1);
        reject(new NoAnswer('no turn in time'));
      };
      waiting.push(called);
      signal?.addEventListener('abort', gone, { once: true });
    });
  };
  return async (name, signal) => {
    signal?.throwIfAborted();
    await turn(signal);
    const answer = ask(name).finally(next);
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<never>((_, reject) => {
      timer = setTimeout(() => reject(new NoAnswer(`no answer about ${name}`)), LIMITS.nameLookupMs);
    });
    try {
      return await Promise.race([answer, late]);
    } finally {
      clearTimeout(timer);
    }
  };
}

/** What is known of a name. */
export type Resolved =
  | { readonly addresses: readonly string[] }
  /** @param temporary asking again may help. */
  | { readonly addresses: undefined; readonly temporary: boolean };

/** The names among targets. */
export function namesOf(targets: readonly Target[]): readonly string[] {
  return targets.flatMap((target) => (target.kind === 'name' ? [target.text] : []));
}

/**
 * Resolves all names of a request.
 * @throws ScanmqError `unavailable` when that takes too long: what was not asked cannot be judged.
 */
export async function resolveNames(
  names: readonly string[],
  resolve: ResolveName,
): Promise<ReadonlyMap<string, Resolved>> {
  const end = new AbortController();
  const timer = setTimeout(() => end.abort(), LIMITS.namesLookupMs);
  const found = Promise.all(
    names.map(async (name): Promise<[string, Resolved]> => {
      try {
        const addresses = await resolve(name, end.signal);
        // an answer without an address is none
        return [name, addresses.length > 0 ? { addresses } : { addresses: undefined, temporary: false }];
      } catch (error) {
        return [name, { addresses: undefined, temporary: isTemporary(error) }];
      }
    }),
  );
  const late = new Promise<never>((_, reject) => {
    end.signal.addEventListener('abort', () =>
      reject(
        new ScanmqError(
          'unavailable',
          `The ${names.length} names of the targets could not all be resolved within ${LIMITS.namesLookupMs / 1_000} s. Try again, or submit fewer at once.`,
        ),
      ),
    );
  });
  try {
    return new Map(await Promise.race([found, late]));
  } finally {
    clearTimeout(timer);
  }
}
