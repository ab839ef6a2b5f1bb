/** Findings grouped by plugin, the worst first: what a model reads before any detail. */
import { findingGroupSchema, hostLabel, type SearchAnswer, searchParamsSchema } from '@scanmq/contract';
import type { z } from 'zod';
import type { Services } from '../access/services.js';

export const topFindingSchema = findingGroupSchema;

/** The plugins with the worst findings of a task. */
const TOP = 10;

export async function topFindings(
  results: Pick<Services['results'], 'search'>,
  taskId: string,
): Promise<z.input<typeof topFindingSchema>[]> {
  const { groups } = await results.search(
    searchParamsSchema.parse({ task_id: taskId, group_by: 'plugin', severity: '>=low', limit: TOP }),
  );
  return groups.map(tellGroup);
}

export type Group = SearchAnswer['groups'][number];

/** A group as a model may read it. */
export function tellGroup(group: Group): Group {
  return { ...group, host_examples: group.host_examples.map(hostLabel) };
}
