/** Answers as this service gave them, to scans of the simulator; for the document. */
import type {
  CancelAnswer,
  ControlAnswer,
  ScanStatus,
  Submission,
  scanRequestSchema,
  TaskList,
} from '@scanmq/contract';
import type { z } from 'zod';

type ScanBody = z.input<typeof scanRequestSchema>;

export const UNTRUSTED_SCAN: ScanBody = {
  targets: '192.0.2.10, 192.0.2.16/29',
  name: 'Weekly scan of the DMZ',
  description: 'Change 4711',
};

export const AUTHENTICATED_SCAN: ScanBody = {
  targets: '192.0.2.40, 192.0.2.41',
  name: 'Application servers, logged in',
  scan_type: 'authenticated_privileged',
  credential_ref: 'linux-prod',
  priority: 'high',
  timeout_hours: 8,
};

export const SUBMITTED_SCAN: ScanStatus & Submission = {
  task_id: 'ne_ness_20261125_195017_450915d3',
  trace_id: 'ac6244696336415a9c123aa30db1e979',
  status: 'queued',
  progress: 0,
  scan_type: 'untrusted',
  scanner_type: 'nessus',
  scanner_pool: 'nessus',
  scanner_instance: null,
  scanner_status: null,
  targets: '192.0.2.10, 192.0.2.16/29',
  name: 'Weekly scan of the DMZ',
  description: 'Change 4711',
  nessus_scan_id: null,
  attempts: 0,
  created_at: '2026-11-25T19:50:17.054Z',
  started_at: null,
  completed_at: null,
  eta: null,
  queue_position: 1,
  estimated_wait_minutes: 0,
  waiting_reason: "It waits for one of the 2 slots of pool 'nessus'.",
  paused: false,
  priority: 'normal',
  principal: 'local',
  deadline_at: null,
  error: null,
  authentication_status: null,
  validation_warnings: [],
  results_summary: null,
  troubleshooting: null,
  quality: null,
  partial_results: false,
  abandoned_scans: [],
  imported: null,
  simulator: false,
  scanner_url: null,
  message: 'The scan is queued. Follow it with get_scan_status.',
  idempotent_replay: false,
  coalesced: false,
};

export const COMPLETED_SCAN: ScanStatus = {
  task_id: 'ne_ness_20261125_195017_450915d3',
  trace_id: 'ac6244696336415a9c123aa30db1e979',
  status: 'completed',
  progress: 100,
  scan_type: 'untrusted',
  scanner_type: 'nessus',
  scanner_pool: 'nessus',
  scanner_instance: 'scanner1',
  scanner_status: 'completed',
  targets: '192.0.2.10, 192.0.2.16/29',
  name: 'Weekly scan of the DMZ',
  description: 'Change 4711',
  nessus_scan_id: 51,
  attempts: 1,
  created_at: '2026-11-25T19:50:17.054Z',
  started_at: '2026-11-25T19:50:17.118Z',
  completed_at: '2026-11-25T19:50:18.286Z',
  eta: null,
  queue_position: null,
  estimated_wait_minutes: null,
  waiting_reason: null,
  paused: false,
  priority: 'normal',
  principal: 'local',
  deadline_at: '2026-11-26T19:50:17.118Z',
  error: null,
  authentication_status: 'not_applicable',
  validation_warnings: [],
  results_summary: {
    hosts_scanned: 7,
    total_vulnerabilities: 90,
    total_findings: 270,
    severity_breakdown: {
      critical: 5,
      high: 13,
      medium: 26,
      low: 46,
      info: 180,
    },
    file_size_kb: 678,
    auth_plugins_found: 7,
    compliance: null,
  },
  troubleshooting: null,
  quality: {
    verdict: 'complete',
    reasons: [],
    stopped_early: false,
    ended_as: 'completed',
    hosts: {
      listed: 7,
      alive: 7,
      incomplete: 0,
    },
    targets_missing: {
      count: 0,
      examples: [],
    },
    credentials: {
      requested: false,
      status: 'not_applicable',
      hosts: {
        success: 0,
        partial: 0,
        failed: 0,
        none_provided: 7,
        unknown: 0,
      },
      by_protocol: {},
    },
    privilege: {
      sufficient: 0,
      insufficient: 0,
      unknown: 7,
    },
    plugin_set: {
      version: '202611010000',
      age_days: 24.8,
    },
    port_ranges: ['default'],
  },
  partial_results: false,
  abandoned_scans: [],
  imported: null,
  simulator: true,
};

export const TIMED_OUT_SCAN: ScanStatus = {
  task_id: 'ne_ness_20261125_195019_22ff14e1',
  trace_id: '58f5a1b915694f66a94bd0636706221e',
  status: 'timeout',
  progress: 0,
  scan_type: 'untrusted',
  scanner_type: 'nessus',
  scanner_pool: 'nessus',
  scanner_instance: 'scanner1',
  scanner_status: null,
  targets: '192.0.2.77',
  name: 'Too long',
  description: '',
  nessus_scan_id: null,
  attempts: 1,
  created_at: '2026-11-25T19:50:19.565Z',
  started_at: '2026-11-25T19:50:19.599Z',
  completed_at: '2026-11-25T19:50:19.693Z',
  eta: null,
  queue_position: null,
  estimated_wait_minutes: null,
  waiting_reason: null,
  paused: false,
  priority: 'normal',
  principal: 'local',
  deadline_at: '2026-11-25T19:50:19.671Z',
  error: {
    code: 'timeout',
    message: 'The time limit of 0 h passed; no scan was running.',
    retryable: false,
  },
  authentication_status: null,
  validation_warnings: [],
  results_summary: null,
  troubleshooting: null,
  quality: null,
  partial_results: false,
  abandoned_scans: [],
  imported: null,
  simulator: true,
};

export const SCANS: TaskList = {
  tasks: [COMPLETED_SCAN],
  total: 3,
  next_cursor: 'MTc5NTYzNjIxODMyNSBuZV9uZXNzXzIwMjYxMTI1XzE5NTAxOF8yMjUzYjVjNg',
};

export const CANCELLED_SCAN: CancelAnswer = {
  task_id: 'ne_ness_20261125_195019_9c0ab8e0',
  status: 'running',
  previous_status: 'running',
  message: 'The scan is being stopped on the scanner; follow the status until it says cancelled.',
};

export const PAUSED_SCAN: ControlAnswer = {
  task_id: 'ne_ness_20261125_195019_9c0ab8e0',
  status: 'queued',
  scanner_status: null,
  message: 'The task waits until it is resumed.',
};

export const RESUMED_SCAN: ControlAnswer = {
  task_id: 'ne_ness_20261125_195019_9c0ab8e0',
  status: 'running',
  scanner_status: null,
  message: 'The task goes on.',
};

export const RETRIED_SCAN: ControlAnswer = {
  task_id: 'ne_ness_20261125_195019_9c0ab8e0',
  status: 'queued',
  scanner_status: null,
  message: 'The task is queued again.',
};
