/** Every limit on time and size that is not configuration, in one place. Durations carry their unit. */

/** Fields of a submission. */
export const LIMITS = {
  nameChars: 200,
  descriptionChars: 2_000,
  /** The text of `targets`; about 16,000 IPv4 addresses. */
  targetsChars: 256 * 1024,
  /** Separate targets in one scan, each an address, a range, a network or a name. */
  targetEntries: 5_000,
  idempotencyKeyChars: 255,
  secretChars: 16 * 1024,
  usernameChars: 256,
  reasonChars: 500,

  pageSizeMin: 10,
  pageSizeMax: 100,
  pageSizeDefault: 40,
  listLimitMax: 100,
  listLimitDefault: 10,

  /** Body of any request to the gateway, bytes. */
  requestBodyBytes: 512 * 1024,
  /** Longest that `?wait=` holds an answer, seconds. */
  waitSecondsMax: 60,

  searchLimitDefault: 50,
  searchLimitMax: 500,
  /** Tasks looked into for one answer of a search, and the time for it, milliseconds. */
  searchTasks: 2_000,
  searchMs: 8_000,
  hostsLimitDefault: 50,
  hostsLimitMax: 500,

  comparisonItemsDefault: 50,
  comparisonItemsMax: 1_000,

  /** Characters of one MCP answer (about 10,000 tokens); longer ones are cut on whole items. */
  mcpAnswerChars: 40_000,

  /** Findings read for one MCP answer: more cannot fit. */
  mcpFindings: 500,
  /** Items of lists in one MCP answer. */
  mcpItems: 50,

  /** Recurring scans that may exist at once; their list is answered whole. */
  schedules: 1_000,
  /** Shortest and longest time between two runs of a schedule with an interval. */
  scheduleIntervalMsMin: 1_000,
  scheduleIntervalMsMax: 366 * 86_400_000,
  cronChars: 200,

  /** Elements nested in an export; real ones need 8. */
  xmlDepth: 64,
  /** One text node or attribute of an export: 1.7 million characters were seen (plugin_set). */
  xmlTextChars: 32 * 1024 * 1024,
  xmlAttributeChars: 64 * 1024,
} as const;
