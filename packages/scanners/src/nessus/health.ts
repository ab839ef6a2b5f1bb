import { type InstanceHealth, type InstanceKey, ScannerError } from '@scanmq/contract';
import type { Readiness } from '../scanner.js';

/** What is known of a scanner that is ready. */
export type HealthFacts = Pick<
  InstanceHealth,
  'mode' | 'version' | 'licence' | 'scan_api' | 'plugin_set' | 'simulator' | 'reason'
>;

/**
 * Asks whether a scanner is ready, and then what it is. Never throws: a failure is an unhealthy answer.
 * @param facts asked only of a scanner that is ready.
 */
export async function healthOf(
  instanceKey: InstanceKey,
  checkedAt: Date,
  readiness: () => Promise<Readiness>,
  facts: () => Promise<HealthFacts>,
): Promise<InstanceHealth> {
  const health: InstanceHealth = {
    instance_key: instanceKey,
    checked_at: checkedAt.toISOString(),
    healthy: false,
    readiness: 'unknown',
    mode: 'unknown',
    version: null,
    licence: null,
    scan_api: null,
    plugin_set: null,
    simulator: false,
    reason: null,
  };
  try {
    const ready = await readiness();
    if (!ready.ready) {
      return {
        ...health,
        readiness: ready.word,
        reason: ready.operatorNeeded
          ? `the scanner says '${ready.word}' and needs its operator`
          : `the scanner is ${ready.word}`,
      };
    }
    return { ...health, healthy: true, readiness: ready.word, ...(await facts()) };
  } catch (error) {
    const known = error instanceof ScannerError ? error : undefined;
    return {
      ...health,
      readiness: known?.code ?? 'unknown',
      reason: known?.message ?? 'it could not be asked',
    };
  }
}
