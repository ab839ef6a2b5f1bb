/**
 * Decodes texts that are mostly the same as the last time: what was made of one is kept until its key has another.
 * @param decode a function of the text alone; what it makes is shared, and not to be changed.
 */
export function memoized<T>(decode: (text: string) => T): (key: string, text: string) => T {
  const last = new Map<string, { readonly text: string; readonly made: T }>();
  return (key, text) => {
    const known = last.get(key);
    if (known?.text === text) return known.made;
    const made = decode(text);
    last.set(key, { text, made });
    return made;
  };
}

/**
 * Gives the same answer for a moment to all who ask.
 * @param lifeMs 0 = each is asked for anew.
 */
export function recent<T>(lifeMs: number, ask: () => Promise<T>): { get(): Promise<T>; forget(): void } {
  let known: { readonly untilMs: number; readonly answer: Promise<T> } | undefined;
  return {
    get() {
      if (known && performance.now() < known.untilMs) return known.answer;
      const asked = { untilMs: performance.now() + lifeMs, answer: ask() };
      known = asked;
      // a failure is nobody's answer a moment later
      asked.answer.catch(() => {
        if (known === asked) known = undefined;
      });
      return asked.answer;
    },
    forget() {
      known = undefined;
    },
  };
}
