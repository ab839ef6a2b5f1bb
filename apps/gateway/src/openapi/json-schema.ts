import type { z } from 'zod';

/** Numbers and patterns that say nothing beside the type. */
const PLAIN: Readonly<Record<string, unknown>> = {
  minimum: Number.MIN_SAFE_INTEGER,
  maximum: Number.MAX_SAFE_INTEGER,
};

/** Makes JSON schema as clients need it of what zod makes; called for each part of a schema. */
export function toJsonSchema({
  zodSchema,
  jsonSchema,
}: {
  readonly zodSchema: z.core.$ZodType;
  readonly jsonSchema: z.core.JSONSchema.BaseSchema;
}): void {
  for (const [keyword, value] of Object.entries(PLAIN))
    if (jsonSchema[keyword] === value) delete jsonSchema[keyword];
  nameKeys(jsonSchema);
  // a format says it shorter than its expression
  if (jsonSchema.format !== undefined) delete jsonSchema.pattern;
  // answers may gain fields: a client that was made from the document must not refuse them then
  const { def } = zodSchema._zod;
  if (def.type === 'object' && !('catchall' in def && def.catchall)) delete jsonSchema.additionalProperties;
}

/** A record with known keys is an object with these properties: generated clients make more of that. */
function nameKeys(jsonSchema: z.core.JSONSchema.BaseSchema): void {
  const { propertyNames, additionalProperties, properties } = jsonSchema;
  if (properties || typeof propertyNames !== 'object' || !Array.isArray(propertyNames.enum)) return;
  if (additionalProperties === undefined) return;
  jsonSchema.properties = Object.fromEntries(
    propertyNames.enum.map((key) => [String(key), additionalProperties]),
  );
  delete jsonSchema.propertyNames;
  delete jsonSchema.additionalProperties;
}
