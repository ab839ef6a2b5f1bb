/** Webhooks and deliveries as this service gave them; for the document. */
import {
  type CreatedWebhook,
  type createWebhookSchema,
  type Delivery,
  type DeliveryList,
  deliveryIdSchema,
  type Webhook,
  type WebhookList,
  webhookIdSchema,
} from '@scanmq/contract';
import type { z } from 'zod';

const webhook_id = webhookIdSchema.parse('wh_7f3c0d9a51e2b846');
const place = '7f3c0d9a51e2b846_1764100217061_0';

export const WEBHOOK_REQUEST: z.input<typeof createWebhookSchema> = {
  url: 'https://ci.example.com/hooks/scanmq',
  events: ['scan.completed', 'scan.failed', 'scan.timeout'],
  description: 'Build server',
};

export const WEBHOOK: Webhook = {
  webhook_id,
  url: 'https://ci.example.com/hooks/scanmq',
  events: ['scan.completed', 'scan.failed', 'scan.timeout'],
  description: 'Build server',
  audience: 'own',
  principal: 'local',
  created_at: '2026-11-25T19:48:02.410Z',
  disabled: null,
  failing_since: null,
  consecutive_failures: 0,
  last_success_at: '2026-11-25T19:50:19.207Z',
};

export const DISABLED_WEBHOOK: Webhook = {
  ...WEBHOOK,
  disabled: {
    at: '2026-11-28T19:51:44.002Z',
    reason: 'failing_too_long',
    message: 'No attempt succeeded for longer than WEBHOOK_DISABLE_HOURS.',
  },
  failing_since: '2026-11-25T19:51:12.880Z',
  consecutive_failures: 4,
};

export const CREATED_WEBHOOK: CreatedWebhook = {
  ...WEBHOOK,
  last_success_at: null,
  secret: 'whsec_c2Nhbm1xIGV4YW1wbGUgc2VjcmV0LCBub3QgYSByZWFsIG9uZQ==',
};

export const WEBHOOKS: WebhookList = { webhooks: [WEBHOOK], total: 1 };

export const DELIVERY: Delivery = {
  delivery_id: deliveryIdSchema.parse(`dlv_${place}`),
  webhook_id,
  message_id: `msg_${place}`,
  type: 'scan.completed',
  task_id: 'ne_ness_20261125_195017_450915d3',
  status: 'delivered',
  skipped_because: null,
  created_at: '2026-11-25T19:50:17.070Z',
  replay_of: null,
  next_attempt_at: null,
  attempts: [
    {
      at: '2026-11-25T19:50:17.081Z',
      status_code: 503,
      error: 'status',
      duration_ms: 41,
      answer_bytes: 19,
    },
    { at: '2026-11-25T19:50:19.160Z', status_code: 204, error: null, duration_ms: 38, answer_bytes: 0 },
  ],
  payload: {
    type: 'scan.completed',
    version: 1,
    timestamp: '2026-11-25T19:50:17.061Z',
    data: {
      task_id: 'ne_ness_20261125_195017_450915d3',
      status: 'completed',
      previous_status: 'running',
      current_status: 'completed',
      name: 'Weekly scan of the DMZ',
      scan_type: 'untrusted',
      scanner_pool: 'nessus',
      principal: 'local',
      attempts: 1,
      created_at: '2026-11-25T19:48:17.054Z',
      started_at: '2026-11-25T19:48:17.102Z',
      completed_at: '2026-11-25T19:50:17.055Z',
      results_summary: {
        hosts_scanned: 9,
        total_vulnerabilities: 61,
        total_findings: 412,
        severity_breakdown: { critical: 2, high: 9, medium: 38, low: 12, info: 351 },
        file_size_kb: 1804.2,
        auth_plugins_found: 0,
        compliance: null,
      },
      quality: { verdict: 'limited', reasons: ['hosts_silent'] },
      partial_results: false,
      error: null,
      links: {
        task: '/api/v1/scans/ne_ness_20261125_195017_450915d3',
        findings: '/api/v1/scans/ne_ness_20261125_195017_450915d3/findings',
        report: '/api/v1/scans/ne_ness_20261125_195017_450915d3/report',
      },
    },
  },
};

export const REPLAY: Delivery = {
  ...DELIVERY,
  delivery_id: deliveryIdSchema.parse('dlv_7f3c0d9a51e2b846_replay_5b0e1d2c9a8f7364'),
  status: 'pending',
  created_at: '2026-11-25T20:02:31.444Z',
  replay_of: DELIVERY.delivery_id,
  next_attempt_at: '2026-11-25T20:02:31.444Z',
  attempts: [],
};

export const PING: Delivery = {
  ...REPLAY,
  delivery_id: deliveryIdSchema.parse('dlv_7f3c0d9a51e2b846_ping_0c4d8e1f2a3b5967'),
  message_id: 'msg_7f3c0d9a51e2b846_ping_0c4d8e1f2a3b5967',
  type: 'ping',
  task_id: null,
  replay_of: null,
  payload: {
    type: 'ping',
    version: 1,
    timestamp: '2026-11-25T20:02:31.444Z',
    data: { webhook_id },
  },
};

export const DELIVERIES: DeliveryList = { deliveries: [DELIVERY], total: 1, next_cursor: null };
