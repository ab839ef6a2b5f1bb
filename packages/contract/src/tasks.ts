/** The record of a task and what users are told of it (contract sections 1–3). */
import { z } from 'zod';
import { ERROR_CODE_NAMES } from './errors.js';
import { scheduleIdSchema, taskIdSchema } from './ids.js';
import { qualitySchema } from './quality.js';
import { prioritySchema, scanTypeSchema } from './requests.js';
import { authenticationStatusSchema, RESULT_PROFILES, resultsSummarySchema } from './results.js';
import { taskStateSchema } from './states.js';
import { targetScopeSchema } from './target-scope.js';

const isoTime = z.iso.datetime();

export const errorCodeSchema = z.enum(ERROR_CODE_NAMES);

export const taskErrorSchema = z.object({
  code: errorCodeSchema,
  message: z.string(),
  retryable: z.boolean().meta({ description: 'Whether the same request can succeed later without changes' }),
});
export type TaskError = z.infer<typeof taskErrorSchema>;

/**
 * What a task has already done on the scanner. Each field is written before the step it protects,
 * or right after the step whose outcome it records; never both in one (architecture section 4).
 */
export const checkpointSchema = z.object({
  /** Counts the scans made on scanners for this task: 1, and one more after each scan that is given up. */
  generation: z.number().int().min(1),
  /** `pool:instance_id` that owns the scan. */
  instance_key: z.string(),
  /** Set before `create` is sent: from then on a scan with our marker may exist. */
  create_intent_at: isoTime.optional(),
  nessus_scan_id: z.number().int().optional(),
  /** Set before `launch` is sent, with the runs known until then: any other run is ours. */
  launch_intent: z.object({ at: isoTime, known_runs: z.array(z.string()) }).optional(),
  /** Run uuid, from `launch` or from `history` (nessus-api.md section 0, rule 6). */
  run_uuid: z.string().optional(),
  history_id: z.number().int().optional(),
  /** The run reached this terminal word of the scanner. */
  ended_as: z.string().optional(),
  /** We paused the run, and why: only then is it for us to resume it. */
  paused: z.enum(['asked', 'window']).nullable().optional(),
  /** The export lies complete and checked in the store. */
  export: z.object({ bytes: z.number().int(), sha256: z.string() }).optional(),
});
export type Checkpoint = z.infer<typeof checkpointSchema>;

/** Why a waiting task is not served next, in terms of what it waits for. */
export const waitingForSchema = z.object({
  kind: z.enum(['hold', 'window', 'principal_limit', 'target_limit', 'scanner_full', 'no_scanner']),
  /** A sentence for people. */
  reason: z.string(),
  since: isoTime,
  /** When it is known: the opening of a window. */
  until: isoTime.nullable(),
  /** What it shares with others that wait for the same: they are served in their order. Null for what is its own. */
  blocker: z.string().nullable().default(null),
});
export type WaitingFor = z.infer<typeof waitingForSchema>;

/** One attempt that failed, for whoever has to find out why. */
export const failureSchema = z.object({
  attempt: z.number().int(),
  at: isoTime,
  code: errorCodeSchema,
  message: z.string(),
  scanner_instance: z.string().nullable(),
  nessus_scan_id: z.number().int().nullable(),
  /** What was asked of the scanner, for example `launch`. */
  operation: z.string().nullable(),
  scanner_http_status: z.number().int().nullable(),
  /** The scanner's own words. */
  scanner_message: z.string().nullable(),
});
export type Failure = z.infer<typeof failureSchema>;

/** A scan of this task that was given up because its scanner went away; another was made elsewhere. */
export const abandonedScanSchema = z.object({
  scanner_instance: z.string(),
  nessus_scan_id: z.number().int().nullable(),
  at: isoTime,
  reason: z.string(),
});

export const troubleshootingSchema = z.object({
  likely_cause: z.string(),
  next_steps: z.array(z.string()),
});

/** Where the results of a task come from that were brought in, not scanned for. */
export const importedSchema = z.object({
  source: z.enum(['upload', 'scanner']),
  /** Name of the uploaded file; null for a scan of a scanner. */
  file_name: z.string().nullable(),
  /** `pool:instance_id`, the scan and its run on that scanner; null for an upload. */
  scanner: z.string().nullable(),
  scan_id: z.number().int().nullable(),
  history_id: z.number().int().nullable(),
  run_uuid: z.string().nullable(),
  /** True when the scanner's folder is followed, false when somebody asked. */
  followed: z.boolean(),
});
export type Imported = z.infer<typeof importedSchema>;

/** The record: the one truth about a task, kept in Redis and copied to `task.json`. Holds no secret. */
export const taskRecordSchema = z.object({
  task_id: taskIdSchema,
  trace_id: z.string(),
  /** W3C `traceparent` of the submission, which the spans of all runs hang from; null where nothing was traced. */
  trace_parent: z.string().nullable().default(null),
  /** Counts every change of the record. */
  revision: z.number().int(),
  state: taskStateSchema,
  scan_type: scanTypeSchema,
  scanner_type: z.string(),
  scanner_pool: z.string(),
  /** Asked for in the submission: only this instance may take the task. */
  pinned_instance: z.string().nullable(),
  scanner_instance: z.string().nullable(),
  targets: z.string(),
  name: z.string(),
  description: z.string(),
  schema_profile: z.enum(RESULT_PROFILES),
  template: z.string(),
  priority: prioritySchema,
  timeout_ms: z.number(),
  has_credentials: z.boolean(),
  credential_ref: z.string().nullable(),
  principal: z.string(),
  idempotency_key: z.string().nullable(),
  /** Keyed hash of the request, to tell a replay from a conflict. */
  request_hash: z.string(),
  created_at: isoTime,
  started_at: isoTime.nullable(),
  completed_at: isoTime.nullable(),
  /** `started_at` plus the limit; absolute, over all attempts. */
  deadline_at: isoTime.nullable(),
  /** Attempts begun, counted by us: hand-overs at a shutdown do not count. */
  attempts: z.number().int(),
  /** Runs that ended without a word: their worker crashed or lost its lock. */
  crashes: z.number().int(),
  /** Identifies the run that owns the task now; writes of any other are refused. */
  run_token: z.string().nullable(),
  checkpoint: checkpointSchema.nullable(),
  progress: z.number(),
  /** The scanner's own word for the state of the scan. */
  scanner_status: z.string().nullable(),
  cancel_requested: z
    .object({ at: isoTime, reason: z.string(), by: z.string(), keep_results: z.boolean().default(false) })
    .nullable(),
  error: taskErrorSchema.nullable(),
  authentication_status: authenticationStatusSchema.nullable(),
  validation_warnings: z.array(z.string()),
  results_summary: resultsSummarySchema.nullable(),
  troubleshooting: troubleshootingSchema.nullable(),
  // records of an earlier version have neither
  quality: qualitySchema.nullable().default(null),
  imported: importedSchema.nullable().default(null),
  /** Somebody wants it paused: it waits, or its scan is paused on the scanner. */
  pause_requested: z.object({ at: isoTime, by: z.string() }).nullable().default(null),
  waiting_for: waitingForSchema.nullable().default(null),
  /** The last failed attempts, oldest first. */
  failures: z.array(failureSchema).default([]),
  abandoned_scans: z.array(abandonedScanSchema).default([]),
  /** The results are of a scan that was stopped early. */
  partial_results: z.boolean().default(false),
  /** Round in which it is served among tasks of the same priority; see `lua/create-task.lua`. */
  fair_round: z.number().int().default(0),
  /** Raised by waiting; `priority` is what was asked for. */
  effective_priority: prioritySchema.nullable().default(null),
  /** Names of the target limits that its scan counts for while it runs. */
  target_limits: z.array(z.string()).default([]),
  /** The recurring scan that submitted it. */
  schedule_id: scheduleIdSchema.nullable().default(null),
  /** What its principal might scan when it was submitted; null = whatever the service allows. */
  target_scope: targetScopeSchema.nullable().default(null),
  /** True when a simulator served this task: never to be mistaken for results of a real scanner. */
  simulator: z.boolean(),
});
export type TaskRecord = z.infer<typeof taskRecordSchema>;

/** Answer of `get_scan_status`, and a task wherever it appears in REST. */
export const scanStatusSchema = z.object({
  task_id: z.string(),
  trace_id: z.string(),
  status: taskStateSchema,
  progress: z.number().min(0).max(100),
  scan_type: scanTypeSchema,
  scanner_type: z.string(),
  scanner_pool: z.string(),
  scanner_instance: z.string().nullable(),
  scanner_status: z.string().nullable(),
  targets: z.string(),
  name: z.string(),
  description: z.string(),
  nessus_scan_id: z.number().int().nullable(),
  attempts: z.number().int(),
  created_at: isoTime,
  started_at: isoTime.nullable(),
  completed_at: isoTime.nullable(),
  eta: isoTime.nullable().meta({ description: 'When the scan is expected to end, if that can be told' }),
  queue_position: z.number().int().nullable().meta({ description: '1 = next; null when not waiting' }),
  estimated_wait_minutes: z.number().nullable().meta({
    description: 'Until it begins, from recent scans of the pool; null when not waiting or not known',
  }),
  waiting_reason: z.string().nullable().meta({ description: 'Why it waits, as a sentence' }),
  paused: z.boolean().meta({ description: 'Somebody paused it: it goes on after resume' }),
  priority: prioritySchema.meta({ description: 'As asked for; waiting raises it' }),
  principal: z.string().meta({ description: 'Who submitted it' }),
  deadline_at: isoTime.nullable().meta({ description: 'When a running scan is stopped' }),
  error: taskErrorSchema.nullable(),
  authentication_status: authenticationStatusSchema.nullable(),
  validation_warnings: z.array(z.string()),
  results_summary: resultsSummarySchema.nullable(),
  troubleshooting: troubleshootingSchema.nullable(),
  quality: qualitySchema.nullable().meta({ description: 'How far the results can be trusted' }),
  partial_results: z
    .boolean()
    .meta({ description: 'True when the results are those of a scan that was stopped early' }),
  abandoned_scans: z.array(abandonedScanSchema).meta({
    description: 'Scans given up because their scanner went away; the task was scanned anew elsewhere',
  }),
  imported: importedSchema
    .nullable()
    .meta({ description: 'Where the results come from that were brought in, not scanned for' }),
  simulator: z.boolean().meta({ description: 'True when a simulator, not a real scanner, served this task' }),
});
export type ScanStatus = z.infer<typeof scanStatusSchema>;

/** Answer of a submission. */
export const submissionSchema = z.object({
  task_id: z.string(),
  trace_id: z.string(),
  status: taskStateSchema,
  scan_type: scanTypeSchema,
  scanner_type: z.string(),
  scanner_pool: z.string(),
  scanner_instance: z.string().nullable(),
  scanner_url: z.string().nullable(),
  queue_position: z.number().int().nullable(),
  estimated_wait_minutes: z
    .number()
    .nullable()
    .meta({ description: 'By recent scans of the pool; null when none has ended yet' }),
  message: z.string(),
  idempotent_replay: z.boolean(),
  coalesced: z.boolean().meta({ description: 'An identical task waited already; this is that one' }),
});
export type Submission = z.infer<typeof submissionSchema>;

/** Answer of `POST /api/v1/scans`: the task, and what became of the submission. */
export const submittedScanSchema = scanStatusSchema.extend(submissionSchema.shape);

/** Answer of `POST /api/v1/imports`. */
export const importAnswerSchema = scanStatusSchema.extend({
  idempotent_replay: z.boolean().meta({ description: 'The key was used before: this is the task it made' }),
});

export const taskListSchema = z.object({
  tasks: z.array(scanStatusSchema),
  total: z.number().int().meta({ description: 'Tasks that match, on all pages; exact' }),
  next_cursor: z.string().nullable(),
});
export type TaskList = z.infer<typeof taskListSchema>;

export const cancelAnswerSchema = z.object({
  task_id: z.string(),
  status: taskStateSchema,
  previous_status: taskStateSchema,
  message: z.string(),
});
export type CancelAnswer = z.infer<typeof cancelAnswerSchema>;

/** Answer of `control_scan`, and of pause, resume and retry in REST. */
export const controlAnswerSchema = z.object({
  task_id: z.string(),
  status: taskStateSchema,
  scanner_status: z.string().nullable(),
  message: z.string(),
});
export type ControlAnswer = z.infer<typeof controlAnswerSchema>;

/** What users are told of a record. `extras` are facts that are not in the record. */
export function toScanStatus(
  record: TaskRecord,
  extras: Partial<
    Pick<ScanStatus, 'eta' | 'queue_position' | 'estimated_wait_minutes' | 'waiting_reason'>
  > = {},
): ScanStatus {
  return {
    task_id: record.task_id,
    trace_id: record.trace_id,
    status: record.state,
    progress: record.state === 'completed' ? 100 : record.progress,
    scan_type: record.scan_type,
    scanner_type: record.scanner_type,
    scanner_pool: record.scanner_pool,
    scanner_instance: record.scanner_instance ?? record.pinned_instance,
    scanner_status: record.scanner_status,
    targets: record.targets,
    name: record.name,
    description: record.description,
    nessus_scan_id: record.checkpoint?.nessus_scan_id ?? null,
    attempts: record.attempts,
    created_at: record.created_at,
    started_at: record.started_at,
    completed_at: record.completed_at,
    eta: extras.eta ?? null,
    queue_position: extras.queue_position ?? null,
    estimated_wait_minutes: extras.estimated_wait_minutes ?? null,
    waiting_reason: extras.waiting_reason ?? null,
    paused: record.pause_requested !== null,
    priority: record.priority,
    principal: record.principal,
    deadline_at: record.deadline_at,
    error: record.error,
    authentication_status: record.authentication_status,
    validation_warnings: record.validation_warnings,
    results_summary: record.results_summary,
    troubleshooting: record.troubleshooting,
    quality: record.quality,
    partial_results: record.partial_results,
    abandoned_scans: record.abandoned_scans,
    imported: record.imported,
    simulator: record.simulator,
  };
}
