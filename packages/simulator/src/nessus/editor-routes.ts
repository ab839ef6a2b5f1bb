import type { FastifyInstance } from 'fastify';
import { isAtLeast } from '../options.js';
import { cloudInputs, cloudScanners } from '../tenable-vm/views.js';
import type { NessusContext } from './context.js';
import { NessusRefusal, notFound } from './refusal.js';
import { TEMPLATES } from './templates.js';

/** About as large as the base64 of a real icon: the list of templates is more than 100 KB on a real scanner. */
const ICON = 'PHN2Zy8+'.repeat(500);

/** Templates, policies, scanners, plugin families and uploads (nessus-api.md section 3). */
export function editorRoutes(app: FastifyInstance, context: NessusContext): void {
  const { settings, engine, cloud, login, scanOf } = context;

  /** From 10.12 on, plugins are shown only to those who say that they know them. */
  const pluginsShown = (headers: Readonly<Record<string, unknown>>): boolean =>
    !isAtLeast(settings.uiVersion, 10, 12) || headers['x-api-version'] === '2';

  for (const kind of ['scan', 'policy']) {
    app.get(`/editor/${kind}/templates`, async (request) => {
      login(request);
      return {
        templates: TEMPLATES.map(([name, title, uuid], order) => ({
          name,
          title,
          desc: `${title} (simulator)`,
          uuid,
          // numbers, booleans and null for the same thing, as real answers have them
          is_agent: order % 2 === 0 ? null : false,
          is_was: null,
          manager_only: false,
          subscription_only: false,
          unsupported: false,
          cloud_only: false,
          dynamic_scan: name === 'advanced_dynamic',
          license_fulfilled: order % 2 === 0 ? 1 : true,
          order: order === 3 ? null : order,
          category: order % 2 === 0 ? null : 'vulnerabilities',
          more_info: null,
          icon: ICON,
        })),
      };
    });
    app.get(`/editor/${kind}/templates/:uuid`, async (request) => {
      login(request);
      const { uuid: wanted } = request.params as { uuid: string };
      const template = TEMPLATES.find(([, , uuid]) => uuid === wanted);
      if (!template) throw notFound();
      const [name, title, uuid] = template;
      return {
        uuid,
        name,
        title,
        is_agent: null,
        settings: {
          basic: { title: 'Basic', groups: [], sections: [], inputs: cloud ? cloudInputs() : null },
        },
        credentials: { data: [] },
        compliance: { data: [] },
        ...(pluginsShown(request.headers)
          ? { plugins: { families: { General: { id: 1, count: 300, status: 'enabled', locked: false } } } }
          : {}),
      };
    });
  }
  app.get('/editor/scan/:id', async (request) => {
    login(request);
    const scan = scanOf(request);
    const [name = 'custom', title = ''] = TEMPLATES.find(([, , uuid]) => uuid === scan.templateUuid) ?? [];
    const inputs = Object.entries({
      name: scan.name,
      description: scan.description,
      text_targets: scan.targets,
    }).map(([id, value]) => ({ id, name: id, type: 'entry', default: value }));
    // of credentials nothing is stored but that there are some
    const types = [
      { name: 'SSH', max: 1_000, inputs: [], instances: [{ id: 17, summary: 'simulator', inputs: [] }] },
    ];
    return {
      uuid: scan.templateUuid,
      name,
      title,
      owner: settings.username,
      user_permissions: 128,
      settings: { basic: { title: 'Basic', groups: [], sections: [], inputs } },
      credentials: { data: scan.withCredentials ? [{ name: 'Host', default_expand: 1, types }] : [] },
      compliance: { data: [] },
      ...(pluginsShown(request.headers) ? { plugins: { families: scan.plugins ?? {} } } : {}),
    };
  });

  app.get('/policies', async (request) => {
    login(request);
    return { policies: null };
  });
  app.get('/scanners', async (request) => {
    login(request);
    if (cloud) return { scanners: cloudScanners(engine.activeNow()) };
    return {
      scanners: [
        {
          id: 1,
          uuid: `${'0'.repeat(8)}-0000-0000-0000-${'0'.repeat(28)}`,
          name: 'simulator',
          type: 'local',
          status: 'on',
          linked: 1,
          scan_count: engine.activeNow(),
          num_scans: null,
          engine_version: settings.uiVersion,
          ui_version: settings.uiVersion,
          platform: 'LINUX',
          simulator: true,
        },
      ],
    };
  });
  app.get('/plugins/families', async (request) => {
    login(request);
    return { families: [{ id: 1, name: 'General', count: 300 }] };
  });
  let uploads = 0;
  app.post('/file/upload', async (request) => {
    login(request);
    if (!request.isMultipart()) throw new NessusRefusal(400, "Invalid 'Filedata' field");
    const file = await request.file();
    if (file?.fieldname !== 'Filedata') throw new NessusRefusal(400, "Invalid 'Filedata' field");
    // read to its end, and kept nowhere: it may be a private key
    await file.toBuffer();
    uploads += 1;
    return { fileuploaded: `${file.filename.replace(/[^\w.-]/g, '_')}-${uploads}` };
  });
}
