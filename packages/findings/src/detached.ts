/**
 * A copy that holds no more than itself. A text cut out of a larger one keeps the whole of it in memory: what is kept
 * while a file of gigabytes is read must be copied, or the file is kept with it.
 */
export function detached<T>(value: T): T {
  return value === undefined ? value : (JSON.parse(JSON.stringify(value)) as T);
}
