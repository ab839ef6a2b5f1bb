/** What `scanmq doctor` looks at, in the order in which it is shown; `--only` names these. */
export const AREAS = ['node', 'settings', 'data', 'redis', 'queues', 'scanners', 'gateway'] as const;
export type Area = (typeof AREAS)[number];
