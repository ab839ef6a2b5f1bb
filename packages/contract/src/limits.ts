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

  /** Characters of one MCP answer (about 10,000 tokens); longer ones are cut on whole items. */
  mcpAnswerChars: 40_000,

  /** Elements nested in an export; real ones need 8. */
  xmlDepth: 64,
  /** One text node or attribute of an export: 1.7 million characters were seen (plugin_set). */
  xmlTextChars: 32 * 1024 * 1024,
  xmlAttributeChars: 64 * 1024,
} as const;
