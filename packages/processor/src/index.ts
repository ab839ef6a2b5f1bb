export { type AcceptDeps, acceptScan, admitScan } from './accept-scan.js';
export { type Admission, type AdmitDeps, createAdmission } from './admit.js';
export { createWebhookDeliverer, type DeliverDeps, type WebhookDeliverer } from './deliver-webhook.js';
export {
  canWork,
  type DependenciesDeps,
  inTime,
  lookAtDependencies,
  lookAtNeeds,
  lookAtRedisInTime,
  secondsSince,
  wordsOnly,
} from './dependencies.js';
export {
  type Availability,
  availability,
  configuredShapes,
  type FleetView,
  type HealthByInstance,
  isDraining,
  isEnabled,
  lookAtFleet,
  poolCapacity,
  poolShapes,
  scannerTypeOf,
} from './fleet.js';
export { type FollowReport, followFolders } from './follow.js';
export type { HealthMonitor } from './health-monitor.js';
export { type HousekeepingDeps, keepHouse } from './housekeeping.js';
export { type ImportScanOptions, importScan, instanceNamed } from './import-scan.js';
export { placeScan } from './place-scan.js';
export { namesOf, resolveNames } from './resolve-names.js';
export { restoreFrom } from './restore-from.js';
export type { ScanJob } from './run.js';
export type { ProcessorDeps, ProcessorSettings } from './run-context.js';
export { runScheduleJob, type ScheduleDeps, type ScheduleRunReport } from './run-schedule.js';
export { createScanProcessor, type ScanProcessor } from './scan-job.js';
export {
  describeListenError,
  type ServiceCore,
} from './service-core.js';
export { type SettleReport, settleAbandoned } from './settle-abandoned.js';
export { type StartedService, type StartOptions, startService } from './start-service.js';
export {
  checkTargetPolicy,
  createTargetPolicy,
  type PolicySettings,
  type TargetPolicy,
} from './target-policy.js';
export { type ScanWorkers, type ScanWorkersOptions, startScanWorkers } from './workers.js';
