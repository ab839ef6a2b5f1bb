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
