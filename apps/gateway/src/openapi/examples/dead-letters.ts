/** Answers as this service gave them, to scans of the simulator; long texts are cut. For the document. */
import type {
  ControlAnswer,
  DeadLetter,
  deadLetterListSchema,
  discardManyAnswerSchema,
  retryManyAnswerSchema,
} from '@scanmq/contract';
import type { z } from 'zod';

export const DEAD_LETTER: DeadLetter = {
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
  crashes: 0,
  failures: [
    {
      attempt: 1,
      at: '2026-11-25T19:50:19.692Z',
      code: 'timeout',
      message: 'The time limit of 0 h passed; no scan was running.',
      scanner_instance: 'nessus:scanner1',
      nessus_scan_id: null,
      operation: null,
      scanner_http_status: null,
      scanner_message: null,
    },
  ],
  can_retry: true,
  why_not: null,
  log: [],
};

export const DEAD_LETTERS: z.input<typeof deadLetterListSchema> = {
  dead_letters: [DEAD_LETTER],
  total: 1,
  by_code: {
    timeout: 1,
  },
  next_cursor: null,
};

export const RETRIED: z.input<typeof retryManyAnswerSchema> = {
  retried: ['ne_ness_20261125_195019_22ff14e1'],
  skipped: [],
};

export const DISCARDED: z.input<typeof discardManyAnswerSchema> = {
  discarded: [],
  skipped: [
    {
      task_id: 'ne_ness_20261125_195019_22ff14e1',
      code: 'invalid_state',
      message: 'The job of the task is active: somebody has retried it.',
    },
  ],
};

export const RETRIED_ONE: ControlAnswer = {
  task_id: 'ne_ness_20261125_195019_22ff14e1',
  status: 'queued',
  scanner_status: null,
  message: 'The task is queued again.',
};
