/**
 * How long a test waits for what should happen at once: so long that a machine which is busy with other tests gets
 * there, for nothing but a hang is to be found by it. A test has two of these (`testTimeout`).
 */
export const PATIENCE_MS = 60_000;

/**
 * Waits until a condition holds, looking again and again: for states that no event announces to the test.
 * @param what for the error message.
 * @throws Error when it does not hold in time, with the last value seen.
 */
export async function until<T>(
  what: string,
  look: () => Promise<T | undefined | false> | T | undefined | false,
  timeoutMs = PATIENCE_MS,
): Promise<T> {
  const giveUpAt = Date.now() + timeoutMs;
  let lastError: unknown;
  for (;;) {
    try {
      const value = await look();
      if (value !== undefined && value !== false) return value;
      lastError = undefined;
    } catch (error) {
      lastError = error;
    }
    if (Date.now() > giveUpAt) throw new Error(`not within ${timeoutMs} ms: ${what}`, { cause: lastError });
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}
