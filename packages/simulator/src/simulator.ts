import { createHash, X509Certificate } from 'node:crypto';
import { ScanmqError } from '@scanmq/contract';
import Fastify from 'fastify';
import { createAccess } from './access.js';
import { createCertificate } from './certificate.js';
import { controlRoutes } from './control-routes.js';
import { createEngine } from './engine.js';
import { createExportBook } from './exports.js';
import { createFaultBoard, seededRandom } from './faults.js';
import { createNessusApp } from './nessus/app.js';
import { type Clock, readOptions, type SimulatorOptions } from './options.js';
import { loadSampleHosts } from './samples.js';
import { createServerState } from './server-state.js';
import type { Simulator } from './simulator-api.js';
import { createTlsListener } from './tls-listener.js';

/**
 * Starts a simulated Nessus on this machine.
 * @param clock by which scans, exports, sessions and loading go on: with a clock of its own a test decides when time passes.
 * @throws InvalidRequestError for bad options; ScanmqError when a port is taken or a sample holds nothing.
 */
export async function startSimulator(
  options: SimulatorOptions = {},
  clock: Clock = Date.now,
): Promise<Simulator> {
  const settings = readOptions(options);
  const faults = createFaultBoard(seededRandom(settings.seed));
  const state = createServerState(clock);
  const engine = createEngine(settings, loadSampleHosts(settings.samples), faults, clock);
  const access = createAccess(settings, faults, clock);
  const exports = createExportBook({ settings, faults, engine, pluginSet: state.pluginSet, clock });
  const { certPem, keyPem } = settings.certificate ?? (await createCertificate(settings.certificateNames));

  const nessus = await createNessusApp({ settings, state, engine, access, exports, faults });
  const listener = await createTlsListener({
    host: settings.host,
    port: settings.port,
    certPem,
    keyPem,
    onRequest: nessus.routing,
  });
  const control = Fastify({ forceCloseConnections: true });
  let restarting: Promise<void> | undefined;
  let closed = false;

  async function restart({ downMs, loadingMs }: { downMs: number; loadingMs: number }): Promise<void> {
    await listener.shut();
    access.expireSessions();
    exports.clear();
    engine.restart();
    await new Promise((resolve) => setTimeout(resolve, downMs));
    state.load(loadingMs);
    if (closed) return;
    await listener.open();
    // closed meanwhile
    if (closed) await listener.shut();
  }

  const simulator: Simulator = {
    url: `https://${settings.host === '::1' ? '[::1]' : settings.host}:${listener.port}`,
    get controlUrl() {
      const address = control.server.address();
      return typeof address === 'object' && address ? `http://127.0.0.1:${address.port}` : '';
    },
    certPem,
    keyPem,
    fingerprint256: createHash('sha256').update(new X509Certificate(certPem).raw).digest('hex'),
    get accessKey() {
      return access.accessKey;
    },
    get secretKey() {
      return access.secretKey;
    },
    stats: () => ({ ...engine.stats, active_now: engine.activeNow() }),
    resetStats: () => engine.resetStats(),
    scans: () =>
      engine.scans().map((scan) => ({
        scan_id: scan.id,
        name: scan.name,
        description: scan.description,
        targets: scan.targets,
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
    setProduct: (product) => {
      settings.product = product;
    },
    async restart(times) {
      // one at a time: a second call waits for the first
      restarting ??= restart(times).finally(() => {
        restarting = undefined;
      });
      await restarting;
    },
    async close() {
      closed = true;
      await listener.shut();
      await control.close();
      await nessus.close();
    },
  };
  controlRoutes(control, simulator);
  try {
    await control.listen({ host: '127.0.0.1', port: settings.controlPort });
  } catch (cause) {
    await simulator.close();
    throw new ScanmqError('unavailable', `The simulator cannot listen on port ${settings.controlPort}.`, {
      cause,
      retryable: 'no',
    });
  }
  return simulator;
}
