/**
 * Connections that look at the address at the moment of connecting. A check before that would be worth nothing: a name
 * may stand for another address a moment later (DNS rebinding).
 */
import { lookup } from 'node:dns/promises';
import { Agent as HttpAgent } from 'node:http';
import { Agent as HttpsAgent, type RequestOptions } from 'node:https';
import { isIP, type LookupFunction } from 'node:net';
import { type Duplex, PassThrough } from 'node:stream';
import type { DeliveryError, TargetSet } from '@scanmq/contract';
import { judgeAddress } from './addresses.js';

type OnConnection = (error: Error | null, socket: Duplex) => void;

/** Addresses that a name stands for now. */
export type ResolveName = (name: string) => Promise<readonly string[]>;

/** A connection that was not made because of where it would have led. */
export class ConnectionRefusedByPolicy extends Error {
  readonly code = 'ERR_WEBHOOK_POLICY';
  readonly word: DeliveryError;
  constructor(word: Extract<DeliveryError, 'address_refused' | 'https_required'>) {
    super(word);
    this.name = 'ConnectionRefusedByPolicy';
    this.word = word;
  }
}

export const resolveBySystem: ResolveName = async (name) =>
  (await lookup(name, { all: true })).map(({ address }) => address);

export interface Agents {
  readonly http: HttpAgent;
  readonly https: HttpsAgent;
}

/** @throws ConnectionRefusedByPolicy when one of the addresses must not be called. */
function check(addresses: readonly string[], allow: TargetSet, encrypted: boolean): void {
  for (const address of addresses) {
    const verdict = judgeAddress(address, allow);
    if (verdict === 'refused') throw new ConnectionRefusedByPolicy('address_refused');
    if (verdict === 'public' && !encrypted) throw new ConnectionRefusedByPolicy('https_required');
  }
}

/** A `lookup` for `net.connect`, which connects to nothing else than what this one hands out. */
function checkedLookup(resolve: ResolveName, allow: TargetSet, encrypted: boolean): LookupFunction {
  return (name, options, answer) => {
    resolve(name)
      .then((addresses) => {
        const wanted = addresses
          .map((address) => ({ address, family: isIP(address) }))
          .filter(({ family }) => family !== 0);
        const [first] = wanted;
        if (!first) throw Object.assign(new Error('no address'), { code: 'ENOTFOUND' });
        check(addresses, allow, encrypted);
        if (options.all) answer(null, wanted);
        else answer(null, first.address, first.family);
      })
      .catch((error: NodeJS.ErrnoException) => answer(error, '', 0));
  };
}

/** What both kinds of agents do before they connect. @returns the error of an address that must not be called. */
function refusal(options: RequestOptions, allow: TargetSet, encrypted: boolean): Error | undefined {
  // an address is connected to without a lookup
  const host = options.host ?? '';
  if (isIP(host) === 0) return undefined;
  try {
    check([host], allow, encrypted);
    return undefined;
  } catch (error) {
    return error instanceof Error ? error : new Error(String(error));
  }
}

class CheckedHttpAgent extends HttpAgent {
  readonly #allow: TargetSet;
  readonly #lookup: LookupFunction;

  constructor(allow: TargetSet, resolve: ResolveName) {
    super({ keepAlive: false });
    this.#allow = allow;
    this.#lookup = checkedLookup(resolve, allow, false);
  }

  override createConnection(options: RequestOptions, onConnection?: OnConnection): Duplex | null | undefined {
    const error = refusal(options, this.#allow, false);
    if (!error) return super.createConnection({ ...options, lookup: this.#lookup }, onConnection);
    return fail(error, onConnection);
  }
}

class CheckedHttpsAgent extends HttpsAgent {
  readonly #allow: TargetSet;
  readonly #lookup: LookupFunction;

  constructor(allow: TargetSet, resolve: ResolveName) {
    super({ keepAlive: false, maxCachedSessions: 0 });
    this.#allow = allow;
    this.#lookup = checkedLookup(resolve, allow, true);
  }

  override createConnection(options: RequestOptions, onConnection?: OnConnection): Duplex | null | undefined {
    const error = refusal(options, this.#allow, true);
    if (!error) return super.createConnection({ ...options, lookup: this.#lookup }, onConnection);
    return fail(error, onConnection);
  }
}

function fail(error: Error, onConnection: OnConnection | undefined): null {
  // Node looks at the error only; its type wants a socket all the same
  process.nextTick(() => onConnection?.(error, new PassThrough()));
  return null;
}

/** Agents without kept connections: each delivery looks anew. */
export function createAgents(allow: TargetSet, resolve: ResolveName): Agents {
  return { http: new CheckedHttpAgent(allow, resolve), https: new CheckedHttpsAgent(allow, resolve) };
}
