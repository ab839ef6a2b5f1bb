/** Tools that look at scanners and queues. */
import {
  listScannersParamsSchema,
  poolListSchema,
  poolParamsSchema,
  poolStatusSchema,
  queueStatusSchema,
  scannerListSchema,
} from '@scanmq/contract';
import { z } from 'zod';
import { fitList } from './budget.js';
import { defineTool, READS, type Tool } from './tool.js';

const next = z.string().nullable();

export function fleetTools(): readonly Tool[] {
  return [
    defineTool({
      name: 'list_scanners',
      title: 'Scanners',
      description: 'Every scanner with its health, version, limit and scans in progress.',
      input: listScannersParamsSchema,
      output: scannerListSchema.extend({ next }),
      annotations: READS,
      run: async ({ scanner_pool }, { scans }) => {
        const { scanners, ...rest } = await scans.scanners(scanner_pool);
        const shown = fitList(scanners);
        return { structured: { ...rest, scanners: [...shown], next: leftOut(shown, scanners) } };
      },
    }),
    defineTool({
      name: 'list_pools',
      title: 'Pools of scanners',
      description: 'Names of the pools that scanner_pool can be, and the default.',
      input: z.strictObject({}),
      output: poolListSchema,
      annotations: READS,
      run: async (_input, { scans }) => ({ structured: scans.pools() }),
    }),
    defineTool({
      name: 'get_pool_status',
      title: 'Load of a pool',
      description: 'Capacity and load of one pool, and of each scanner in it.',
      input: poolParamsSchema,
      output: poolStatusSchema.extend({ next }),
      annotations: READS,
      run: async ({ scanner_pool }, { scans }) => {
        const { scanners, ...rest } = await scans.poolStatus(scanner_pool);
        const shown = fitList(scanners);
        return { structured: { ...rest, scanners: [...shown], next: leftOut(shown, scanners) } };
      },
    }),
    defineTool({
      name: 'get_queue_status',
      title: 'Queue of a pool',
      description:
        'How many tasks wait, run and failed in one pool, which are next, and how long a new one would wait.',
      input: poolParamsSchema,
      output: queueStatusSchema,
      annotations: READS,
      run: async ({ scanner_pool }, { scans }) => ({ structured: await scans.queueStatus(scanner_pool) }),
    }),
  ];
}

function leftOut(shown: readonly unknown[], all: readonly unknown[]): string | null {
  return shown.length === all.length
    ? null
    : `${shown.length} of ${all.length} scanners fit here; list_scanners with scanner_pool shows one pool.`;
}
