import { describe, expect, it } from '@jest/globals';
import {
  describeIgnoreRule,
  gateRequestSchema,
  ignoreRuleIssues,
  ignoreRulesSchema,
  isExpired,
  readGatePolicy,
  STOPS_THE_GATE,
} from './gate.js';
import { QUALITY_REASONS } from './quality.js';

const read = (fields: object) => readGatePolicy(gateRequestSchema.parse(fields));
const rule = { plugin_id: '10', reason: 'known', expires: '2026-06-15' };

describe('a policy', () => {
  it('stops at high, with nothing allowed and nothing passed in doubt, when nothing is said', () => {
    expect(read({})).toEqual({
      fail_on: 'high',
      max: 0,
      min_cvss: null,
      min_epss: null,
      min_vpr: null,
      known_exploited: false,
      new_only: false,
      on_doubt: 'fail',
      compliance: true,
    });
  });

  it('means new findings where a baseline is named, unless it says otherwise', () => {
    expect(read({ baseline: 'previous' }).new_only).toBe(true);
    expect(read({ baseline_findings: [] }).new_only).toBe(true);
    expect(read({ baseline: 'previous', new_only: 'false' }).new_only).toBe(false);
  });

  it('is refused when nothing could break it, or when it has two baselines', () => {
    expect(() => read({ fail_on: 'none' })).toThrow('nothing to judge by');
    expect(read({ fail_on: 'none', known_exploited: 'true' }).known_exploited).toBe(true);
    expect(gateRequestSchema.safeParse({ baseline: 'previous', baseline_findings: [] }).success).toBe(false);
  });
});

describe('a rule of an ignore file', () => {
  it.each<[string, object, boolean]>([
    ['names a plugin', {}, true],
    ['names nothing', { plugin_id: undefined }, false],
    ['has no reason', { reason: undefined }, false],
    ['has a blank reason', { reason: '   ' }, false],
    ['has no end', { expires: undefined }, false],
    ['ends on a day that does not exist', { expires: '2026-02-30' }, false],
    ['names a network', { host: '10.0.0.0/24' }, true],
    ['names a host that is none', { host: '10.0.0.300' }, false],
    ['names half a CVE', { cve: 'CVE-2024' }, false],
    ['has a field that nobody knows', { severity: 'high' }, false],
  ])('%s', (_, change, good) => {
    expect(ignoreRulesSchema.safeParse([{ ...rule, ...change }]).success).toBe(good);
  });

  it('holds through its last day, in UTC', () => {
    expect(isExpired(rule, new Date('2026-06-15T23:59:59.999Z'))).toBe(false);
    expect(isExpired(rule, new Date('2026-06-16T00:00:00Z'))).toBe(true);
  });

  it('holds for a year at most', () => {
    expect(ignoreRuleIssues([rule], new Date('2025-06-14T00:00:00Z'))).toEqual([]);
    expect(ignoreRuleIssues([rule, rule], new Date('2025-06-13T00:00:00Z'))).toEqual([
      { path: '0.expires', message: expect.stringContaining('2026-06-14') },
      { path: '1.expires', message: expect.stringContaining('366 days') },
    ]);
  });

  it('is told in words', () => {
    const [parsed] = ignoreRulesSchema.parse([{ ...rule, port: '443', host: 'web.test' }]);
    expect(parsed && describeIgnoreRule(parsed)).toBe('plugin_id 10, host web.test, port 443');
  });
});

it('the gate stops for whatever was not looked at, and not for what is only old or repaired', () => {
  expect(QUALITY_REASONS.filter((reason) => !STOPS_THE_GATE[reason])).toEqual([
    'plugins_old',
    'text_repaired',
  ]);
});
