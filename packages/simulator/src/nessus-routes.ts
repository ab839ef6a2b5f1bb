/** The end points of a Nessus, with their answers, error bodies and oddities (nessus-api.md sections 1 to 7). */
import multipart from '@fastify/multipart';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { z } from 'zod';
import type { Access, Login } from './access.js';
import { type Engine, longUuid, type SimulatedRun, type SimulatedScan } from './engine.js';
import type { ExportBook } from './exports.js';
import type { FaultBoard } from './faults.js';
import type { SimulatorSettings } from './options.js';
import type { ServerState } from './server-state.js';

export interface NessusDeps {
  readonly settings: SimulatorSettings;
  readonly state: ServerState;
  readonly engine: Engine;
  readonly access: Access;
  readonly exports: ExportBook;
  readonly faults: FaultBoard;
}

const NOT_FOUND = 'The requested file was not found.';
const MAIN_FOLDER = 3;
const TRASH_FOLDER = 2;

const TEMPLATES: readonly (readonly [name: string, title: string, uuid: string])[] = [
  ['basic', 'Basic Network Scan', '731a8e52-3ea6-a291-ec0a-d2ff0619c19d7bd788d6be818b65'],
  ['advanced', 'Advanced Scan', 'ad629e16-03b6-8c1d-cef6-ef8c9dd3c658d24bd260ef5f9e66'],
  ['advanced_dynamic', 'Advanced Dynamic Scan', '939a2145-95e3-0c3f-f1cc-761db860e4eed37b6eee77f9e101'],
  ['discovery', 'Host Discovery', 'bbd4f805-3966-d464-b2d1-0079eb89d69708c3a05ec2812bcf'],
  ['patch_audit', 'Credentialed Patch Audit', '0625147c-30fe-d79f-e54f-ce7ccd7523e9b63d84cb81c23c2f'],
  ['webapp', 'Web Application Tests', 'c3cbcd46-329f-a9ed-1077-554f8c2af33d0d44f09d736969bf'],
  ['malware', 'Malware Scan', 'd16c51fa-597f-67a8-9add-74d5ab066b49a918400c42a035f7'],
];

const PRODUCT_NAMES = {
  manager: 'Nessus Manager',
  professional: 'Nessus Professional',
  expert: 'Nessus Expert',
  essentials: 'Nessus Essentials',
} as const;

const seconds = (ms: number | undefined): number | null => (ms === undefined ? null : Math.floor(ms / 1_000));

class NessusRefusal extends Error {
  constructor(
    readonly status: number,
    message: string,
  ) {
    super(message);
  }
}

const createSchema = z.object({
  uuid: z.string().optional(),
  settings: z.object({
    name: z.string().min(1),
    description: z.string().optional(),
    text_targets: z.string().min(1),
    folder_id: z.union([z.number(), z.string().transform(Number)]).optional(),
  }),
  credentials: z.object({ add: z.record(z.string(), z.unknown()).optional() }).optional(),
});

export async function nessusRoutes(app: FastifyInstance, deps: NessusDeps): Promise<void> {
  const { settings, state, engine, access, exports, faults } = deps;
  const folders = [
    { id: TRASH_FOLDER, name: 'Trash', type: 'trash', default_tag: 0, custom: 0, unread_count: null },
    { id: MAIN_FOLDER, name: 'My Scans', type: 'main', default_tag: 1, custom: 0, unread_count: null },
  ];
  await app.register(multipart, { limits: { fileSize: 10 * 1024 * 1024, files: 1 } });
  app.addContentTypeParser(
    'application/x-www-form-urlencoded',
    { parseAs: 'string' },
    (_request, body, done) => done(null, Object.fromEntries(new URLSearchParams(String(body)))),
  );

  app.addHook('onRequest', async (request, reply) => {
    engine.stats.requests += 1;
    reply.headers({
      server: 'scanmq-simulator',
      'cache-control': 'no-cache, no-store, must-revalidate',
      pragma: 'no-cache',
      expires: '0',
      'x-frame-options': 'DENY',
      'x-content-type-options': 'nosniff',
      'strict-transport-security': 'max-age=31536000',
    });
    if (faults.hits('stalled_socket')) return reply.hijack();
    const slow = faults.take('slow_answer');
    if (slow) await new Promise((resolve) => setTimeout(resolve, slow.ms ?? 1_000));
    if (request.method === 'GET' && faults.hits('drop_connection')) {
      request.raw.socket.destroy();
      return reply.hijack();
    }
    if (faults.hits('unavailable_non_json'))
      return reply.code(503).type('text/html').send('<html>Service Unavailable</html>');
    if (faults.hits('http_503')) return reply.code(503).send({ error: 'The server is busy' });
    if (state.loading && !request.url.startsWith('/server/'))
      return reply.code(503).send({ error: 'Nessus is loading' });
  });
  app.setNotFoundHandler((_request, reply) => reply.code(404).send({ error: NOT_FOUND }));
  app.setErrorHandler((error, _request, reply) => {
    if (error instanceof NessusRefusal) {
      if (error.status === 412) {
        if (faults.hits('reset_on_412')) return cut(reply);
        reply.header('connection', 'close');
      }
      return reply.code(error.status).send({ error: error.message });
    }
    const status =
      error instanceof Error && 'statusCode' in error && typeof error.statusCode === 'number'
        ? error.statusCode
        : 500;
    return reply.code(status).send({ error: status >= 500 ? 'Internal error' : "Invalid 'body' field" });
  });

  function cut(reply: FastifyReply): FastifyReply {
    reply.raw.socket?.destroy();
    return reply.hijack();
  }

  function login(request: FastifyRequest): Login {
    const found = access.loginOf(request.headers);
    if (found) return found;
    throw new NessusRefusal(
      401,
      request.headers['x-cookie'] || request.headers['x-apikeys']
        ? 'Invalid Credentials'
        : 'You need to log in to perform this request',
    );
  }

  /** For calls that change scans. */
  function steer(request: FastifyRequest): void {
    if (!access.maySteer(login(request), request.headers))
      throw new NessusRefusal(412, 'API is not available');
  }

  function idOf(request: FastifyRequest, name = 'id'): number {
    const text = (request.params as Record<string, string>)[name] ?? '';
    if (/^\d+$/.test(text)) return Number(text);
    throw new NessusRefusal(400, `Invalid '${name}' field: invalid type 'string', expecting 'int'`);
  }

  function scanOf(request: FastifyRequest): SimulatedScan {
    const scan = engine.scan(idOf(request));
    if (!scan) throw new NessusRefusal(404, NOT_FOUND);
    return scan;
  }

  /** The run that `history_id` names, or the latest. */
  function runOf(request: FastifyRequest, scan: SimulatedScan): SimulatedRun | undefined {
    const wanted = (request.query as Record<string, string>).history_id;
    if (wanted === undefined) return scan.runs.at(-1);
    const run = scan.runs.find((candidate) => String(candidate.historyId) === wanted);
    if (!run) throw new NessusRefusal(404, NOT_FOUND);
    return run;
  }

  const wordOf = (run: SimulatedRun | undefined): string =>
    run === undefined ? 'empty' : run.strangeStatus && run.status === 'running' ? 'quantum' : run.status;

  // --- session -------------------------------------------------------------------------------------------------

  app.post('/session', async (request, reply) => {
    engine.stats.logins += 1;
    const body = z.object({ username: z.string(), password: z.string() }).safeParse(request.body);
    if (!body.success) return reply.code(400).send({ error: "Invalid 'username' field" });
    const token = access.logIn(body.data.username, body.data.password);
    if (token === undefined) return reply.code(401).send({ error: 'Invalid Credentials' });
    return { md5sum_wizard_templates: '0'.repeat(32), token, md5sum_tenable_links: '0'.repeat(32) };
  });
  app.get('/session', async (request) => {
    login(request);
    return {
      lockout: access.locked ? 1 : 0,
      container_id: 0,
      groups: null,
      lastlogin: seconds(Date.now()),
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
    access.logOut(/^token=(.*)$/.exec(String(request.headers['x-cookie'] ?? ''))?.[1] ?? '');
    return reply.send('');
  });
  app.get('/nessus6.js', async (_request, reply) =>
    reply.type('application/javascript').send(access.bundle()),
  );

  // --- server --------------------------------------------------------------------------------------------------

  app.get('/server/status', async (_request, reply) => {
    const status = state.status();
    const ready = status.word === 'ready';
    const part = { progress: ready ? 100 : status.progress, status: ready ? 'ready' : 'compiling' };
    return reply.code(ready ? 200 : 503).send({
      code: ready ? 200 : 503,
      detailed_status: {
        login_status: 'allow',
        feed_status: { progress: 100, status: 'ready' },
        db_status: part,
        engine_status: part,
      },
      pluginSet: true,
      pluginData: ready,
      initLevel: ready ? 5 : 3,
      progress: ready ? null : status.progress,
      status: status.word,
      simulator: true,
    });
  });
  app.get('/server/properties', async (request) => {
    const features = {
      api: true,
      scan_api: settings.product === 'manager',
      policies: true,
      report: true,
      folders: true,
    };
    const name = `${PRODUCT_NAMES[settings.product]} (simulator)`;
    const open = {
      nessus_type: name,
      server_version: settings.uiVersion,
      server_build: '20012',
      nessus_ui_version: settings.uiVersion,
      nessus_ui_build: '7',
      feed: 'simulator',
      simulator: true,
    };
    if (!access.loginOf(request.headers)) return open;
    return {
      ...open,
      platform: 'LINUX',
      server_uuid: longUuid(),
      plugin_set: state.pluginSet,
      loaded_plugin_set: state.pluginSet,
      feed_error: 0,
      idle_timeout: String(Math.round(settings.idleSessionMs / 60_000)),
      license: {
        type: settings.product === 'essentials' ? 'home' : settings.product,
        name,
        restricted: settings.licenceIps !== undefined,
        ips: settings.licenceIps ?? 2_147_483_647,
        features: { ...features, users: settings.product === 'manager', vpr: true },
      },
      features,
      restart_pending: { reason: null, type: null },
    };
  });

  // --- templates, policies, folders, scanners, uploads -----------------------------------------------------------

  app.get('/editor/:kind/templates', async (request) => {
    login(request);
    return {
      templates: TEMPLATES.map(([name, title, uuid], order) => ({
        name,
        title,
        desc: `${title} (simulator)`,
        uuid,
        is_agent: null,
        is_was: null,
        manager_only: false,
        subscription_only: false,
        unsupported: false,
        cloud_only: false,
        license_fulfilled: 1,
        order,
        category: null,
        icon: 'PHN2Zz4='.repeat(200),
      })),
    };
  });
  app.get('/editor/:kind/templates/:uuid', async (request, reply) => {
    login(request);
    const { uuid } = request.params as { uuid: string };
    const template = TEMPLATES.find((candidate) => candidate[2] === uuid);
    if (!template) return reply.code(404).send({ error: NOT_FOUND });
    return {
      uuid,
      name: template[0],
      title: template[1],
      is_agent: null,
      settings: {},
      credentials: { data: [] },
      ...(request.headers['x-api-version'] === '2' ? { plugins: { families: {} } } : {}),
    };
  });
  app.get('/policies', async (request) => {
    login(request);
    return { policies: null };
  });
  app.get('/folders', async (request) => {
    login(request);
    return { folders };
  });
  app.post('/folders', async (request) => {
    login(request);
    const { name } = z.object({ name: z.string().min(1) }).parse(request.body);
    const id = Math.max(...folders.map((folder) => folder.id)) + 1;
    folders.push({ id, name, type: 'custom', default_tag: 0, custom: 1, unread_count: null });
    return { id };
  });
  app.get('/scanners', async (request) => {
    login(request);
    return {
      scanners: [
        {
          id: 1,
          uuid: '0'.repeat(36),
          name: 'simulator',
          type: 'local',
          status: 'on',
          linked: 1,
          scan_count: engine.activeNow(),
          num_scans: null,
          engine_version: settings.uiVersion,
          ui_version: settings.uiVersion,
          platform: 'LINUX',
        },
      ],
    };
  });
  app.get('/plugins/families', async (request) => {
    login(request);
    return { families: [{ id: 1, name: 'General', count: 300 }] };
  });
  app.post('/file/upload', async (request) => {
    login(request);
    const file = await request.file();
    if (file?.fieldname !== 'Filedata') throw new NessusRefusal(400, "Invalid 'Filedata' field");
    await file.toBuffer();
    return { fileuploaded: `${file.filename.replace(/[^\w.-]/g, '_')}-${Date.now()}` };
  });

  // --- scans ---------------------------------------------------------------------------------------------------

  app.get('/scans', async (request) => {
    login(request);
    const folder = (request.query as Record<string, string>).folder_id;
    const scans = engine.scans().filter((scan) => folder === undefined || String(scan.folderId) === folder);
    return {
      folders,
      timestamp: seconds(Date.now()),
      scans:
        scans.length === 0
          ? null
          : scans.map((scan) => {
              const run = scan.runs.at(-1);
              return {
                id: scan.id,
                uuid: run?.uuid ?? null,
                name: scan.name,
                folder_id: scan.folderId,
                type: run ? 'local' : null,
                status: wordOf(run),
                read: false,
                owner: settings.username,
                shared: false,
                user_permissions: 128,
                control: true,
                enabled: false,
                live_results: 0,
                rrules: null,
                starttime: null,
                timezone: null,
                creation_date: seconds(run?.launchedAtMs) ?? 0,
                last_modification_date: seconds(run?.endedAtMs ?? run?.startedAtMs ?? run?.launchedAtMs) ?? 0,
                simulator: true,
              };
            }),
    };
  });

  app.post('/scans', async (request, reply) => {
    steer(request);
    const body = createSchema.safeParse(request.body);
    if (!body.success)
      throw new NessusRefusal(400, `Invalid '${String(body.error.issues[0]?.path.at(-1) ?? 'uuid')}' field`);
    const { settings: wanted, credentials, uuid } = body.data;
    if (uuid !== undefined && !TEMPLATES.some((template) => template[2] === uuid))
      throw new NessusRefusal(404, NOT_FOUND);
    if (faults.hits('reset_before_create')) return cut(reply);
    const fields = {
      name: wanted.name,
      description: wanted.description ?? '',
      targets: wanted.text_targets,
      templateUuid: uuid ?? '',
      folderId: wanted.folder_id ?? MAIN_FOLDER,
      withCredentials: Object.keys(credentials?.add ?? {}).length > 0,
    };
    let scan: SimulatedScan;
    try {
      scan = engine.create(fields);
    } catch {
      throw new NessusRefusal(400, "Invalid 'text_targets' field");
    }
    if (faults.hits('reset_after_create')) return cut(reply);
    return {
      scan: {
        id: scan.id,
        uuid: `template-${longUuid()}`,
        name: scan.name,
        description: scan.description,
        type: 'public',
        policy_id: scan.id + 1_000,
        scanner_id: 1,
        container_id: 0,
        tag_id: scan.folderId,
        owner: settings.username,
        owner_id: 2,
        shared: 0,
        user_permissions: 128,
        default_permisssions: 0,
        enabled: 0,
        custom_targets: scan.targets,
        starttime: null,
        rrules: null,
        timezone: null,
        emails: null,
        creation_date: seconds(scan.createdAtMs),
        last_modification_date: seconds(scan.createdAtMs),
      },
    };
  });

  app.get('/scans/:id', async (request) => {
    login(request);
    const scan = scanOf(request);
    const run = runOf(request, scan);
    return describeScan(scan, run);
  });

  function describeScan(scan: SimulatedScan, run: SimulatedRun | undefined): Record<string, unknown> {
    const share = run ? engine.progressOf(run) : 0;
    // hosts enter one after the other, with totals of their own: the sum over them can fall
    const begun = run
      ? run.hosts.slice(0, run.status === 'completed' ? undefined : Math.ceil(share * 2 * run.hosts.length))
      : [];
    const hosts = begun.map((host, index) => {
      const from = run && run.hosts.length > 1 ? index / run.hosts.length / 2 : 0;
      const own = run?.status === 'completed' ? 1 : Math.max(0, Math.min(1, (share - from) / (1 - from)));
      const total = index % 3 === 2 ? 2_506 : 100;
      const at = Math.floor(own * total);
      const [info, low, medium, high, critical] = host.sample.severities;
      return {
        host_id: index + 2,
        host_index: index,
        hostname: host.name,
        progress: `${at}-${total}/${at * 50}-${total * 50}`,
        scanprogresscurrent: at,
        scanprogresstotal: total,
        numchecksconsidered: at * 50,
        totalchecksconsidered: total * 50,
        critical,
        high,
        medium,
        low,
        info,
        severity: host.sample.items,
        score: host.sample.items,
      };
    });
    return {
      info: {
        name: scan.name,
        uuid: run?.uuid ?? null,
        status: wordOf(run),
        object_id: scan.id,
        folder_id: scan.folderId,
        scan_type: run ? 'local' : null,
        policy: 'simulator',
        ...(run ? { targets: scan.targets } : {}),
        scanner_name: 'simulator',
        hostcount: hosts.length,
        scan_start: seconds(run?.startedAtMs),
        scan_end: seconds(run?.endedAtMs),
        timestamp: seconds(run?.launchedAtMs),
        user_permissions: 128,
        control: true,
        no_target: 'false',
        simulator: true,
      },
      hosts: run ? hosts : null,
      vulnerabilities: null,
      notes: run && run.notes.length > 0 ? run.notes : null,
      history:
        scan.runs.length === 0
          ? null
          : scan.runs.map((one) => ({
              history_id: one.historyId,
              uuid: one.uuid,
              status: wordOf(one),
              type: 'local',
              scheduler: 0,
              owner_id: 2,
              alt_targets_used: false,
              creation_date: seconds(one.launchedAtMs),
              last_modification_date: seconds(one.endedAtMs ?? one.launchedAtMs),
            })),
      filters: [],
    };
  }

  app.put('/scans/:id', async (request) => {
    steer(request);
    const scan = scanOf(request);
    const body = createSchema.partial().safeParse(request.body);
    if (body.data?.settings) {
      scan.name = body.data.settings.name;
      scan.targets = body.data.settings.text_targets;
    }
    return { id: scan.id, name: scan.name };
  });
  app.put('/scans/:id/folder', async (request, reply) => {
    steer(request);
    scanOf(request).folderId = Number(
      z.object({ folder_id: z.union([z.number(), z.string()]) }).parse(request.body).folder_id,
    );
    return reply.send('');
  });

  app.post('/scans/:id/launch', async (request, reply) => {
    steer(request);
    const id = idOf(request);
    if (faults.hits('reset_before_launch')) return cut(reply);
    const run = engine.launch(id);
    if (run === 'unknown') throw new NessusRefusal(404, NOT_FOUND);
    if (typeof run === 'string') throw new NessusRefusal(409, 'Scan is already running');
    if (faults.hits('reset_after_launch')) return cut(reply);
    if (faults.hits('launch_conflict')) throw new NessusRefusal(409, 'Scan is already running');
    return { scan_uuid: run.uuid };
  });

  for (const action of ['pause', 'resume', 'stop', 'kill'] as const) {
    app.post(`/scans/:id/${action}`, async (request, reply) => {
      steer(request);
      const outcome = engine.control(idOf(request), action);
      if (outcome === 'unknown') throw new NessusRefusal(404, NOT_FOUND);
      if (outcome === 'conflict') throw new NessusRefusal(409, 'Scan is not active');
      if (action === 'stop' && faults.hits('reset_after_stop')) return cut(reply);
      return reply.send('');
    });
  }

  app.delete('/scans/:id', async (request, reply) => {
    steer(request);
    const outcome = engine.remove(idOf(request));
    if (outcome === 'unknown') throw new NessusRefusal(404, NOT_FOUND);
    if (outcome === 'conflict') throw new NessusRefusal(409, 'Can not delete an active scan');
    if (faults.hits('reset_after_delete')) return cut(reply);
    return reply.send('');
  });

  // --- exports -------------------------------------------------------------------------------------------------

  app.post('/scans/:id/export', async (request) => {
    login(request);
    const scan = scanOf(request);
    const { format, password } = z
      .object({ format: z.string().optional(), password: z.string().optional() })
      .parse(request.body ?? {});
    if (format === undefined || !['nessus', 'csv', 'html', 'pdf', 'db'].includes(format))
      throw new NessusRefusal(400, "Invalid 'format' field");
    if (format === 'db' && !password) throw new NessusRefusal(400, "Invalid 'password' field");
    const run = runOf(request, scan);
    if (!run) throw new NessusRefusal(404, NOT_FOUND);
    if (!['completed', 'canceled', 'stopped', 'aborted'].includes(run.status))
      throw new NessusRefusal(409, 'Can not export running scans');
    engine.stats.exports_requested += 1;
    return exports.request(scan, run);
  });

  const exportStatus = (reply: FastifyReply, file: string, scanId: number | undefined): unknown => {
    const status = exports.status(file, scanId);
    if (status === undefined) throw new NessusRefusal(404, NOT_FOUND);
    return status === 'error' ? reply.code(500).send({ status: 'error' }) : { status };
  };
  const exportDownload = (reply: FastifyReply, file: string, scanId: number | undefined): FastifyReply => {
    const found = exports.download(file, scanId);
    if (!found) throw new NessusRefusal(404, NOT_FOUND);
    engine.stats.downloads += 1;
    if (found.cut) {
      // the answer begins as any other; its connection ends before it does
      reply.raw.writeHead(200, { 'content-type': 'application/octet-stream' });
      found.body.pipe(reply.raw, { end: false });
      found.body.once('end', () => setTimeout(() => reply.raw.socket?.destroy(), 20));
      return reply.hijack();
    }
    return reply
      .type('application/octet-stream')
      .header('content-disposition', `attachment; filename="${found.fileName}"`)
      .send(found.body);
  };

  app.get('/scans/:id/export/:file/status', async (request, reply) => {
    login(request);
    return exportStatus(reply, (request.params as { file: string }).file, idOf(request));
  });
  app.get('/scans/:id/export/:file/download', async (request, reply) => {
    login(request);
    return exportDownload(reply, (request.params as { file: string }).file, idOf(request));
  });
  app.get('/tokens/:token/status', async (request, reply) =>
    exportStatus(reply, (request.params as { token: string }).token, undefined),
  );
  app.get('/tokens/:token/download', async (request, reply) => {
    login(request);
    return exportDownload(reply, (request.params as { token: string }).token, undefined);
  });
}
