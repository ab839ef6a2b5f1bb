/** Answers as this service gave them, to scans of the simulator; long texts are cut. For the document. */
import type { healthSchema } from '@scanmq/contract';
import type { z } from 'zod';

export const HEALTHY: z.input<typeof healthSchema> = {
  status: 'healthy',
  version: '0.1.0',
  redis_healthy: true,
  filesystem_healthy: true,
  dependencies: {
    redis: {
      status: 'healthy',
    },
    filesystem: {
      status: 'healthy',
    },
  },
};

export const REDIS_AWAY: z.input<typeof healthSchema> = {
  status: 'unhealthy',
  redis_healthy: false,
  filesystem_healthy: true,
  dependencies: {
    redis: { status: 'unhealthy', detail: 'does not answer' },
    filesystem: { status: 'healthy' },
  },
};

export const METRICS =
  '# HELP scanmq_tasks Tasks by state\n# TYPE scanmq_tasks gauge\nscanmq_tasks{state="queued"} 0\nscanmq_tasks{state="running"} 2\n';
