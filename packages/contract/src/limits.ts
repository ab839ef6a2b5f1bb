/** Every limit on time and size that is not configuration, in one place. Durations carry their unit. */

/** Fields of a submission. */
export const LIMITS = {
  nameChars: 200,
  descriptionChars: 2_000,
  /** The text of `targets`; about 16,000 IPv4 addresses. */
  targetsChars: 256 * 1024,
  /** Separate targets in one scan, each an address, a range, a network or a name. */
  targetEntries: 5_000,
  /** Entries of each list that says what a principal may scan: they are kept with each of its tasks. */
  targetScopeEntries: 500,

  /** One name is looked up for so long at most, and all names of a request together, milliseconds. */
  nameLookupMs: 5_000,
  namesLookupMs: 20_000,
  /** Names looked up at once by the system: each takes one of Node's four threads. */
  systemLookups: 3,
  /** Names asked for at once where DNS_SERVERS says whom. */
  dnsLookups: 50,
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
  /** All headers of a request, bytes: a bearer token alone may have 16,384 characters. */
  headerBytes: 32 * 1024,
  /** Longest that the headers of a request may take, milliseconds. */
  headersMs: 10_000,
  /** A connection is kept for the next request so long, milliseconds: longer than the proxies before it keep theirs. */
  keepAliveMs: 72_000,
  /** A connection with a request on which nothing moves for so long is ended, milliseconds; streams have a heartbeat. */
  silentConnectionMs: 180_000,
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

  /** Findings in one answer of the gate. */
  gateFindingsDefault: 50,
  gateFindingsMax: 1_000,
  /** Body of a request to the gate, bytes: the ids of a baseline file, and the rules of an ignore file. */
  gateBodyBytes: 8 * 1024 * 1024,
  baselineFindings: 200_000,
  ignoreRules: 1_000,
  /** The furthest that a rule of an ignore file may hold, days: somebody is to look again within a year. */
  ignoreDays: 366,
  /** Earlier tasks looked at for the baseline of a gate. */
  gateBaselineTasks: 1_000,

  /**
   * Characters of each half of an MCP answer, the text and the structured content: about 4,000 tokens. Longer ones are
   * cut on whole items, so that both halves together stay below 10,000.
   */
  mcpAnswerChars: 16_000,
  /** One text in an MCP answer, in characters: an item is shown whole, its texts not always. */
  mcpTextChars: 4_000,
  /** Texts of one list in an MCP answer, such as the references of a finding. */
  mcpListTexts: 100,
  /** One text that a scanned host wrote. */
  mcpUntrustedChars: 2_000,
  /** Findings read for one MCP answer: more cannot fit. */
  mcpFindings: 200,
  /** Items of lists in one MCP answer. */
  mcpItems: 50,
  /** Body of a request to MCP, bytes: as any other, with the envelope of the protocol. */
  mcpBodyBytes: 512 * 1024,
  /** Longest and usual time of `wait_for_scan`, seconds: clients give up a call after 60. */
  mcpWaitSecondsMax: 50,
  mcpWaitSecondsDefault: 25,
  /** How long a plan can be carried out, seconds. */
  planSeconds: 600,

  /** Events kept of one task; of progress the newest only, where nothing else happened in between. */
  taskEvents: 300,
  /** How long those of an ended task are kept, milliseconds: whoever comes back later gets a snapshot. */
  endedTaskEventsMs: 24 * 3_600_000,
  /** Hosts in an event of progress: those that are being scanned, then those that are done. */
  progressHosts: 50,
  /** Between two signs of life in a stream of events, milliseconds: proxies end what is silent for longer. */
  eventHeartbeatMs: 15_000,
  /** How long a client waits before it asks for a broken stream again, milliseconds. */
  eventRetryMs: 2_000,
  /** What may wait for a client that reads too slowly, bytes; then its stream is ended, and it resumes by id. */
  eventBufferBytes: 1024 * 1024,

  /** Recurring scans that may exist at once; their list is answered whole. */
  schedules: 1_000,
  /** Shortest and longest time between two runs of a schedule with an interval. */
  scheduleIntervalMsMin: 1_000,
  scheduleIntervalMsMax: 366 * 86_400_000,
  cronChars: 200,

  webhookUrlChars: 2_048,
  webhookDescriptionChars: 200,
  /** Webhooks of one principal; their list is answered whole. */
  webhooksPerPrincipal: 20,
  /** Webhooks of all principals. */
  webhooks: 1_000,
  /** Deliveries of one webhook that may wait, for their first or a further attempt. */
  webhookWaiting: 2_000,
  /** Deliveries of one webhook that are remembered, and for how long after the last, seconds. */
  webhookLog: 100,
  webhookLogSeconds: 30 * 86_400,
  /** Attempts of one delivery: with the usual WEBHOOK_RETRY_SECONDS over about a day. */
  webhookAttempts: 8,
  /** Deliveries in a row that are given up before their webhook is disabled. */
  webhookFailedDeliveries: 20,
  /** Bytes of an answer that are read; it is not kept. */
  webhookAnswerBytes: 1_024,
  /** Deliveries at once in one worker, and of one webhook among them. */
  webhookDeliveriesAtOnce: 20,
  webhookDeliveriesAtOnceEach: 4,
  /** API keys that may exist, with those that were revoked: every gateway holds them in memory. */
  apiKeys: 10_000,
  keyNameChars: 64,
  /** Entries of one list in the scopes of a key. */
  scopeEntries: 500,
  scopeWindows: 50,
  /** A bearer token, characters; tokens of issuers carry groups. */
  tokenChars: 16 * 1024,
  /** Body of the login form, bytes. */
  loginBodyBytes: 4 * 1024,
  /** One text in the audit log, characters. */
  auditTextChars: 1_000,
  /** One line of the audit log, bytes. */
  auditLineBytes: 128 * 1024,

  /** Elements nested in an export; real ones need 8. */
  xmlDepth: 64,
  /** One text node or attribute of an export: 1.7 million characters were seen (plugin_set). */
  xmlTextChars: 32 * 1024 * 1024,
  xmlAttributeChars: 64 * 1024,
} as const;
