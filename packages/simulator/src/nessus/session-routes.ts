import type { FastifyInstance } from 'fastify';
import { z } from 'zod';
import { cloudUser } from '../tenable-vm/views.js';
import type { NessusContext } from './context.js';
import { NessusRefusal, notFound } from './refusal.js';

const loginSchema = z.object({ username: z.string(), password: z.string() });

/** Logging in, API keys, and the web page's bundle (nessus-api.md sections 1.2 to 1.4). */
export function sessionRoutes(app: FastifyInstance, context: NessusContext): void {
  const { settings, engine, access, cloud, login, bodyOf } = context;

  app.post('/session', async (request) => {
    engine.stats.logins += 1;
    const { username, password } = bodyOf(request, loginSchema);
    const token = access.logIn(username, password);
    if (token === undefined) throw new NessusRefusal(401, 'Invalid Credentials');
    return { md5sum_wizard_templates: '0'.repeat(32), token, md5sum_tenable_links: '0'.repeat(32) };
  });
  app.get('/session', async (request) => {
    login(request);
    if (cloud) return cloudUser(settings.username);
    return {
      lockout: access.locked ? 1 : 0,
      container_id: 0,
      groups: null,
      lastlogin: Math.floor(Date.now() / 1_000),
      permissions: 128,
      type: 'local',
      name: settings.username,
      email: null,
      username: settings.username,
      id: 2,
    };
  });
  app.delete('/session', async (request, reply) => {
    login(request);
    access.logOut(/^token=([0-9a-f]+)/.exec(String(request.headers['x-cookie'] ?? ''))?.[1] ?? '');
    return reply.send('');
  });
  app.put('/session/keys', async (request) => {
    if (login(request) === 'keys') throw new NessusRefusal(403, 'You do not have permission to do this');
    return access.renewKeys();
  });
  app.get('/nessus6.js', async (_request, reply) => {
    if (cloud) throw notFound();
    const { text, etag } = access.bundle();
    return reply
      .headers({ 'cache-control': 'must-revalidate', etag })
      .type('application/javascript')
      .send(text);
  });
}
