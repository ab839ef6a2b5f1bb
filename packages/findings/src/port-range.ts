/** Whether a range of ports, in the scanner's words (plugin 19506, line `Port range`), covers a port. */

const PART = /^(?:[TU]:)?(\d{1,5})(?:-(\d{1,5}))?$/i;

/**
 * Ports of a range such as `1-65535`, `22,80-443` or `T:1-1024,U:53`.
 * @returns pairs of first and last port; undefined for words such as `default`, whose ports only the scanner knows.
 */
export function portsOf(range: string): readonly (readonly [first: number, last: number])[] | undefined {
  const parts = range.split(',').map((part) => PART.exec(part.trim()));
  if (parts.some((part) => part === null)) return undefined;
  return parts.map((part) => [Number(part?.[1]), Number(part?.[2] ?? part?.[1])]);
}
