/**
 * How long a `Retry-After` header asks to wait: whole seconds, or a date (RFC 9110 section 10.2.3).
 * @returns milliseconds, never negative; undefined for a header that is missing or neither of the two.
 */
export function retryAfterMs(header: string | undefined, nowMs: number): number | undefined {
  if (header === undefined) return undefined;
  const text = header.trim();
  if (/^\d+$/.test(text)) return Number(text) * 1_000;
  const at = Date.parse(text);
  return Number.isNaN(at) ? undefined : Math.max(0, at - nowMs);
}
