/** Answers as this service gave them, to scans of the simulator; long texts are cut. For the document. */
import {
  type createScheduleSchema,
  type ScanStatus,
  type Schedule,
  type ScheduleList,
  type Submission,
  scheduleIdSchema,
} from '@scanmq/contract';
import type { z } from 'zod';

export const SCHEDULE_REQUEST: z.input<typeof createScheduleSchema> = {
  name: 'Weekly',
  request: {
    targets: '192.0.2.16/29',
    name: 'Weekly scan of the DMZ',
  },
  cron: '30 2 * * 1',
  time_zone: 'Europe/Berlin',
};

export const SCHEDULE: Schedule = {
  schedule_id: scheduleIdSchema.parse('sch_a1c5fdcf'),
  name: 'Weekly',
  request: {
    targets: '192.0.2.16/29',
    name: 'Weekly scan of the DMZ',
    description: '',
    schema_profile: 'brief',
    template: 'basic',
    priority: 'normal',
    scan_type: 'untrusted',
    elevate_privileges_with: 'Nothing',
  },
  cron: '30 2 * * 1',
  time_zone: 'Europe/Berlin',
  every_minutes: null,
  overlap: 'skip',
  paused: false,
  principal: 'local',
  created_at: '2026-11-25T19:50:26.416Z',
  last_task_id: null,
  last_run_at: null,
  last_outcome: null,
  runs: 0,
  skips: 0,
  refusals: 0,
  next_run_at: '2026-11-30T01:30:00.000Z',
};

export const PAUSED_SCHEDULE: Schedule = { ...SCHEDULE, paused: true, next_run_at: null };

export const SCHEDULES: ScheduleList = { schedules: [SCHEDULE], total: 1 };

export const SCHEDULED_RUN: ScanStatus & Submission = {
  task_id: 'ne_ness_20261125_195026_e45b4fda',
  trace_id: 'd380a1c03829409ba6aa175af002d359',
  status: 'queued',
  progress: 0,
  scan_type: 'untrusted',
  scanner_type: 'nessus',
  scanner_pool: 'nessus',
  scanner_instance: null,
  scanner_status: null,
  targets: '192.0.2.16/29',
  name: 'Weekly scan of the DMZ',
  description: '',
  nessus_scan_id: null,
  attempts: 0,
  created_at: '2026-11-25T19:50:26.436Z',
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
