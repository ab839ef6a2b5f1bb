import type { Environment } from './types.js';

const PLACEHOLDER = /\$\{(?:file:([^}]+)|([A-Za-z_][A-Za-z0-9_]*)(?::-([^}]*))?)\}/g;

export interface PlaceholderSources {
  readonly env: Environment;
  /** The content of a file without the line end at its end; undefined when it cannot be read. */
  readonly readFile: (path: string) => string | undefined;
  /** @param path of the text, from `value` on. @param missing what has neither value nor default. */
  readonly onMissing: (path: readonly string[], missing: { kind: 'variable' | 'file'; name: string }) => void;
}

/**
 * A copy of a value of YAML in which every text has `${VAR}`, `${VAR:-default}` and `${file:/path}` replaced. As in a
 * shell, an empty variable takes the default.
 */
export function fillPlaceholders(
  value: unknown,
  sources: PlaceholderSources,
  path: readonly string[] = [],
): unknown {
  if (typeof value === 'string') {
    return value.replace(
      PLACEHOLDER,
      (_, file: string | undefined, name: string, fallback: string | undefined) => {
        const found = file === undefined ? sources.env[name] || fallback : sources.readFile(file);
        if (found === undefined)
          sources.onMissing(
            path,
            file === undefined ? { kind: 'variable', name } : { kind: 'file', name: file },
          );
        return found ?? '?';
      },
    );
  }
  if (Array.isArray(value))
    return value.map((inner, index) => fillPlaceholders(inner, sources, [...path, String(index)]));
  if (value === null || typeof value !== 'object') return value;
  return Object.fromEntries(
    Object.entries(value).map(([key, inner]) => [key, fillPlaceholders(inner, sources, [...path, key])]),
  );
}
