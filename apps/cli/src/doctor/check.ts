import { ScanmqError } from '@scanmq/contract';

/**
 * `warning`: works, but not as it should. `problem`: does not work, or will lose something. `skipped`: could not be told,
 * because of something that is told elsewhere.
 */
export type Status = 'ok' | 'warning' | 'problem' | 'skipped';

/** One thing that was looked at: what was found, in a sentence, and what to do about it. Never a secret. */
export interface Verdict {
  /** Begins with its area, for example `redis.clock`. */
  readonly name: string;
  readonly status: Status;
  readonly found: string;
  /** Null where there is nothing to do. */
  readonly advice: string | null;
}

export interface CheckResult extends Verdict {
  readonly ms: number;
}

export const ok = (name: string, found: string): Verdict => ({ name, status: 'ok', found, advice: null });
export const warning = (name: string, found: string, advice: string): Verdict => ({
  name,
  status: 'warning',
  found,
  advice,
});
export const problem = (name: string, found: string, advice: string): Verdict => ({
  name,
  status: 'problem',
  found,
  advice,
});
export const skipped = (name: string, found: string): Verdict => ({
  name,
  status: 'skipped',
  found,
  advice: null,
});

export interface Check {
  /** Of the verdict where the look itself fails or takes too long. */
  readonly name: string;
  readonly limitMs: number;
  /** For a look that fails. */
  readonly advice: string;
  look(signal: AbortSignal): Promise<readonly Verdict[]>;
}

/** Looks, but not for longer than the check may take, whatever hangs. */
export async function examine(check: Check): Promise<readonly CheckResult[]> {
  const begun = performance.now();
  const given = new AbortController();
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => {
      reject(new ScanmqError('unavailable', `There was no answer within ${check.limitMs / 1_000} s.`));
      given.abort();
    }, check.limitMs);
  });
  let verdicts: readonly Verdict[];
  try {
    const look = check.look(given.signal);
    // one that comes too late is nobody's any more
    look.catch(() => undefined);
    verdicts = await Promise.race([look, late]);
  } catch (error) {
    verdicts = [problem(check.name, sentenceOf(error), check.advice)];
  } finally {
    clearTimeout(timer);
  }
  const ms = Math.round(performance.now() - begun);
  return verdicts.map((verdict) => ({ ...verdict, ms }));
}

/** Our own words, or the code of an error: the text of a foreign one may hold what must not be shown. */
function sentenceOf(error: unknown): string {
  if (error instanceof ScanmqError) return error.message;
  const code = error instanceof Error && 'code' in error ? String(error.code) : undefined;
  return code === undefined ? 'The look at it failed.' : `The look at it failed (${code}).`;
}
