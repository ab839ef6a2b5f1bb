import type { Readiness } from '../scanner.js';
import { parseJson, serverStatusSchema } from './decode.js';
import type { Answer } from './http.js';
import { needsOperator } from './words.js';

/**
 * What `/server/status` tells; a 503 has a meaningful body too (nessus-api.md section 0, rule 9).
 * @returns undefined for an answer that tells nothing.
 */
export function readinessOf({
  status,
  body,
  clockAheadMs,
}: Answer): (Readiness & { readonly clockAheadMs: number | undefined }) | undefined {
  const parsed = serverStatusSchema.safeParse(parseJson(body));
  if (!parsed.success) {
    return status === 200 || status === 503
      ? { ready: false, word: 'loading', progressPercent: null, operatorNeeded: false, clockAheadMs }
      : undefined;
  }
  const { status: word, progress, detailed_status: detail } = parsed.data;
  const loginAllowed = detail?.login_status === undefined || detail.login_status === 'allow';
  return {
    ready: word === 'ready' && loginAllowed,
    word: word === 'ready' && !loginAllowed ? 'login not allowed yet' : word,
    progressPercent: progress ?? null,
    operatorNeeded: needsOperator(word),
    clockAheadMs,
  };
}
