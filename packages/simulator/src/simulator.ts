import { createHash, X509Certificate } from 'node:crypto';
import Fastify from 'fastify';
import { generate } from 'selfsigned';
import { createAccess } from './access.js';
import { controlRoutes } from './control-routes.js';
import { createEngine } from './engine.js';
import { createExportBook } from './exports.js';
import { createFaultBoard, seededRandom } from './faults.js';
import { nessusRoutes } from './nessus-routes.js';
import { type SimulatorOptions, simulatorOptionsSchema } from './options.js';
import { loadSampleHosts } from './samples.js';
import { createServerState } from './server-state.js';
import type { Simulator } from './simulator-api.js';
import { createTlsListener } from './tls-listener.js';

/** Starts a simulated Nessus on 127.0.0.1. @throws ScanmqError when a port is taken or a sample holds nothing. */
export async function startSimulator(options: SimulatorOptions = {}): Promise<Simulator> {
  const settings = simulatorOptionsSchema.parse(options);
  const faults = createFaultBoard(seededRandom(settings.seed));
  const state = createServerState();
  const engine = createEngine(settings, loadSampleHosts(settings.samples), faults);
  const access = createAccess(settings, faults);
  const exports = createExportBook(settings, faults, state.pluginSet);
  const { certPem, keyPem } = settings.certificate ?? (await createCertificate());

  const nessus = Fastify({ bodyLimit: 20 * 1024 * 1024 });
  await nessusRoutes(nessus, { settings, state, engine, access, exports, faults });
  await nessus.ready();
  const listener = await createTlsListener({
    host: settings.host,
    port: settings.port,
    certPem,
    keyPem,
    onRequest: nessus.routing,
  });
  const control = Fastify({ forceCloseConnections: true });

  const simulator: Simulator = {
    url: `https://${settings.host === '::1' ? '[::1]' : settings.host}:${listener.port}`,
    get controlUrl() {
      const address = control.server.address();
      return typeof address === 'object' && address ? `http://127.0.0.1:${address.port}` : '';
    },
    certPem,
    keyPem,
    fingerprint256: createHash('sha256').update(new X509Certificate(certPem).raw).digest('hex'),
    accessKey: access.accessKey,
    secretKey: access.secretKey,
    stats: () => ({ ...engine.stats, active_now: engine.activeNow() }),
    scans: () =>
      engine.scans().map((scan) => ({
        scan_id: scan.id,
        name: scan.name,
        description: scan.description,
        status: scan.runs.at(-1)?.status ?? 'empty',
        launches: scan.runs.length,
        with_credentials: scan.withCredentials,
      })),
    faults: () => faults.list(),
    setFault: (fault) => faults.set(fault),
    clearFaults: (name) => faults.clear(name),
    nextExport: (bytes) => exports.next(bytes),
    endScans: (scanId, status) =>
      engine.scans().filter((scan) => (scanId === 'all' || scan.id === scanId) && engine.end(scan.id, status))
        .length,
    expireSessions: () => access.expireSessions(),
    rotateToken: () => access.rotateToken(),
    load: (forMs) => state.load(forMs),
    setServerStatus: (word) => state.setWord(word),
    async restart({ downMs, loadingMs }) {
      await listener.shut();
      access.expireSessions();
      exports.clear();
      engine.restart();
      await new Promise((resolve) => setTimeout(resolve, downMs));
      state.load(loadingMs);
      await listener.open();
    },
    async close() {
      await listener.shut();
      await control.close();
      await nessus.close();
    },
  };
  controlRoutes(control, simulator);
  await control.listen({ host: '127.0.0.1', port: settings.controlPort });
  return simulator;
}

/** Like the one that a Nessus makes at its installation: signed by nobody we know, for a name that does not match. */
async function createCertificate(): Promise<{ certPem: string; keyPem: string }> {
  const name = [
    { name: 'commonName', value: 'scanmq-simulator' },
    { name: 'organizationName', value: 'scanmq simulator, not a scanner' },
  ];
  const { cert, private: key } = await generate(name, { keyType: 'ec', curve: 'P-256', algorithm: 'sha256' });
  return { certPem: cert, keyPem: key };
}
