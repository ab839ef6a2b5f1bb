/** Takes secrets out of what is logged. */

const HIDDEN = '[redacted]';
const SECRET_NAME =
  /pass(word|phrase|wd)?$|secret|token$|^authorization$|cookie$|api_?-?keys?$|access_?key$|private_?key$|credentials?$|^headers$/i;
/** Deeper values are cut: no log line of ours is that deep. */
const DEPTH = 8;
/** Shorter values would be found in every other word. */
const SHORTEST_SECRET = 6;

const secrets = new Set<string>();

/** From now on this value is taken out of every log line of this process, wherever it occurs. */
export function registerSecret(value: string): void {
  if (value.length < SHORTEST_SECRET) return;
  secrets.add(value);
  // as it looks inside a JSON text
  secrets.add(JSON.stringify(value).slice(1, -1));
}

/** A line without the registered values. */
export function redactValues(line: string): string {
  let clean = line;
  for (const secret of secrets) if (clean.includes(secret)) clean = clean.replaceAll(secret, HIDDEN);
  return clean;
}

/** A line of the log, one JSON document, without secrets. */
export function redactLine(line: string): string {
  return redactValues(`${JSON.stringify(redactFields(JSON.parse(line)))}\n`);
}

/** A copy with the values of telling field names hidden; errors become code, message, causes and stack. */
export function redactFields(value: unknown): unknown {
  return redact(value, 0);
}

function redact(value: unknown, depth: number): unknown {
  if (value === null || typeof value !== 'object') return value;
  if (depth > DEPTH) return '[deep]';
  if (value instanceof Error) return describeError(value, depth);
  if (value instanceof Date) return value.toISOString();
  if (Array.isArray(value)) return value.map((inner) => redact(inner, depth + 1));
  return Object.fromEntries(
    Object.entries(value).map(([name, inner]) => [
      name,
      SECRET_NAME.test(name) ? HIDDEN : redact(inner, depth + 1),
    ]),
  );
}

/** Only these fields: errors of libraries carry whole requests with their headers. */
function describeError(error: Error, depth: number): Record<string, unknown> {
  return {
    type: error.name,
    ...('code' in error ? { code: error.code } : {}),
    message: error.message,
    stack: error.stack,
    ...(error.cause === undefined ? {} : { cause: redact(error.cause, depth + 1) }),
  };
}
