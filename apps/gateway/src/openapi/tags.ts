/** Groups of operations, in the order in which they are shown. */
export const TAGS = {
  scans: 'Submitting scans, following and steering them',
  results: 'Findings, hosts, reports, exports and comparisons of scans that have ended',
  imports: 'Results that were not scanned for here',
  schedules: 'Recurring scans',
  fleet: 'Scanners, pools and their queues',
  'dead-letters': 'Tasks that failed or ran out of time',
  webhooks: 'Signed notifications',
  administration: 'Stored credentials and housekeeping',
  service: 'Health and figures of the service itself, and this document',
} as const;

export type Tag = keyof typeof TAGS;
