export { RAW_EXPORT } from './collect-results.js';
export {
  type HealthByInstance,
  launchableInstances,
  placeScan,
  poolCapacity,
  poolShapes,
  SCANNER_TYPE,
} from './fleet.js';
export { createHealthMonitor, type HealthMonitor } from './health-monitor.js';
export { hideConfiguredSecrets } from './log-secrets.js';
export type { ProcessorDeps, ProcessorSettings } from './run-context.js';
export { createScanProcessor, type ScanJob, type ScanProcessor } from './scan-job.js';
export { checkTargetPolicy, createTargetPolicy, type TargetPolicy } from './target-policy.js';
export { type ScanWorkers, type ScanWorkersOptions, startScanWorkers } from './workers.js';
