/** Components of the document: only those that are used, under the names that people look for. */

interface WithComponents {
  components?: { schemas?: Record<string, unknown> };
}

const PREFIX = '#/components/schemas/';
/** What `fastify-type-provider-zod` adds to the name of a schema of requests. */
const INPUT = 'Input';

/** Removes schemas that nothing refers to, and the suffix of those that are only asked, or answered in the same form. */
export function tidyComponents<D extends WithComponents>(document: D): D {
  const { components, ...rest } = document;
  const schemas = components?.schemas ?? {};
  const used = new Set<string>();
  const queue: unknown[] = [rest];
  while (queue.length > 0)
    forEachReference(queue.pop(), (name) => {
      if (used.has(name)) return;
      used.add(name);
      queue.push(schemas[name]);
    });
  const shortOf = (name: string): string => {
    const short = name.endsWith(INPUT) ? name.slice(0, -INPUT.length) : name;
    const differs = used.has(short) && JSON.stringify(schemas[short]) !== JSON.stringify(schemas[name]);
    return differs ? name : short;
  };
  const kept = Object.fromEntries(
    Object.entries(schemas)
      .filter(([name]) => used.has(name))
      .map(([name, schema]) => [shortOf(name), schema] as const)
      .sort(([a], [b]) => a.localeCompare(b)),
  );
  return JSON.parse(
    JSON.stringify({ ...rest, components: { ...components, schemas: kept } }, (key, value: unknown) =>
      key === '$ref' && typeof value === 'string' && value.startsWith(PREFIX)
        ? `${PREFIX}${shortOf(value.slice(PREFIX.length))}`
        : value,
    ),
  ) as D;
}

function forEachReference(value: unknown, visit: (name: string) => void): void {
  if (value === null || typeof value !== 'object') return;
  for (const [key, inner] of Object.entries(value))
    if (key === '$ref' && typeof inner === 'string' && inner.startsWith(PREFIX))
      visit(inner.slice(PREFIX.length));
    else forEachReference(inner, visit);
}
