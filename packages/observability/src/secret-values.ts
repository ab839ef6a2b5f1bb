const HIDDEN = '[redacted]';
/** Shorter values would be found in every other word. */
const SHORTEST_SECRET = 6;
/** `scheme://user:password@host`: the password, and what it belongs to, are not ours to show. */
const URL_LOGIN = /(\b[a-z][a-z0-9+.-]*:\/\/)[^\s/@"\\]*:[^\s/@"\\]+@/gi;

/** Our own API keys, wherever they turn up; how one begins tells which it was. */
const API_KEY = /(smq_[0-9a-f]{16})_[0-9a-f]{64}/g;

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
      if (clean.includes('smq_')) clean = clean.replace(API_KEY, `$1_${HIDDEN}`);
      return clean.includes('://') ? clean.replace(URL_LOGIN, `$1${HIDDEN}@`) : clean;
    },
  };
}

/** A text without these values, in whatever form they are in it. For texts that do not go through the logger. */
export function hideValues(text: string, values: readonly string[]): string {
  const secrets = createSecretValues();
  for (const value of values) secrets.add(value);
  return secrets.hide(text);
}

/** A line is JSON, may hold a text that is JSON (an answer of a scanner), which may hold one again. */
const NESTED = 3;
/** A shorter part of a text in base64 would be found where nothing is hidden. */
const SHORTEST_BASE64 = 8;

function formsOf(secret: string): readonly string[] {
  const forms = [secret];
  for (let level = 1; level <= NESTED; level += 1) forms.push(JSON.stringify(forms[level - 1]).slice(1, -1));
  const encoded = [...inBase64(secret), Buffer.from(secret).toString('hex')];
  // half a character, which a URL cannot hold
  return /\p{Surrogate}/u.test(secret)
    ? [...forms, ...encoded]
    : [
        ...forms,
        ...encoded,
        encodeURIComponent(secret),
        new URLSearchParams({ '': secret }).toString().slice(1),
      ];
}

/** As it looks inside a longer text in base64 (`user:password`), wherever it begins there: without the characters that neighbours are part of. */
function inBase64(secret: string): readonly string[] {
  const bytes = Buffer.from(secret);
  return [0, 1, 2].flatMap((before) => {
    const text = Buffer.concat([Buffer.alloc(before), bytes]).toString('base64url');
    const whole = Math.floor(((before + bytes.length) * 8) / 6);
    const inner = text.slice(Math.ceil((before * 8) / 6), whole);
    if (inner.length < SHORTEST_BASE64) return [];
    return [inner, inner.replaceAll('-', '+').replaceAll('_', '/')];
  });
}
