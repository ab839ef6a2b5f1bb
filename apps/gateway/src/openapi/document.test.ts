/** What the document and the routes owe each other; that answers are as announced is shown in `tests/openapi.test.ts`. */
import { beforeAll, describe, expect, it } from '@jest/globals';
import { COMPONENTS } from '@scanmq/contract';
import Fastify, { type FastifyInstance } from 'fastify';
import { z } from 'zod';
import type { Services } from '../access/services.js';
import { type RestDeps, restRoutes } from '../rest.js';
import { insistOnDeclarations } from './declared.js';
import { installDocument } from './document.js';
import { operation } from './operation.js';

interface Document {
  readonly paths: Record<string, Record<string, { readonly operationId: string }>>;
  readonly components: { readonly schemas: Record<string, unknown> };
}

const declared = (operationId: string) =>
  operation({
    operationId,
    tag: 'service',
    summary: 'One',
    description: 'One of a test.',
    answers: { 200: { description: 'Yes', schema: z.object({ yes: z.boolean() }) } },
  });

describe('the routes of REST', () => {
  const routes: string[] = [];
  let document: Document;
  beforeAll(async () => {
    const app = Fastify();
    app.addHook('onRoute', ({ method, url }) => {
      for (const one of [method].flat())
        if (one !== 'HEAD') routes.push(`${one} ${url.replace(/:(\w+)/g, '{$1}')}`);
    });
    await installDocument(app, '1.2.3');
    // nothing is called: routes are registered without what they work with
    const deps = { settings: { importMaxBytes: 1 } } as unknown as RestDeps;
    await app.register(async (rest) => await restRoutes(rest, deps, () => ({}) as Services));
    await app.ready();
    document = (app as unknown as { swagger(): Document }).swagger();
    await app.close();
  });

  it('are all in the document, and nothing else is', () => {
    const operations = Object.entries(document.paths).flatMap(([path, item]) =>
      Object.keys(item).map((method) => `${method.toUpperCase()} ${path}`),
    );
    expect(operations.sort()).toEqual(routes.sort());
    expect(operations.length).toBeGreaterThan(40);
  });

  it('use every schema that has a name', () => {
    // a schedule tells what its request leaves to the defaults
    const names = [...Object.keys(COMPONENTS), 'ScheduledScanInput'];
    expect(Object.keys(document.components.schemas)).toEqual(names.sort((a, b) => a.localeCompare(b)));
  });
});

describe('a route', () => {
  const withRoutes = async (register: (app: FastifyInstance) => void): Promise<void> => {
    const app = Fastify();
    insistOnDeclarations(app);
    register(app);
    await app.ready();
    await app.close();
  };

  it('that does not declare itself is refused at the start', async () => {
    await expect(withRoutes((app) => app.get('/one', async () => 1))).rejects.toThrow(
      'GET /one does not declare itself',
    );
  });

  it('that takes the name of another is refused at the start', async () => {
    await expect(
      withRoutes((app) => {
        app.get('/one', { schema: declared('one') }, async () => ({ yes: true }));
        app.get('/two', { schema: declared('one') }, async () => ({ yes: true }));
      }),
    ).rejects.toThrow('/two and /one are both called one');
  });

  it('that does is taken', async () => {
    await withRoutes((app) => app.get('/one', { schema: declared('one') }, async () => ({ yes: true })));
  });
});
