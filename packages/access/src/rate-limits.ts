/**
 * Limits over all gateways, counted in Redis. With Redis away they are counted in each process instead: neither is
 * everybody let through nor everybody refused, and what changes something needs Redis anyway.
 */
import type { Settings } from '@scanmq/config';
import { type Principal, ScanmqError } from '@scanmq/contract';
import ipaddr from 'ipaddr.js';
import { RateLimiterMemory, RateLimiterRedis, RateLimiterRes } from 'rate-limiter-flexible';
import type { RedisClient } from './redis-client.js';
import type { AccessKeys } from './redis-keys.js';

export type LimitSettings = Pick<
  Settings,
  'readsPerMinute' | 'changesPerMinute' | 'authFailuresPerMinute' | 'loginsPerMinute'
>;

/** Each throws ScanmqError `rate_limited`, which says when to come again. */
export interface RateLimits {
  /** A request of somebody who is known. */
  request(principal: Principal, changing: boolean): Promise<void>;
  /** A scan that is about to be submitted. */
  scan(principal: Principal): Promise<void>;
  /** A wrong key or token, told of after the fact: so a good one from the same address is always let through. */
  failure(address: string): Promise<void>;
  /** An attempt to log in with a browser, told of before. */
  login(address: string): Promise<void>;
}

const MINUTE_SECONDS = 60;
const DAY_SECONDS = 86_400;
/** Limits of keys differ; a limiter for each number is enough. */
type Limiters = Map<string, RateLimiterRedis>;

export function createRateLimits(redis: RedisClient, keys: AccessKeys, settings: LimitSettings): RateLimits {
  const limiters: Limiters = new Map();

  function limiter(what: string, points: number, duration: number): RateLimiterRedis {
    const name = `${what}:${points}`;
    const known = limiters.get(name);
    if (known) return known;
    const made = new RateLimiterRedis({
      storeClient: redis,
      keyPrefix: `${keys.limits}:${what}`,
      points,
      duration,
      insuranceLimiter: new RateLimiterMemory({ points, duration }),
    });
    limiters.set(name, made);
    return made;
  }

  async function take(
    what: string,
    points: number | null,
    duration: number,
    key: string,
    refusal: string,
  ): Promise<void> {
    if (points === null || points === 0) return;
    try {
      await limiter(what, points, duration).consume(key);
    } catch (refused) {
      if (!(refused instanceof RateLimiterRes)) throw refused;
      throw new ScanmqError('rate_limited', refusal, {
        retryAfterSeconds: Math.max(1, Math.ceil(refused.msBeforeNext / 1_000)),
      });
    }
  }

  return {
    async request({ id, via, scopes }, changing) {
      // everybody on this machine: there is nobody to share with
      if (via === 'local') return;
      const own = scopes.requests_per_minute;
      await take('key', own, MINUTE_SECONDS, id, `This key may make ${own} requests a minute.`);
      if (changing)
        await take(
          'change',
          settings.changesPerMinute,
          MINUTE_SECONDS,
          id,
          `More than ${settings.changesPerMinute} changes a minute.`,
        );
      else
        await take(
          'read',
          settings.readsPerMinute,
          MINUTE_SECONDS,
          id,
          `More than ${settings.readsPerMinute} requests a minute.`,
        );
    },
    async scan({ id, scopes }) {
      const own = scopes.scans_per_day;
      await take(
        'scan',
        own,
        DAY_SECONDS,
        id,
        `This key may submit ${own} scans a day (scope scans_per_day).`,
      );
    },
    failure: (address) =>
      take(
        'failure',
        settings.authFailuresPerMinute,
        MINUTE_SECONDS,
        networkOf(address),
        'Too many wrong keys from this address.',
      ),
    login: (address) =>
      take(
        'login',
        settings.loginsPerMinute,
        MINUTE_SECONDS,
        networkOf(address),
        'Too many attempts to log in from this address.',
      ),
  };
}

/** Whoever has one IPv6 address has the whole /64 of it. */
export function networkOf(address: string): string {
  if (!ipaddr.isValid(address)) return 'unknown';
  const parsed = ipaddr.process(address);
  if (parsed.kind() === 'ipv4') return parsed.toString();
  return parsed
    .toByteArray()
    .slice(0, 8)
    .map((byte) => byte.toString(16).padStart(2, '0'))
    .join('');
}
