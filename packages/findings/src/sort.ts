import { InvalidRequestError } from '@scanmq/contract';

export interface SortPart {
  readonly field: string;
  readonly descending: boolean;
}

/** Fields of one sort order. */
const SORT_FIELDS = 8;

/**
 * Reads `-severity,host`: fields separated by commas, a leading `-` for descending. Missing values come last either way,
 * equal ones stay in the order of the export. Numbers sort as numbers, hosts by address, texts without regard to case.
 * @throws InvalidRequestError for an unknown field.
 */
export function readSort(sort: string | undefined, known: ReadonlySet<string>): readonly SortPart[] {
  if (sort === undefined) return [];
  const parts = sort.split(',').map((part) => {
    const descending = part.trim().startsWith('-');
    const field = part.trim().replace(/^[-+]/, '');
    if (!known.has(field)) {
      throw new InvalidRequestError(
        `Cannot sort by '${field.slice(0, 60)}'. Known fields: ${[...known].sort().join(', ')}.`,
        [{ path: 'sort', message: `unknown field '${field.slice(0, 60)}'` }],
      );
    }
    return { field, descending };
  });
  if (parts.length > SORT_FIELDS)
    throw new InvalidRequestError(`Cannot sort by more than ${SORT_FIELDS} fields.`, [
      { path: 'sort', message: `expected at most ${SORT_FIELDS} fields` },
    ]);
  return parts;
}
