import { type InstanceKey, ScannerError, type ScannerProbe } from '@scanmq/contract';
import type { Readiness } from '../scanner.js';

/** What is known of a scanner that is ready. */
export type HealthFacts = Pick<
  ScannerProbe,
  | 'mode'
  | 'version'
  | 'licence'
  | 'licence_expires_at'
  | 'licence_hosts'
  | 'scan_api'
  | 'plugin_set'
  | 'simulator'
  | 'reason'
>;

/**
 * Asks whether a scanner is ready, and then what it is. Never throws: a failure is an unhealthy answer.
 * @param facts asked only of a scanner that is ready.
 */
export async function healthOf(
  instanceKey: InstanceKey,
  checkedAt: Date,
  readiness: () => Promise<Readiness & { readonly clockAheadMs?: number | undefined }>,
  facts: () => Promise<HealthFacts>,
): Promise<ScannerProbe> {
  const health: ScannerProbe = {
    instance_key: instanceKey,
    checked_at: checkedAt.toISOString(),
    healthy: false,
    readiness: 'unknown',
    mode: 'unknown',
    version: null,
    licence: null,
    scan_api: null,
    plugin_set: null,
    licence_expires_at: null,
    licence_hosts: null,
    clock_ahead_ms: null,
    simulator: false,
    reason: null,
    needs_operator: false,
  };
  try {
    const ready = await readiness();
    // what is learned before something fails stays known
    health.clock_ahead_ms = ready.clockAheadMs ?? null;
    if (!ready.ready) {
      return {
        ...health,
        readiness: ready.word,
        reason: ready.operatorNeeded
          ? `the scanner says '${ready.word}' and needs its operator`
          : `the scanner is ${ready.word}`,
        needs_operator: ready.operatorNeeded,
      };
    }
    return { ...health, healthy: true, readiness: ready.word, ...(await facts()) };
  } catch (error) {
    const known = error instanceof ScannerError ? error : undefined;
    return {
      ...health,
      readiness: known?.code ?? 'unknown',
      reason: known?.message ?? 'it could not be asked',
      needs_operator: known !== undefined && (known.retryable === 'no' || isUnknownName(known)),
    };
  }
}

/** A host name that does not exist is a mistake in the configuration, not an outage. */
function isUnknownName({ cause }: ScannerError): boolean {
  return cause instanceof Error && 'code' in cause && cause.code === 'ENOTFOUND';
}
