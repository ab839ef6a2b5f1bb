/** A dependency that is away says so with every attempt to reach it: one line now and then is enough. */
const REPEAT_MS = 30_000;

/**
 * Passes an error on when it is another one than before, and otherwise every 30 seconds.
 * @returns takes every error; `recovered` makes the next one news again.
 */
export function quietErrors<E extends Error>(
  report: (error: E) => void,
): ((error: E) => void) & { recovered(): void } {
  let last = '';
  let lastAtMs = 0;
  const take = (error: E): void => {
    if (error.message === last && Date.now() - lastAtMs < REPEAT_MS) return;
    last = error.message;
    lastAtMs = Date.now();
    report(error);
  };
  return Object.assign(take, {
    recovered: () => {
      last = '';
    },
  });
}
