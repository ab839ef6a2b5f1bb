const HIDDEN = '[redacted]';
/** Shorter values would be found in every other word. */
const SHORTEST_SECRET = 6;
/** `scheme://user:password@host`: the password, and what it belongs to, are not ours to show. */
const URL_LOGIN = /(\b[a-z][a-z0-9+.-]*:\/\/)[^\s/@"\\]*:[^\s/@"\\]+@/gi;

/** Values that must not be seen in the log, however they got there. */
export interface SecretValues {
  /**
   * Hides this value from now on.
   * @returns ends it: for the credentials of one scan, in a worker that lives for years.
   */
  add(value: string): () => void;
  /** A finished line without them. */
  hide(line: string): string;
}

export function createSecretValues(): SecretValues {
  // counted: two scans may have the same password, and one of them ends first
  const counts = new Map<string, number>();
  // as they may look in a line of JSON; longest first, so that none is cut by another that it holds
  let forms: readonly string[] = [];
  const refresh = (): void => {
    forms = [...new Set([...counts.keys()].flatMap(formsOf))].sort((a, b) => b.length - a.length);
  };
  return {
    add(value) {
      if (value.length < SHORTEST_SECRET) return () => undefined;
      counts.set(value, (counts.get(value) ?? 0) + 1);
      refresh();
      let added = true;
      return () => {
        if (!added) return;
        added = false;
        const left = (counts.get(value) ?? 1) - 1;
        if (left > 0) counts.set(value, left);
        else counts.delete(value);
        refresh();
      };
    },
    hide(line) {
      let clean = line;
      for (const form of forms) if (clean.includes(form)) clean = clean.replaceAll(form, HIDDEN);
      return clean.includes('://') ? clean.replace(URL_LOGIN, `$1${HIDDEN}@`) : clean;
    },
  };
}

/** A line is JSON, may hold a text that is JSON (an answer of a scanner), which may hold one again. */
const NESTED = 3;

function formsOf(secret: string): readonly string[] {
  const forms = [secret];
  for (let level = 1; level <= NESTED; level += 1) forms.push(JSON.stringify(forms[level - 1]).slice(1, -1));
  // half a character, which a URL cannot hold
  return /\p{Surrogate}/u.test(secret) ? forms : [...forms, encodeURIComponent(secret)];
}
