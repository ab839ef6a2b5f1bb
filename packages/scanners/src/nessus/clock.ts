/**
 * How far the clock of a scanner is ahead of ours, by the `Date` of an answer: written some time between sending and
 * receiving, and cut to the second (RFC 9110 section 6.6.1). What lies within these bounds is no difference.
 * @returns milliseconds, negative when it is behind; undefined when the answer has no date that can be read.
 */
export function clockAheadMs(
  date: string | undefined,
  sentAtMs: number,
  receivedAtMs: number,
): number | undefined {
  const saidMs = Date.parse(date ?? '');
  if (Number.isNaN(saidMs)) return undefined;
  const latestMs = saidMs + 999;
  if (saidMs > receivedAtMs) return saidMs - receivedAtMs;
  return latestMs < sentAtMs ? latestMs - sentAtMs : 0;
}
