import { startTracing, type Tracing } from '@scanmq/observability';
import {
  describeListenError,
  openServiceCore,
  type ServiceCore,
  type ServiceCoreOptions,
} from './service-core.js';
import { startWaitingServer, type WaitingServer } from './waiting-server.js';

export interface StartOptions extends Omit<ServiceCoreOptions, 'tracing'> {
  readonly version: string;
  readonly port: number;
  /** Variable that sets the port, for whoever finds it taken. */
  readonly portVariable: string;
}

export interface StartedService {
  readonly core: ServiceCore;
  readonly tracing: Tracing;
  /** Answers at the port until it is closed: when the program itself is about to listen there. */
  readonly waiting: WaitingServer;
}

/** The start of a gateway and of a worker. @throws as `openServiceCore`; ScanmqError when the port is taken. */
export async function startService(options: StartOptions): Promise<StartedService> {
  const { settings, log, role, version, port, portVariable } = options;
  const tracing = await startTracing({
    settings: settings.tracing,
    program: `scanmq-${role}`,
    version,
    onProblem: (reason) => log.warn({ event: 'tracing.failed', reason }, 'spans could not be sent'),
  });
  // somebody may ask whether it lives before Redis does
  const waiting = await startWaitingServer(settings.host, port).catch((error: unknown) => {
    throw describeListenError(error, portVariable, port);
  });
  try {
    return { core: await openServiceCore({ ...options, tracing }), tracing, waiting };
  } catch (error) {
    await waiting.close();
    throw error;
  }
}
