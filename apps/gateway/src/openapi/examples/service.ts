/** Answers as this service gave them, to scans of the simulator; long texts are cut. For the document. */
import type { healthSchema } from '@scanmq/contract';
import type { z } from 'zod';

export const HEALTHY: z.input<typeof healthSchema> = {
  status: 'healthy',
  version: '0.1.0',
  redis_healthy: true,
  filesystem_healthy: true,
  dependencies: {
    redis: { status: 'healthy', round_trip_ms: 0.3 },
    filesystem: { status: 'healthy', free_mb: 84_211 },
    scanners: {
      status: 'healthy',
      scanners: [
        { scanner: 'nessus:scanner1', status: 'healthy', circuit: 'closed', checked_seconds_ago: 12 },
      ],
    },
    sweeper: { status: 'healthy', swept_seconds_ago: 41 },
  },
};

export const REDIS_AWAY: z.input<typeof healthSchema> = {
  status: 'unhealthy',
  redis_healthy: false,
  filesystem_healthy: true,
  dependencies: {
    redis: { status: 'unhealthy', detail: 'does not answer' },
    filesystem: { status: 'healthy', free_mb: 84_211 },
    scanners: { status: 'unknown' },
    sweeper: { status: 'unknown' },
  },
};

export const METRICS =
  '# HELP scanmq_tasks Tasks by state\n# TYPE scanmq_tasks gauge\nscanmq_tasks{state="queued"} 0\nscanmq_tasks{state="running"} 2\n';
