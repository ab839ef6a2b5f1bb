import type { FastifyInstance } from 'fastify';
import { longUuid } from '../engine.js';
import { cloudProperties, cloudStatus } from '../tenable-vm/views.js';
import type { NessusContext } from './context.js';

const PRODUCT_NAMES = {
  manager: 'Nessus Manager',
  professional: 'Nessus Professional',
  expert: 'Nessus Expert',
  essentials: 'Nessus Essentials',
} as const;

/** Readiness and properties (nessus-api.md section 2). */
export function serverRoutes(
  app: FastifyInstance,
  { settings, state, access, cloud, login }: NessusContext,
): void {
  const serverUuid = longUuid();
  const boottime = Math.floor(Date.now() / 1_000);

  app.get('/server/status', async (_request, reply) => {
    const { code, body } = state.status();
    return reply.code(code).send(cloud ? cloudStatus(code, body) : body);
  });
  app.get('/server/properties', async (request) => {
    if (settings.product === 'tenable_vm') {
      login(request);
      return cloudProperties(state.pluginSet);
    }
    const { product, uiVersion, licenceIps } = settings;
    const features = {
      api: true,
      scan_api: product === 'manager',
      policies: true,
      report: true,
      folders: true,
    };
    const name = `${PRODUCT_NAMES[product]} (simulator)`;
    const open = {
      nessus_type: name,
      server_version: uiVersion,
      server_build: '20012',
      nessus_ui_version: uiVersion,
      nessus_ui_build: '7',
      feed: 'simulator',
      simulator: true,
    };
    if (!access.loginOf(request.headers)) return open;
    return {
      ...open,
      platform: 'LINUX',
      server_uuid: serverUuid,
      scanner_boottime: boottime,
      plugin_set: state.pluginSet,
      loaded_plugin_set: state.pluginSet,
      feed_error: 0,
      idle_timeout: String(Math.round(settings.idleSessionMs / 60_000)),
      license: {
        type: product === 'essentials' ? 'home' : product,
        name,
        restricted: licenceIps !== undefined,
        ips: licenceIps ?? 2_147_483_647,
        features: { ...features, users: product === 'manager', vpr: true },
      },
      features,
      notifications: [],
      restart_pending: { reason: null, type: null },
    };
  });
}
