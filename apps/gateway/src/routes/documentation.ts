import swaggerUi from '@fastify/swagger-ui';
import type { FastifyInstance } from 'fastify';
import { installCompression } from '../plugins/compression.js';

/** Only what comes from here, and no script or style in the page itself. */
const CONTENT_POLICY =
  "default-src 'none'; base-uri 'none'; connect-src 'self'; font-src 'self'; form-action 'none'; frame-ancestors 'none'; img-src 'self' data:; script-src 'self'; style-src 'self'";

/** `/docs`: the OpenAPI document to read and try in a browser. Wants a scope of its own. */
export async function documentationPages(app: FastifyInstance): Promise<void> {
  await installCompression(app);
  await app.register(swaggerUi, {
    routePrefix: '/docs',
    staticCSP: CONTENT_POLICY,
    theme: { title: 'scanmq: REST interface' },
    // without the bar on top, whose only use is to show another document
    uiConfig: { layout: 'BaseLayout', docExpansion: 'list' },
  });
}
