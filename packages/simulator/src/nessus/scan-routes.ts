import { InvalidRequestError } from '@scanmq/contract';
import type { FastifyInstance } from 'fastify';
import { z } from 'zod';
import { type ControlOutcome, longUuid, type SimulatedRun } from '../engine.js';
import { isAtLeast } from '../options.js';
import { cloudCreatedScan, cloudListEntry, cloudScanDetails, scannerUuidOf } from '../tenable-vm/views.js';
import type { NessusContext } from './context.js';
import { firstFolders, MAIN_FOLDER } from './folders.js';
import { NessusRefusal, notFound } from './refusal.js';
import { createdScan, hostDetails, hostId, listEntry, scanDetails } from './scan-views.js';
import { TEMPLATES } from './templates.js';

const numeric = z.union([z.number().int(), z.string().regex(/^\d+$/).transform(Number)]);
const settingsSchema = z.object({
  name: z.string().min(1),
  text_targets: z.string().min(1),
  description: z.string().optional(),
  folder_id: numeric.optional(),
  launch_now: z.boolean().optional(),
  enabled: z.boolean().optional(),
  scanner_id: z.union([z.string(), z.number()]).optional(),
});
const credentialsSchema = z.object({ add: z.record(z.string(), z.unknown()).optional() }).optional();
const pluginsSchema = z.record(z.string(), z.unknown()).optional();
const createSchema = z.object({
  uuid: z.string().optional(),
  settings: settingsSchema,
  credentials: credentialsSchema,
  plugins: pluginsSchema,
});
const changeSchema = z.object({
  settings: settingsSchema.partial().optional(),
  credentials: credentialsSchema,
  plugins: pluginsSchema,
});
const launchSchema = z.object({ alt_targets: z.array(z.string().min(1)).optional() });

/** Scans and folders: list, details, create, change, launch, control, delete (nessus-api.md sections 3.4 and 4). */
export function scanRoutes(app: FastifyInstance, context: NessusContext): void {
  const { settings, engine, faults, cloud, login, steer, idOf, scanOf, runOf, bodyOf, conflict, cut } =
    context;
  const folders = firstFolders();

  const has = (credentials: z.output<typeof credentialsSchema>): boolean =>
    Object.keys(credentials?.add ?? {}).length > 0;

  /** @throws NessusRefusal 400 for targets that are none. */
  function withTargets<T>(act: () => T): T {
    try {
      return act();
    } catch (error) {
      if (error instanceof InvalidRequestError) throw new NessusRefusal(400, "Invalid 'text_targets' field");
      throw error;
    }
  }

  function expectDone(outcome: ControlOutcome, message: string): void {
    if (outcome === 'unknown') throw notFound();
    if (outcome === 'conflict') throw conflict(message);
  }

  app.get('/folders', async (request) => {
    login(request);
    return { folders };
  });
  app.post('/folders', async (request) => {
    login(request);
    const { name } = bodyOf(request, z.object({ name: z.string().min(1) }));
    const id = Math.max(...folders.map((folder) => folder.id)) + 1;
    folders.push({ id, name, type: 'custom', default_tag: 0, custom: 1, unread_count: null });
    return { id };
  });

  app.get('/scans', async (request) => {
    login(request);
    const folder = (request.query as Record<string, string>).folder_id;
    const scans = engine.scans().filter((scan) => folder === undefined || String(scan.folderId) === folder);
    return {
      folders,
      timestamp: Math.floor(Date.now() / 1_000),
      scans:
        scans.length === 0
          ? null
          : scans.map((scan) => {
              const entry = listEntry(scan, settings.username);
              return cloud ? cloudListEntry(scan, entry) : entry;
            }),
    };
  });
  app.get('/scans/:id', async (request) => {
    login(request);
    const scan = scanOf(request);
    const details = scanDetails(scan, runOf(request, scan), engine);
    return cloud ? cloudScanDetails(scan, details) : details;
  });
  app.get('/scans/:id/hosts/:host', async (request) => {
    login(request);
    const scan = scanOf(request);
    const run = runOf(request, scan);
    const wanted = idOf(request, 'host');
    const begun = run && engine.begunHosts(run).find((host) => hostId(host) === wanted);
    if (!run || !begun) throw notFound();
    return hostDetails(begun, run);
  });

  app.post('/scans', async (request, reply) => {
    steer(request);
    const { settings: wanted, credentials, plugins, uuid } = bodyOf(request, createSchema);
    if (uuid !== undefined && !TEMPLATES.some((template) => template[2] === uuid)) throw notFound();
    if (faults.hits('reset_before_create')) return cut(reply);
    if (faults.hits('echo_request'))
      throw new NessusRefusal(400, JSON.stringify(credentials ?? request.headers));
    // from 10.12 on, plugins are dropped without a word when the header is missing (nessus-api.md section 1.4)
    const pluginsTaken = !isAtLeast(settings.uiVersion, 10, 12) || request.headers['x-api-version'] === '2';
    const scan = withTargets(() =>
      engine.create({
        name: wanted.name,
        description: wanted.description ?? '',
        targets: wanted.text_targets,
        templateUuid: uuid ?? '',
        folderId: wanted.folder_id ?? MAIN_FOLDER,
        withCredentials: has(credentials),
        // as recorded, the schedule of the cloud service is on where nothing is said
        enabled: wanted.enabled ?? cloud,
        scannerUuid: cloud ? scannerUuidOf(wanted.scanner_id) : undefined,
        plugins: pluginsTaken ? plugins : undefined,
      }),
    );
    if (wanted.launch_now) engine.launch(scan.id);
    if (faults.hits('reset_after_create')) return cut(reply);
    const created = createdScan(scan, settings.username, longUuid());
    return { scan: cloud ? cloudCreatedScan(scan, created) : created };
  });
  app.put('/scans/:id', async (request) => {
    steer(request);
    const scan = scanOf(request);
    const { settings: wanted, credentials, plugins } = bodyOf(request, changeSchema);
    scan.name = wanted?.name ?? scan.name;
    scan.description = wanted?.description ?? scan.description;
    scan.targets = wanted?.text_targets ?? scan.targets;
    scan.withCredentials ||= has(credentials);
    scan.plugins = plugins ?? scan.plugins;
    return createdScan(scan, settings.username, longUuid());
  });
  app.put('/scans/:id/folder', async (request, reply) => {
    steer(request);
    scanOf(request).folderId = bodyOf(request, z.object({ folder_id: numeric })).folder_id;
    return reply.send('');
  });

  app.post('/scans/:id/launch', async (request, reply) => {
    steer(request);
    const id = idOf(request);
    const { alt_targets } = bodyOf(request, launchSchema);
    // developer.tenable.com/reference/scans-launch
    if (cloud && engine.scan(id)?.enabled === false) throw new NessusRefusal(403, 'Scan is disabled');
    if (faults.hits('reset_before_launch')) return cut(reply);
    const run = withTargets((): SimulatedRun | 'unknown' | 'conflict' =>
      engine.launch(id, alt_targets?.join(',')),
    );
    if (run === 'unknown') throw notFound();
    if (run === 'conflict') throw conflict('Scan is already running');
    if (faults.hits('reset_after_launch')) return cut(reply);
    if (faults.hits('launch_conflict')) throw conflict('Scan is already running');
    return { scan_uuid: run.uuid };
  });
  for (const action of ['pause', 'resume', 'stop', 'kill'] as const) {
    app.post(`/scans/:id/${action}`, async (request, reply) => {
      steer(request);
      expectDone(engine.control(idOf(request), action), 'Scan is not active');
      if (action === 'stop' && faults.hits('reset_after_stop')) return cut(reply);
      return reply.send('');
    });
  }

  app.delete('/scans/:id', async (request, reply) => {
    steer(request);
    expectDone(engine.remove(idOf(request)), 'Can not delete an active scan');
    if (faults.hits('reset_after_delete')) return cut(reply);
    return reply.send('');
  });
  app.delete('/scans/:id/history/:history', async (request, reply) => {
    steer(request);
    expectDone(engine.removeRun(idOf(request), idOf(request, 'history')), 'Can not delete an active scan');
    return reply.send('');
  });
  app.delete('/scans', async (request) => {
    steer(request);
    const { ids } = bodyOf(request, z.object({ ids: z.array(numeric) }));
    return { deleted: ids.filter((id) => engine.remove(id) === 'done') };
  });
}
