import { readSettings } from '@scanmq/config';
import { createLogger } from '@scanmq/observability';
import { EXIT } from '../exit-codes.js';
import type { ProgramIo } from '../program-io.js';
import { startedUntilStopped } from '../until-stopped.js';

// the services are loaded by those who start them: a client command would wait a second for what it never uses

/** `scanmq gateway`. */
export async function runGateway(io: ProgramIo, version: string): Promise<number> {
  const { startGateway } = await import('@scanmq/gateway');
  const settings = readSettings(io.env);
  const log = createLogger({ name: 'gateway', level: settings.logLevel });
  const gateway = await startedUntilStopped(log, startGateway({ settings, env: io.env, log, version }));
  if (!gateway) process.exit(EXIT.passed);
  await gateway.close();
  return EXIT.passed;
}

/** `scanmq worker`. */
export async function runWorker(io: ProgramIo, version: string): Promise<number> {
  const { startWorkerProcess } = await import('@scanmq/worker');
  const settings = readSettings(io.env);
  const log = createLogger({ name: 'worker', level: settings.logLevel });
  const worker = await startedUntilStopped(log, startWorkerProcess({ settings, env: io.env, log, version }));
  if (!worker) process.exit(EXIT.passed);
  const handedOver = await worker.close();
  if (!handedOver) {
    // the locks of what is left run out by themselves; another worker then goes on with the same scans
    log.warn({ event: 'worker.grace_passed' }, 'SHUTDOWN_GRACE_SECONDS passed; ending anyway');
    process.exit(EXIT.passed);
  }
  return EXIT.passed;
}
