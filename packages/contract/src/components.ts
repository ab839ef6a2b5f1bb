/** Schemas that have a name in the OpenAPI document, and so in the clients that are generated from it. */
import type { z } from 'zod';
import { comparisonCountsSchema, comparisonItemSchema, comparisonSchema } from './comparisons.js';
import { credentialListSchema, credentialViewSchema, storeCredentialSchema } from './credentials.js';
import {
  deadLetterListSchema,
  deadLetterSchema,
  discardManyAnswerSchema,
  retryManyAnswerSchema,
  retryManySchema,
} from './dead-letters.js';
import {
  operatorStateSchema,
  poolListSchema,
  poolStatusSchema,
  queueStatusSchema,
  scannerListSchema,
  scannerViewSchema,
} from './fleet.js';
import {
  baselineFileSchema,
  codeQualitySchema,
  gateAnswerSchema,
  gateFindingSchema,
  gateRequestSchema,
  ignoreRuleSchema,
} from './gate.js';
import { healthSchema } from './health.js';
import { housekeepingReportSchema } from './housekeeping.js';
import { scanImportRequestSchema } from './imports.js';
import { problemSchema } from './problem.js';
import { hostListSchema, hostSchema, qualitySchema } from './quality.js';
import { scanRequestSchema } from './requests.js';
import {
  defectDojoSchema,
  findingSchema,
  resultsAnswerSchema,
  resultsSummarySchema,
  severityBreakdownSchema,
} from './results.js';
import {
  createScheduleSchema,
  scheduledScanSchema,
  scheduleListSchema,
  scheduleOutcomeSchema,
  scheduleSchema,
} from './schedules.js';
import { findingGroupSchema, foundFindingSchema, searchAnswerSchema } from './search.js';
import { taskStateSchema } from './states.js';
import {
  abandonedScanSchema,
  cancelAnswerSchema,
  controlAnswerSchema,
  errorCodeSchema,
  failureSchema,
  importAnswerSchema,
  importedSchema,
  scanStatusSchema,
  submittedScanSchema,
  taskErrorSchema,
  taskListSchema,
  troubleshootingSchema,
} from './tasks.js';
import {
  createdWebhookSchema,
  createWebhookSchema,
  deliveryAttemptSchema,
  deliveryListSchema,
  deliverySchema,
  scanEventDataSchema,
  webhookListSchema,
  webhookPayloadSchema,
  webhookSchema,
} from './webhooks.js';

export const COMPONENTS = {
  BaselineFile: baselineFileSchema,
  CodeQualityReport: codeQualitySchema,
  Gate: gateAnswerSchema,
  GateFinding: gateFindingSchema,
  GateRequest: gateRequestSchema,
  IgnoreRule: ignoreRuleSchema,
  AbandonedScan: abandonedScanSchema,
  CancelledScan: cancelAnswerSchema,
  Comparison: comparisonSchema,
  ComparisonCounts: comparisonCountsSchema,
  ComparisonItem: comparisonItemSchema,
  ControlledScan: controlAnswerSchema,
  Credential: credentialViewSchema,
  CredentialList: credentialListSchema,
  CredentialRequest: storeCredentialSchema,
  CreatedWebhook: createdWebhookSchema,
  DeadLetter: deadLetterSchema,
  DeadLetterList: deadLetterListSchema,
  DeadLetterSelection: retryManySchema,
  DefectDojoFindings: defectDojoSchema,
  Delivery: deliverySchema,
  DeliveryAttempt: deliveryAttemptSchema,
  DeliveryList: deliveryListSchema,
  DiscardedDeadLetters: discardManyAnswerSchema,
  ErrorCode: errorCodeSchema,
  Failure: failureSchema,
  Finding: findingSchema,
  FindingGroup: findingGroupSchema,
  FoundFinding: foundFindingSchema,
  FoundFindings: searchAnswerSchema,
  Health: healthSchema,
  Host: hostSchema,
  HostList: hostListSchema,
  HousekeepingReport: housekeepingReportSchema,
  Imported: importedSchema,
  ImportedScan: importAnswerSchema,
  OperatorState: operatorStateSchema,
  Pool: poolStatusSchema,
  PoolList: poolListSchema,
  Problem: problemSchema,
  Quality: qualitySchema,
  Queue: queueStatusSchema,
  Results: resultsAnswerSchema,
  ResultsSummary: resultsSummarySchema,
  RetriedDeadLetters: retryManyAnswerSchema,
  ScanEventData: scanEventDataSchema,
  ScanImportRequest: scanImportRequestSchema,
  ScanList: taskListSchema,
  ScanRequest: scanRequestSchema,
  ScanStatus: scanStatusSchema,
  Scanner: scannerViewSchema,
  ScannerList: scannerListSchema,
  Schedule: scheduleSchema,
  ScheduleList: scheduleListSchema,
  ScheduleOutcome: scheduleOutcomeSchema,
  ScheduleRequest: createScheduleSchema,
  ScheduledScan: scheduledScanSchema,
  SeverityBreakdown: severityBreakdownSchema,
  SubmittedScan: submittedScanSchema,
  TaskError: taskErrorSchema,
  TaskState: taskStateSchema,
  Troubleshooting: troubleshootingSchema,
  Webhook: webhookSchema,
  WebhookList: webhookListSchema,
  WebhookPayload: webhookPayloadSchema,
  WebhookRequest: createWebhookSchema,
} as const satisfies Record<string, z.ZodType>;
