/** When a recurring scan is due: cron expressions in a time zone, and intervals. */
import { CronExpressionParser } from 'cron-parser';

/** Exactly one of the two. */
export type Recurrence =
  | { readonly cron: string; readonly timeZone: string }
  | { readonly everyMs: number; readonly firstAt: Date };

const FIELDS_MIN = 5;
const FIELDS_MAX = 6;
/** `H` as a value of its own, not as a letter of MAR or THU. */
const RANDOM = /(^|[\s,])H(?=$|[\s,(/])/i;

/** True for a name of the IANA time zone database that this machine knows, such as `Europe/Berlin` or `UTC`. */
export function isTimeZone(name: string): boolean {
  // newer versions of Node also take offsets such as +01:00; with those, the cron parser and others disagree
  if (!/^[A-Za-z][A-Za-z0-9_+/-]*$/.test(name)) return false;
  try {
    return new Intl.DateTimeFormat('en', { timeZone: name }).resolvedOptions().timeZone !== '';
  } catch {
    return false;
  }
}

/**
 * What is wrong with a cron expression; undefined when nothing is.
 * @param cron five fields, six with seconds in front, or a word such as `@daily`.
 */
export function cronMistake(cron: string): string | undefined {
  const fields = cron.trim().split(/\s+/);
  // the parser fills in fields that are left out, which nobody would expect
  if (!cron.trim().startsWith('@') && (fields.length < FIELDS_MIN || fields.length > FIELDS_MAX))
    return 'expected five fields (minute hour day month weekday), or six with seconds in front';
  if (RANDOM.test(cron))
    return 'H (a random value) is not supported: it would mean another time on each look';
  try {
    CronExpressionParser.parse(cron, { tz: 'UTC' }).next();
    return undefined;
  } catch (error) {
    // its messages repeat parts of what was sent, and nothing else
    const reason = error instanceof Error ? error.message : String(error);
    return /time ?span|loop limit/i.test(reason)
      ? 'expected a date that exists: this expression is never due'
      : `expected a cron expression (${reason.slice(0, 200)})`;
  }
}

/**
 * The first time after `after` that the recurrence is due. Across a change to or from daylight saving time a daily
 * cron expression is due once each day: at a time that is skipped an hour later by the clock, at one that comes twice
 * the first time. BullMQ uses the same parser with the same options.
 */
export function nextDue(recurrence: Recurrence, after: Date): Date {
  if ('cron' in recurrence) {
    const { cron, timeZone } = recurrence;
    return new Date(CronExpressionParser.parse(cron, { tz: timeZone, currentDate: after }).next().getTime());
  }
  const { everyMs, firstAt } = recurrence;
  const passed = Math.floor((after.getTime() - firstAt.getTime()) / everyMs) + 1;
  return new Date(firstAt.getTime() + Math.max(0, passed) * everyMs);
}
