import swaggerUi from '@fastify/swagger-ui';
import type { FastifyInstance } from 'fastify';

/** Only what comes from here, and no script or style in the page itself. */
const CONTENT_POLICY =
  "default-src 'none'; base-uri 'none'; connect-src 'self'; font-src 'self'; form-action 'none'; frame-ancestors 'none'; img-src 'self' data:; script-src 'self'; style-src 'self'";

/** `/openapi.json`, and `/docs` to read and try it in a browser, served from here alone. */
export async function documentRoutes(app: FastifyInstance): Promise<void> {
  let text: string | undefined;
  app.get('/openapi.json', async (_request, reply) => {
    // it cannot change while the program runs
    text ??= JSON.stringify(app.swagger());
    return reply.type('application/json; charset=utf-8').send(text);
  });
  await app.register(swaggerUi, {
    routePrefix: '/docs',
    staticCSP: CONTENT_POLICY,
    theme: { title: 'scanmq: REST interface' },
    uiConfig: { url: '/openapi.json', deepLinking: true, docExpansion: 'list', tryItOutEnabled: false },
  });
}
