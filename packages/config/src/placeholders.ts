import type { Environment } from './settings.js';

const PLACEHOLDER = /\$\{([A-Za-z_][A-Za-z0-9_]*)(?::-([^}]*))?\}/g;

/**
 * A copy of a value of YAML in which every text has `${VAR}` and `${VAR:-default}` replaced. As in a shell, an empty
 * variable takes the default.
 * @param onMissing told the path of the text, from `value` on, and the name of the variable that has neither value nor default.
 */
export function fillPlaceholders(
  value: unknown,
  env: Environment,
  onMissing: (path: readonly string[], name: string) => void,
  path: readonly string[] = [],
): unknown {
  if (typeof value === 'string') {
    return value.replace(PLACEHOLDER, (_, name: string, fallback: string | undefined) => {
      const found = env[name] || fallback;
      if (found === undefined) onMissing(path, name);
      return found ?? '?';
    });
  }
  if (Array.isArray(value))
    return value.map((inner, index) => fillPlaceholders(inner, env, onMissing, [...path, String(index)]));
  if (value === null || typeof value !== 'object') return value;
  return Object.fromEntries(
    Object.entries(value).map(([key, inner]) => [
      key,
      fillPlaceholders(inner, env, onMissing, [...path, key]),
    ]),
  );
}
