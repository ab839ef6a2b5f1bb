/** What is told of the health of a program; names no address, because anybody may ask. */
import { z } from 'zod';
import { circuitSchema } from './fleet.js';

export const livenessSchema = z.object({ status: z.literal('alive') });

export const readinessSchema = z.object({ status: z.enum(['ready', 'not_ready']) });

/**
 * `degraded`: it works, and somebody should look. `unknown`: nobody has found out yet, or it cannot be found out now.
 */
const dependencyStatusSchema = z.enum(['healthy', 'degraded', 'unhealthy', 'unknown']);

const dependencySchema = z.object({
  status: dependencyStatusSchema,
  detail: z.string().optional().meta({ description: 'What is wrong' }),
});
export type DependencyHealth = z.infer<typeof dependencySchema>;

const secondsAgo = z.number().int().min(0).nullable();

const redisHealthSchema = dependencySchema.extend({
  round_trip_ms: z.number().optional().meta({ description: 'There and back' }),
});
const filesystemHealthSchema = dependencySchema.extend({
  free_mb: z.number().int().optional().meta({ description: 'Room that is left where results are kept' }),
});
const scannersHealthSchema = dependencySchema.extend({
  scanners: z
    .array(
      z.object({
        scanner: z.string().meta({ description: '`pool:instance`' }),
        status: dependencyStatusSchema,
        circuit: circuitSchema,
        checked_seconds_ago: secondsAgo,
      }),
    )
    .optional(),
});
const sweeperHealthSchema = dependencySchema.extend({
  swept_seconds_ago: secondsAgo
    .optional()
    .meta({ description: 'Since the end of the last sweep of any worker' }),
});
const jobsHealthSchema = dependencySchema.extend({
  asked_seconds_ago: secondsAgo.optional().meta({
    description:
      'Since Redis last answered when this worker asked for jobs, of the queue where it is longest',
  }),
  running_scans: z.number().int().optional(),
});

const dependenciesSchema = z.object({
  redis: redisHealthSchema,
  filesystem: filesystemHealthSchema,
  scanners: scannersHealthSchema,
  sweeper: sweeperHealthSchema,
});
export type Dependencies = z.infer<typeof dependenciesSchema>;

/** Figures only for those who may see the metrics. */
export const healthSchema = z.object({
  status: z.enum(['healthy', 'unhealthy']),
  version: z.string().optional().meta({ description: 'Version of scanmq' }),
  redis_healthy: z.boolean(),
  filesystem_healthy: z.boolean(),
  dependencies: dependenciesSchema,
});

/** Of a worker, at its own port. */
export const workerHealthSchema = healthSchema.extend({
  dependencies: dependenciesSchema.extend({ jobs: jobsHealthSchema }),
});
export type WorkerHealth = z.infer<typeof workerHealthSchema>;
