/**
 * Runs an operation once for however many ask for it, never twice at a time. Whoever asks while it runs gets the next
 * run, not the one that may have looked before: each caller's run begins after it asked.
 */
export function oneAtATime<T>(operation: () => Promise<T>): () => Promise<T> {
  let running: Promise<T> | undefined;
  let next: Promise<T> | undefined;
  const begin = (): Promise<T> => {
    const begun = operation();
    running = begun;
    const ended = (): void => {
      if (running === begun) running = undefined;
    };
    begun.then(ended, ended);
    return begun;
  };
  return () => {
    if (!running) return begin();
    next ??= running.then(ignore, ignore).then(() => {
      next = undefined;
      return begin();
    });
    return next;
  };
}

function ignore(): void {}
