/** What is told of the health of a program; names no address, because anybody may ask. */
import { z } from 'zod';

export const livenessSchema = z.object({ status: z.literal('alive') });

export const readinessSchema = z.object({ status: z.enum(['ready', 'not_ready']) });

const dependencySchema = z.object({
  status: z.enum(['healthy', 'unhealthy']),
  detail: z.string().optional().meta({ description: 'What is wrong' }),
});
export type DependencyHealth = z.infer<typeof dependencySchema>;

export const healthSchema = z.object({
  status: z.enum(['healthy', 'unhealthy']),
  version: z.string().optional().meta({ description: 'Version of scanmq' }),
  redis_healthy: z.boolean(),
  filesystem_healthy: z.boolean(),
  dependencies: z.object({ redis: dependencySchema, filesystem: dependencySchema }),
});
