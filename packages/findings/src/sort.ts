import { InvalidRequestError } from '@scanmq/contract';
import type { Finding } from './finding.js';

/** Values to sort by; a missing one is undefined. */
export type SortKey = readonly (string | number | undefined)[];

export interface Sort {
  keyOf(finding: Finding): SortKey;
  /** Equal ones keep the order of the export. */
  compare(
    a: { readonly key: SortKey; readonly offset: number },
    b: { readonly key: SortKey; readonly offset: number },
  ): number;
}

/** Much faster than `localeCompare`; numbers inside texts count as numbers, so 10.0.0.9 comes before 10.0.0.10. */
const collator = new Intl.Collator('en', { numeric: true });

/**
 * Compiles `-severity,host`: fields separated by commas, a leading `-` for descending; missing values come last.
 * @throws InvalidRequestError for an unknown field.
 */
export function compileSort(sort: string, known: ReadonlySet<string>): Sort {
  const parts = sort.split(',').map((part) => {
    const descending = part.trim().startsWith('-');
    const field = part.trim().replace(/^[-+]/, '');
    if (!known.has(field)) {
      throw new InvalidRequestError(
        `Cannot sort by '${field.slice(0, 60)}'. Known fields: ${[...known].sort().join(', ')}.`,
        [{ path: 'sort', message: `unknown field '${field.slice(0, 60)}'` }],
      );
    }
    return { field, sign: descending ? -1 : 1 };
  });
  return {
    keyOf: (finding) => parts.map(({ field }) => keyValue(finding[field])),
    compare(a, b) {
      for (const [index, { sign }] of parts.entries()) {
        const [left, right] = [a.key[index], b.key[index]];
        if (left === right) continue;
        if (left === undefined) return 1;
        if (right === undefined) return -1;
        const order =
          typeof left === 'number' && typeof right === 'number'
            ? left - right
            : collator.compare(String(left), String(right));
        if (order !== 0) return order * sign;
      }
      return a.offset - b.offset;
    },
  };
}

function keyValue(value: unknown): string | number | undefined {
  const one: unknown = Array.isArray(value) ? value[0] : value;
  if (one === undefined || one === null || one === '') return undefined;
  return typeof one === 'number' ? one : String(one).slice(0, 200);
}
