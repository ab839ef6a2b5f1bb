/** What `scanners.yaml` says beside the instances: rules of pools, of target networks and of principals. */
import { badTargetSetEntry, cronMistake, isTimeZone, targetSet } from '@scanmq/contract';
import { z } from 'zod';
import type { OpeningHours } from './opening-hours.js';
import type { PoolRules, PrincipalRules, TargetRules } from './types.js';

/** Names of the sections; no pool can be called so. */
export const TARGET_LIMITS = 'target_limits';
export const PRINCIPALS = 'principals';

/** Longest that a window may be open: more is "always", which is written by leaving windows out. */
const LONGEST_WINDOW_HOURS = 7 * 24;

const amount = (what: string, max: number): z.ZodType<number> =>
  z
    .union(
      [
        z.number(),
        z
          .string()
          .regex(/^\d+(\.\d+)?$/)
          .transform(Number),
      ],
      `expected ${what}`,
    )
    .refine((value) => value > 0 && value <= max, { error: `expected ${what}` });
const scans = amount('a whole number of scans from 1 to 1000', 1_000).refine(Number.isInteger, {
  error: 'expected a whole number of scans from 1 to 1000',
});
const targetTexts = z
  .union([z.string().transform((one) => one.split(/[\s,]+/).filter(Boolean)), z.array(z.string())])
  .superRefine((texts, ctx) => {
    const bad = badTargetSetEntry(texts);
    if (bad !== undefined || texts.length === 0)
      ctx.addIssue({
        code: 'custom',
        message: `expected addresses, ranges, networks or names (.example.com = all below it)${bad === undefined ? '' : `; '${bad.slice(0, 60)}' is none`}`,
      });
  });
const zone = z
  .string()
  .refine(isTimeZone, { error: 'expected an IANA time zone, for example Europe/Berlin' });

const hoursShape = {
  windows: z
    .array(
      z.strictObject({
        opens: z.string(),
        hours: amount(`a number of hours up to ${LONGEST_WINDOW_HOURS}`, LONGEST_WINDOW_HOURS),
        time_zone: zone.optional(),
      }),
    )
    .min(1)
    .optional(),
  time_zone: zone.default('UTC'),
  at_close: z.enum(['pause', 'continue'], 'expected pause or continue').default('pause'),
} as const;

interface HoursText {
  readonly windows?:
    | readonly { readonly opens: string; readonly hours: number; readonly time_zone?: string | undefined }[]
    | undefined;
  readonly time_zone: string;
  readonly at_close: 'pause' | 'continue';
}

function checkCron(value: HoursText, ctx: z.RefinementCtx): void {
  for (const [index, { opens }] of (value.windows ?? []).entries()) {
    const mistake = cronMistake(opens);
    if (mistake) ctx.addIssue({ code: 'custom', path: ['windows', index, 'opens'], message: mistake });
  }
}

const poolSchema = z
  .strictObject({ instances: z.array(z.unknown()), networks: targetTexts.optional(), ...hoursShape })
  .superRefine(checkCron);
const targetLimitSchema = z
  .strictObject({
    name: z.string().trim().min(1).max(100).optional(),
    targets: targetTexts,
    max_concurrent_scans: scans.optional(),
    ...hoursShape,
  })
  .superRefine(checkCron);
const principalSchema = z.strictObject({
  share: amount('a number from 0.01 to 100', 100)
    .refine((value) => value >= 0.01, {
      error: 'expected a number from 0.01 to 100',
    })
    .default(1),
  max_concurrent_scans: scans.optional(),
});

function hoursOf(value: HoursText): OpeningHours | undefined {
  return (
    value.windows && {
      windows: value.windows.map(({ opens, hours, time_zone }) => ({
        opens,
        durationMs: Math.round(hours * 3_600_000),
        timeZone: time_zone ?? value.time_zone,
      })),
      atClose: value.at_close,
    }
  );
}

/** Takes every mistake: its place below the section, and what was expected. */
export type ReportMistake = (path: string, message: string) => void;

function report(error: z.ZodError, place: string, onMistake: ReportMistake): void {
  for (const issue of error.issues) {
    if (issue.code === 'unrecognized_keys') {
      for (const key of issue.keys) onMistake(`${place}.${[...issue.path, key].join('.')}`, 'unknown key');
      continue;
    }
    const path = [place, ...issue.path.map(String)].join('.');
    onMistake(path, issue.message.startsWith('expected') ? issue.message : `expected ${issue.message}`);
  }
}

/** The rules of a pool that is written as a mapping; its instances come along unread. */
export function readPool(
  raw: unknown,
  pool: string,
  onMistake: ReportMistake,
): { readonly instances: readonly unknown[]; readonly rules: PoolRules } | undefined {
  const parsed = poolSchema.safeParse(raw);
  if (!parsed.success) {
    report(parsed.error, pool, onMistake);
    return undefined;
  }
  return {
    instances: parsed.data.instances,
    rules: {
      networks: parsed.data.networks && targetSet(parsed.data.networks),
      hours: hoursOf(parsed.data),
    },
  };
}

export function readTargetLimits(raw: unknown, onMistake: ReportMistake): readonly TargetRules[] {
  if (!Array.isArray(raw)) {
    onMistake(TARGET_LIMITS, 'expected a list of entries with targets, max_concurrent_scans, windows');
    return [];
  }
  const rules: TargetRules[] = [];
  for (const [index, entry] of (raw as unknown[]).entries()) {
    const place = `${TARGET_LIMITS}[${index}]`;
    const parsed = targetLimitSchema.safeParse(entry);
    if (!parsed.success) report(parsed.error, place, onMistake);
    else {
      const { name, targets, max_concurrent_scans: maxConcurrentScans } = parsed.data;
      const rule = {
        name: name ?? targets.join(' '),
        targets: targetSet(targets),
        maxConcurrentScans,
        hours: hoursOf(parsed.data),
      };
      if (rules.some((other) => other.name === rule.name))
        onMistake(place, `expected another name than '${rule.name}', which is taken`);
      if (maxConcurrentScans === undefined && rule.hours === undefined)
        onMistake(place, 'expected max_concurrent_scans or windows');
      rules.push(rule);
    }
  }
  return rules;
}

export function readPrincipals(raw: unknown, onMistake: ReportMistake): ReadonlyMap<string, PrincipalRules> {
  const rules = new Map<string, PrincipalRules>();
  if (raw === null || typeof raw !== 'object' || Array.isArray(raw)) {
    onMistake(
      PRINCIPALS,
      'expected a mapping from names of principals (* = all others) to share and max_concurrent_scans',
    );
    return rules;
  }
  for (const [name, entry] of Object.entries(raw) as [string, unknown][]) {
    const parsed = principalSchema.safeParse(entry ?? {});
    if (!parsed.success) report(parsed.error, `${PRINCIPALS}.${name}`, onMistake);
    else rules.set(name, { share: parsed.data.share, maxConcurrentScans: parsed.data.max_concurrent_scans });
  }
  return rules;
}
