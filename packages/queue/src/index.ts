export {
  type AbandonedScan,
  type BindingAnswer,
  type BindingCandidate,
  type BindingLimits,
  type Bindings,
  NO_LIMITS,
} from './binding.js';
export { type ConnectionRole, connectRedis, isRedisAway } from './connection.js';
export type { ChangeMessage, ControlMessage } from './control.js';
export type { Created } from './create-task.js';
export { type CredentialBox, openCredentials, sealCredentials } from './credentials.js';
export { openCredentialsFile, resealCredentialsFile, sealCredentialsFile } from './credentials-file.js';
export type { DeadLetterPage, DeadLetters } from './dead-letters.js';
export type { FollowedMark, FollowedScans } from './followed.js';
export type { HealthStore } from './health-store.js';
export {
  aheadMs,
  type Inspection,
  type InspectOptions,
  inspectRedis,
  type QueueFacts,
  type RedisFacts,
} from './inspect.js';
export {
  createKeys,
  IMPORT_POOL,
  IMPORT_QUEUE,
  instanceQueueName,
  type Keys,
  MAINTENANCE_QUEUE,
  poolQueueName,
  SCHEDULE_QUEUE,
  WEBHOOK_QUEUE,
} from './keys.js';
export type { TaskPage } from './list-tasks.js';
export { oneAtATime } from './one-at-a-time.js';
export type { OperatorStates } from './operator-states.js';
export { effectivePriority } from './priority.js';
export { type PoolPace, waitMinutes } from './queue-status.js';
export {
  openQueueSystem,
  type QueueSettings,
  type QueueSystem,
  type QueueSystemOptions,
} from './queue-system.js';
export type { PoolShape, Queues, ScanJobData, ScanJobOutcome, ScanQueue } from './queues.js';
export { quietErrors } from './quiet-errors.js';
export type { ResealReport } from './reseal.js';
export { nextGeneration, reopenTask } from './retry.js';
export type { ScannerCleanup } from './scanner-cleanup.js';
export {
  type DueRun,
  dueRun,
  type ScheduleRun,
  type ScheduleRuns,
  scheduleRunKey,
} from './schedule-runs.js';
export { type NewSchedule, type ScheduleRepairs, type ScheduleStore, unknownSchedule } from './schedules.js';
export type { LocalCredentials, OfferedCredential, StoredCredentials } from './stored-credentials.js';
export type { Placement, SubmitContext } from './submit.js';
export type { ImportRequest } from './submit-import.js';
export type { SweepReport } from './sweep.js';
export { type CancelOptions, cancelMessage, mayHaveScan, whyNoRetry } from './task-control.js';
export type { EventPage, TaskEvents } from './task-events.js';
export type { LoggedState, TaskLog, TaskLogEntry } from './task-log.js';
export {
  type JobLock,
  NotOwnerError,
  type TaskChange,
  type TaskNews,
  type TaskStore,
  unknownTask,
} from './task-store.js';
export { estimateWaitMinutes, typicalDuration } from './wait-estimate.js';
export { type WaitingRoom, waitNews } from './waiting-room.js';
export {
  type AttemptOutcome,
  type WebhookDeliveries,
  type WebhookJob,
  webhookJobSchema,
} from './webhook-deliveries.js';
export type { WebhookReader, WebhookReaderReports } from './webhook-reader.js';
export type { WebhookStore, WebhookViewer } from './webhooks.js';
