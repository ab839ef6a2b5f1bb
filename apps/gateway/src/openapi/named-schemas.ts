import { COMPONENTS } from '@scanmq/contract';
import { z } from 'zod';

type Metadata = z.core.GlobalMeta;

/**
 * The schemas that have a name in the document, for `fastify-type-provider-zod`. Not in zod's own registry: there the
 * names would make references of them in the schemas of the MCP tools too, which have to stand alone. What else is
 * known of schemas (descriptions, examples) comes from there.
 */
export function namedSchemas(): z.core.$ZodRegistry<Metadata> {
  const registry = new z.core.$ZodRegistry<Metadata>();
  registry._map = new DescribedSchemas();
  for (const [id, schema] of Object.entries(COMPONENTS))
    registry.add(schema, { ...z.globalRegistry.get(schema), id });
  return registry;
}

/** Asks zod's own registry for what it does not hold itself. */
class DescribedSchemas extends WeakMap<z.core.$ZodType, Metadata> {
  override get(schema: z.core.$ZodType): Metadata | undefined {
    return super.get(schema) ?? z.globalRegistry._map.get(schema);
  }

  override has(schema: z.core.$ZodType): boolean {
    return super.has(schema) || z.globalRegistry._map.has(schema);
  }
}
