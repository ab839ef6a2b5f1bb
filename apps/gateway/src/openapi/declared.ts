import type { FastifyInstance } from 'fastify';
import { declarationOf } from './operation.js';

/** Refuses routes that do not declare themselves, so that none is missing in the document. */
export function insistOnDeclarations(app: FastifyInstance): void {
  const seen = new Map<string, string>();
  app.addHook('onRoute', ({ method, url, schema }) => {
    const route = `${[method].flat().join(', ')} ${url}`;
    const declared = declarationOf(schema);
    if (!declared) throw new Error(`${route} does not declare itself: give it a schema made by operation().`);
    const other = seen.get(declared.operationId);
    if (other !== undefined && other !== url)
      throw new Error(`${route} and ${other} are both called ${declared.operationId}.`);
    seen.set(declared.operationId, url);
  });
}
